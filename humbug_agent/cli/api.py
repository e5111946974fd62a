"""`humbug-agent api …`: who may ask for the stored calls."""

from functools import partial

import click

from humbug_agent.cli.common import config_option, configured, json_option, open_outbox
from humbug_agent.cli.tokens import LISTED, REVOKED, account_option, check, end, ids_argument, show


@click.group()
@config_option
def api() -> None:
    """Who may ask for the stored calls. Also while the daemon runs."""


@api.group()
def tokens() -> None:
    """The tokens of /api/calls and /api/call_range, which each login makes."""


@tokens.command("list", help=LISTED)
@config_option
@json_option
def list_(as_json: bool) -> None:
    from humbug_agent.outbox.tokens import tokens as kept

    config = configured()
    with open_outbox(config) as outbox:
        found = kept(outbox)
    show(found, config.agent.timezone, as_json=as_json)


@tokens.command()
@click.argument("name")
@config_option
@json_option
def add(name: str, as_json: bool) -> None:
    """Make a token for the program of [api NAME], which then needs no login. It is shown this once."""
    from humbug_agent.api.tokens import issued
    from humbug_agent.cli import output
    from humbug_agent.outbox import tokens as kept

    config = configured()
    asking = [one.name for one in config.api.asking("call_range")] if config.api else []
    if name not in asking:
        known = f"those that have are {', '.join(asking)}" if asking else "none has"
        raise click.BadParameter(f"{name!r} is no [api NAME] with email and password; {known}", param_hint="NAME")
    with open_outbox(config) as outbox:
        token = issued(name, partial(kept.add, outbox))
    if as_json:
        output.as_json({"account": name, "token": token})
    else:
        output.say(token)


@tokens.command(help=REVOKED)
@ids_argument
@account_option
@config_option
def revoke(ids: tuple[int, ...], account: str | None) -> None:
    from humbug_agent.outbox.tokens import drop, drop_all

    check(ids, account)
    with open_outbox(configured()) as outbox:
        end(ids, account, drop=partial(drop, outbox), drop_all=partial(drop_all, outbox), command="api tokens list")
