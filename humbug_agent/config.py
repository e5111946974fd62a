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
from typing import ClassVar, TypeVar
from zoneinfo import ZoneInfo

from humbug_agent.config_contract import LOOPBACK, in_clear
from humbug_agent.config_sources import (
    SOURCE_TYPES,
    AsteriskAmiSettings,
    AsteriskCsvSettings,
    SourceSettings,
)
from humbug_agent.config_status import StatusSettings, status_settings
from humbug_agent.ini import ConfigError, Secret, Section, contents, file, nearest, pattern, read, timezone, url

DEFAULT_PATH = Path("/etc/humbug-agent/agent.ini")
T = TypeVar("T")
HUMBUG_URL = "http://api.humbuglabs.org/receiver.php"
EXAMPLE_KEY = "YOUR-API-KEY"
NO_ZONE = datetime.timezone(datetime.timedelta(0), "UTC")


@dataclass(frozen=True)
class AgentSettings:
    outbox: Path
    timezone: tzinfo
    log_level: str
    keep_days: int
    max_size_mb: int


@dataclass(frozen=True)
class HumbugSettings:
    type: ClassVar[str] = "humbug"
    name: str
    url: str
    api_key: Secret
    encryption_key: Secret | None
    connections: int
    timeout: int
    accept_pattern: re.Pattern[str] | None
    reject_pattern: re.Pattern[str] | None
    value_escaping: str
    ca_file: Path | None
    proxy: Secret | None


@dataclass(frozen=True)
class NumbersSettings:
    country: str | None
    domestic_max_length: int
    default_country: str


@dataclass(frozen=True)
class Config:
    """``said`` is all of agent.ini as one text, with what stands in the files that it names."""

    path: Path
    agent: AgentSettings
    sources: tuple[SourceSettings, ...]
    destinations: tuple[HumbugSettings, ...]
    numbers: NumbersSettings
    status: StatusSettings | None
    warnings: tuple[str, ...]
    said: Secret


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


def _country(value: str) -> str:
    # Loaded only where it is used: it takes its time.
    import phonenumbers

    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("two capital letters, GB for the United Kingdom")
    return value


def _agent(section: Section) -> AgentSettings:
    return AgentSettings(
        outbox=Path(section.text("outbox", "/var/lib/humbug-agent/outbox.db")),
        timezone=section.converted("timezone", timezone, "an IANA time zone") or system_timezone(),
        log_level=section.choice("log_level", ("debug", "info", "warning", "error"), "info"),
        keep_days=section.whole("keep_days", 90, 0, 36500),
        max_size_mb=section.whole("max_size_mb", 2048, 1, 10_000_000),
    )


def _humbug(name: str, section: Section) -> HumbugSettings:
    if section.text("api_key") == EXAMPLE_KEY:
        section.wrong("api_key", "is still the example's; put your own there")
    proxy = section.converted("proxy", url, "a proxy's URL", private=True)
    return HumbugSettings(
        name=name,
        url=section.converted("url", url, "a URL", private=True) or HUMBUG_URL,
        api_key=section.secret("api_key", required=True) or Secret(""),
        encryption_key=section.secret("encryption_key"),
        connections=section.whole("connections", 4, 1, 64),
        timeout=section.whole("timeout", 20, 1, 600),
        accept_pattern=section.converted("accept_pattern", pattern, "a regular expression"),
        reject_pattern=section.converted("reject_pattern", pattern, "a regular expression"),
        value_escaping=section.choice("value_escaping", ("reserved", "none"), "reserved"),
        ca_file=section.converted("ca_file", file, "a readable file"),
        proxy=Secret(proxy) if proxy else None,
    )


def _numbers(section: Section) -> NumbersSettings:
    return NumbersSettings(
        country=section.converted("country", _country, "a country's ISO code such as CH"),
        domestic_max_length=section.whole("domestic_max_length", 9, 0, 15),
        default_country=section.text("default_country"),
    )


DESTINATION_TYPES = {"humbug": _humbug}


def load(path: Path) -> Config:
    """Read ``path``. Raises ConfigError with all mistakes in it."""
    mistakes: list[str] = []
    parser = read(path, mistakes)
    sections: dict[str, dict[str, str]] = {title: dict(parser[title]) for title in parser.sections()}
    plain = {title: Section(title, sections.get(title, {}), mistakes) for title in ("agent", "numbers", "status")}
    agent, numbers = _agent(plain["agent"]), _numbers(plain["numbers"])
    status = status_settings(plain["status"]) if "status" in sections else None
    for section in plain.values():
        section.finish()
    sources: list[SourceSettings] = []
    destinations: list[HumbugSettings] = []
    names = Counter((kind, name.strip()) for kind, _, name in (title.partition(" ") for title in sections))
    for title, values in sections.items():
        kind, _, name = title.partition(" ")
        section = Section(title, values, mistakes)
        if names[kind, name.strip()] > 1:
            section.wrong("name", "stands there twice")
        if kind == "source" and _named(section, name):
            if make_source := _typed(section, SOURCE_TYPES):
                sources.append(make_source(name.strip(), section))
                section.finish()
        elif kind == "destination" and _named(section, name):
            if make_destination := _typed(section, DESTINATION_TYPES):
                destinations.append(make_destination(name.strip(), section))
                section.finish()
        elif title not in plain and kind not in ("source", "destination"):
            known = [*plain, "source NAME", "destination NAME"]
            mistakes.append(f"[{title}]: is not known{nearest(title, known)}; sections are {', '.join(known)}")
    if not any(title.startswith("source ") for title in sections):
        mistakes.append("[source NAME]: is missing; at least one says where the calls come from")
    if not any(title.startswith("destination ") for title in sections):
        mistakes.append("[destination NAME]: is missing; at least one says where the calls go")
    if mistakes:
        raise ConfigError([f"{path}: {mistake}" for mistake in mistakes])
    warnings = [*_comments(sections), *_quotes(sections), *_places(agent, sources)]
    warnings += _warnings(path, sources, destinations)
    return Config(path, agent, tuple(sources), tuple(destinations), numbers, status, tuple(warnings), _said(sections))


def _named(section: Section, name: str) -> bool:
    if re.fullmatch(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*\s*", name):
        return True
    section.wrong("name", "needs a NAME of letters, digits, dots and dashes, as in [source master-csv]")
    return False


def _typed(section: Section, types: dict[str, T]) -> T | None:
    kind = section.text("type", required=True)
    if not kind:
        section.look_for("type")
    if kind and kind not in types:
        section.wrong("type", f"{kind!r} is not one of {', '.join(types)}{nearest(kind, list(types))}")
    return types.get(kind)


def _said(sections: Mapping[str, Mapping[str, str]]) -> Secret:
    """The same text for the same settings, whatever the order and the comments."""
    named: dict[str, str] = {}
    for key, value in (one for values in sections.values() for one in values.items()):
        if key.endswith("_file") or key in ("certificate", "private_key"):
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


def _places(agent: AgentSettings, sources: Sequence[SourceSettings]) -> list[str]:
    """Files that are others' for each folder in which a command is started. The daemon's is mostly /."""
    logs = [(f"[source {source.name}] path", source.reads) for source in sources]
    return [
        f"{where}: {place} does not begin with /, so each command looks for it in the folder in which it is started; "
        "write the whole path"
        for where, place in [("[agent] outbox", agent.outbox), *logs]
        if place and not place.is_absolute()
    ]


def _warnings(path: Path, sources: Sequence[SourceSettings], destinations: Sequence[HumbugSettings]) -> list[str]:
    said = []
    if path.stat().st_mode & stat.S_IROTH:
        said.append(f"{path}: everybody on this host can read the keys in it; chmod 0640 {path}")
    if all(source.alone for source in sources):
        said += dict.fromkeys(source.alone for source in sources)
    for source in sources:
        said += source.warnings()
    for destination in destinations:
        if there := in_clear(destination.url):
            said.append(
                f"[destination {destination.name}] url: calls go to {there} unencrypted over http://; "
                "use https:// where the receiver offers it"
            )
    return said


__all__ = [
    "LOOPBACK",
    "SOURCE_TYPES",
    "AsteriskAmiSettings",
    "AsteriskCsvSettings",
    "Config",
    "ConfigError",
    "Secret",
    "SourceSettings",
    "StatusSettings",
    "load",
]
