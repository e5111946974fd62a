"""agent.ini's [source NAME]: the settings of each type of source, and how they are read."""

import codecs
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import tzinfo
from encodings.aliases import aliases
from pathlib import Path
from typing import ClassVar, TypedDict

from humbug_agent.config_apis import BoxisSettings, FusionpbxSettings, While1Settings, boxis, fusionpbx, while1
from humbug_agent.config_contract import LOOPBACK, SourceContract
from humbug_agent.config_template import parsed
from humbug_agent.ini import Secret, Section, address, file, host, is_loopback, nearest, shown, timezone
from humbug_agent.text import AUTO, keeps_ascii

TEMPLATES = (
    "example", "default", "asterisk", "sql", "snom", "linksys", "opencdrrate", "fallback", "safe",
)  # fmt: skip
"""mod_cdr_csv's stock templates by their names in cdr_csv.conf.xml; what it falls back to; and the one we ship."""


@dataclass(frozen=True)
class AsteriskCsvSettings(SourceContract):
    """``utc`` says whether its times are UTC (cdr.conf's usegmtime); None: the reader finds out."""

    type: ClassVar[str] = "asterisk_csv"
    of_files: ClassVar[bool] = True
    name: str
    path: Path
    start: str
    utc: bool | None
    charset: str = AUTO

    @property
    def reads_asterisk(self) -> bool:
        return True


@dataclass(frozen=True)
class AsteriskAmiSettings(SourceContract):
    type: ClassVar[str] = "asterisk_ami"
    alone: ClassVar[str] = (
        "no source but AMI: it never tells again the calls that end while it is not connected; "
        "a [source NAME] with type = asterisk_csv beside it has them"
    )
    name: str
    host: str
    port: int
    username: str
    secret: Secret
    tls: bool
    ca_file: Path | None
    events: frozenset[str]
    charset: str = AUTO

    @property
    def where(self) -> str:
        """As messages name it."""
        return f"AMI {self.host}:{self.port}"

    @property
    def hears_asterisk(self) -> bool:
        return self.host in LOOPBACK and "cdr" in self.events

    def held_as(self, *, board: bool) -> object:
        return self, board

    def warnings(self) -> list[str]:
        if self.tls or self.host in LOOPBACK:
            return []
        there = f"the secret and all calls pass the network to {self.host} unencrypted"
        return [f"[source {self.name}] host: {there}; use tls = yes"]


class _LegContract(SourceContract):
    """Of the sources whose records are FreeSWITCH's legs."""

    name: str
    legs: str
    drop_doubles: bool

    def left_out(self) -> str:
        doubles = "yes" if self.drop_doubles else "no"
        return f"legs = {self.legs} and drop_doubles = {doubles} of [source {self.name}] leave this leg out"


@dataclass(frozen=True)
class FreeswitchCsvSettings(_LegContract):
    """``path`` is a file or the directory that Master.csv is in; ``timezone`` None is the agent's.

    ``template`` is auto, one of TEMPLATES, or the text of one as config_template reads it.
    """

    type: ClassVar[str] = "freeswitch_csv"
    of_files: ClassVar[bool] = True
    name: str
    path: Path
    template: str
    start: str
    legs: str
    drop_doubles: bool
    timezone: tzinfo | None
    charset: str = AUTO


@dataclass(frozen=True)
class FreeswitchJsonSettings(_LegContract):
    """``path`` is the directory of JSON and XML documents. What is done with one ``after`` it is safe."""

    type: ClassVar[str] = "freeswitch_json"
    of_files: ClassVar[bool] = True
    name: str
    path: Path
    after: str
    legs: str
    drop_doubles: bool
    timezone: tzinfo | None
    charset: str = AUTO


@dataclass(frozen=True)
class FreeswitchHttpSettings(_LegContract):
    """``username`` and ``password`` are mod_json_cdr's or mod_xml_cdr's ``cred``."""

    type: ClassVar[str] = "freeswitch_http"
    certificate: ClassVar[None] = None
    private_key: ClassVar[None] = None
    name: str
    host: str
    port: int
    username: str
    password: Secret | None
    legs: str
    drop_doubles: bool
    timezone: tzinfo | None
    charset: str = AUTO

    @property
    def label(self) -> str:
        """How its log lines begin."""
        return f"source {self.name}:"

    @property
    def where(self) -> str:
        """As messages name it."""
        return shown(self.host, self.port)

    def held_as(self, *, board: bool) -> object:
        return self.type, self.host, self.port


@dataclass(frozen=True)
class FreeswitchEslSettings(_LegContract):
    type: ClassVar[str] = "freeswitch_esl"
    alone: ClassVar[str] = (
        "no source but the event socket: it never tells again the calls that end while it is not connected; "
        "a [source NAME] with type = freeswitch_json, freeswitch_http or freeswitch_csv beside it has them"
    )
    name: str
    host: str
    port: int
    password: Secret
    legs: str
    drop_doubles: bool
    timezone: tzinfo | None
    charset: str = AUTO

    @property
    def where(self) -> str:
        """As messages name it."""
        return f"event socket {self.host}:{self.port}"

    def held_as(self, *, board: bool) -> object:
        return replace(self, legs="a", drop_doubles=True, timezone=None), board

    def left_out(self) -> str:
        return f"{super().left_out()}, or its dialplan does: process_cdr, skip_cdr_causes"


SourceSettings = (
    AsteriskCsvSettings
    | AsteriskAmiSettings
    | FreeswitchCsvSettings
    | FreeswitchJsonSettings
    | FreeswitchHttpSettings
    | FreeswitchEslSettings
    | While1Settings
    | BoxisSettings
    | FusionpbxSettings
)


def _asterisk_csv(name: str, section: Section) -> AsteriskCsvSettings:
    return AsteriskCsvSettings(
        name=name,
        path=Path(section.text("path", "/var/log/asterisk/cdr-csv/Master.csv")),
        start=section.choice("start", ("beginning", "end"), "beginning"),
        utc=None if section.text("utc", "auto").lower() == "auto" else section.flag("utc", False),
        charset=_charset(section),
    )


def _asterisk_ami(name: str, section: Section) -> AsteriskAmiSettings:
    tls = section.flag("tls", False)
    return AsteriskAmiSettings(
        name=name,
        host=section.converted("host", host, "a host") or "127.0.0.1",
        port=section.whole("port", 5039 if tls else 5038, 1, 65535),
        username=section.text("username", required=True),
        secret=section.secret("secret", required=True) or Secret(""),
        tls=tls,
        ca_file=section.converted("ca_file", file, "a readable file"),
        events=section.several("events", ("cdr", "reload", "shutdown", "alarm"), "cdr"),
        charset=_charset(section),
    )


def _freeswitch_csv(name: str, section: Section) -> FreeswitchCsvSettings:
    return FreeswitchCsvSettings(
        name=name,
        path=Path(section.text("path", "/var/log/freeswitch/cdr-csv/Master.csv")),
        template=_template(section),
        start=section.choice("start", ("beginning", "end"), "beginning"),
        **_legs(section),
    )


def _template(section: Section) -> str:
    text = section.text("template", "auto", wrapped=True)
    if "${" not in text:
        return section.choice("template", ("auto", *TEMPLATES), "auto")
    try:
        parsed(text)
    except ValueError as error:
        section.wrong("template", str(error))
    return text


def _freeswitch_json(name: str, section: Section) -> FreeswitchJsonSettings:
    return FreeswitchJsonSettings(
        name=name,
        path=Path(section.text("path", "/var/log/freeswitch/json_cdr")),
        after=section.choice("after", ("keep", "move", "delete"), "keep"),
        **_legs(section),
    )


def _freeswitch_http(name: str, section: Section) -> FreeswitchHttpSettings:
    where, port = section.converted("listen", address, "HOST:PORT") or ("127.0.0.1", 8089)
    username, password = section.text("username"), section.secret("password")
    if not password and not is_loopback(where):
        section.wrong(
            "password", f"is missing: with listen = {shown(where, port)} others than this host can post calls"
        )
    if ":" in username:
        section.wrong("username", "has a colon, which HTTP's Basic authentication can't carry")
    return FreeswitchHttpSettings(
        name=name, host=where, port=port, username=username, password=password, **_legs(section)
    )


def _freeswitch_esl(name: str, section: Section) -> FreeswitchEslSettings:
    return FreeswitchEslSettings(
        name=name,
        host=section.converted("host", host, "a host") or "127.0.0.1",
        port=section.whole("port", 8021, 1, 65535),
        password=section.secret("password") or Secret("ClueCon"),
        **_legs(section),
    )


class _Legs(TypedDict):
    legs: str
    drop_doubles: bool
    timezone: tzinfo | None
    charset: str


def _legs(section: Section) -> _Legs:
    return {
        "legs": section.choice("legs", ("a", "b", "ab"), "a"),
        "drop_doubles": section.flag("drop_doubles", True),
        "timezone": section.converted("timezone", timezone, "an IANA time zone"),
        "charset": _charset(section),
    }


def _charset(section: Section) -> str:
    return section.converted("charset", _known_charset, "a charset such as cp1251, gbk or shift_jis") or AUTO


def _known_charset(name: str) -> str:
    """As Python calls it. Raises ValueError."""
    if name.lower() == AUTO:
        return AUTO
    try:
        if keeps_ascii(name):
            return codecs.lookup(name).name
    except LookupError:
        usable = [one.replace("_", "-") for one in sorted({*aliases, *aliases.values()}) if _is_usable(one)]
        raise ValueError(f"Python knows none of that name{nearest(name.lower(), [AUTO, *usable])}") from None
    raise ValueError("it is for something else than text, or what is ASCII in a PBX's text would become something else")


def _is_usable(name: str) -> bool:
    try:
        return keeps_ascii(name)
    except LookupError:
        return False


SOURCE_TYPES: dict[str, Callable[[str, Section], SourceSettings]] = {
    "asterisk_csv": _asterisk_csv,
    "asterisk_ami": _asterisk_ami,
    "freeswitch_csv": _freeswitch_csv,
    "freeswitch_json": _freeswitch_json,
    "freeswitch_http": _freeswitch_http,
    "freeswitch_esl": _freeswitch_esl,
    "while1": while1,
    "boxis": boxis,
    "fusionpbx": fusionpbx,
}
