"""What a source is. Each one is a folder of its own beside this file, and a line in SOURCES."""

import json
from collections.abc import Callable, Generator, Iterable, Sequence, Set
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from humbug_agent.cdr import Batch
from humbug_agent.host.codes import Code
from humbug_agent.sources.zone_watch import LastingWatch

if TYPE_CHECKING:
    from humbug_agent.board.model import Board


class SourceError(Exception):
    """The source can't be read as things are; the text says which file or host, why, and what to do.

    Whoever runs the source reads again from the last cursor after ``wait`` seconds; None is the usual, growing pause.
    ``code`` is what `doctor` calls it.
    """

    def __init__(self, reason: str, wait: float | None = None, *, code: Code = Code.SOURCE) -> None:
        super().__init__(reason)
        self.wait = wait
        self.code = code


class NothingYet(SourceError):
    """There is nothing to read so far, which may be as it should be: a new PBX has had no call."""


class ToldOnce(SourceError):
    """The calls of a span of time can't be asked for again: the text says why, with the source as its subject."""


@dataclass(frozen=True, slots=True)
class Anew:
    """From where to ask once more for calls. ``with_past``: also what a first start left out is told from there."""

    cursor: str | None
    with_past: bool = False


class CursorError(SourceError):
    """The cursor is none of any source: the outbox was damaged. Whoever reads begins as at a first start."""


Made = TypeVar("Made")


def loaded(cursor: str | None, make: Callable[[dict[str, Any]], Made]) -> Made:
    """What ``make`` makes of the JSON object that the cursor is; without one, of an empty one.

    ``make`` may raise whatever comes of an object that is not as this source wrote it. Raises CursorError.
    """
    try:
        found = json.loads(cursor) if cursor else {}
        if not isinstance(found, dict):
            raise ValueError("is no object")
        return make(found)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise CursorError(f"how far it was read can't be read of the outbox ({error})") from error


def whole(name: str, value: object, among: range) -> int:
    """A whole number of a cursor's object, if it is one ``among`` these. Raises ValueError."""
    if type(value) is not int or value not in among:
        raise ValueError(f"its {name} is {str(value)[:40]}")
    return value


def texts(name: str, value: object) -> list[str]:
    """The same of a list of texts."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"its {name} is {str(value)[:40]}")
    return value


Known = Callable[[Sequence[bytes]], Set[bytes]]
"""Which of some identities are calls that have been accepted, from whichever source."""


class Source(Protocol):
    """A cursor is text of the source's own. If it is a JSON object, what stands there as ``token`` is never shown."""

    name: str
    unread_in: str
    """What `unread` counts: bytes, or the seconds in which the calls ended that were not asked for yet."""
    leaves_out: str
    """What a first start leaves out, and how to have it sent all the same; blank where it reads all that is there."""

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        """Yield what the PBX has written since ``cursor``, the one of the last batch that is on disk.

        The code after a ``yield`` runs only when that batch is on disk: the generator's resumption is the
        acknowledgement. Closed instead, it leaves that batch to the next reading. An empty batch without a cursor says
        that the source can be read. With ``follow`` it goes on until ``stop`` is set; without, it ends when everything
        that is there now has been read. Raises SourceError, OSError; CursorError before anything else.
        """
        ...

    def again(self, cursor: str) -> str | None:
        """From where to go on when calls from before ``cursor`` may be lost: at best from where a first start began.

        What that left out is never sent by it. None is a first start; ``cursor`` itself where nothing is told again.
        Raises CursorError.
        """
        ...

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        """For whoever asks, beside the daemon, for all calls that ended at ``moment`` or since; some older may be told.

        ``moment`` is in seconds since the epoch, ``cursor`` the daemon's. Raises ToldOnce, CursorError, OSError.
        """
        ...

    def parse(self, text: bytes) -> Batch:
        """The call or the reject that one record's text is, for `explain` and for replaying rejects."""
        ...

    def unread(self, cursor: str | None) -> int | None:
        """How much waits after ``cursor``; None where the source can't know. Raises CursorError."""
        ...

    def trouble(self) -> str:
        """What keeps it from being read, as far as can be told without asking another host; blank when all is well."""
        ...

    def doubt(self) -> str:
        """What seems wrong with the times of the records read or looked at lately, and what to do; blank: nothing."""
        ...

    def check(self) -> str:
        """Try the source for real and say in a line what was found. Raises SourceError when it would not work.

        NothingYet where only time can tell.
        """
        ...


@runtime_checkable
class Comparing(Protocol):
    """A source that looks up what others have told of its calls."""

    def compare_with(self, known: Known) -> None:
        """Ask ``known`` from now on; in the thread that reads."""
        ...


@runtime_checkable
class SeesOnce(Protocol):
    """A source that sees each record once, and keeps over a restart what the last ones said of its zone."""

    zone_watch: LastingWatch


@runtime_checkable
class FeedsBoard(Protocol):
    """A source over whose connection the PBX also tells which channels and queues are busy now."""

    name: str

    def feed_board(self) -> "Board":
        """A new board, fed from the next connection on. Where it is asked for, it is before the first reading."""
        ...


@runtime_checkable
class Holding(Protocol):
    """A source that keeps a port or a connection from one reading to the next, and can hand it on to another one.

    That must be of the same type, and its settings what `held_as` of these settings says.
    """

    name: str

    def stay(self) -> bool:
        """The stop that comes is no end: keep all of it, open, for a source that will take it over.

        False where there is nothing that could go on.
        """
        ...

    def take_over(self, other: Any) -> None:
        """Go on with what ``other`` kept, before the first reading. Whatever came to it meanwhile is here then."""
        ...

    def let_go(self) -> Iterable[Batch]:
        """Give it back, once there will be no more readings. It may be called more than once.

        Returns what it was told that is not on disk, and will never be told again: it may be more than fits in memory
        twice.
        """
        ...
