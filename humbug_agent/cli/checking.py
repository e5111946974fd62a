"""`check`: tries the configuration, each source and each destination for real. Sends no call."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from humbug_agent.config import Config, load
from humbug_agent.daemon.housekeeping import begins_empty
from humbug_agent.destinations.contract import DeliveryError
from humbug_agent.doctor.clock import clock_off
from humbug_agent.host.codes import BY_ERRNO, Code
from humbug_agent.host.daemon_user import User, acting_as, daemons_user, name_of, with_credentials
from humbug_agent.ini import ConfigError
from humbug_agent.outbox import schema
from humbug_agent.outbox.lock import Running
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.sources.contract import NothingYet, SourceError
from humbug_agent.sources.readable import in_words
from humbug_agent.status import taken
from humbug_agent.status.overview import daemon, in_use
from humbug_agent.text import printable
from humbug_agent.words import OTHER_USER, count

WORDS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of `check` about one part of the agent.

    ``level`` is ok, warn or fail. ``code`` is what `doctor` calls it, None where that is not to say it.
    """

    part: str
    level: str
    message: str
    code: Code | None = None

    def as_json(self) -> dict[str, object]:
        return {"part": self.part, "ok": self.level != "fail", "level": self.level, "message": self.message}


def check(path: Path) -> list[Finding]:
    """Root tries all files, and databases that know him by his name on this host, as the daemon's user.

    Raises ConfigError where not even root finds agent.ini right.
    """
    config = load(path)
    try:
        running = daemon(path, config)
    except PermissionError:
        # Who may not see the outbox is told so with the rest.
        running = None
    pid = running.pid if running else None
    user = daemons_user(config.agent.outbox, pid)
    asks = name_of(os.geteuid()) if os.geteuid() else ""
    with acting_as(user), with_credentials(pid):
        found = [*_of_program(user), *_of_config(config, user), *_of_outbox(config.agent.outbox, running, asks)]
    in_use = list(_of_daemon(config, running))
    found += in_use
    sources = config.make_sources()
    with_password = ", with a password" if config.status and config.status.guarded else ", without a password"
    for part, settings_, how in (("status", config.status, with_password), ("api", config.api, ", with keys")):
        if settings_:
            # A web server that most agents never need.
            from humbug_agent.daemon import status_serving
            from humbug_agent.http_server.sockets import WebError

            if part == "status":
                status_serving.make_boards(sources)
            with acting_as(user):
                try:
                    serves = status_serving.check(settings_, _own(running, part))
                    not_yet = ", once the daemon has taken it" if any(one.level == "warn" for one in in_use) else ""
                    found.append(Finding(part, "ok", serves + how + not_yet))
                except WebError as error:
                    found.append(Finding(part, "fail", str(error), _code(error, Code.PAGE)))
    for source, settings in zip(sources, config.sources, strict=True):
        # Asterisk's console tells root, and perhaps nobody else, what AMI's user may see.
        with acting_as(user if settings.reads or settings.knows_users else None):
            found.append(_tried(f"source {source.name}", source.check))
            if found[-1].level == "ok" and (doubt := source.doubt()):
                found.append(Finding("warning", "warn", f"source {source.name}: {doubt}", Code.ZONE))
    for destination, its in zip(config.make_destinations(), config.destinations, strict=True):
        with acting_as(user if its.knows_users else None):
            found.append(_tried(f"destination {destination.name}", destination.check))
            if off := clock_off(destination):
                found.append(Finding("warning", "warn", f"destination {destination.name}: {off}", Code.CLOCK))
            destination.close()
    return found


def _of_program(user: User | None) -> Iterator[Finding]:
    """Who installs it with a umask of 077 can run it, and the daemon's user can't."""
    here = Path(__file__).parent.parent
    if user and not os.access(here / "__init__.py", os.R_OK):
        closed = sys.prefix if here.is_relative_to(sys.prefix) else here
        said = f"{here}: can't be read by user {user.name}; chmod -R a+rX {closed}"
        yield Finding("program", "fail", said, Code.CLOSED_TO_DAEMON)


def _of_config(config: Config, user: User | None) -> Iterator[Finding]:
    named = f"{count(len(config.sources), 'source')}, {count(len(config.destinations), 'destination')}"
    try:
        if user:
            load(config.path)
        yield Finding("configuration", "ok", f"{config.path}: {named}")
    except ConfigError as error:
        for mistake in error.mistakes:
            said = f"{mistake} (as user {user.name if user else ''})"
            yield Finding("configuration", "fail", said, Code.CLOSED_TO_DAEMON)
    for warning in config.warnings:
        yield Finding("warning", "warn", warning)


def _of_outbox(outbox: Path, running: Running | None, asks: str) -> Iterator[Finding]:
    """Findings about the outbox and its directory.

    ``asks`` is the name of the user who runs `check`, blank for root, who tries the files as the daemon's user.
    """
    # A file is no directory, whoever may write it.
    if not os.access(f"{outbox.parent}/.", os.W_OK | os.X_OK):
        hint = "must be a directory that the user running humbug-agent can write"
        other = f", which {asks} can't; {OTHER_USER}" if asks and os.access(outbox.parent, os.F_OK) else ""
        yield Finding("outbox", "fail", f"{outbox.parent}: {hint}{other}", Code.CLOSED_TO_DAEMON)
        return
    beside = [outbox.with_name(outbox.name + suffix) for suffix in ("", "-wal", "-shm", ".lock")]
    closed = [file for file in beside if file.exists() and not os.access(file, os.R_OK | os.W_OK)]
    if closed:
        hint = "can't be written; chown it to the user that runs humbug-agent"
        yield Finding("outbox", "fail", f"{' '.join(map(str, closed))}: {hint}", Code.CLOSED_TO_DAEMON)
        return
    try:
        schema.look_into(outbox)
    except OutboxError as error:
        yield Finding("outbox", "fail", str(error), Code.OUTBOX)
        return
    empty = begins_empty(outbox, running.outbox) if running else ""
    new = "" if outbox.exists() else ": does not exist yet; the start that makes it sends all that there is to read"
    yield Finding("outbox", "warn" if empty else "ok", empty or f"{outbox}{new}")


def _of_daemon(config: Config, running: Running | None) -> Iterator[Finding]:
    """Whether what is tried here is what the daemon does."""
    state, wrong = in_use(config, running)
    if running and state:
        good = state == "taken"
        yield Finding("daemon", "ok" if good else "warn", wrong or f"runs with this agent.ini, pid {running.pid}")


def _own(running: Running | None, part: str) -> str:
    """Where the running daemon listens; blank where it does not."""
    went = taken.read_back(running.outbox, running.pid) if running else None
    if not (running and went):
        return ""
    try:
        with Outbox(running.outbox) as outbox:
            stands = outbox.health().get("page" if part == "status" else part)
    except OutboxError:
        return ""
    where = went.page if part == "status" else went.api
    return where if stands and stands.state == "ok" else ""


def _tried(part: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(part, "ok", check())
    except NothingYet as error:
        return Finding(part, "warn", str(error))
    except DeliveryError as error:
        return Finding(part, "fail", error.reason, Code.RECEIVER)
    except SourceError as error:
        return Finding(part, "fail", str(error), _code(error, error.code))
    except OSError as error:
        return Finding(part, "fail", in_words(error), _code(error, Code.SOURCE))


def _code(error: BaseException | None, usual: Code) -> Code:
    """What it is called, by what the system said; ``usual`` where that says no more."""
    while error:
        if isinstance(error, OSError) and error.errno in BY_ERRNO:
            return BY_ERRNO[error.errno]
        error = error.__cause__
    return usual


def print_for_people(found: list[Finding]) -> None:
    width = max(len(one.part) for one in found)
    for one in found:
        word, colour = WORDS[one.level]
        # What is good is in our words, and may have lines to copy. What is wrong may quote others, whose stay one.
        first, *more = map(printable, one.message.split("\n") if one.level == "ok" else [one.message])
        click.echo(f"{click.style(word, fg=colour)}  {printable(one.part.ljust(width))}  {first}")
        for line in more:
            click.echo(f"      {line}")
