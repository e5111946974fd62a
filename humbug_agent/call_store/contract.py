"""What an API asks of a store of calls: the outbox is one, and any other may be.

One function for each question. Who answers them has a `Store` for each thread, made and closed in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from humbug_agent.flat import Flat


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which calls; what is None or empty does not matter. Times are seconds since the epoch.

    ``tenants`` are accountcodes and domains (``domain_name`` in ``extra``), one of which the call must have. ``since``
    and ``until`` (not included) are of the start, ``ended_since`` and ``ended_until`` (not included) of the end.
    ``number`` is the caller's or the called number, ``part`` a part of either, ``src`` and ``dst`` a part of that one.
    ``hours`` are the first and the last second of the day, by the PBX's clock, in which the call began; ``offset`` is
    how far that clock is from UTC where a call does not say. ``said`` is what else the PBX must have said: a name, and
    its possible values; ``has``: whether it said anything but nothing, 0 or no under one of these names.
    """

    tenants: tuple[str, ...] | None = None
    since: float | None = None
    until: float | None = None
    ended_since: float | None = None
    ended_until: float | None = None
    directions: tuple[str, ...] = ()
    dispositions: tuple[str, ...] = ()
    number: str = ""
    part: str = ""
    src: str = ""
    dst: str = ""
    hours: tuple[int, int] | None = None
    offset: int = 0
    uniqueids: tuple[str, ...] = ()
    linkedids: tuple[str, ...] = ()
    said: tuple[tuple[str, tuple[str, ...]], ...] = ()
    has: tuple[tuple[tuple[str, ...], bool], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """So many of the calls that a question is about: their ids, those that can still be read of them, and the counts.

    ``count`` is how many calls there are from the first page on, ``calls`` are (id, call) in the order of the ids.
    """

    calls: Sequence[tuple[int, Flat]]
    count: int


@dataclass(frozen=True, slots=True)
class Dropped:
    """What retention has dropped: calls with ids up to ``last``, which began and ended up to these times.

    Among them others may be kept.
    """

    last: int
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Token:
    """A token that somebody got: its number, whose it is, and the SHA-256 of the secret that is nowhere kept.

    Times are seconds since the epoch; ``used`` is to the hour, None where it never was.
    """

    id: int
    account: str
    digest: bytes
    made: float
    used: float | None


class Store(Protocol):
    """Stored calls, as one thread asks for them. All of it raises CantAnswer.

    Of each call it has an id: a whole number from 1 that only grows, in the order in which calls came, and that is
    never given to another one. What is no call of a PBX (notices, test calls) it does not tell of.
    """

    def page(self, who: str, wanted: Wanted, from_id: int, number: int, size: int) -> Page:
        """The ``number``-th page (from 1) of the calls with ids from ``from_id`` on, in the order of the ids.

        It is ``who`` that goes through them: what comes or is dropped meanwhile moves nothing over the edge of a page.
        """

    def after(self, wanted: Wanted, last: tuple[int, Flat] | None, most: int) -> Sequence[tuple[int, Flat]]:
        """Up to ``most`` calls behind the ``last``: in the order of their ends where ``wanted`` bounds them, or starts.

        Calls of one second are in the order of their ids. ``last`` is None for the first of them.
        """

    def dropped(self) -> Dropped | None:
        """None where no call was."""

    def token(self, number: int) -> Token | None:
        """None where there is none of that number, or no more."""

    def use_token(self, number: int) -> None:
        """It was used just now, by somebody who has its secret."""

    def add_token(self, account: str, digest: bytes) -> int:
        """Returns its number, which no other one ever gets."""

    def drop_tokens(self, account: str) -> int:
        """All of the account's; returns how many they were."""

    def close(self) -> None:
        """It is asked nothing more."""
