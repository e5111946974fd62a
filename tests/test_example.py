"""agent.ini.example: every setting that there is, and what is commented out is the default."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from humbug_agent import config, destinations, sources
from humbug_agent.api.settings import ApiAccount, ServedApiSettings
from humbug_agent.board.settings import Thresholds
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.ini import ConfigError, Section
from humbug_agent.numbers.settings import NumbersSettings
from tests.kit.api_served import account
from tests.kit.paths import TOP

EXAMPLE = TOP / "agent.ini.example"
TEXT = EXAMPLE.read_text()
FROM_THE_SYSTEM = ("agent", "timezone")
SYSTEM_ZONE = (config.AgentSettings, "timezone")
"""It is /etc/localtime's, which has no name that could stand there."""


class Heard(dict[str, str]):
    """The values of a section, which remember what was asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


class Example:
    """One section of the example: its settings, those that are commented out, and the words before it and in it."""

    def __init__(self, title: str, words: str) -> None:
        self.title, self.words = title, words
        self.settings: dict[str, str] = {}
        self.commented: set[str] = set()

    @property
    def kind(self) -> str:
        return self.settings.get("type", self.title)

    @property
    def heading(self) -> str:
        """What docs/settings.md calls it; a type may be one of a source, and one of a destination."""
        both = self.kind in sources.SOURCES and self.kind in destinations.DESTINATIONS
        return f"{self.title.partition(' ')[0]} {self.kind}" if both else self.kind

    def make(self, **values: str) -> tuple[Any, list[str], set[str]]:
        """With these values only: the settings that come of it, the mistakes, and what was asked for."""
        makers: dict[str, Callable[[str, Section], Any]] = {
            "agent": lambda _, section: config.AgentSettings.read(section),
            "numbers": lambda _, section: NumbersSettings.read(section),
            "status": lambda _, section: StatusSettings.read(section),
            "queues": lambda _, section: Thresholds.read(section),
            "queue": lambda _, section: Thresholds.read(section),
            "api": lambda _, section: ServedApiSettings.read(section, (account(),)),
            "api billing": ApiAccount.read,
            "source": lambda name, section: sources.settings_of(self.kind).read(name, section),
            "destination": lambda name, section: destinations.settings_of(self.kind).read(name, section),
        }
        mistakes: list[str] = []
        heard = Heard(values)
        maker = makers.get(self.title) or makers[self.title.partition(" ")[0]]
        return maker("name", Section(self.title, heard, mistakes)), mistakes, heard.asked

    def needed(self) -> dict[str, str]:
        """What must be there, with something that will do."""
        _, mistakes, _ = self.make()
        named = re.findall(r"\] (\w+): is missing", "\n".join(mistakes))
        return {key: "https://pbx.example.org" if key == "url" else "x" for key in named}


def sections() -> Iterator[Example]:
    words, found = "", None
    for line in TEXT.splitlines():
        if header := re.fullmatch(r"#?\[(.+)\]", line):
            if found:
                yield found
            found, words = Example(header[1], words), ""
        elif found and (setting := re.fullmatch(r"(#?)(\w+) =(?: (.+))?", line)):
            assert setting[2] not in found.settings, line
            found.settings[setting[2]] = setting[3] or ""
            if setting[1]:
                found.commented.add(setting[2])
        elif line:
            assert line.startswith("# "), f"neither setting nor comment: {line}"
            words += line[1:]
            if found:
                found.words += line[1:]
        else:
            words = ""
    assert found
    yield found


SECTIONS = list(sections())
every_section = pytest.mark.parametrize("example", SECTIONS, ids=lambda example: example.kind)


def test_all_sections_stand_there() -> None:
    known = ["agent", *sources.SOURCES, *destinations.DESTINATIONS, "numbers", "status", "queues", "queue support"]
    known += ["api", "api billing"]
    assert sorted(example.kind for example in SECTIONS) == sorted(known)


@every_section
def test_every_setting_stands_there(example: Example) -> None:
    _, _, asked = example.make(**example.needed())
    assert example.settings.keys() - {"type"} == asked


@every_section
def test_what_is_commented_out_is_the_default(example: Example) -> None:
    needed = example.needed()
    plain, mistakes, _ = example.make(**needed)
    assert mistakes == []
    for key in example.commented - {"type"}:
        if value := example.settings[key]:
            made, mistakes, _ = example.make(**{**needed, key: value})
            assert (mistakes, values_of(made)) == ([], values_of(plain)), key
        elif key in needed:
            said = re.search(r"Needed: (.*?)\.(?: |$)", example.words)
            assert re.search(rf"\b{key}\b", said[1] if said else ""), key
        elif (example.kind, key) != FROM_THE_SYSTEM:
            assert not default(plain, key), f"{key} has the default {default(plain, key)}"


def values_of(settings: Any) -> dict[str, object]:
    # Each reading of /etc/localtime is a zone of its own, equal to no other.
    return {name: value for name, value in vars(settings).items() if (settings.__class__, name) != SYSTEM_ZONE}


def default(settings: Any, key: str) -> object:
    """What the code makes of it where it is absent."""
    for holder in (settings, getattr(settings, "api", None)):
        if hasattr(holder, key):
            return getattr(holder, key)
    return getattr(settings, "filters", {}).get(key)


def test_only_what_everybody_has_to_write_is_no_comment() -> None:
    written = {(e.title, key) for e in SECTIONS for key in e.settings.keys() - e.commented}
    assert written == {("source master-csv", "type"), ("destination humbug", "type"), ("destination humbug", "api_key")}


def test_it_is_read_when_only_the_key_was_put_in(tmp_path: Path) -> None:
    ini = tmp_path / "agent.ini"
    ini.touch(0o600)
    ini.write_text(TEXT)
    with pytest.raises(ConfigError, match="api_key: is still the example's"):
        config.load(ini)
    ini.write_text(TEXT.replace("YOUR-API-KEY", "mine"))
    assert [source.name for source in config.load(ini).sources] == ["master-csv"]


def test_with_all_sections_uncommented_and_what_is_needed_put_in_it_is_the_same(tmp_path: Path) -> None:
    ini = tmp_path / "agent.ini"
    ini.touch(0o600)
    lines: list[str] = []
    for example in SECTIONS:
        values = {**example.settings, **example.needed(), "type": example.settings.get("type", "")}
        values = {**values, "api_key": "mine"} if "api_key" in example.settings else values
        # Who asks the API has two keys.
        values = {**values, "token": "mine"} if example.title == "api billing" else values
        lines += [
            f"[{example.title}]",
            *(f"{key} = {value}" for key, value in values.items() if key != "type" or value),
        ]
    ini.write_text("\n".join(lines))
    everything = config.load(ini)
    named: dict[str, object] = {one.name: one for one in everything.sources}
    named |= {one.name: one for one in everything.destinations}
    (support,) = everything.queues.named.values()
    assert support == everything.queues.usual == Thresholds()
    for example in SECTIONS:
        kind, _, name = example.title.partition(" ")
        if name and kind != "queue" and "api_key" not in example.settings:
            alone, _, _ = example.make(**example.needed())
            assert vars(named[name]) | {"name": "name"} == vars(alone)


HOMES = [
    *(f"sources.{where}" for where in sources.SOURCES.values()),
    *(f"destinations.{where}" for where in destinations.DESTINATIONS.values()),
]


@pytest.mark.parametrize("where", HOMES)
def test_the_block_of_each_type_is_the_sample_in_its_home(where: str) -> None:
    home = EXAMPLE.parent / "humbug_agent" / where.partition(":")[0].replace(".", "/")
    sample = home / "sample.ini"
    assert f"\n{sample.read_text()}" in TEXT, f"{sample} and its block in agent.ini.example differ"
