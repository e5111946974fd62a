"""The demonstration: recorded calls, a growing Master.csv, the real pipeline, the embedded receiver. All on loopback.

The calls were recorded from a real Asterisk 22 (data/demo-Master.csv).
"""

import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from itertools import cycle
from pathlib import Path
from queue import SimpleQueue

import click

from humbug_agent import config as configuration
from humbug_agent.cli import output
from humbug_agent.daemon.agent import Ask, run_daemon
from humbug_agent.receiver import Background, Receiver, Store
from humbug_agent.words import count

API_KEY = "demo-api-key"
ENCRYPTION_KEY = "demo-encryption-key"
SECONDS = 12.0
PAUSE = 0.25

AGENT_INI = """\
[agent]
outbox = {directory}/outbox.db
log_level = warning

[source master-csv]
type = asterisk_csv
path = {directory}/Master.csv

[destination receiver]
type = humbug
url = {url}
api_key = {api_key}
encryption_key = {encryption_key}
"""


def run_demo(keep: bool) -> None:
    """Show the way of a call from Master.csv to a receiver. Ends within 15 seconds, with ``keep`` at Ctrl-C."""
    directory = Path(tempfile.mkdtemp(prefix="humbug-demo-"))
    # A script that starts it in the background has SIGINT ignored, and Python would leave it so.
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        with closing(Store(directory / "calls.db")) as store:
            _demonstrate(directory, store, keep, stop)
    finally:
        signal.signal(signal.SIGINT, before)
        shutil.rmtree(directory)


def _demonstrate(directory: Path, store: Store, keep: bool, stop: threading.Event) -> None:
    with Background(Receiver(store, API_KEY, ENCRYPTION_KEY)) as receiver:
        ini = directory / "agent.ini"
        ini.touch(0o600)
        values = {"directory": directory, "url": receiver.url, "api_key": API_KEY, "encryption_key": ENCRYPTION_KEY}
        ini.write_text(AGENT_INI.format(**values))
        click.echo(f"A receiver takes calls on {receiver.url}, encoded, and keeps them.")
        click.echo(f"humbug-agent follows {directory}/Master.csv, to which Asterisk's recorded calls are written:\n")
        asked: SimpleQueue[Ask] = SimpleQueue()
        thread = threading.Thread(
            target=run_daemon, args=(configuration.load(ini), asked, lambda _: None), name="agent"
        )
        thread.start()
        try:
            written = _grow(directory / "Master.csv", store, keep, stop)
            arrived = _wait_for(store, written, stop)
            if stop.is_set():
                written = arrived = store.count()
        finally:
            asked.put(Ask.STOP)
            thread.join()
        _print_arrived(store)
    calls = count(written, "call was", "calls were")
    click.echo(f"\n{calls} written, {arrived:,} have arrived, {store.repeats():,} of them twice.")
    if arrived < written:
        raise click.ClickException("not all calls arrived; please report this with the text above")
    click.echo(_NEXT)


def _grow(path: Path, store: Store, keep: bool, stop: threading.Event) -> int:
    """Append record by record, each opened and closed as Asterisk does. Returns how many."""
    until = time.monotonic() + SECONDS / 2
    written = 0
    for record in _records(keep):
        if stop.is_set() or (not keep and time.monotonic() > until):
            break
        with open(path, "ab") as master:
            master.write(record)
        written += 1
        if keep and _wait_for(store, written, stop) == written:
            _print_last(store)
        stop.wait(PAUSE)
    return written


def _records(keep: bool) -> Iterator[bytes]:
    """The recorded ones; with ``keep`` over and over, with the present time so that they are new calls."""
    recorded = (files("humbug_agent") / "data" / "demo-Master.csv").read_bytes().splitlines(keepends=True)
    if not keep:
        yield from recorded
        return
    for record in cycle(recorded):
        columns = record.split(b'"2026-11-20 ')
        now = time.strftime('"%Y-%m-%d ', time.localtime()).encode()
        stamp = time.strftime("%H:%M:%S", time.localtime()).encode()
        yield now.join([columns[0], *(stamp + rest[8:] for rest in columns[1:])])


def _wait_for(store: Store, number: int, stop: threading.Event) -> int:
    """Until so many calls have arrived, some seconds have passed, or it is to end. Returns how many have."""
    deadline = time.monotonic() + 3
    while store.count() < number and time.monotonic() < deadline and not stop.is_set():
        time.sleep(0.02)
    return store.count()


def _print_last(store: Store) -> None:
    *_, last = store.rows()
    output.say("  ".join(str(last[name]) for name in _SHOWN))


_SHOWN = ("StartTime", "Source", "Destination", "Disposition", "BillableSeconds", "CallerID", "UniqueID")


def _print_arrived(store: Store) -> None:
    output.table([name.upper() for name in _SHOWN], [[row[name] for name in _SHOWN] for row in store.rows()])


_NEXT = """
Next, on your PBX:
  1. Put your API key into /etc/humbug-agent/agent.ini; agent.ini.example shows how.
  2. humbug-agent check     tries file and receiver, and sends nothing.
  3. humbug-agent run       is what systemd starts; humbug-agent status shows how it fares.
Without an account, humbug-agent receiver is a collector of your own.
"""
