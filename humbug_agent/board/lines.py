"""Trunks and phones as a PBX has them now: which are there, and which are not."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A trunk, which is where the PBX registers itself or what it reaches at a fixed address; or a phone, which
    registers itself at the PBX.

    ``state`` is in words. ``up`` is None where the PBX does not know. ``device`` (TECHNOLOGY/RESOURCE) is that of its
    channels, blank where that is not told.
    """

    technology: str
    name: str
    trunk: bool
    state: str
    up: bool | None
    device: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """What a PBX was asked for at ``asked``, by the clock that nobody sets, and has told since.

    ``lacks`` says what is not known, and what would change that. ``phones_told`` is whether there may be phones among
    them, and ``missing_told`` whether those that are not registered are.
    """

    found: tuple[Line, ...]
    asked: float
    lacks: tuple[str, ...] = ()
    phones_told: bool = True
    missing_told: bool = True


def told_apart(found: Iterable[Line]) -> Iterator[Line]:
    """Each by a name that it has alone, which is all that whoever shows them knows them by."""
    seen: Counter[tuple[str, str, bool]] = Counter()
    for one in found:
        seen[one.technology, one.name, one.trunk] += 1
        number = seen[one.technology, one.name, one.trunk]
        yield one if number == 1 else replace(one, name=f"{one.name} ({number})")
