"""Calls as a file: CSV for spreadsheets, or JSON, an object a line."""

import csv
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any, TypeVar

import click

from humbug_agent.text import printable

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""With one of these begins what a spreadsheet takes for more than text."""

_Command = TypeVar("_Command", bound=Callable[..., None])


def export_options(command: _Command) -> _Command:
    """The options of a command that exports: ``form`` and ``output`` are what `write_calls` takes."""
    for option in (
        click.option(
            "--output",
            type=click.Path(dir_okay=False, allow_dash=True),
            default="-",
            help="A file; else standard output.",
        ),
        click.option("--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True),
    ):
        command = option(command)
    return command


def write_calls(
    lines: Iterable[Mapping[str, Any]], columns: Sequence[str], form: str, output: str, number: int
) -> None:
    """Write them in this form to a file, or where ``output`` is - to standard output; CSV has only these columns.

    ``number`` is how many there are, for who watches. Raises OSError.
    """
    try:
        # Closed in here: only then it is sure that all of it was written.
        with _opened(output) as file:
            _write(lines, columns, form, file, number)
    except OSError as error:
        if output != "-":
            error.filename = output
        raise


def _write(lines: Iterable[Mapping[str, Any]], columns: Sequence[str], form: str, file: IO[str], number: int) -> None:
    from humbug_agent.cli import output

    shown: Callable[[str], str] = printable if file.isatty() else str
    writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
    begun = False
    bar = click.progressbar(
        lines,
        length=number,
        label="Exporting",
        file=sys.stderr,
        hidden=not sys.stderr.isatty() or file.isatty(),
        update_min_steps=1000,
    )
    with bar as each:
        for line in each:
            if form == "json":
                file.write(output.json_text(line) + "\n")
                continue
            if not begun:
                begun = True
                writer.writeheader()
            said = {name: _as_text(value) for name, value in line.items() if value is not None}
            writer.writerow({name: shown(_harmless(value)) for name, value in said.items()})
    file.flush()


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _opened(output: str) -> IO[str]:
    """A file is its owner's alone: who called whom is nobody else's business."""
    if output == "-":
        return click.open_file(output, "w", encoding="utf-8")
    return open(output, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600))


def _harmless(cell: str) -> str:
    """What a spreadsheet would run, in a caller's name say, is text for it with an apostrophe before; numbers stay."""
    runs = cell.startswith(FORMULAS) and not re.fullmatch(r"[+-][0-9]+", cell)
    return f"'{cell}" if runs else cell
