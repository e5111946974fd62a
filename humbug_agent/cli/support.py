"""`support`: one text, to be mailed, with what somebody must know who is asked for help from afar.

No secret is in it, ever. What others wrote, callers, the PBX or the receiver, is in it only where calls are asked for.
"""

import importlib.metadata
import json
import logging
import os
import platform
import re
import sqlite3
import ssl
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from humbug_agent import __version__
from humbug_agent.cli import checking, output
from humbug_agent.cli.doctoring import doctor
from humbug_agent.cli.strangers import PACKAGE, Strangers
from humbug_agent.config import Config, load, sections_of, system_timezone
from humbug_agent.host import process
from humbug_agent.host.codes import Code
from humbug_agent.host.log import last_lines
from humbug_agent.ini import ConfigError, Secret, Section, url
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.outbox import queries
from humbug_agent.outbox.lock import AgentError
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.scrub import MASK, Scrubber
from humbug_agent.status.overview import overview
from humbug_agent.text import printable
from humbug_agent.web.metrics import metrics
from humbug_agent.words import clock, count, said

log = logging.getLogger(__name__)

APART_SECONDS = 30.0
"""Between the two looks at the metrics."""

LOG_LINES = 400
NEWEST = 20
"""So many deliveries of each kind, and rejects."""

HEAD = {
    False: "Names, numbers and whatever else others wrote is left out: <1>, <2> ... stand for it, the same for the "
    "same word. Secrets are left out: ***.",
    True: "This has calls in it: who called whom, and when. Secrets are left out: ***.",
}


def bundle(path: Path, *, with_calls: bool, wait: Callable[[float], None]) -> str:
    """The text, ended by a line break. ``wait`` passes so many seconds. Raises ConfigError where path can't be read."""
    if not os.access(path, os.R_OK):
        load(path)
    return _Bundle(path, with_calls).made(wait)


def pass_time(seconds: float) -> None:
    """Shows on a terminal how it passes."""
    until = time.monotonic() + seconds
    with click.progressbar(
        length=round(seconds), label="Watching the metrics", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
            bar.update(1)


def write(text: str, file: Path) -> None:
    """Its owner alone may read it, also where there was another one before. Raises OSError."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    except OSError as error:
        error.filename = str(file)
        raise
    try:
        with open(handle, "w", encoding="utf-8", errors="backslashreplace") as new:
            new.write(text)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class _Bundle:
    """The parts of the text, each of which says what is wrong where it can't be made."""

    def __init__(self, path: Path, with_calls: bool) -> None:
        self._path = path
        self._config: Config | None = None
        self._sections: Sequence[Section] = ()
        self._mistakes: Sequence[str] = ()
        try:
            self._sections = sections_of(path)
            self._config = load(path)
        except ConfigError as error:
            self._mistakes = error.mistakes
        self._zone = self._config.agent.timezone if self._config else system_timezone()
        secrets = [secret for section in self._sections for secret in section.kept()]
        self._scrub = Scrubber(*_parted(secrets))
        self._strangers = Strangers([*_harmless(self._config), *Code])
        # Where nobody knows what is secret, anything may be.
        self._with_calls = with_calls and self._config is not None
        self._head = HEAD[self._with_calls]
        if with_calls and not self._with_calls:
            self._head += " agent.ini has mistakes: no calls are in it, for nobody knows what is secret."

    def made(self, wait: Callable[[float], None]) -> str:
        began, first = time.monotonic(), self._part(self._metrics)
        parts: list[tuple[str, object]] = [
            ("versions", _versions()),
            ("agent.ini", self._part(self._ini)),
            ("files", self._part(self._files)),
            ("status", self._part(self._status)),
            ("check", self._part(self._check)),
            ("doctor", self._part(self._doctor)),
            ("deliveries that wait or are dead", self._part(self._failures)),
            ("rejects", self._part(self._rejects)),
            ("log", self._part(self._log)),
        ]
        if self._with_calls:
            parts.append(("calls", self._part(self._calls)))
        wait(max(0.0, APART_SECONDS - (time.monotonic() - began)))
        apart = time.monotonic() - began
        parts.append(("metrics", _compared(first, self._part(self._metrics), apart)))
        head = f"humbug-agent {__version__}, support, {clock(time.time(), self._zone)}\n{self._head}\n"
        return head + "".join(f"\n== {title}\n{_text(part)}\n" for title, part in parts)

    def _part(self, make: Callable[[], object]) -> object:
        """What ``make`` makes, without what must not be in it; or why it could not be made.

        This is asked for where something is wrong, nobody knows what: one part must not take the others with it.
        """
        try:
            return self._clean(make())
        except (AgentError, ConfigError, OutboxError, OSError) as error:
            return self._text(f"can't be told: {said(error)}")
        except Exception:
            log.exception("support: a fault of this program")
            return self._clean(["can't be told, by a fault of this program:", *traceback.format_exc().splitlines()])

    def _clean(self, value: object) -> object:
        """A text, or what JSON is made of, with only what may be shown; numbers are ours."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {self._text(str(key)): self._clean(one) for key, one in value.items()}
        if isinstance(value, Sequence):
            return [self._clean(one) for one in value]
        return value

    def _text(self, text: str) -> str:
        scrubbed = self._scrub(printable(text))
        return scrubbed if self._with_calls else self._strangers(scrubbed)

    # The parts.

    def _ini(self) -> object:
        lines = list(self._mistakes)
        for section in self._sections:
            lines.append(f"[{section.title}]")
            lines += [f"{key} = {MASK if value is None else value}" for key, value in section.told().items()]
        if self._config:
            lines += [f"warning: {warning}" for warning in self._config.warnings]
            lines += [f"destination {one.name}: {one.where}" for one in self._config.make_destinations()]
        return lines

    def _files(self) -> object:
        """Mode, owner and size of the program, of agent.ini and of the outbox; and the room on the outbox's disk."""
        if not self._config:
            return "agent.ini has mistakes"
        outbox = self._config.agent.outbox
        beside = sorted(outbox.parent.glob(f"{outbox.name}*"))
        found = {str(one): _stat(one) for one in (PACKAGE, self._path, outbox.parent, *beside)}
        room = os.statvfs(outbox.parent)
        free = {"free_bytes": room.f_bavail * room.f_frsize, "free_inodes": room.f_favail}
        return {**found, "disk": free}

    def _status(self) -> object:
        return overview(self._path).as_json()

    def _check(self) -> object:
        # What is good is in our words, and may have lines to copy.
        return [
            line
            for one in checking.check(self._path)
            for line in f"{one.level:4}  {one.part}: {one.message}".split("\n" if one.level == "ok" else "\0")
        ]

    def _doctor(self) -> object:
        report = doctor(self._path)
        lines: list[str] = []
        for one in report.findings:
            lines.append(f"{one.code} {one.kind.severity.name}  {one.kind.title}")
            lines += [f"  {line}" for line in (one.said, *(one.change or one.kind.todo).split("\n"))]
        return [*lines, *(f"not looked at: {reason}" for reason in report.unread)]

    def _failures(self) -> object:
        """What became of those that were tried, without the calls themselves."""
        return [
            {name: shown[name] for name in ("id", "destination", "state", "attempts", "due", "last_error")}
            | {"status": entry.status, "reply": entry.reply}
            for entry in self._newest("waiting", "dead")
            if entry.attempts
            for shown in [output.entry(entry, self._zone)]
        ]

    def _rejects(self) -> object:
        return [
            {name: shown[name] for name in ("source", "read", "place", "last_error")} for shown in self._kept_rejects()
        ]

    def _calls(self) -> object:
        with self._outbox() as box:
            trails = [
                output.trail([one], queries.failures(box, one.id), queries.replays(box, one.id), self._zone)
                for one in self._newest("waiting", "dead", "sent")
            ]
        return {"calls": trails, "rejects": self._kept_rejects()}

    def _log(self) -> object:
        found = last_lines(self._pid(), LOG_LINES)
        return [f"from {found.where}, {count(len(found.lines), 'line')}", *found.lines]

    def _metrics(self) -> object:
        status = overview(self._path).status
        lines = metrics(status, "", (), {})[0].decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        numbers = {name: float(value) for name, _, value in samples}
        return {**numbers, **(process.usage(status.pid) if status.pid else {})}

    # What they are made of.

    def _outbox(self) -> Outbox:
        if not self._config:
            raise ConfigError(list(self._mistakes))
        if not self._config.agent.outbox.exists():
            # To open it would make it.
            raise FileNotFoundError(2, os.strerror(2), str(self._config.agent.outbox))
        return Outbox(self._config.agent.outbox)

    def _newest(self, *states: str) -> list[queries.Entry]:
        with self._outbox() as box:
            return [one for state in states for one in queries.newest(box, queries.Filter(state=state), NEWEST)]

    def _kept_rejects(self) -> list[dict[str, object]]:
        with self._outbox() as box:
            return [output.reject(one, self._zone) for one in queries.rejects(box)[-NEWEST:]]

    def _pid(self) -> int | None:
        try:
            return overview(self._path).status.pid
        except ConfigError:
            return None


def _parted(secrets: Iterable[Secret]) -> tuple[list[str], list[str]]:
    """Those that are secret as a whole; and URLs, which have one in them perhaps."""
    whole: list[str] = []
    urls: list[str] = []
    for secret in secrets:
        try:
            urls.append(url(secret.reveal()))
        except ValueError:
            whole.append(secret.reveal())
    return whole, urls


def _harmless(value: object) -> Iterator[str]:
    """What agent.ini sets that can name nobody: numbers in the bounds of their settings, time zones, the country."""
    if is_dataclass(value):
        for field in fields(value):
            yield from _harmless(getattr(value, field.name))
        if isinstance(value, NumbersSettings):
            yield value.country or ""
    elif isinstance(value, tuple):
        for one in value:
            yield from _harmless(one)
    elif isinstance(value, ZoneInfo):
        yield value.key or ""
    elif isinstance(value, int):
        yield str(value)


def _versions() -> str:
    lines = [
        f"humbug-agent {__version__}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}, {ssl.OPENSSL_VERSION}",
        f"kernel {platform.release()} {platform.machine()}, {' '.join(platform.libc_ver())}",
        f"system {_release()}, {count(os.cpu_count() or 0, 'processor')}",
    ]
    return "\n".join([*lines, *_packages()])


def _release() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return "unknown"


def _packages() -> list[str]:
    """Those that this program needs, and what is there of those that it can use."""
    try:
        wanted = importlib.metadata.requires("humbug-agent") or []
    except importlib.metadata.PackageNotFoundError:
        return ["humbug-agent is not installed as a package"]
    found = []
    for name in sorted({re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0] for one in wanted}):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _stat(file: Path) -> dict[str, object]:
    found = file.stat()
    return {"mode": f"{found.st_mode & 0o777:03o}", "uid": found.st_uid, "gid": found.st_gid, "bytes": found.st_size}


def _compared(first: object, last: object, apart: float) -> object:
    if not (isinstance(first, dict) and isinstance(last, dict)):
        return last
    lines = [f"at the start, after {apart:.0f} s, difference"]
    for name, value in last.items():
        before = first.get(name)
        change = "" if before is None else f"{value - before:+g}"
        lines.append(f"{name}  {'' if before is None else f'{before:.14g}'}  {value:.14g}  {change}")
    return lines


def _text(part: object) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, list):
        return "\n".join(one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in part) or "none"
    return json.dumps(part, indent=1, ensure_ascii=False)
