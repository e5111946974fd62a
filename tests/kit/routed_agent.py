"""An agent with several destinations of type humbug, and the parts of it that take calls in and deliver them."""

import threading
from collections.abc import Mapping
from pathlib import Path

from humbug_agent.cdr import CDR, Batch
from humbug_agent.config import Config, load
from humbug_agent.daemon.agent import deliver_once
from humbug_agent.outbox.outbox import Outbox


def config_of(folder: Path, destinations: Mapping[str, str]) -> Config:
    """One with these destinations: name -> the lines of its section."""
    ini = folder / "agent.ini"
    ini.touch(0o600)
    ini.write_text(
        f"[agent]\noutbox = {folder}/outbox.db\ntimezone = UTC\n"
        f"[source csv]\ntype = asterisk_csv\npath = {folder}/Master.csv\n"
        + "".join(f"[destination {name}]\ntype = humbug\n{lines}\n" for name, lines in destinations.items())
    )
    return load(ini)


def accepted(config: Config, some: list[CDR]) -> None:
    with Outbox(config.agent.outbox) as outbox:
        outbox.accept("csv", Batch(some, [], None), config.takers())


def delivered(config: Config) -> None:
    """All that is due."""
    with Outbox(config.agent.outbox) as outbox:
        deliver_once(config, outbox, threading.Event(), lambda _: None)
