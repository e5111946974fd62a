"""What the settings of all share that are asked for their calls again and again: hosted PBXs over HTTP, databases."""

import re
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from humbug_agent.ini import Secret, Section, file, in_clear, moment, timezone, url
from humbug_agent.sources.settings import SourceSettings


@dataclass(frozen=True)
class ApiSettings:
    """What all hosted PBXs that are asked for their calls have. ``since`` is for the first start, None a day before it.

    ``timezone`` is that of the times in its answers, None the agent's.
    """

    url: str
    poll_seconds: int
    since: datetime | None
    timezone: tzinfo | None
    timeout: int
    ca_file: Path | None
    proxy: Secret | None


class HostedSettings(SourceSettings):
    """The settings of a source that asks a hosted PBX."""

    name: str
    api: ApiSettings

    def warnings(self) -> list[str]:
        if not (there := in_clear(self.api.url)):
            return []
        passes = f"the keys and all calls pass the network to {there} unencrypted over http://"
        return [f"[source {self.name}] url: {passes}; use https://"]


def read_api(section: Section, example: str, default: str = "") -> ApiSettings:
    zone = section.converted("timezone", timezone, "an IANA time zone")
    proxy = section.converted("proxy", url, "a proxy's URL", private=True)
    asked = section.converted("url", url, f"a URL such as {example}", private=True) or default
    if not asked and not section.text("url"):
        section.text("url", required=True)
    return ApiSettings(
        url=asked,
        poll_seconds=section.whole("poll_seconds", 60, 1, 86400),
        since=read_since(section),
        timezone=zone,
        timeout=section.whole("timeout", 60, 1, 600),
        ca_file=section.converted("ca_file", file, "a readable file"),
        proxy=Secret(proxy) if proxy else None,
    )


def read_since(section: Section) -> datetime | None:
    """The setting ``since``, which all types have that ask for calls by their time: where a first start begins."""
    return section.converted("since", _since, "a date such as 2026-01-31, or 2026-01-31 18:00")


def read_hours(section: Section) -> tuple[int, int] | None:
    """The setting ``backfill_hours``, which databases have: from which hour up to which; None: all of them."""
    return section.converted("backfill_hours", _hours, "two hours of the day, such as 22-6")


def _hours(value: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,2})\s*-\s*([0-9]{1,2})", value)
    if not found or not all(int(hour) <= 24 for hour in found.groups()):
        raise ValueError("it needs two numbers from 0 to 24")
    return int(found[1]) % 24, int(found[2]) % 24


def _since(value: str) -> datetime:
    found = moment(value)
    if not 1971 <= found.year <= 2999:
        raise ValueError("no calls are from then")
    return found
