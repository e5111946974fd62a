"""`doctor`: what is wrong on this host as a whole. It tries what `check` tries, and reads the PBX's configuration."""

import os
from pathlib import Path

import click

from humbug_agent.cli import checking
from humbug_agent.config import load
from humbug_agent.doctor.examine import Report, examine
from humbug_agent.doctor.table import Finding, Severity
from humbug_agent.host.codes import Code
from humbug_agent.host.daemon_user import is_daemons_user
from humbug_agent.ini import ConfigError
from humbug_agent.text import printable
from humbug_agent.words import OTHER_USER, count

COLOURS = {Severity.warning: "yellow", Severity.error: "red"}


def doctor(path: Path, root: Path = Path("/")) -> Report:
    """Of the agent whose agent.ini is at ``path``, on the host below ``root``, which is / but for tests.

    Raises ConfigError where that can't be read.
    """
    try:
        config = load(path)
        tried = [_found(one, one.code) for one in checking.check(path) if one.code]
    except ConfigError as error:
        if not os.access(path, os.R_OK):
            raise
        return Report([Finding(code=Code.AGENT_INI, said=mistake) for mistake in error.mistakes])
    report = examine(config, tried, root)
    if os.geteuid() and not is_daemons_user(config.agent.outbox):
        report.unread.append(f"whether the daemon's user may read its files was not tried; {OTHER_USER}")
    return report


def _found(one: checking.Finding, code: Code) -> Finding:
    # A warning begins with what it is about.
    part = one.message.partition(": ")[0] if one.part == "warning" else one.part
    return Finding(code=code, said=one.message, part=part)


def print_for_people(report: Report) -> None:
    for one in report.findings:
        severity = one.kind.severity
        click.echo(f"{click.style(f'{one.code} {severity.name}', fg=COLOURS[severity], bold=True)}  {one.kind.title}")
        first, *more = (one.change or one.kind.todo).split("\n")
        click.echo(f"  {printable(one.said)}")
        for name, text in (("why", one.kind.why), ("change" if one.change else "what to do", printable(first))):
            click.echo(f"  {click.style(name, bold=True)}: {text}")
        for line in more:
            click.echo(f"      {printable(line)}")
        click.echo(f"  {one.docs}\n")
    for reason in report.unread:
        click.echo(f"{click.style('Not looked at:', fg='yellow')} {printable(reason)}", err=True)
    click.echo(_summary(report))


def _summary(report: Report) -> str:
    errors = sum(one.kind.severity is Severity.error for one in report.findings)
    if not report.findings:
        return "nothing found"
    return f"{count(errors, 'error')}, {count(len(report.findings) - errors, 'warning')}"
