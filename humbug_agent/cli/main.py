"""humbug-agent's command line. Exit codes: 0 good, 1 it did not work, 2 usage or configuration.

Heavy modules are imported where they are used: shell completion starts this program at every key.
"""

import errno
import io
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from humbug_agent import __version__
from humbug_agent.cli.api import api
from humbug_agent.cli.common import charset_of, config_option, config_path, configured, json_option, left_out
from humbug_agent.cli.log import set_up_logging
from humbug_agent.cli.outbox import outbox
from humbug_agent.cli.receiver import receiver
from humbug_agent.config import DEFAULT_PATH, Config
from humbug_agent.host.pbx_first import step_back
from humbug_agent.ini import ConfigError
from humbug_agent.text import is_utf8, printable
from humbug_agent.text import text as decoded
from humbug_agent.words import OTHER_USER, said

log = logging.getLogger("humbug_agent")

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}
"""What writing fails with: a full disk, a limit, a broken disk or terminal, a closed descriptor."""


class _Group(click.Group):
    """Turns what went wrong into a line for the admin and an exit code; a traceback is for our own faults only."""

    def main(self, *args: Any, **extra: Any) -> Any:
        # None where it was closed (`>&-`): to write the output fails then, as it should; messages go nowhere.
        sys.stdout = sys.stdout or os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
        sys.stderr = sys.stderr or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        for stream in (sys.stdout, sys.stderr):
            # What a terminal's character set lacks is told by its code: half of a table helps nobody.
            if isinstance(stream, io.TextIOWrapper) and not is_utf8(stream):
                stream.reconfigure(errors="backslashreplace")
        # Around all of it: help is printed, and files are closed, outside of `invoke`.
        try:
            return super().main(*args, **extra)
        except OSError as error:
            # Click itself is quiet where nobody reads any more (`| head`); this is a full disk, or the like.
            where = error.filename
            if where is None and error.errno in UNWRITABLE:
                where = "the output"
            if where is None:
                raise
            _unwritten(f"{where}: {error.strerror}")
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        from humbug_agent.destinations.contract import DeliveryError
        from humbug_agent.outbox.lock import AgentError
        from humbug_agent.outbox.schema import OutboxError
        from humbug_agent.sources.contract import SourceError

        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for mistake in error.mistakes:
                click.echo(f"{click.style('Error:', fg='red')} {printable(mistake)}", err=True)
            ctx.exit(2)
        except (AgentError, DeliveryError, OutboxError, SourceError) as error:
            raise click.ClickException(printable(str(error))) from error
        except PermissionError as error:
            raise click.ClickException(f"{said(error)}; {OTHER_USER}") from error
        except UnicodeEncodeError as error:
            if error.reason != "surrogates not allowed":
                raise
            raise click.UsageError("an argument is no text: it has bytes that are not UTF-8") from error


def _unwritten(why: str) -> None:
    click.echo(f"Error: {why}", err=True)
    # What could not be written would be tried again at the end of the process.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="humbug-agent")
@click.option(
    "--config",
    "path",
    # Who can't read it is told so by the command, in its own way.
    type=click.Path(path_type=Path, readable=False),
    envvar="HUMBUG_AGENT_CONFIG",
    default=DEFAULT_PATH,
    show_default=True,
    help="agent.ini; also $HUMBUG_AGENT_CONFIG.",
)
@click.pass_context
def main(ctx: click.Context, path: Path) -> None:
    """Brings every call record of this PBX to a Humbug receiver, and loses none."""
    ctx.obj = path


@main.command()
@click.option("--once", is_flag=True, help="Read what is there, try to deliver all that waits, and exit.")
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
        from humbug_agent.cli.once import run_once

        sys.exit(run_once(config))
    else:
        _run(config)


def _warn(config: Config) -> None:
    for warning in config.warnings:
        log.warning("%s", warning)


def _run(config: Config) -> None:
    import signal
    from queue import SimpleQueue

    from humbug_agent.daemon.agent import Ask, run_daemon

    asked: SimpleQueue[Ask] = SimpleQueue()
    for number, ask in ((signal.SIGTERM, Ask.STOP), (signal.SIGINT, Ask.STOP), (signal.SIGHUP, Ask.RELOAD)):
        # Unlike an Event, a handler may put something into a queue while the thread that it interrupts waits for it.
        signal.signal(number, lambda *_, ask=ask: asked.put(ask))

    def read_again(config: Config) -> None:
        set_up_logging(config.agent.log_level)
        log.info("%s: read again", config.path)
        _warn(config)

    run_daemon(config, asked, read_again)


@main.command()
@config_option
def reload() -> None:
    """Have the running daemon read agent.ini again; exit code 2 says that it is refused, and all goes on as before."""
    from humbug_agent.cli.reloading import reload as reload_now

    path = config_path()
    remark = reload_now(path)
    click.echo(f"{path}: read again")
    if remark:
        click.echo(f"{click.style('Warning:', fg='yellow')} {remark}", err=True)


@main.command()
@config_option
@json_option
def check(as_json: bool) -> None:
    """Try the configuration, each source and each destination for real. Sends no call.

    As root, files are tried as the daemon's user.
    """
    from humbug_agent.cli import checking, output

    found = checking.check(config_path())
    if as_json:
        output.as_json([one.as_json() for one in found])
    else:
        checking.print_for_people(found)
    if any(one.level == "fail" for one in found):
        sys.exit(1)


@main.command()
@config_option
@json_option
def doctor(as_json: bool) -> None:
    """Find what is wrong on this host: the agent, the PBX's configuration, files, clock, disks. Changes nothing.

    Each finding has a code, and a line to change. Run it as root, on the PBX. Exit code 1 says that there are warnings,
    2 that there are errors: calls are, or will be, missing, late or wrong.
    """
    from humbug_agent.cli import doctoring, output

    report = doctoring.doctor(config_path())
    if as_json:
        output.as_json([one.as_json() for one in report.findings])
    else:
        doctoring.print_for_people(report)
    sys.exit(report.exit_code)


@main.command()
@config_option
@json_option
@click.option("--nagios", is_flag=True, help="A line and an exit code for Nagios, Icinga, Checkmk and their like.")
def status(as_json: bool, nagios: bool) -> None:
    """What was read, what waits, what was sent, and what is wrong.

    Exit code 1 says that the daemon is down, or that a source, a destination, the board or the page can't do its work;
    2 that agent.ini has mistakes.
    """
    from humbug_agent.cli import output
    from humbug_agent.cli.status import print_for_people
    from humbug_agent.status import overview

    if nagios:
        from humbug_agent.cli.nagios import answer
        from humbug_agent.status.troubles import Level

        line, level = answer(config_path())
        try:
            click.echo(line)
        except OSError as error:
            # An exit code without its line says nothing.
            _unwritten(f"the output: {error.strerror}")
            level = Level.UNKNOWN
        sys.exit(level)
    try:
        found = overview.overview(config_path())
    except ConfigError:
        if os.access(config_path(), os.R_OK) and not as_json:
            output.pairs([("agent", "not running")])
        raise
    if as_json:
        output.as_json(found.as_json())
    else:
        print_for_people(found)
    for mistake in found.agent_ini.mistakes:
        click.echo(f"{click.style('Error:', fg='red')} {printable(mistake)}", err=True)
    sys.exit(found.exit_code)


@main.command()
@click.argument("text", required=False)
@click.option("--source", "name", help="The source whose format it is; the first one of agent.ini.")
@config_option
@json_option
def explain(text: str | None, name: str | None, as_json: bool) -> None:
    """Show what becomes of a record: its call, who takes it and why not, its parameters, the exact body. Sends nothing.

    TEXT is a line of Master.csv, or an AMI event for a source of that kind; without it, or with -, standard input.
    """
    from humbug_agent.cli import explaining, output

    config = configured()
    sources = {source.name: source for source in config.make_sources()}
    if name is not None and name not in sources:
        raise click.UsageError(f"no [source {name}] in {config.path}; there are {', '.join(sources)}")
    raw = sys.stdin.buffer.read() if text in (None, "-") else os.fsencode(str(text))
    name = name or next(iter(sources))
    batch = sources[name].parse(raw)
    calls = [explaining.explained(config, record) for record in batch.records]
    rejects = [
        {"reason": reject.reason, "text": decoded(reject.text, charset_of(config, name))} for reject in batch.rejects
    ]
    why_none = "" if calls or rejects else (raw.strip() and left_out(config, name)) or "nothing was given"
    if as_json:
        output.as_json({"calls": calls, "rejects": rejects})
    else:
        explaining.print_for_people(calls, rejects, why_none)
    if rejects or not calls:
        sys.exit(1)


@main.command()
@click.option(
    "--since", default="30d", show_default=True, metavar="TIME", help="From the beginning of the day of that time on."
)
@click.option("--source", "name", metavar="NAME", help="Only this [source NAME].")
@click.option("--send", is_flag=True, help="Bring what is missing into the outbox, and so to the destinations.")
@config_option
@json_option
def reconcile(since: str, name: str | None, send: bool, as_json: bool) -> None:
    """Compare, day by day, what the PBX has, what the outbox has, and what each destination accepted.

    Each source is asked once more for its calls. Sends nothing without --send, which brings in what is missing, each
    call once, also while the daemon runs. Exit code 1 says that something is missing, was refused, or is a reject.
    """
    from humbug_agent.cli import reconciling

    step_back()
    sys.exit(reconciling.reconcile(configured(), since, name, send=send, as_json=as_json))


@main.command("test-call")
@click.option("--to", "name", metavar="NAME", help="The [destination NAME] to test; the first one of agent.ini.")
@click.option("--account", metavar="VALUE", help="Whose key is tried, of those in its api_keys_file.")
@config_option
@json_option
def test_call(name: str | None, account: str | None, as_json: bool) -> None:
    """Send a marked test record to the receiver, and say what it answered: are the keys right?

    Through the outbox of the running daemon, or by itself where none runs. It is counted nowhere among the calls of
    the PBX, and nothing of it stays in the outbox. Exit code 0 says that the receiver took it.
    """
    from humbug_agent.cli import output, testcall

    def say(word: str, text: str) -> None:
        output.say(f"{time.strftime('%H:%M:%S')}  {word.ljust(8)}  {text}")

    try:
        found = testcall.send_test_call(configured(), name, (lambda *_: None) if as_json else say, account=account)
    except LookupError as error:
        raise click.UsageError(printable(str(error.args[0]))) from error
    if as_json:
        output.as_json(found.as_json())
    elif found.taken:
        say("good", f"destination {found.destination} took it: it has the uniqueid {found.uniqueid}")
    else:
        say("do", found.advice)
    sys.exit(0 if found.taken else 1)


@main.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file to write, or - for standard output; else one in this folder, with the time in its name.",
)
@click.option("--with-calls", is_flag=True, help="With calls, names and telephone numbers; never with secrets.")
@config_option
def support(output: Path | None, with_calls: bool) -> None:
    """Write one text that can be mailed: what somebody must know who is asked for help from afar.

    Configuration, status, check, doctor, log and metrics, without secrets, names and telephone numbers. It takes half
    a minute, since it looks at the metrics twice.
    """
    from humbug_agent.cli.support import bundle, pass_time, write

    found = bundle(config_path(), with_calls=with_calls, wait=pass_time)
    if output == Path("-"):
        click.echo(found, nl=False)
        return
    file = output or Path(time.strftime("humbug-agent-support-%Y%m%dT%H%M%S.txt"))
    write(found, file)
    click.echo(f"{file}: its owner alone can read it; look through it before you mail it")


@main.command()
@click.option("--apply", is_flag=True, help="Make the changes. Without it they are only shown.")
@click.option("--yes", is_flag=True, help="Ask nothing, as where there is no terminal.")
@click.option("--api-key", envvar="HUMBUG_API_KEY", help="Humbug's key for this PBX; also $HUMBUG_API_KEY.")
@click.option("--country", envvar="HUMBUG_COUNTRY", metavar="CH", help="Of the PBX, or none; also $HUMBUG_COUNTRY.")
@click.option("--url", envvar="HUMBUG_URL", help="Another receiver than Humbug's own; also $HUMBUG_URL.")
@config_option
def init(apply: bool, yes: bool, api_key: str | None, country: str | None, url: str | None) -> None:
    """Set this PBX and agent.ini up for each other. Shows what that takes; --apply does it.

    It finds out what the PBX is and where its calls are, writes agent.ini, makes an AMI user, changes what the PBX
    needs (a copy of each file stays beside it), has both take it, and sends a test call. Run again, it changes
    nothing. Exit code 0 says that all is well.
    """
    from humbug_agent.cli.init import init as init_now

    ask = not yes and sys.stdin is not None and sys.stdin.isatty()
    # The daemon looks for the files that stand in it from another folder.
    if not init_now(config_path().absolute(), api_key, country, url, apply=apply, ask=ask):
        sys.exit(1)


@main.command()
@click.option("--keep", is_flag=True, help="Go on until interrupted, with new calls coming in.")
def demo(keep: bool) -> None:
    """The whole way of a call, on this machine alone, with nothing configured."""
    from humbug_agent.cli.demo import run_demo

    run_demo(keep)


main.add_command(api)
main.add_command(outbox)
main.add_command(receiver)
