"""The manual pages, made of what the program says of itself: a page for each command, and one for agent.ini.

    python3 packaging/manpages.py FOLDER      as in MANPATH, with man1 and man5 in it

Source of the format: man(7). The dates are $SOURCE_DATE_EPOCH's.
"""

import itertools
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import settings
import settings_kinds

from humbug_agent import __version__
from humbug_agent.cli.main import main

EXITS = {
    "0": "good",
    "1": "it did not work, also where the output can't be written",
    "2": "usage or configuration",
}


def roff(text: str) -> str:
    """``text`` as man(7) wants it: nothing in it is a request, and a dash is one that can be searched for."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return re.sub(r"^(?=[.'])", r"\\&", escaped, flags=re.MULTILINE)


def head(title: str, section: int) -> str:
    day = datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), UTC).date()
    return f'.TH "{roff(title).upper()}" {section} {day} "humbug\\-agent {__version__}" "humbug\\-agent"'


def paragraphs(text: str) -> Iterator[str]:
    """Of a docstring: what stands between blank lines is one; its line breaks are not its reader's."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        yield from (".PP",) * (number > 0)
        yield roff(" ".join(paragraph.split()))


def options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    for parameter in command.get_params(ctx):
        name, said = parameter.get_help_record(ctx) or ("", "")
        if said:
            yield from (".TP", f".B {roff(name)}", roff(" ".join(said.split())))


def page(command: click.Command, ctx: click.Context) -> str:
    """``ctx`` is that of ``command``."""
    words = ctx.command_path.split()
    inside = command.commands if isinstance(command, click.Group) else {}
    brief = command.get_short_help_str(1000)
    lines = [head("-".join(words), 1), ".SH NAME", f"{roff('-'.join(words))} \\- {roff(brief)}", ".SH SYNOPSIS"]
    lines += [f".B {roff(' '.join(words))}", roff(" ".join(command.collect_usage_pieces(ctx)))]
    lines += [".SH DESCRIPTION", *paragraphs(command.help or "")]
    lines += [".SH OPTIONS", *options(command, ctx)]
    if inside:
        lines.append(".SH COMMANDS")
        for name, one in inside.items():
            lines += [".TP", f".BR {roff('-'.join([*words, name]))} (1)", roff(one.get_short_help_str(1000))]
    lines += [".SH EXIT STATUS"]
    for code, said in EXITS.items():
        lines += [".TP", f".B {code}", roff(said)]
    files = ["/etc/humbug-agent/agent.ini", "/var/lib/humbug-agent/outbox.db"]
    lines += [".SH FILES", *(line for file in files for line in (".TP", f".I {roff(file)}"))]
    above = ["-".join(words[:-1])] if len(words) > 1 else [f"{words[0]}-{name}" for name in inside]
    lines += [".SH SEE ALSO", *(f".BR {roff(name)} (1)," for name in above), ".BR humbug\\-agent.ini (5)"]
    return "\n".join(lines) + "\n"


def pages(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, str]]:
    """Its own and those of all commands in it: name, text."""
    yield "-".join(ctx.command_path.split()), page(command, ctx)
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            yield from pages(one, click.Context(one, info_name=name, parent=ctx))


def plain(text: str) -> str:
    """Without the marks of Markdown, and without the links that say only where to read on."""
    text = re.sub(r" \(\[how\]\([^)]+\)\)", "", text)
    return re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text).replace("`", "")


def ini() -> str:
    """docs/settings.md as a page."""
    lines = [head("humbug-agent.ini", 5), ".SH NAME", "humbug\\-agent.ini \\- configuration of humbug\\-agent"]
    lines += [".SH SYNOPSIS", ".I /etc/humbug\\-agent/agent.ini"]
    lines += [".SH DESCRIPTION", *paragraphs(plain(settings_kinds.INTRO))]
    for kind, each in itertools.groupby(settings.settings(), key=lambda one: one.kind):
        lines += [f".SH {roff(settings.title(kind))}", roff(plain(settings_kinds.KINDS[kind]))]
        for one in each:
            lines += [".TP", f".B {one.key}", roff(plain(one.words.about)), ".br"]
            lines += [roff(plain(f"{one.may}. Default: {one.default}. Example: {one.words.example}"))]
    return "\n".join([*lines, ".SH SEE ALSO", ".BR humbug\\-agent (1)"]) + "\n"


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for section in ("man1", "man5"):
        (folder / section).mkdir(parents=True, exist_ok=True)
    top = click.Context(main, info_name="humbug-agent", **main.context_settings)
    for name, text in pages(main, top):
        (folder / "man1" / f"{name}.1").write_text(text)
    (folder / "man5" / "humbug-agent.ini.5").write_text(ini())
