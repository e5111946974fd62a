"""agent.ini -> frozen dataclasses. Every mistake is reported at once, with its section, key and what is expected."""

import datetime
import json
import os
import re
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo

from humbug_agent.api.settings import ApiAccount, ServedApiSettings
from humbug_agent.board.settings import QueuesSettings, Thresholds
from humbug_agent.destinations import DESTINATIONS, make_destination, own_key
from humbug_agent.destinations import settings_of as destination_settings
from humbug_agent.destinations.contract import Destination
from humbug_agent.destinations.settings import DestinationSettings
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.ini import ConfigError, Secret, Section, contents, names_file, nearest, read, timezone
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.outbox.takers import Takers
from humbug_agent.sources import SOURCES, make_source
from humbug_agent.sources import settings_of as source_settings
from humbug_agent.sources.contract import Source
from humbug_agent.sources.settings import SourceSettings

DEFAULT_PATH = Path("/etc/humbug-agent/agent.ini")
NO_ZONE = datetime.timezone(datetime.timedelta(0), "UTC")


@dataclass(frozen=True)
class AgentSettings:
    """The section [agent]."""

    outbox: Path
    timezone: tzinfo
    log_level: str
    keep_days: int
    max_size_mb: int

    @classmethod
    def read(cls, section: Section) -> Self:
        return cls(
            outbox=section.place("outbox", "/var/lib/humbug-agent/outbox.db"),
            timezone=section.converted("timezone", timezone, "an IANA time zone") or system_timezone(),
            log_level=section.choice("log_level", ("debug", "info", "warning", "error"), "info"),
            keep_days=section.whole("keep_days", 90, 0, 36500),
            max_size_mb=section.whole("max_size_mb", 2048, 1, 10_000_000),
        )


@dataclass(frozen=True)
class Config:
    """All of agent.ini, read and judged.

    ``said`` is all of agent.ini as one text, with what stands in the files that it names.
    """

    path: Path
    agent: AgentSettings
    sources: tuple[SourceSettings, ...]
    destinations: tuple[DestinationSettings, ...]
    numbers: NumbersSettings
    queues: QueuesSettings
    status: StatusSettings | None
    api: ServedApiSettings | None
    warnings: tuple[str, ...]
    said: Secret

    def make_sources(self) -> list[Source]:
        """A source for each [source NAME], in their order; making one opens nothing."""
        return [make_source(one, self.agent.timezone) for one in self.sources]

    def takers(self) -> Takers:
        """The names of the destinations, in their order, with the calls that are theirs."""
        only = {one.name: one.only.takes(self.numbers.country) for one in self.destinations if one.only}
        return Takers([one.name for one in self.destinations], only)

    def make_destinations(self) -> list[Destination]:
        """A destination for each [destination NAME], in their order; making one opens nothing."""
        own = self.own_key
        return [make_destination(one, self.agent.timezone, self.numbers, own) for one in self.destinations]

    @property
    def own_key(self) -> Path:
        """The file with the host's key, for destinations that hide something and have no other."""
        return self.agent.outbox.with_name(own_key.NAME)

    def make_own_key(self) -> None:
        """Where a destination needs it, and there is none. Raises OSError."""
        if any(one.privacy.hides and not one.privacy.key for one in self.destinations):
            own_key.make(self.own_key)


def system_timezone() -> tzinfo:
    """The host's zone as Asterisk sees it: /etc/localtime, whatever the TZ variable says; UTC without one.

    Never ``datetime.UTC``, which stands for a moment of which the PBX's clock is not known.
    """
    try:
        with open("/etc/localtime", "rb") as zone:
            # Its name, where the file itself has none.
            return ZoneInfo.from_file(zone, os.path.realpath(zone.name).partition("/zoneinfo/")[2] or None)
    except OSError:
        return NO_ZONE


def load(path: Path) -> Config:
    """Read ``path``. Raises ConfigError with all mistakes in it."""
    return _load(path, {})


def load_api(path: Path) -> ServedApiSettings:
    """What stands in ``path`` of [api] and each [api NAME], which is all that may stand there: a receiver's.

    Raises ConfigError with all mistakes in it.
    """
    mistakes: list[str] = []
    parser = read(path, mistakes)
    found = {title: Section(title, dict(parser[title]), mistakes) for title in parser.sections()}
    accounts = []
    for title, section in found.items():
        kind, _, name = title.partition(" ")
        if kind == "api" and title != "api" and _named(section, name):
            accounts.append(ApiAccount.read(name.strip(), section))
        elif kind != "api":
            mistakes.append(f"[{title}]: is not known here; sections are api, api NAME")
    settings = ServedApiSettings.read(found.get("api", Section("api", {}, mistakes)), accounts)
    for section in found.values():
        section.finish()
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mistakes.append(f"others than its owner have rights on it; chmod 600 {path}")
    if mistakes:
        raise ConfigError([f"{path}: {mistake}" for mistake in mistakes])
    return settings


def sections_of(path: Path) -> list[Section]:
    """What stands in ``path``, section by section, as far as it is understood, whatever mistakes are in there.

    Raises ConfigError where it can't be taken apart.
    """
    found: dict[str, Section] = {}
    try:
        _load(path, found)
    except ConfigError:
        if not found:
            raise
    return list(found.values())


def _load(path: Path, found: dict[str, Section]) -> Config:
    """As `load`; ``found`` gets the sections by their titles, before anything in them is judged."""
    mistakes: list[str] = []
    parser = read(path, mistakes)
    sections: dict[str, dict[str, str]] = {title: dict(parser[title]) for title in parser.sections()}
    found |= {title: Section(title, values, mistakes) for title, values in sections.items()}
    only = ("agent", "numbers", "queues", "status", "api")
    plain = {title: found.get(title, Section(title, {}, mistakes)) for title in only}
    agent, numbers = AgentSettings.read(plain["agent"]), NumbersSettings.read(plain["numbers"])
    usual, queues = Thresholds.read(plain["queues"]), dict[str, Thresholds]()
    status = StatusSettings.read(plain["status"]) if "status" in sections else None
    accounts: list[ApiAccount] = []
    sources: list[SourceSettings] = []
    destinations: list[DestinationSettings] = []
    names = Counter(_known_by(title) for title in sections)
    for title in sections:
        kind, _, name = title.partition(" ")
        section = found[title]
        if names[_known_by(title)] > 1:
            section.wrong("name", "stands there twice")
        if kind == "source" and _named(section, name):
            if type_ := _type(section, SOURCES):
                sources.append(source_settings(type_).read(name.strip(), section))
                section.finish()
        elif kind == "destination" and _named(section, name):
            if type_ := _type(section, DESTINATIONS):
                destinations.append(destination_settings(type_).read(name.strip(), section))
                section.finish()
        elif kind == "api" and title not in plain and _named(section, name):
            accounts.append(ApiAccount.read(name.strip(), section))
            section.finish()
        elif kind == "queue" and name.strip():
            queues[_known_by(title)[1]] = Thresholds.read(section, usual)
            section.finish()
        elif title not in plain and kind not in ("source", "destination", "api"):
            known = [*plain, "source NAME", "destination NAME", "api NAME", "queue NAME"]
            mistakes.append(f"[{title}]: is not known{nearest(title, known)}; sections are {', '.join(known)}")
    api = ServedApiSettings.read(plain["api"], accounts) if "api" in sections else None
    if accounts and not api:
        mistakes.append(f"[api {accounts[0].name}]: stands there without [api], which says where it may ask")
    for section in plain.values():
        section.finish()
    if not any(title.startswith("source ") for title in sections):
        mistakes.append("[source NAME]: is missing; at least one says where the calls come from")
    if not any(title.startswith("destination ") for title in sections):
        mistakes.append("[destination NAME]: is missing; at least one says where the calls go")
    mistakes += _taken(path, agent.outbox, sources, sections)
    if mistakes:
        raise ConfigError([f"{path}: {mistake}" for mistake in mistakes])
    warnings = [*_comments(sections), *_quotes(sections), *_places(sections, agent, sources)]
    warnings += _warnings(path, sources, destinations)
    parts = (tuple(sources), tuple(destinations), numbers, QueuesSettings(usual=usual, named=queues), status, api)
    return Config(path, agent, *parts, tuple(warnings), _said(sections))


def _known_by(title: str) -> tuple[str, str]:
    """Kind and name, by which no other section may go. To the PBX a queue's name is the same in capital letters."""
    kind, _, name = title.partition(" ")
    return kind, name.strip().casefold() if kind == "queue" else name.strip()


def _named(section: Section, name: str) -> bool:
    if re.fullmatch(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*\s*", name):
        return True
    section.wrong("name", "needs a NAME of letters, digits, dots and dashes, as in [source master-csv]")
    return False


def _type(section: Section, known: Mapping[str, str]) -> str:
    """The section's type, blank where it is none of those ``known``."""
    kind = section.text("type", required=True)
    if not kind:
        section.look_for("type")
    if kind and kind not in known:
        section.wrong("type", f"{kind!r} is not one of {', '.join(known)}{nearest(kind, list(known))}")
    return kind if kind in known else ""


def _said(sections: Mapping[str, Mapping[str, str]]) -> Secret:
    """The same text for the same settings, whatever the order and the comments."""
    named: dict[str, str] = {}
    for key, value in (one for values in sections.values() for one in values.items()):
        if names_file(key):
            with suppress(OSError):
                named[value] = contents(Path(value)).decode("latin-1")
    return Secret(json.dumps([sections, named], sort_keys=True))


def _comments(sections: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What looks like a comment behind a value, and is taken for a part of it. The value itself may be secret."""
    return [
        f"[{title}] {key}: its value has {' and '.join(repr(sign) for sign in signs)} in it, and what follows belongs "
        "to the value; if it is meant as a comment, give it a line of its own"
        for title, values in sections.items()
        for key, value in values.items()
        if (signs := sorted({f" {sign}" for sign in re.findall(r"(?:^|\s)([;#])", value)}))
    ]


def _quotes(sections: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Quotation marks around a value, which other programs' configurations want. A pattern may look for them."""
    return [
        f"[{title}] {key}: its value stands in quotation marks, which belong to the value; leave them out"
        for title, values in sections.items()
        for key, value in values.items()
        if not key.endswith("_pattern") and re.fullmatch(r"\"[^\"]*\"|'[^']*'", value)
    ]


def _taken(
    path: Path, outbox: Path, sources: Sequence[SourceSettings], sections: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """Where the outbox would be another file that agent.ini names. As an outbox that one is damaged, and moved away."""
    named = [("this very file", path), *((f"path of [source {one.name}]", one.reads) for one in sources)]
    for title, values in sections.items():
        named += [(f"{key} of [{title}]", Path(value)) for key, value in values.items() if value and names_file(key)]
    return [
        f"[agent] outbox: {outbox} is {what}, too; give the outbox a file of its own"
        for what, other in named
        if other and _is_same(outbox, other)
    ]


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one == other


def _places(
    sections: Mapping[str, Mapping[str, str]], agent: AgentSettings, sources: Sequence[SourceSettings]
) -> list[str]:
    """Files that are others' for each folder in which a command is started. The daemon's is mostly /."""
    logs = [(f"[source {source.name}] path", source.reads) for source in sources]
    named = [
        (f"[{title}] {key}", Path(value))
        for title, values in sections.items()
        for key, value in values.items()
        if value and names_file(key)
    ]
    return [
        f"{where}: {place} does not begin with /, so each command looks for it in the folder in which it is started; "
        "write the whole path"
        for where, place in [("[agent] outbox", agent.outbox), *logs, *named]
        if place and not place.is_absolute()
    ]


def _warnings(path: Path, sources: Sequence[SourceSettings], destinations: Sequence[DestinationSettings]) -> list[str]:
    said = []
    if path.stat().st_mode & stat.S_IROTH:
        said.append(f"{path}: everybody on this host can read the keys in it; chmod 0640 {path}")
    if all(source.alone for source in sources):
        said += dict.fromkeys(source.alone for source in sources)
    for source in sources:
        said += source.warnings()
    only_asterisk = all(source.of_asterisk for source in sources)
    for destination in destinations:
        said += destination.warnings()
        if destination.only and not destination.only.can_match():
            said.append(f"[destination {destination.name}] only: no call can ever be taken by it: {destination.only}")
        elif destination.only and not destination.only.can_match(directions=not only_asterisk):
            said.append(
                f"[destination {destination.name}] only: no call can ever be taken by it: {destination.only}; Asterisk "
                "does not tell a call's direction, which is always unknown, so ask for trunk instead"
            )
    return said
