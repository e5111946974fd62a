"""Counts, times and errors as a sentence has them, the same everywhere."""

from datetime import UTC, datetime, tzinfo

OTHER_USER = "run it as root or as the user that the daemon runs as"
"""What to do where this process may not see what is the daemon's."""


def count(number: int, one: str, more: str = "") -> str:
    """``1 call``, ``1,204 calls``; ``more`` is the plural where it is not ``one`` and an s."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def clock(seconds: float, zone: tzinfo) -> str:
    """``2026-11-20 17:01:25+01:00``, of seconds since the epoch: a sentence may be read in another zone."""
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).isoformat(" ", "seconds")


def moment(seconds: float | None, zone: tzinfo) -> str:
    """``2026-11-20 17:01:25`` in the PBX's zone; nothing for None and 0."""
    return (iso(seconds, zone) or "")[:19].replace("T", " ")


def iso(seconds: float | None, zone: tzinfo) -> str | None:
    """ISO 8601 with the zone's offset, for JSON; what a damaged outbox has in the place of a time as it is."""
    if not seconds:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC).astimezone(zone).isoformat(timespec="seconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return str(seconds)


def age(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h``, ``5 days``."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def said(error: BaseException) -> str:
    """Which file, and what the system says of it; of any other error its own text.

    Python's own text of an OSError has a number and a path in the form of its source code.
    """
    if not (isinstance(error, OSError) and error.strerror):
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror


def no_room(unkept: int) -> str:
    """What to say of a source of which so many records were not understood, nor kept as rejects."""
    are = "is" if unkept == 1 else "are"
    return (
        f"{count(unkept, 'record')} that can't be understood {are} only counted: its rejects have all the room that "
        "they may have. Once the cause is mended, replay or purge them (humbug-agent outbox list --state rejected)"
    )
