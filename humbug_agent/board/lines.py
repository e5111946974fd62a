"""Trunks and phones as a PBX has them now: which are there, and which are not."""

from dataclasses import dataclass


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
