"""Tokens of an API, listed and revoked: an agent's and a collector's alike."""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

import click

from humbug_agent.cli.common import MOST_ROWS
from humbug_agent.words import count as counted
from humbug_agent.words import iso, moment

if TYPE_CHECKING:
    from humbug_agent.call_store.contract import Token

LISTED = "All of them, the newest last: whose they are, when they were made and used. What they are nobody can show."
REVOKED = "End tokens, by the IDs that `list` shows: from the next request on they are not taken. 1: there was none."

ids_argument = click.argument("ids", nargs=-1, type=click.IntRange(1, MOST_ROWS))
account_option = click.option("--account", metavar="NAME", help="All tokens of [api NAME], also where that is no more.")


def show(found: "Sequence[Token]", zone: tzinfo, *, as_json: bool) -> None:
    from humbug_agent.cli import output

    if as_json:
        output.json_list(
            {"id": one.id, "account": one.account, "made": iso(one.made, zone), "used": iso(one.used, zone)}
            for one in found
        )
        return
    lines = ((one.id, one.account, moment(one.made, zone), moment(one.used, zone)) for one in found)
    output.table(("ID", "API NAME", f"MADE ({output.zone_name(zone)})", "USED (to the hour)"), lines)


def check(ids: Sequence[int], account: str | None) -> None:
    """Raises UsageError where both are given, or none."""
    if bool(ids) == (account is not None):
        raise click.UsageError("give either IDs or --account NAME")


def end(
    ids: Sequence[int],
    account: str | None,
    *,
    drop: Callable[[int], bool],
    drop_all: Callable[[str], int],
    command: str,
) -> None:
    """``command`` lists them. Raises ClickException where one was not there."""
    ended = sum(map(drop, dict.fromkeys(ids))) if account is None else drop_all(account)
    click.echo(f"{counted(ended, 'token')} revoked")
    if ended < max(len(set(ids)), 1):
        raise click.ClickException(f"the others were not there; humbug-agent {command} has all that are")
