"""humbug-agent's command line. Exit codes: 0 good, 1 it did not work, 2 usage or configuration.

Heavy modules are imported where they are used: shell completion starts this program at every key.
"""

import errno
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from humbug_agent import __version__
from humbug_agent.cli_common import charset_of, config_option, configured, json_option, left_out
from humbug_agent.cli_outbox import outbox
from humbug_agent.cli_receiver import receiver
from humbug_agent.config import DEFAULT_PATH, Config, ConfigError, load
from humbug_agent.politeness import step_back
from humbug_agent.text import text as decoded

log = logging.getLogger("humbug_agent")

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What writing fails with: a full disk, a limit, a broken disk or terminal, a closed descriptor."""


class _Group(click.Group):
    """Turns what went wrong into a line for the admin and an exit code; a traceback is for our own faults only."""

    def main(self, *args: Any, **extra: Any) -> Any:
        # None where it was closed (`>&-`): to write the output fails then, as it should; messages go nowhere.
        sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
        sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        # Around all of it: help is printed, and files are closed, outside of `invoke`.
        try:
            return super().main(*args, **extra)
        except OSError as error:
            # Click itself is quiet where nobody reads any more (`| head`); this is a full disk, or the like.
            where = error.filename or ("the output" if error.errno in UNWRITABLE else None)
            if where is None:
                raise
            click.echo(f"Error: {where}: {error.strerror}", err=True)
            # What could not be written would be tried again at the end of the process.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        from humbug_agent.destinations.contract import DeliveryError
        from humbug_agent.lock import AgentError
        from humbug_agent.schema import OutboxError
        from humbug_agent.sources.contract import SourceError

        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for mistake in error.mistakes:
                click.echo(f"{click.style('Error:', fg='red')} {mistake}", err=True)
            ctx.exit(2)
        except (AgentError, DeliveryError, OutboxError, SourceError) as error:
            raise click.ClickException(str(error)) from error
        except PermissionError as error:
            raise click.ClickException(
                f"{error.filename}: {error.strerror}; run it as root or as the user that the daemon runs as"
            ) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="humbug-agent")
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="HUMBUG_AGENT_CONFIG",
    default=DEFAULT_PATH,
    show_default=True,
    help="agent.ini; also $HUMBUG_AGENT_CONFIG.",
)
@click.pass_context
def main(ctx: click.Context, path: Path) -> None:
    """Brings every call record of this PBX to a Humbug receiver, and loses none."""
    ctx.obj = path


def set_up_logging(level: str) -> None:
    """To standard error; for the journal with its priority, which it asks for by JOURNAL_STREAM, else with the time."""

    class Journal(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            priority = {"DEBUG": 7, "INFO": 6, "WARNING": 4, "ERROR": 3, "CRITICAL": 2}[record.levelname]
            return f"<{priority}>" + super().format(record).replace("\n", f"\n<{priority}>")

    handler = logging.StreamHandler()
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(Journal("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What they have to say we notice ourselves, and say in an admin's words.
    for library in ("urllib3", "watchdog", "panoramisk"):
        logging.getLogger(library).setLevel(logging.CRITICAL)


@main.command()
@click.option("--once", is_flag=True, help="Read what is there, deliver until nothing is due, and exit.")
@config_option
def run(once: bool) -> None:
    """Read calls and deliver them: the daemon, in the foreground.

    SIGTERM ends it within seconds, SIGHUP reads agent.ini again. With --once, it says how many were sent by this run,
    and how many in the outbox wait now, are dead or rejects; exit code 0 says that everything has been delivered, 1
    that calls wait or are dead.
    """
    config = configured()
    set_up_logging(config.agent.log_level)
    _warn(config)
    step_back()
    if once:
        from humbug_agent.once import run_once

        sys.exit(run_once(config))
    else:
        _run(config)


def _warn(config: Config) -> None:
    for warning in config.warnings:
        log.warning("%s", warning)


def _run(config: Config) -> None:
    import signal

    from humbug_agent.agent import Agent, Ended

    # Between two agents nobody else listens to it, and it would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    while Agent(config).run() is Ended.RELOAD:
        try:
            config = load(config.path)
        except ConfigError as error:
            log.error("not reloaded, going on as before: %s", "; ".join(error.mistakes))
        else:
            set_up_logging(config.agent.log_level)
            log.info("%s: read again", config.path)
            _warn(config)


@main.command()
@config_option
@json_option
def check(as_json: bool) -> None:
    """Try the configuration, each source and each destination for real. Sends no call."""
    from humbug_agent import agent, lock, show
    from humbug_agent.destinations.contract import DeliveryError
    from humbug_agent.sources.contract import SourceError

    config = configured()
    named = f"{len(config.sources)} source(s), {len(config.destinations)} destination(s)"
    found = [("configuration", True, f"{config.path}: {named}")]
    found += [("warning", True, warning) for warning in config.warnings]
    directory = config.agent.outbox.parent
    usable = directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)
    hint = "" if usable else ": must be a directory that the user running humbug-agent can write"
    found.append(("outbox", usable, f"{config.agent.outbox}" if usable else f"{directory}{hint}"))
    sources = agent.make_sources(config)
    if config.status:
        # A web server that most agents never need.
        from humbug_agent import serving
        from humbug_agent.web.sockets import WebError

        serving.make_boards(sources)
        try:
            said = serving.check(config.status, running=lock.running(config.agent.outbox) is not None)
            found.append(("status", True, said))
        except WebError as error:
            found.append(("status", False, str(error)))
    for source in sources:
        try:
            found.append((f"source {source.name}", True, source.check()))
            if doubt := source.doubt():
                found.append(("warning", True, f"source {source.name}: {doubt}"))
        except (SourceError, OSError) as error:
            found.append((f"source {source.name}", False, str(error)))
    for destination in agent.make_destinations(config):
        try:
            found.append((f"destination {destination.name}", True, destination.check()))
        except DeliveryError as error:
            found.append((f"destination {destination.name}", False, error.reason))
    if as_json:
        show.as_json([{"part": part, "ok": good, "message": message} for part, good, message in found])
    else:
        width = max(len(part) for part, _, _ in found)
        for part, good, message in found:
            word, colour = (
                ("FAIL", "red") if not good else ("warn", "yellow") if part == "warning" else ("ok  ", "green")
            )
            click.echo(f"{click.style(word, fg=colour)}  {part.ljust(width)}  {message}")
    if not all(good for _, good, _ in found):
        sys.exit(1)


@main.command()
@config_option
@json_option
def status(as_json: bool) -> None:
    """What was read, what waits, what was sent, and what is wrong."""
    from humbug_agent import agent, lock, show, standing

    config = configured()
    found = standing.standing(config, agent.make_sources(config), time.time(), lock.running(config.agent.outbox))
    if as_json:
        show.as_json(found)
    else:
        standing.print_for_people(found)


@main.command()
@click.argument("text", required=False)
@click.option("--source", "name", help="The source whose format it is; the first one of agent.ini.")
@config_option
@json_option
def explain(text: str | None, name: str | None, as_json: bool) -> None:
    """Show what becomes of a record: its call, its parameters, the exact body. Sends nothing.

    TEXT is a line of Master.csv, or an AMI event for a source of that kind; without it, or with -, standard input.
    """
    from humbug_agent import agent, show

    config = configured()
    sources = {source.name: source for source in agent.make_sources(config)}
    if name is not None and name not in sources:
        raise click.UsageError(f"no [source {name}] in {config.path}; there are {', '.join(sources)}")
    raw = sys.stdin.buffer.read() if text in (None, "-") else os.fsencode(str(text))
    name = name or next(iter(sources))
    batch = sources[name].parse(raw)
    destinations = agent.make_destinations(config)
    calls = [
        {
            "call": show.record(record, config.agent.timezone),
            "destinations": {
                destination.name: {"parameters": preview.parameters, "body": preview.body}
                for destination in destinations
                for preview in [destination.preview(record)]
            },
        }
        for record in batch.records
    ]
    rejects = [
        {"reason": reject.reason, "text": decoded(reject.text, charset_of(config, name))} for reject in batch.rejects
    ]
    why_none = "" if calls or rejects else (raw.strip() and left_out(config, name)) or "nothing was given"
    if as_json:
        show.as_json({"calls": calls, "rejects": rejects})
    else:
        _explain_to_people(calls, rejects, why_none)
    if rejects or not calls:
        sys.exit(1)


def _explain_to_people(calls: list[dict[str, Any]], rejects: list[dict[str, str]], why_none: str) -> None:
    from humbug_agent import show

    for one in calls:
        show.pairs(one["call"].items())
        for name, sent in one["destinations"].items():
            click.secho(f"\nto destination {name}", bold=True)
            show.pairs(sent["parameters"].items())
            click.echo(f"\n{sent['body']}\n")
    for reject in rejects:
        click.echo(f"Not a call: {reject['reason']}\n  {show.printable(reject['text'])}", err=True)
    if why_none:
        click.echo(f"Not a call: {why_none}", err=True)


@main.command()
@click.option("--keep", is_flag=True, help="Go on until interrupted, with new calls coming in.")
def demo(keep: bool) -> None:
    """The whole way of a call, on this machine alone, with nothing configured."""
    from humbug_agent.demo import run_demo

    run_demo(keep)


main.add_command(outbox)
main.add_command(receiver)
