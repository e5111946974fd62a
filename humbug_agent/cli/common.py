"""What the commands share: the configuration of this invocation, the outbox, the options."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from humbug_agent.config import DEFAULT_PATH, Config, load
from humbug_agent.text import AUTO

MOST_ROWS = 2**63 - 1
"""The largest number that SQLite, and a PostgreSQL's bigint, can have."""

if TYPE_CHECKING:
    from humbug_agent.outbox.outbox import Outbox


def _take_config(ctx: click.Context, _: click.Parameter, path: Path | None) -> None:
    if path is not None:
        ctx.obj = path


config_option = click.option(
    "--config",
    "path",
    # Who can't read it is told so by the command, in its own way.
    type=click.Path(path_type=Path, readable=False),
    expose_value=False,
    callback=_take_config,
    help="Another agent.ini; the same as in front of the command.",
)
"""For every command that reads agent.ini. Where it stands more than once, the last one counts."""

json_option = click.option("--json", "as_json", is_flag=True, help="JSON for machines.")


def config_path() -> Path:
    """Where agent.ini of this invocation is."""
    return click.get_current_context().find_object(Path) or DEFAULT_PATH


def configured() -> Config:
    """agent.ini of this invocation. Raises ConfigError."""
    return load(config_path())


def charset_of(config: Config, source: str) -> str:
    """Of its text, as agent.ini has it now; AUTO where it says nothing of it, or knows no such source any more."""
    return next((one.charset for one in config.sources if one.name == source), AUTO)


def open_outbox(config: Config) -> "Outbox":
    """The outbox as it is; looking at it does not make one. Raises OutboxError."""
    from humbug_agent.outbox.outbox import Outbox
    from humbug_agent.outbox.schema import OutboxError

    if not config.agent.outbox.exists():
        raise OutboxError(f"outbox {config.agent.outbox}: does not exist yet; humbug-agent run makes it")
    return Outbox(config.agent.outbox)


def left_out(config: Config, name: str) -> str:
    """Why a record that could be read makes no call: what of the source's settings leaves it out. Blank: nothing."""
    return next(source for source in config.sources if source.name == name).left_out()
