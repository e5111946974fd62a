"""`humbug-agent receiver`: the embedded receiver as a server of its own, and what it has."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humbug_agent.cli.common import MOST_ROWS, json_option
from humbug_agent.cli.exporting import export_options, write_calls
from humbug_agent.cli.filters import TIMES, seconds_of
from humbug_agent.cli.log import set_up_logging
from humbug_agent.cli.tokens import LISTED, REVOKED, account_option, check, end, ids_argument, show
from humbug_agent.config import load_api, system_timezone
from humbug_agent.ini import is_loopback

if TYPE_CHECKING:
    from humbug_agent.receiver import Receiver
    from humbug_agent.receiver.store.api_store import StoredCalls
    from humbug_agent.receiver.store.contract import CallStore, Chosen

log = logging.getLogger("humbug_agent")

DEFAULT_STORE = "humbug-calls.db"
SHOWN = 50

_Command = Callable[..., None]


def _take_store(ctx: click.Context, _: click.Parameter, store: str | None) -> None:
    if store is not None:
        ctx.meta["store"] = store


store_option = click.option(
    "--store",
    metavar="FILE or URL",
    expose_value=False,
    callback=_take_store,
    help=f"Where calls are: a SQLite file, or postgresql://…; also $HUMBUG_STORE, else {DEFAULT_STORE}.",
)
"""For every command of the receiver. Where it stands more than once, the last one counts."""


def _where() -> str:
    said: str | None = click.get_current_context().meta.get("store")
    return said or os.environ.get("HUMBUG_STORE") or DEFAULT_STORE


@contextmanager
def _in_words() -> Iterator[None]:
    from humbug_agent.receiver import ReceiverError

    try:
        yield
    except ReceiverError as error:
        raise click.ClickException(str(error)) from error


@click.group(invoke_without_command=True)
@click.option("--listen", default="127.0.0.1:8090", show_default=True, metavar="HOST:PORT", help="Port 0: a free one.")
@store_option
@click.option(
    "--keys-file",
    type=click.Path(path_type=Path),
    envvar="HUMBUG_KEYS_FILE",
    help="Take calls of the PBXs whose NAME KEY is a line of it; also $HUMBUG_KEYS_FILE. SIGHUP reads it again.",
)
@click.option("--api-key", envvar="HUMBUG_API_KEY", help="Take calls with this gateway only; also $HUMBUG_API_KEY.")
@click.option("--encryption-key", envvar="HUMBUG_ENCRYPTION_KEY", help="For encoded=1; also $HUMBUG_ENCRYPTION_KEY.")
@click.option(
    "--keep-days",
    type=click.IntRange(1, 36500),
    envvar="HUMBUG_KEEP_DAYS",
    help="Drop what came longer ago; also $HUMBUG_KEEP_DAYS. Without it everything is kept.",
)
@click.option(
    "--certificate",
    type=click.Path(exists=True, path_type=Path),
    envvar="HUMBUG_CERTIFICATE",
    help="Serve HTTPS with this PEM file; also $HUMBUG_CERTIFICATE. SIGHUP reads it again.",
)
@click.option(
    "--private-key",
    type=click.Path(exists=True, path_type=Path),
    envvar="HUMBUG_PRIVATE_KEY",
    help="The key to it; also $HUMBUG_PRIVATE_KEY.",
)
@click.option(
    "--api-file",
    type=click.Path(path_type=Path),
    envvar="HUMBUG_API_FILE",
    help="Have calls asked for as its [api] and [api NAME] say, as in agent.ini; also $HUMBUG_API_FILE.",
)
@click.option("--fail-status", type=click.IntRange(200, 599), help="For tests: answer so instead.")
@click.option("--fail-every", type=click.IntRange(1), default=1, help="For tests: to every so-manieth call only.")
@click.option("--retry-after", help="For tests: the header of the failing answers.")
@click.option("--delay", type=click.FloatRange(0, 25), default=0.0, help="For tests: seconds before every answer.")
@click.pass_context
def receiver(
    ctx: click.Context,
    listen: str,
    keys_file: Path | None,
    api_key: str | None,
    encryption_key: str | None,
    keep_days: int | None,
    certificate: Path | None,
    private_key: Path | None,
    api_file: Path | None,
    fail_status: int | None,
    fail_every: int,
    retry_after: str | None,
    delay: float,
) -> None:
    """Take calls as Humbug's receiver does, check them strictly, and keep them, of one PBX or of many.

    A collector of your own, and something to try the agent with. The store's table is `calls`. Other hosts may send
    only where there is a key.
    """
    if ctx.invoked_subcommand:
        return
    from humbug_agent.host.systemd import notify
    from humbug_agent.receiver import Misbehaviour, Receiver, serve
    from humbug_agent.receiver.store import opened

    host, port = _address(listen)
    if keys_file and api_key:
        raise click.UsageError("--keys-file and --api-key: keep one of them")
    if not (keys_file or api_key or is_loopback(host)):
        raise click.UsageError(f"--listen {listen}: other hosts could send and ask; give --keys-file or --api-key")
    set_up_logging("info")
    if not (certificate or is_loopback(host)):
        log.warning("receiver: keys and calls come unencrypted to %s; --certificate gives HTTPS", listen)

    def ready(url: str) -> None:
        click.echo(f"taking calls on {url}, keeping them in {store.where}")
        notify("READY=1")

    badly = Misbehaviour(status=fail_status, every=fail_every, delay=delay, retry_after=retry_after)
    with _in_words(), closing(opened(_where())) as store:
        receiving = Receiver(store, api_key, encryption_key, badly)
        if keys_file:
            _read_keys(receiving, keys_file)
        with _answering(api_file, store, keep_days):
            serve(
                receiving,
                host,
                port,
                on_ready=ready,
                on_hangup=lambda: _read_keys_again(receiving, keys_file),
                keep_days=keep_days,
                certificate=certificate,
                private_key=private_key,
            )


@contextmanager
def _answering(api_file: Path | None, store: "CallStore", keep_days: int | None) -> Iterator[None]:
    """Who asks for calls by one of the APIs is answered meanwhile. Raises ConfigError, StoreError."""
    if not api_file:
        yield
        return
    from humbug_agent.api.app import Api
    from humbug_agent.api.workers import Workers
    from humbug_agent.call_store.pages import Views
    from humbug_agent.http_server.server import Server, WebError
    from humbug_agent.receiver.store.api_store import StoredCalls, prepare

    settings, zone = load_api(api_file), system_timezone()
    prepare(store)
    workers = Workers(partial(StoredCalls, store, zone, Views()))
    server = Server(Api(settings, zone, f"--keep-days {keep_days}" if keep_days else "--keep-days", workers), settings)
    try:
        server.start()
        log.info("[api] answers on %s", settings.where)
        yield
    except WebError as error:
        raise click.ClickException(str(error)) from error
    finally:
        server.stop()
        workers.stop()


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{listen!r} is not HOST:PORT", param_hint="--listen")
    return host.strip("[]"), int(port)


def _read_keys(receiving: "Receiver", path: Path) -> None:
    """Raises KeysError."""
    from humbug_agent.receiver.keys import read
    from humbug_agent.words import count

    receiving.keys = read(path)
    log.info("keys file %s: %s", path, count(len(receiving.keys), "key"))


def _read_keys_again(receiving: "Receiver", path: Path | None) -> None:
    from humbug_agent.receiver.keys import KeysError

    if not path:
        return
    try:
        _read_keys(receiving, path)
    except KeysError as error:
        for mistake in error.mistakes:
            log.error("the keys of before stay: %s", mistake)


def choices(command: _Command) -> _Command:
    """The options that choose calls; the command gets them as keyword arguments."""
    for option in (
        click.option("--until", metavar="TIME", help="Only calls begun before; the same forms."),
        click.option("--since", metavar="TIME", help=f"Only calls begun since, by the PBX's clock: {TIMES}."),
        click.option("--number", help="Only from or to a number that ends so."),
        click.option("--uniqueid", help="Only with this uniqueid."),
        click.option("--pbx", metavar="NAME", help="Only of this PBX, as the keys file names it."),
    ):
        command = option(command)
    return command


def _chosen(options: dict[str, Any]) -> "Chosen":
    """Raises click.BadParameter."""
    from humbug_agent.receiver.store.contract import Chosen

    zone = system_timezone()
    for name in ("since", "until"):
        if (at := seconds_of(name, options[name], zone)) is not None:
            options[name] = f"{datetime.fromtimestamp(at, UTC).astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return Chosen(**options)


@contextmanager
def _opened() -> "Iterator[CallStore]":
    """The store as it is; looking at it does not make one."""
    from humbug_agent.receiver.store import opened, path_of

    where = _where()
    if (path := path_of(where)) and not path.exists():
        raise click.ClickException(f"{path}: does not exist yet; humbug-agent receiver makes it")
    with _in_words(), closing(opened(where)) as store:
        yield store


@receiver.command("list")
@choices
@click.option("--limit", type=click.IntRange(1, MOST_ROWS), help=f"The last so many; {SHOWN} unless --json.")
@store_option
@json_option
def list_(limit: int | None, as_json: bool, **options: Any) -> None:
    """The calls that came, the last ones last."""
    from humbug_agent.cli import output

    chosen = _chosen(options)
    with _opened() as store:
        if as_json:
            output.json_list(store.newest(chosen, limit) if limit else store.rows(chosen))
            return
        found, number = store.newest(chosen, limit or SHOWN), store.number(chosen)
    output.table(
        ("ID", "PBX", "START (the PBX's time)", "SRC", "DST", "DISPOSITION", "SECONDS", "UNIQUEID", "RECEIVED (UTC)"),
        [
            (
                one["id"], one["pbx"], one["StartTime"], one["Source"], one["Destination"], one["Disposition"],
                one["BillableSeconds"], one["UniqueID"], one["received"][:19].replace("T", " "),
            )
            for one in found
        ],
    )  # fmt: skip
    if number > len(found):
        click.echo(f"the last {len(found)} of {number:,}; --limit shows more", err=True)


@receiver.command()
@choices
@export_options
@store_option
def export(form: str, output: str, **options: Any) -> None:
    """All that was sent of the calls, as CSV with a header or as JSON, an object a line."""
    from humbug_agent.receiver.store.contract import CALL_COLUMNS

    chosen = _chosen(options)
    with _opened() as store:
        write_calls(store.rows(chosen), ("id", *CALL_COLUMNS, "repeats"), form, output, store.number(chosen))


@receiver.group()
def tokens() -> None:
    """The tokens of /api/calls and /api/call_range, which each login makes. Also while the receiver runs."""


@contextmanager
def _asked() -> "Iterator[StoredCalls]":
    from humbug_agent.call_store.pages import Views
    from humbug_agent.receiver.store.api_store import StoredCalls

    with _opened() as store:
        yield StoredCalls(store, system_timezone(), Views())


@tokens.command("list", help=LISTED)
@store_option
@json_option
def list_tokens(as_json: bool) -> None:
    with _asked() as asked:
        found = asked.tokens()
    show(found, system_timezone(), as_json=as_json)


@tokens.command(help=REVOKED)
@ids_argument
@account_option
@store_option
def revoke(ids: tuple[int, ...], account: str | None) -> None:
    check(ids, account)
    with _asked() as asked:
        end(ids, account, drop=asked.drop_token, drop_all=asked.drop_tokens, command="receiver tokens list")
