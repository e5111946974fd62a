"""`humbug-agent api …`: who may ask for the stored calls."""

from functools import partial

import click

from humbug_agent.cli.common import config_option, configured, json_option, open_outbox
from humbug_agent.words import count as counted
from humbug_agent.words import iso, moment


@click.group()
@config_option
def api() -> None:
    """Who may ask for the stored calls. Also while the daemon runs."""


@api.group()
def tokens() -> None:
    """The tokens of /api/calls and /api/call_range, which each login makes."""


@tokens.command("list")
@config_option
@json_option
def list_(as_json: bool) -> None:
    """All of them, the newest last: whose they are, when they were made and used. What they are nobody can show."""
    from humbug_agent.cli import output
    from humbug_agent.outbox.tokens import tokens as kept

    config = configured()
    zone = config.agent.timezone
    with open_outbox(config) as outbox:
        found = kept(outbox)
    if as_json:
        output.json_list(
            {"id": one.id, "account": one.account, "made": iso(one.made, zone), "used": iso(one.used, zone)}
            for one in found
        )
        return
    lines = ((one.id, one.account, moment(one.made, zone), moment(one.used, zone)) for one in found)
    output.table(("ID", "API NAME", f"MADE ({output.zone_name(zone)})", "USED (to the hour)"), lines)


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


@tokens.command()
@click.argument("ids", nargs=-1, type=click.IntRange(1))
@click.option("--account", metavar="NAME", help="All tokens of [api NAME], also where that is gone from agent.ini.")
@config_option
def revoke(ids: tuple[int, ...], account: str | None) -> None:
    """End tokens, by the IDs that `list` shows: from the next request on they are not taken. 1: there was none."""
    from humbug_agent.outbox.tokens import drop, drop_all

    if bool(ids) == (account is not None):
        raise click.UsageError("give either IDs or --account NAME")
    with open_outbox(configured()) as outbox:
        if account is not None:
            ended = drop_all(outbox, account)
        else:
            ended = sum(drop(outbox, one) for one in dict.fromkeys(ids))
    click.echo(f"{counted(ended, 'token')} revoked")
    if ended < max(len(set(ids)), 1):
        raise click.ClickException("the others were not there; humbug-agent api tokens list has all that are")
