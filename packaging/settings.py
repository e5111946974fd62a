"""All settings of agent.ini: what the code asks for, their defaults from agent.ini.example, and words about each.

    python3 packaging/settings.py > docs/settings.md

Each type of source and destination is read with a section that notes what is asked of it, and how: so the page can't
name a setting that there is not, nor leave one out. The words are in settings_kinds.py, settings_common.py and
settings_words.py.
"""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from settings_common import COMMON, Words
from settings_kinds import INTRO, KINDS
from settings_words import WORDS

from humbug_agent.api.settings import ApiAccount, ServedApiSettings
from humbug_agent.board.settings import Thresholds
from humbug_agent.config import AgentSettings
from humbug_agent.destinations import DESTINATIONS
from humbug_agent.destinations import settings_of as destination_settings
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.ini import Section
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.sources import SOURCES
from humbug_agent.sources import settings_of as source_settings

EXAMPLE = Path(__file__).resolve().parent.parent / "agent.ini.example"


def kind_of(section: str, type_: str) -> str:
    """What the page calls a type; that of a source and of a destination has its section's first word before it."""
    return f"{section.partition(' ')[0]} {type_}" if type_ in SOURCES and type_ in DESTINATIONS else type_


READERS: Mapping[str, Callable[[Section], Any]] = {
    "agent": AgentSettings.read,
    **{
        kind_of("source", name): lambda section, name=name: source_settings(name).read("name", section)
        for name in SOURCES
    },
    **{
        kind_of("destination", name): lambda section, name=name: destination_settings(name).read("name", section)
        for name in DESTINATIONS
    },
    "numbers": NumbersSettings.read,
    "status": StatusSettings.read,
    "queues": Thresholds.read,
    "queue support": Thresholds.read,
    "api": lambda section: ServedApiSettings.read(section, ()),
    "api billing": lambda section: ApiAccount.read("billing", section),
}
"""The sections, by their title or type, in the order of the page."""


class Noting(Section):
    """A section that notes for each setting that is asked for what it may be, in words."""

    def __init__(self, values: dict[str, str], mistakes: list[str]) -> None:
        super().__init__("section", values, mistakes)
        self.noted: dict[str, str] = {}

    def text(self, key: str, default: str = "", *, required: bool = False, wrapped: str | None = None) -> str:
        self.noted.setdefault(key, "a text")
        return super().text(key, default, required=required, wrapped=wrapped)

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        found = super().choice(key, choices, default)
        self.noted[key] = ", ".join(f"`{one}`" for one in choices if one)
        return found

    def several(self, key: str, choices: tuple[str, ...], default: str) -> frozenset[str]:
        found = super().several(key, choices, default)
        self.noted[key] = f"any of {', '.join(f'`{one}`' for one in choices)}, with commas"
        return found

    def listed(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        found = super().listed(key, required=required)
        self.noted[key] = "texts with commas"
        return found

    def flag(self, key: str, default: bool) -> bool:
        found = super().flag(key, default)
        self.noted[key] = "`yes`, `no`"
        return found

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        found = super().whole(key, default, low, high)
        self.noted[key] = f"{low:,} to {high:,}" if "port" not in key else f"{low} to {high}"
        return found

    def converted(
        self,
        key: str,
        convert: Callable[[str], Any],
        expected: str,
        *,
        private: bool = False,
        wrapped: str | None = None,
    ) -> Any:
        found = super().converted(key, convert, expected, private=private, wrapped=wrapped)
        self.noted[key] = expected
        return found

    def secret(self, key: str, *, required: bool = False) -> Any:
        found = super().secret(key, required=required)
        self.noted[key], self.noted[f"{key}_file"] = "a secret", "a readable file"
        return found


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of one section. ``default`` and ``may``, what it may be, are words, with values as `code`.

    ``common``: its words are those of a setting that several types have.
    """

    kind: str
    key: str
    default: str
    may: str
    words: Words
    common: bool


def settings() -> Iterator[Setting]:
    """Each of each section. Raises KeyError for one without words, ValueError for words without one."""
    defaults = dict(in_example(EXAMPLE.read_text()))
    used = set()
    for kind, read in READERS.items():
        mistakes: list[str] = []
        noting = Noting({}, mistakes)
        read(noting)
        needed = re.findall(r"\] (\w+): is missing", "\n".join(mistakes))
        for key in defaults[kind]:
            words, at = words_of(kind, key)
            used.add(at)
            may = words.may or noting.noted[key] + (f" {words.unit}" if words.unit else "")
            value = f"`{defaults[kind][key]}`" if defaults[kind][key] else words.default or "none"
            yield Setting(kind, key, "must be given" if key in needed else value, may, words, at in COMMON)
    known = {*COMMON, *((kind, key) for kind, of in WORDS.items() for key in of)}
    if surplus := known - used:
        raise ValueError(f"no such settings: {surplus}")


def words_of(kind: str, key: str) -> tuple[Words, object]:
    """And where they stand. A file that holds a secret has the secret's."""
    if key in WORDS[kind]:
        return WORDS[kind][key], (kind, key)
    secret = key.removesuffix("_file")
    if secret != key and (secret in WORDS[kind] or secret in COMMON):
        instead = f"Instead of `{secret}`: a file that has it in its first line, so that agent.ini holds no secret."
        return Words(f"/etc/humbug-agent/{secret.replace('_', '-')}", instead), words_of(kind, secret)[1]
    if key not in COMMON:
        raise SystemExit(f"[{kind}] {key} has no words: say in packaging/settings_words.py what it is")
    return COMMON[key], key


def in_example(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Section by section: its title or type, and its settings with what stands there, which is the default."""
    for section in re.split(r"^#?(?=\[.+\]$)", text, flags=re.MULTILINE)[1:]:
        title = section[1 : section.index("]")]
        found = dict(re.findall(r"^#?(\w+) =(?: (.+))?$", section, re.MULTILINE))
        yield kind_of(title, found.pop("type", title)), found


def page() -> str:
    """docs/settings.md."""
    made = (
        "Made of the code by `python packaging/settings.py > docs/settings.md`; `man humbug-agent.ini` says the same."
    )
    parts = [f"# All settings of agent.ini\n{INTRO}", made]
    everything = list(settings())
    for kind in READERS:
        here = [one for one in everything if one.kind == kind]
        parts += [f"## {title(kind)}\n{KINDS[kind]}", table(here)]
    said = "Each means what stands here; its default and limits are in the type's own table."
    parts += [f"## Settings that several types have\n{said}", common(everything)]
    return "\n\n".join(parts) + "\n"


def title(kind: str) -> str:
    return kind if kind.split()[-1] in {*SOURCES, *DESTINATIONS} else f"[{kind}]"


def table(settings: list[Setting]) -> str:
    rows = [
        "| setting | default | may be | what it is, and when to change it | example |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in settings:
        about = "[as for others](#settings-that-several-types-have)" if one.common else one.words.about
        rows.append(
            f"| `{one.key}` | {_cell(one.default)} | {_cell(one.may)} | {_cell(about)} | `{_cell(one.words.example)}` |"
        )
    return "\n".join(rows)


def common(settings: list[Setting]) -> str:
    rows = ["| setting | of | what it is, and when to change it |", "| --- | --- | --- |"]
    for key, words in COMMON.items():
        types = [f"[{one.kind}](#{one.kind.replace(' ', '-')})" for one in settings if one.common and one.key == key]
        rows.append(f"| `{key}` | {', '.join(types)} | {_cell(words.about)} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
