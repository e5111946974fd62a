"""The file of `api_keys_file`: which account a call is for, so that a provider's tenants each reach their own.

A line is VALUE = KEY, where VALUE is what a call says of the field that `api_keys_by` names, to the letter. Of a
telephone number, which a call has as the PBX wrote it and as +E.164, it may be the beginning, with a * behind it: of
several that fit the longest counts. Blank lines, and those that begin with #, are none.

Whatever is wrong in it is said by its line, and never quoted: a key may stand on either side.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from humbug_agent.destinations.contract import Unsendable
from humbug_agent.flat import Flat
from humbug_agent.ini import Secret, Section
from humbug_agent.routing.fields import FIELDS, said_of

USUAL = "accountcode"


@dataclass(frozen=True, slots=True)
class Account:
    """The key of an account; ``value`` is what calls for it say, blank where there is but this one."""

    key: Secret
    value: str = ""

    @property
    def named(self) -> str:
        """What stands behind the key where that is masked."""
        return f" of {self.value}" if self.value else ""


@dataclass(frozen=True)
class Keys:
    """What is in the file: ``by`` is a field, ``whole`` are accounts by its values, ``begun`` by their beginnings."""

    file: Path
    by: str
    whole: Mapping[str, Account]
    begun: Mapping[str, Account]
    _lengths: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_lengths", tuple(sorted({*map(len, self.begun)}, reverse=True)))

    def __len__(self) -> int:
        return len(self.whole) + len(self.begun)

    def secrets(self) -> Iterator[Secret]:
        return (account.key for account in (*self.whole.values(), *self.begun.values()))

    def account(self, flat: Flat, country: str | None) -> Account:
        """The one that the call is for; ``country`` is that of [numbers].

        Raises Unsendable where there is none, or more than one with keys that differ: never is it guessed. Raises
        ValueError where the call is damaged.
        """
        values = FIELDS[self.by].values(flat, country)
        found = {account.key: account for value in values if (account := self._of(value))}
        if len(found) == 1:
            return next(iter(found.values()))
        which = "several keys in {} take" if found else "no key in {} takes"
        raise Unsendable(f"{which.format(self.file)} {said_of(self.by, flat, country)}")

    def _of(self, value: str) -> Account | None:
        if value in self.whole:
            return self.whole[value]
        begun = (self.begun.get(value[:length]) for length in self._lengths if length <= len(value))
        return next((account for account in begun if account), None)


def read_keys(section: Section) -> Keys | None:
    """What api_keys_file and api_keys_by of a [destination NAME] say; None without them.

    Each mistake goes to the section, those in the file with its lines. The keys are the section's secrets.
    """
    by = section.choice("api_keys_by", tuple(FIELDS), USUAL)
    if not (named := section.text("api_keys_file")):
        if by != USUAL:
            section.wrong("api_keys_by", "needs api_keys_file beside it")
        return None
    for other in ("api_key", "api_key_file"):
        if section.text(other):
            section.wrong(other, "stands beside api_keys_file; keep one of them")
    text = section.file_text("api_keys_file")
    return Keys(Path(named), by, {}, {}) if text is None else _parsed(section, Path(named), by, text)


def _parsed(section: Section, file: Path, by: str, text: str) -> Keys:
    whole: dict[str, Account] = {}
    begun: dict[str, Account] = {}
    lines: dict[str, int] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        value, sign, key = (part.strip() for part in line.partition("="))
        value = FIELDS[by].compared(value)
        if key:
            section.keep(Secret(key))
        if wrong := _wrong(by, value, sign, key, lines.get(value)):
            section.wrong("api_keys_file", f"{file}, line {number}: {wrong}")
            continue
        lines[value] = number
        account = Account(Secret(key), value)
        if value.endswith("*"):
            begun[value[:-1]] = account
        else:
            whole[value] = account
    if not lines:
        section.wrong("api_keys_file", f"{file} has no line that is VALUE = KEY")
    return Keys(file, by, whole, begun)


def _wrong(by: str, value: str, sign: str, key: str, before: int | None) -> str:
    """What is wrong with a line, without a word of it; blank: nothing."""
    words = FIELDS[by].words
    if not sign:
        return "is not VALUE = KEY"
    if not value:
        return "its value is empty"
    if not key:
        return "its key is empty"
    if not key.isprintable() or " " in key:
        return "its key has a blank, or what can't be seen, in it"
    if '"' in (value[0], key[0]):
        return "has quotation marks, which would belong to what is in them; leave them out"
    if value.endswith("*") and (value == "*" or not FIELDS[by].number):
        return "its value ends in *, which stands for what follows a beginning of did, from or to, and for nothing else"
    if before:
        return f"has the value of line {before} again; keep one of them"
    if words and value not in words:
        return f"its value is no {by}; there are {', '.join(words)}"
    return ""
