"""`explain`: what becomes of a record, destination by destination; and why one does not take it."""

from collections.abc import Sequence
from typing import Any

import click

from humbug_agent.cdr import Record
from humbug_agent.cli import output
from humbug_agent.config import Config
from humbug_agent.flat import flatten


def explained(config: Config, record: Record) -> dict[str, Any]:
    """The record, what each destination would be sent, and of those that don't take it why not."""
    why = left_out(config, record)
    previews = {one.name: one.preview(record) for one in config.make_destinations() if one.name not in why}
    return {
        "call": output.record(record, config.agent.timezone),
        "destinations": {name: {"parameters": one.parameters, "body": one.body} for name, one in previews.items()},
        "left_out": why,
    }


def left_out(config: Config, record: Record) -> dict[str, str]:
    """The destinations that don't take it, by their names, and why."""
    flat, country = flatten(record), config.numbers.country
    return {one.name: why for one in config.destinations if one.only and (why := one.only.why_not(flat, country))}


def print_for_people(calls: Sequence[dict[str, Any]], rejects: Sequence[dict[str, str]], why_none: str) -> None:
    for one in calls:
        output.pairs(one["call"].items())
        for name, sent in one["destinations"].items():
            click.secho(f"\nto destination {name}", bold=True)
            output.pairs(sent["parameters"].items())
            click.echo()
            output.say(sent["body"])
            click.echo()
        for name, why in one["left_out"].items():
            click.secho(f"\nnot to destination {name}", bold=True)
            output.say(why)
    for reject in rejects:
        output.say(f"Not a call: {reject['reason']}", err=True)
        output.say(f"  {reject['text']}", err=True)
    if why_none:
        output.say(f"Not a call: {why_none}", err=True)
