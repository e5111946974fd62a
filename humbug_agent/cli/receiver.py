"""`humbug-agent receiver`: the embedded receiver as a server of its own."""

from contextlib import closing
from pathlib import Path

import click


@click.command()
@click.option("--listen", default="127.0.0.1:8090", show_default=True, metavar="HOST:PORT", help="Port 0: a free one.")
@click.option("--store", type=click.Path(path_type=Path, dir_okay=False), default="humbug-calls.db", show_default=True)
@click.option("--api-key", envvar="HUMBUG_API_KEY", help="Take calls with this gateway only; also $HUMBUG_API_KEY.")
@click.option("--encryption-key", envvar="HUMBUG_ENCRYPTION_KEY", help="For encoded=1; also $HUMBUG_ENCRYPTION_KEY.")
@click.option("--certificate", type=click.Path(exists=True, path_type=Path), help="Serve HTTPS with this PEM file.")
@click.option("--private-key", type=click.Path(exists=True, path_type=Path), help="The key to it.")
@click.option("--fail-status", type=click.IntRange(200, 599), help="For tests: answer so instead.")
@click.option("--fail-every", type=click.IntRange(1), default=1, help="For tests: to every so-manieth call only.")
@click.option("--retry-after", help="For tests: the header of the failing answers.")
@click.option("--delay", type=click.FloatRange(0, 25), default=0.0, help="For tests: seconds before every answer.")
def receiver(
    listen: str,
    store: Path,
    api_key: str | None,
    encryption_key: str | None,
    certificate: Path | None,
    private_key: Path | None,
    fail_status: int | None,
    fail_every: int,
    retry_after: str | None,
    delay: float,
) -> None:
    """Take calls as Humbug's receiver does, check them strictly, and keep them in a SQLite file.

    A collector of your own, and something to try the agent with. The file's table is `calls`.
    """
    from humbug_agent.host.systemd import notify
    from humbug_agent.receiver import Misbehaviour, Receiver, ReceiverError, Store, serve

    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{listen!r} is not HOST:PORT", param_hint="--listen")

    def ready(url: str) -> None:
        click.echo(f"taking calls on {url}, keeping them in {store}")
        notify("READY=1")

    badly = Misbehaviour(status=fail_status, every=fail_every, delay=delay, retry_after=retry_after)
    try:
        with closing(Store(store)) as calls:
            serve(
                Receiver(calls, api_key, encryption_key, badly),
                host.strip("[]"),
                int(port),
                on_ready=ready,
                certificate=certificate,
                private_key=private_key,
            )
    except ReceiverError as error:
        raise click.ClickException(str(error)) from error
