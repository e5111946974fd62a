"""`humbug-agent outbox erase`: a person's number, and all that is kept of the calls in which it stands."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humbug_agent.cli.common import config_option, configured, json_option, open_outbox
from humbug_agent.words import count as counted

if TYPE_CHECKING:
    from humbug_agent.config import Config
    from humbug_agent.numbers.outside import Sought
    from humbug_agent.outbox.erasing import Found
    from humbug_agent.outbox.outbox import Outbox

SHOWN = 50
COMPANIONS = ("", "-wal", "-shm", ".lock")
"""What stands behind the outbox's name in those of the files that belong to it."""


@click.command()
@click.argument("number")
@click.option("--also-unsent", is_flag=True, help="Also calls that a destination does not have yet.")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def erase(number: str, also_unsent: bool, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Remove a person's NUMBER from everything that is kept: calls from or to it, rejects, answers. For good.

    NUMBER in any form, such as +41441234567, 0041441234567 or, with [numbers] country, 0441234567. A re-read does not
    bring back what went.
    """
    from humbug_agent.cli import output
    from humbug_agent.numbers.outside import Sought
    from humbug_agent.outbox import erasing

    config = configured()
    try:
        sought = Sought(number, config.numbers.country)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NUMBER") from None
    with open_outbox(config) as box:
        found = erasing.look(box, sought.stands_in)
        unsent = len(found.unsent) + found.spilled
        if not as_json:
            _show(config, box, sought, found)
        if unsent and not (also_unsent or dry_run):
            raise click.ClickException(
                f"{counted(unsent, 'call has', 'calls have')} not reached every destination yet, and never would: "
                "deliver them first (humbug-agent outbox list --state waiting, and --state dead), or say --also-unsent"
            )
        left: list[Path] = []
        if not dry_run:
            if _number_of(found) and not yes:
                click.confirm(f"Erase {_said(found)} for good?", abort=True, err=True)
            with click.progressbar(
                length=erasing.last(box), label="Erasing", file=sys.stderr, hidden=not sys.stderr.isatty()
            ) as bar:
                found = erasing.erase(box, sought.stands_in, unsent=also_unsent, progress=bar.update)
            # Also where nothing was found: it may have been dropped earlier, and not been wiped.
            if not erasing.wipe(box, sought.forms) and not found.kept:
                left.append(box.path)
        left += [path for path in _beside(box.path) if erasing.stands_in_file(path, sought.forms)]
    if as_json:
        output.as_json(_document(config, sought, found, left, dry_run=dry_run))
    else:
        click.echo(f"{_said(found)} {'would be' if dry_run else 'is' if _number_of(found) == 1 else 'are'} erased")
        for line in _remarks(config, sought, found, left):
            output.say(line, err=True)
    sys.exit(1 if not dry_run and (left or found.kept) else 0)


def _show(config: "Config", box: "Outbox", sought: "Sought", found: "Found") -> None:
    """The calls, the newest last."""
    from humbug_agent.cli import output
    from humbug_agent.outbox import queries

    zone = config.agent.timezone
    entries = queries.entries(box, queries.Filter(ids=found.calls[-SHOWN:])) if found.calls else iter(())
    lines = {
        one.id: (one.id, output.begun(one.record, zone), shown["src"], shown["dst"], shown["disposition"])
        for one in entries
        for shown in [output.entry(one, zone)]
    }
    if lines:
        output.table(("ID", f"START ({output.zone_name(zone)})", "SRC", "DST", "DISPOSITION"), list(lines.values()))
    if len(found.calls) > SHOWN:
        click.echo(f"the last {SHOWN} of {counted(len(found.calls), 'call')}", err=True)
    click.echo(f"looked for {' and '.join(sought.forms)}", err=True)


def _number_of(found: "Found") -> int:
    return len(found.calls) + len(found.rejects) + found.spilled + found.texts


def _said(found: "Found") -> str:
    return (
        f"{counted(len(found.calls), 'call')} ({len(found.unsent):,} not delivered), "
        f"{counted(len(found.rejects), 'reject')}, {counted(found.spilled, 'spilled record')}, "
        f"{counted(found.texts, 'answer or error', 'answers and errors')}"
    )


def _beside(outbox: Path) -> Iterator[Path]:
    """Files that an earlier outbox became when it was damaged, replaced or copied, and what a cut erasing has left."""
    spilled = f"{outbox.name}.spilled-"
    for path in sorted([*outbox.parent.glob(f"{outbox.name}*"), *outbox.parent.glob(f".{outbox.name}*")]):
        known = path.name.removeprefix(outbox.name) in COMPANIONS or path.name.startswith(spilled)
        if not known and path.is_file():
            yield path


def _remarks(config: "Config", sought: "Sought", found: "Found", left: Sequence[Path]) -> Iterator[str]:
    """What it did not reach, and what somebody has to do about it."""
    if found.kept:
        came = counted(found.kept, "call that is not delivered yet", "calls that are not delivered yet")
        yield f"{came} came meanwhile, or waited again, and stayed: run this once more"
    for path in left:
        if path == config.agent.outbox:
            yield f"{path}: these digits still stand in it, as a part of another number or in what has just come"
        else:
            yield f"{path}: the number still stands in it; delete it where nobody needs it any more"
    if config.numbers.country is None:
        yield (
            "Other ways of writing this number are not known without [numbers] country: look for it as a national "
            "number and with its country"
        )
    logs = [str(one.reads) for one in config.sources if one.reads]
    where = f" ({', '.join(logs)}, and what was rotated)" if logs else ""
    yield (
        f"Not reached: the PBX's own records{where}, what was sent to "
        f"{', '.join(one.name for one in config.destinations)}, back-ups, exports, and the system's log"
    )


def _document(
    config: "Config", sought: "Sought", found: "Found", left: Sequence[Path], *, dry_run: bool
) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "forms": sought.forms,
        "calls": len(found.calls),
        "not_delivered": len(found.unsent),
        "rejects": len(found.rejects),
        "spilled": found.spilled,
        "texts": found.texts,
        "kept": found.kept,
        "still_in": [str(path) for path in left],
        "not_reached": list(_remarks(config, sought, found, ()))[-1],
    }
