"""An Asterisk, by its configuration files: where its calls are, and what AMI tells of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from humbug_agent.pbx_host import conf as files
from humbug_agent.pbx_host import odbc
from humbug_agent.pbx_host.conf import Conf, ConfError, Section

ROOT = Path("/")
"""This host's files."""

CONF = "/etc/asterisk/asterisk.conf"
DIRECTORIES = {"astetcdir": "/etc/asterisk", "astlogdir": "/var/log/asterisk", "astrundir": "/var/run/asterisk"}
"""Of [directories] in asterisk.conf, and what they are without it."""

ANYWHERE = ("0.0.0.0", "::", "[::]", "")  # nosec B104
"""Addresses to listen on that stand for all of this host's."""

AMI_PORT = 5038


@dataclass(frozen=True, slots=True)
class MasterCsv:
    """What cdr_csv does with each call.

    ``off`` says why it writes none, and is blank where it does. ``utc`` is usegmtime.
    """

    path: Path
    off: str
    utc: bool
    uniqueid: bool
    userfield: bool


@dataclass(frozen=True, slots=True)
class AmiUser:
    """A section of manager.conf: a user's name and rights, as classes of events (``read``) and actions (``write``)."""

    name: str
    read: frozenset[str]
    write: frozenset[str]
    section: Section


@dataclass(frozen=True, slots=True)
class Ami:
    """What manager.conf says: ``host`` is where somebody on this host reaches it."""

    enabled: bool
    bind: str
    host: str
    port: int
    users: dict[str, AmiUser]
    """By their names in small letters: to Asterisk [Humbug] and [humbug] are one user, and the last of them counts."""

    def user(self, name: str) -> AmiUser | None:
        return self.users.get(name.lower())


class Asterisk:
    """An Asterisk below ``root``, which is / but for tests.

    Paths are those that it has itself; `at` says where they are below the root. Whatever asks a file raises OSError
    where it can't be read, and ConfError where Asterisk itself refuses it; a file that is missing says nothing. Where
    texts of files are ``planned``, it is what it would be with them.
    """

    def __init__(self, root: Path = ROOT, planned: Mapping[Path, str] | None = None) -> None:
        self.root, self._planned = root, planned or {}
        self.conf = cache(self._conf)
        """A file of astetcdir by its name, such as cdr.conf, read once; without sections where there is none."""
        self._directories: dict[str, str] = {}
        try:
            section = files.read(self.at(Path(CONF)), self.at(Path(CONF).parent), root).first("directories")
        except (OSError, ConfError):
            section = None
        for name, usual in DIRECTORIES.items():
            said = section.last(name) if section else None
            self._directories[name] = said.value if said and said.value else usual

    def at(self, path: Path) -> Path:
        return self.root / str(path).lstrip("/")

    @property
    def etc(self) -> Path:
        return Path(self._directories["astetcdir"])

    @property
    def logs(self) -> Path:
        return Path(self._directories["astlogdir"])

    @property
    def run(self) -> Path:
        return Path(self._directories["astrundir"])

    @property
    def there(self) -> bool:
        """Whether there is one: its own configuration, or its modules'."""
        return self.at(Path(CONF)).exists() or self.at(self.etc / "modules.conf").exists()

    def _conf(self, name: str) -> Conf:
        path = self.at(self.etc / name)
        there = path in self._planned or path.exists()
        return files.read(path, self.at(self.etc), self.root, self._planned) if there else Conf(path)

    def loads(self, module: str) -> bool:
        """Whether modules.conf has ``module``, such as cdr_csv, loaded at start."""
        section = self.conf("modules.conf").first("modules")
        if section is None:
            return False
        said = {word: {one.value.removesuffix(".so") for one in section.every(word)} for word in _LOADING}
        if module in said["noload"]:
            return False
        return section.yes("autoload", False) or any(module in named for named in said.values())

    def cdrs_off(self) -> str:
        """Why it makes no CDRs at all; blank where it does."""
        general = self.conf("cdr.conf").first("general")
        return "" if general is None or general.yes("enable", True) else "cdr.conf, [general]: enable is no"

    def master_csv(self) -> MasterCsv:
        section = self.conf("cdr.conf").first("csv")
        off = self.cdrs_off()
        if not off and not self.loads("cdr_csv"):
            off = "modules.conf does not load cdr_csv"
        path = self.logs / "cdr-csv" / "Master.csv"
        if section is None:
            return MasterCsv(path, off or "cdr.conf has no [csv]", utc=False, uniqueid=False, userfield=False)
        if not off and not section.settings:
            off = "the [csv] of cdr.conf is empty, which counts as none"
        utc, uniqueid, userfield = (section.yes(one, False) for one in ("usegmtime", "loguniqueid", "loguserfield"))
        return MasterCsv(path, off, utc, uniqueid, userfield)

    def in_database(self) -> bool:
        """Whether cdr_adaptive_odbc writes each call into a MariaDB or MySQL, too."""
        if not self.loads("cdr_adaptive_odbc"):
            return False
        return any(one.in_mysql for one in odbc.tables(self.at(self.etc), self.root))

    def tells_cdrs(self) -> str:
        """Why AMI has no Cdr events, whoever asks; blank where it has."""
        return self.cdrs_off() or self.events_off()

    def events_off(self) -> str:
        """Why cdr_manager makes no events of the CDRs that there are; blank where it does."""
        if not self.loads("cdr_manager"):
            return "modules.conf does not load cdr_manager"
        said = [one for section in self.conf("cdr_manager.conf").every("general") for one in section.every("enabled")]
        return "" if said and said[-1].yes else "cdr_manager.conf, [general]: enabled is not yes"

    def ami(self) -> Ami:
        conf = self.conf("manager.conf")
        general = conf.first("general") or Section("general", conf.path, 0)
        bind = _value(general, "bindaddr")
        port = _value(general, "port")
        users: dict[str, AmiUser] = {}
        for section in conf.sections:
            if not section.template and section.name.lower() != "general":
                read, write = (_classes(_value(section, one)) for one in ("read", "write"))
                users[section.name.lower()] = AmiUser(section.name, read, write, section)
        return Ami(
            enabled=general.yes("enabled", False),
            bind=bind,
            host="127.0.0.1" if bind in ANYWHERE else bind.strip("[]"),
            port=int(port) if port.isascii() and port.isdigit() else AMI_PORT,
            users=users,
        )


def usegmtime(master_csv: Path) -> bool | None:
    """Whether this host's cdr.conf has ``usegmtime=yes`` for ``master_csv``.

    None where that is not the file that this host's Asterisk writes, or cdr.conf has no [csv], or can't be read.
    """
    try:
        here = Asterisk(ROOT)
        if master_csv.parent.resolve() != here.at(here.logs / "cdr-csv").resolve():
            return None
        section = here.conf("cdr.conf").first("csv")
    except (OSError, ConfError):
        return None
    return section.yes("usegmtime", False) if section and section.settings else None


def written_instead(path: Path) -> Path | None:
    """The Master.csv that this host's Asterisk writes, where ``path`` is none of its files; None where it may be."""
    here = Asterisk(ROOT)
    try:
        csv = here.master_csv()
        custom = here.at(here.logs / "cdr-custom").resolve()
        other = here.there and not csv.off and here.at(csv.path).resolve() != path.resolve()
        return csv.path if other and path.parent.resolve() != custom else None
    except (OSError, ConfError):
        return None


_LOADING = ("load", "preload", "require", "preload-require", "noload")


def _value(section: Section, name: str) -> str:
    found = section.last(name)
    return found.value if found else ""


def _classes(said: str) -> frozenset[str]:
    return frozenset(re.split(r"[,\s]+", said.lower().strip(", "))) - {""}
