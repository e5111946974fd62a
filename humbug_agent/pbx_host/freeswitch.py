"""A FreeSWITCH, by its configuration files: which modules tell of its calls, and where."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from xml.parsers import expat
from xml.sax.saxutils import quoteattr  # nosec B406 # It writes, and parses nothing.

from humbug_agent.pbx_host.conf import ConfError

JSON_CDR = """\
<configuration name="json_cdr.conf" description="JSON CDR">
  <settings>
    <param name="url" value="http://{address}/"/>
{cred}    <param name="log-b-leg" value="{b_legs}"/>
    <param name="prefix-a-leg" value="true"/>
    <param name="encode" value="false"/>
    <param name="encode-values" value="false"/>
    <param name="timeout" value="5"/>
    <param name="retries" value="1"/>
    <param name="delay" value="1"/>
    <param name="log-errors-to-disk" value="true"/>
    <param name="err-log-dir" value="{unsent}"/>
  </settings>
</configuration>"""

PLACES = (
    ("/etc/freeswitch", "/var/log/freeswitch"),
    ("/usr/local/freeswitch/conf", "/usr/local/freeswitch/log"),
    ("/opt/freeswitch/conf", "/opt/freeswitch/log"),
)
"""Where its configuration is, and its logs by default: of packages, and of what was built from source."""


TRUE = ("yes", "on", "true", "t", "enabled", "active", "allow", "1")
FALSE = ("no", "off", "false", "f", "disabled", "inactive", "disallow", "0")
"""What FreeSWITCH takes for yes where no is usual, and for no where yes is."""


class Freeswitch:
    """A FreeSWITCH below ``root``, which is / but for tests.

    Paths are those that it has itself; `at` says where they are below the root. Whatever asks a file raises OSError
    where it can't be read, and ConfError where it is no XML.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.settings = cache(self._settings)
        """What the file autoload_configs/NAME.conf.xml sets, such as that of json_cdr; the last value of each name."""
        found = [place for place in PLACES if self.at(Path(place[0]) / "freeswitch.xml").exists()]
        self.there = bool(found)
        etc, logs = found[0] if found else PLACES[0]
        self.etc, self.logs = Path(etc), Path(logs)

    def at(self, path: Path) -> Path:
        return self.root / str(path).lstrip("/")

    def file(self, name: str) -> Path:
        return self.etc / "autoload_configs" / f"{name}.conf.xml"

    def loads(self, module: str) -> bool:
        """Whether modules.conf.xml has ``module``, such as mod_json_cdr, loaded at start."""
        path = self.at(self.file("modules"))
        found = _elements(path, path.read_bytes())
        return any(one.name == "load" and one.values.get("module") == module for one in found)

    def _settings(self, name: str) -> Mapping[str, str]:
        return dict(self._params(name))

    def every(self, name: str, setting: str) -> list[str]:
        """All values of one that may stand there more than once, such as ``url``, but empty ones, which count as none.

        Nothing where there is no such file.
        """
        if not self.at(self.file(name)).exists():
            return []
        return [value for found, value in self._params(name) if found == setting and value]

    def _params(self, name: str) -> list[tuple[str, str]]:
        path = self.at(self.file(name))
        return [(key, self._expanded(value)) for key, value in params(path, path.read_bytes())]

    def directory(self, module: str, setting: str = "log-dir") -> Path | None:
        """Where ``module`` (json_cdr, xml_cdr) writes documents, by its ``setting``; None where that is absent."""
        said = self.settings(module).get(setting)
        return None if said is None else self.logs / (said or module)

    def written(self, module: str) -> Path | None:
        """Where ``module`` writes each document, posted or not; None where it does not."""
        if not self.at(self.file(module)).exists():
            return None
        both = self.settings(module).get("log-http-and-disk", "").lower() in TRUE
        return self.directory(module) if both or not self.every(module, "url") else None

    def unsent(self, module: str) -> Path | None:
        """Where ``module`` leaves a document that it could not post; None where it throws it away."""
        # mod_xml_cdr keeps each.
        if module == "json_cdr" and self.settings(module).get("log-errors-to-disk", "").lower() in FALSE:
            return None
        return self.directory(module, "err-log-dir") or self.directory(module) or self.logs / module

    def master_csv(self) -> Path:
        return Path(self.settings("cdr_csv").get("log-base") or self.logs) / "cdr-csv" / "Master.csv"

    def _expanded(self, value: str) -> str:
        """Without the variables that it sets itself at start."""
        known = {"log_dir": str(self.logs), "conf_dir": str(self.etc), "base_dir": str(self.etc.parent)}
        return re.sub(r"\$\$\{(\w+)\}", lambda found: known.get(found[1], found[0]), value)


def json_cdr_conf(
    address: str, cred: str = "", b_legs: str = "false", unsent: str = "/var/log/freeswitch/json_cdr"
) -> str:
    """The json_cdr.conf.xml that has each document posted to ``address``, and kept in ``unsent`` where that fails.

    ``cred`` is a line of its own, with the password.
    """
    return JSON_CDR.format(address=address, cred=cred, b_legs=b_legs, unsent=unsent)


def params(path: Path, text: bytes) -> list[tuple[str, str]]:
    """What ``text`` sets: names, which FreeSWITCH compares without regard to case, in small letters; and values.

    Raises ConfError, which names ``path``.
    """
    found = [one.values for one in _elements(path, text) if one.name == "param" and "name" in one.values]
    return [(one["name"].lower(), one.get("value", "")) for one in found]


def param(name: str, value: str) -> str:
    """The line that sets it."""
    return f'<param name="{name}" value={quoteattr(value)}/>'


class Target(NamedTuple):
    """Where a url leads to. ``login`` is the name and password in it, with a colon between, or blank."""

    scheme: str
    host: str
    port: int
    path: str
    login: str


def target(url: str) -> Target:
    """As curl takes it: what has no scheme is http. One that is no URL leads nowhere, to the port 0."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return Target("http", "", 0, "", "")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if "@" in parts.netloc else ""
    return Target(parts.scheme, parts.hostname or "", port, parts.path, login)


def with_last(path: Path, text: bytes, name: str, lines: Sequence[str]) -> bytes | None:
    """The same with ``lines`` as the last of what stands in the element ``name``; None where there is no such element.

    Raises ConfError, which names ``path``.
    """
    element = next((one for one in _elements(path, text) if one.name == name), None)
    if element is None:
        return None
    before, after = text[: element.end], text[element.end :]
    if not after.startswith(f"</{name}".encode()):
        # <NAME/> opens and closes it at once.
        before, after = before.removesuffix(b"/>").rstrip() + b">\n", f"</{name}>".encode() + after
    said = before.rstrip(b" \t")
    indent = before[len(said) :]
    said += b"" if said.endswith(b"\n") else b"\n"
    return said + b"".join(indent + b"  " + line.encode() + b"\n" for line in lines) + indent + after


@dataclass(slots=True)
class _Element:
    """One element: its attributes, and at which byte its closing tag begins; without one, itself ends there."""

    name: str
    values: dict[str, str]
    end: int = 0


def _elements(path: Path, text: bytes) -> list[_Element]:
    """Each element, in their order; comments are none."""
    found: list[_Element] = []
    open_: list[_Element] = []
    parser = expat.ParserCreate()

    def begin(name: str, values: dict[str, str]) -> None:
        found.append(_Element(name, values))
        open_.append(found[-1])

    def end(_: str) -> None:
        open_.pop().end = parser.CurrentByteIndex

    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refused
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError) as error:
        raise ConfError(f"{path}: no XML ({error})") from error
    return found


def _refused(*_: object) -> None:
    raise ValueError("a document type or entities of its own")
