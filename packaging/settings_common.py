"""What the settings are that mean the same in several types of source or destination: words for settings.py."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """``example`` is a value that somebody may have, other than the default. ``unit`` stands behind a number's limits.

    ``may`` and ``default`` are for where the code does not say it by itself.
    """

    example: str
    about: str
    unit: str = ""
    may: str = ""
    default: str = ""


COMMON: Mapping[str, Words] = {
    "only": Words("accountcode is acme", "Which calls go there ([how](destinations.md#which-calls-go-where))."),
    "charset": Words(
        "cp1251",
        "How the PBX's text is encoded. `auto` is UTF-8, and Windows-1252 where it is not. Change it where names of "
        "callers "
        "come out wrong: to what phones and provider send. All sources of one PBX want the same.",
    ),
    "start": Words(
        "end",
        "What the first start does with the calls that are there already, rotated files included: `beginning` sends "
        "them, "
        "`end` begins with the next one. Change it before the first start, where Humbug has the old calls already.",
    ),
    "legs": Words(
        "ab",
        "Which legs of FreeSWITCH make a call: `a` is what a bill has, `b` what each called phone had, `ab` both. "
        "Change it "
        "where each phone that rang is to be a call of its own.",
    ),
    "drop_doubles": Words(
        "no",
        "`yes` leaves out what is only a part of another call: queue attempts, the far halves of loopbacks, phones "
        "that "
        "another one was faster than. Change it to see those, too.",
    ),
    "timezone": Words(
        "Europe/Bucharest",
        "The zone of this source's times, where it is not `[agent] timezone`, such as that of a PBX elsewhere.",
        default="`[agent] timezone`",
    ),
    "backfill_hours": Words(
        "22-6",
        "The hours of the day, by `timezone`, in which calls from more than a day before the first start are brought "
        "in.",
        default="all",
    ),
    "since": Words(
        "2026-01-01",
        "Where the first start begins. Change it before the first start, to fetch older calls; they are fetched "
        "piece by "
        "piece.",
        default="a day before",
    ),
    "poll_seconds": Words(
        "300",
        "From one question to the next. More of them spares the PBX's API, fewer bring calls sooner.",
        "seconds",
    ),
    "timeout": Words(
        "30",
        "How long one request may take as a whole. Change it where a slow line or server needs longer.",
        "seconds",
    ),
    "ca_file": Words(
        "/etc/humbug-agent/ca.pem",
        "A certificate authority of your own, as a PEM file, for a server whose certificate the system does not know. "
        "Certificates are always checked.",
    ),
    "proxy": Words(
        "http://proxy.example.org:3128",
        "The HTTP proxy on the way there. The environment's is not used.",
    ),
    "mask": Words(
        "last 3",
        "How outside numbers are hidden ([more](destinations.md#what-a-destination-is-not-told)): `last 3` hides their "
        "last three digits, `pseudonym` puts another number in the place of each, the same each time.",
    ),
    "names": Words("no", "`no` leaves out callers' names ([more](destinations.md#what-a-destination-is-not-told))."),
    "mask_key": Words(
        "a-long-random-word-of-your-own",
        "Pseudonyms are made with it, and the ids of calls of which something is hidden. Change it where several PBXs "
        "are to have the same pseudonyms: `openssl rand -hex 32` makes one. With another one, the same number and the "
        "same call get others.",
        may="a secret of 16 characters or more",
        default="one that the daemon makes, `mask-key` beside the outbox",
    ),
    "target": Words(
        "80",
        "Percent of the answered calls that should be answered within Asterisk's `servicelevel`. Less is a warning.",
        "percent",
        default="that of `[queues]`",
    ),
    "warn_waiting": Words("3", "So many callers who wait are a warning.", "callers", default="that of `[queues]`"),
    "critical_waiting": Words("8", "So many callers who wait are critical.", "callers", default="that of `[queues]`"),
    "warn_wait": Words("60", "So long a wait of one caller is a warning.", "seconds", default="that of `[queues]`"),
    "critical_wait": Words("180", "So long a wait of one caller is critical.", "seconds", default="that of `[queues]`"),
}
"""Settings that mean the same in several types."""
