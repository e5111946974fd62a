"""What is known of an agent and its outbox at one moment: the object of `status --json`.

`status`, its JSON, `status --nagios`, the page, /healthz and /metrics are all made from it. A field that is added here
is in the JSON; mypy shows who makes the object. Times are ISO 8601 in the PBX's zone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """How one part of the daemon fares.

    ``state``: ok, failing, paused; starting and stopped while no daemon tells; removed from agent.ini, or not taken of
    it. ``message`` says why in words, blank when all is well. ``since``: for how long the state has been so.

    ``code`` is what `doctor` calls it, once it has been so for minutes; blank before, and where all is well.
    """

    state: str
    message: str
    since: str | None
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus(Part):
    """How a source fares, and what it brought.

    ``calls``, ``rejects_ever``, ``rejects_unkept`` since the outbox was made; ``rejects`` are those kept now.

    ``unread_bytes`` or ``unread_seconds`` (a hosted PBX's, whose calls were not asked for yet) is None where the source
    does not tell it. ``last_read``, ``age_seconds``, ``cursor``: of the last call, None before there is one.
    """

    calls: int
    rejects_ever: int
    rejects_unkept: int
    unread_bytes: int | None
    unread_seconds: int | None
    last_read: str | None
    age_seconds: int | None
    cursor: str | None
    rejects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationStatus(Part):
    """How a destination fares, and what waits for it.

    ``waiting``, ``sent`` and ``dead`` are deliveries in the outbox now.

    ``last_error`` is what the last failed attempt was told; outdated, if agent.ini has been read since.
    """

    waiting: int
    sent: int
    dead: int
    oldest_waiting: str | None
    oldest_waiting_seconds: int | None
    last_error: str
    last_error_at: str | None
    last_error_outdated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStatus(Part):
    """A web server, of [status] or of [api]; ``where`` it listens."""

    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxStatus:
    """The outbox's file.

    ``used_bytes`` is without the room that dropped calls left in the file; ``max_bytes`` is max_size_mb.
    """

    path: str
    used_bytes: int
    max_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """So many calls of late were told by exactly these sources."""

    sources: Sequence[str]
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingStatus:
    """A finding of `doctor` that came up while the daemon ran, and stayed for minutes; ``since`` when."""

    code: str
    message: str
    since: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """The agent that uses one outbox, whether it runs or not. ``pid`` is None where it does not.

    ``untaken`` of the calls that the outbox has no destination took; ``last_untaken`` is the last one's id.
    """

    running: bool
    pid: int | None
    outbox: OutboxStatus
    calls: int
    untaken: int
    last_untaken: int | None
    rejects: int
    deliveries: Mapping[str, int]
    """State of a delivery -> how many, of all destinations."""
    sources: Mapping[str, SourceStatus]
    sightings: Sequence[Sighting]
    destinations: Mapping[str, DestinationStatus]
    page: PageStatus | None
    api: PageStatus | None
    boards: Mapping[str, Part]
    findings: Sequence[FindingStatus]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class IniStatus:
    """Whether the daemon uses what the agent.ini at ``path`` says now.

    ``state``: taken, changed, refused or mistakes; blank where no daemon runs that could tell. ``mistakes`` are those
    that are in it now. ``read`` is when the daemon read it.
    """

    path: str
    state: str
    message: str
    mistakes: Sequence[str]
    read: str | None
