"""`init`: looks at the host, asks what it can't know, shows what is to be done, and does it when asked to."""

import os
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from humbug_agent.cli import checking, output, testcall
from humbug_agent.config import load
from humbug_agent.host.daemon_user import lacks_groups
from humbug_agent.ini import ConfigError, Secret, Section, url
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.pbx_host.asterisk import Asterisk
from humbug_agent.pbx_host.conf import ConfError
from humbug_agent.pbx_host.freeswitch import Freeswitch
from humbug_agent.pbx_host.profile import PbxHost, Profile, look
from humbug_agent.setup import agent, service
from humbug_agent.setup.files import SetupError, alone
from humbug_agent.setup.plan import Plan
from humbug_agent.status.overview import daemon, in_use
from humbug_agent.text import printable
from humbug_agent.words import count

NONE = "none"
"""The country of whoever wants numbers to stay as they are."""

REACHED = "A test call reached the receiver of destination {}."

HOSTED = (
    "This host has no PBX. For a hosted one, agent.ini needs a [source NAME] of type while1, boxis or fusionpbx, which "
    "only you can fill in; docs/hosts/hosted.md has them to copy. Then run this again."
)


def init(path: Path, api_key: str | None, country: str | None, to: str | None, *, apply: bool, ask: bool) -> bool:
    """Whether all is well. Raises click's errors, ConfigError, PermissionError."""
    if apply and os.geteuid() != 0:
        raise click.ClickException("only root may do this: it changes files of the PBX; without --apply it shows them")
    with ExitStack() as held:
        if apply:
            try:
                held.enter_context(alone())
            except SetupError as error:
                raise click.ClickException(str(error)) from error
        return _init(path, api_key, country, to, apply=apply, ask=ask)


def _init(path: Path, api_key: str | None, country: str | None, to: str | None, *, apply: bool, ask: bool) -> bool:
    host, known = look(), agent.Known(path)
    try:
        output.pairs(_found(host, known))
        if host.profile is Profile.HOSTED and not known.sources():
            click.echo(f"\n{HOSTED}")
            return False
        answers = _answers(known, api_key, country, to, ask=ask, needed=apply)
        plan = agent.make_plan(host, known, answers, agent.account())
    except ConfError as error:
        raise click.ClickException(f"{error}; the PBX refuses this file, so mend it first") from error
    if mistakes := _spoilt(path, plan):
        said = "\n".join(mistakes)
        raise click.ClickException(
            f"{path} is good as it is, and with this it would not be; nothing was changed:\n{said}"
        )
    # What an earlier run wrote, and was ended before it told the PBX, and the daemon.
    for proof in plan.proofs:
        if service.fails(proof):
            for command in proof.remedy:
                plan.run(*command)
    starting = service.starting(path, changed=not plan.empty or _is_behind(path))
    needed = bool(starting) or not plan.empty
    _show(plan, starting)
    if not needed:
        click.echo("\nNothing to change: all of this is as it should be.")
    if not apply:
        _tell_left(plan)
        if needed:
            click.echo("\nNothing was changed: this is what humbug-agent init --apply does.")
        return True
    good = _make(path, plan, starting)
    _tell_left(plan)
    return _try(path) and good


def _spoilt(path: Path, plan: Plan) -> list[str]:
    """The mistakes that the plan would make in an agent.ini that has none now, found by loading a copy of it."""
    changes = plan.files.changes()
    text = next((change.after for change in changes if change.path == path), None)
    try:
        load(path)
    except (ConfigError, PermissionError):
        return []
    if text is None:
        return []
    with TemporaryDirectory(prefix="humbug-agent-") as folder:
        tried = Path(folder, "agent.ini")
        for number, change in enumerate(changes):
            # A file that it names may not be there yet.
            if change.secret and str(change.path) in text:
                copy = Path(folder, str(number))
                copy.write_text(change.after)
                text = text.replace(str(change.path), str(copy))
        tried.write_bytes(text.encode())
        try:
            load(tried)
        except ConfigError as error:
            return [mistake.replace(str(tried), str(path)) for mistake in error.mistakes]
    return []


def _is_behind(path: Path) -> bool:
    """Whether the daemon that runs works by another agent.ini, or without a group that its user has come into since."""
    # What is wrong with agent.ini is said in the end, and without root nothing is changed.
    with suppress(ConfigError, PermissionError):
        config = load(path)
        if running := daemon(path, config):
            return in_use(config, running)[0] not in ("", "taken") or lacks_groups(running.pid)
    return False


def _found(host: PbxHost, known: agent.Known) -> list[tuple[str, str]]:
    """What the host has, in words."""
    found = [("host", str(host.profile))]
    if host.asterisk:
        found += _of_asterisk(host.asterisk)
    if host.freeswitch:
        found += _of_freeswitch(host.freeswitch)
    state = "is complete" if known.configured else "has no key yet" if known.text else "does not exist yet"
    sources = f", {count(len(known.sources()), 'source')}" if known.sources() else ""
    return [*found, ("agent.ini", f"{known.path}, {state}{sources}")]


def _of_asterisk(asterisk: Asterisk) -> list[tuple[str, str]]:
    csv, ami, silent = asterisk.master_csv(), asterisk.ami(), asterisk.tells_cdrs()
    written = f"not written: {csv.off}" if csv.off else f"{csv.path}, times in {'UTC' if csv.utc else 'local time'}"
    where = f"{ami.host}:{ami.port}" if ami.enabled else "off: manager.conf, [general]: enabled is not yes"
    return [("Master.csv", written), ("AMI", f"{where}; {silent or 'tells each call'}")]


def _of_freeswitch(freeswitch: Freeswitch) -> list[tuple[str, str]]:
    modules = ("mod_json_cdr", "mod_xml_cdr", "mod_format_cdr", "mod_cdr_csv", "mod_event_socket")
    loaded = [one for one in modules if freeswitch.loads(one)]
    return [("FreeSWITCH", str(freeswitch.etc)), ("modules", ", ".join(loaded) or "none that tells of calls")]


def _answers(
    known: agent.Known, api_key: str | None, country: str | None, to: str | None, *, ask: bool, needed: bool
) -> agent.Answers:
    """What was given, what agent.ini has, or what somebody at the terminal says. Raises UsageError.

    ``needed``: a key and a country must be known; else something stands for them.
    """
    if api_key is None and not known.configured:
        if needed and not ask:
            raise click.UsageError("the API key is missing: give --api-key or $HUMBUG_API_KEY")
        api_key = click.prompt("\nHumbug API key (not shown)", hide_input=True) if needed else "ASKED-FOR-LATER"
    if country is None and needed and not known.country and not known.configured:
        if not ask:
            raise click.UsageError(f"the country is missing: give --country or $HUMBUG_COUNTRY, such as CH, or {NONE}")
        country = click.prompt("Country of this PBX, two letters such as CH", default=NONE)
    country = None if country is None or country.lower() == NONE else country.upper()
    mistakes: list[str] = []
    NumbersSettings.read(Section("numbers", {"country": country or ""}, mistakes))
    if api_key is not None and not (api_key.strip() and api_key.isprintable()):
        mistakes.append("the API key is empty, or has characters that no key has")
    try:
        url(to or "http://localhost/")
    except ValueError as error:
        mistakes.append(f"--url: {error}")
    if mistakes:
        raise click.UsageError("; ".join(mistakes))
    return agent.Answers(Secret(api_key.strip()) if api_key else None, country, to)


def _show(plan: Plan, starting: list[tuple[str, ...]]) -> None:
    lines, commands = list(plan.diff()), [*plan.commands, *starting]
    if lines:
        click.echo()
    for line in lines:
        click.secho(printable(line), fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))
    if commands:
        click.echo()
    for command in commands:
        output.say(f"$ {service.shown(command)}")


def _tell_left(plan: Plan) -> None:
    for sentence in plan.left:
        output.say(f"Left to you: {sentence}.")


def _make(path: Path, plan: Plan, starting: list[tuple[str, ...]]) -> bool:
    """Whether all of it worked. Raises ClickException where a file can't be changed, ConfigError."""
    stamp = f"before-humbug-agent-{datetime.now():%Y%m%d-%H%M%S}"
    if starting or not plan.empty:
        click.echo()
    try:
        for folder in plan.folders:
            folder.make()
            output.say(f"made     {folder.path}")
        for change in plan.files.changes():
            copy = change.make(stamp)
            output.say(f"changed  {change.path}, copy {copy.name}" if copy else f"made     {change.path}")
    except SetupError as error:
        raise click.ClickException(f"{printable(str(error))}; what is above was done") from error
    good = _run(plan.commands)
    if starting:
        # Where somebody's mistakes are in it, no daemon can begin, and one that runs is to go on.
        load(path)
        good = _run(starting) and good
    for proof in plan.proofs:
        if service.fails(proof):
            good = False
            output.say(f"failed   {proof.otherwise}")
    return good


def _run(commands: list[tuple[str, ...]]) -> bool:
    """Whether all of them worked; each is run, whatever became of those before."""
    good = True
    for command in commands:
        wrong = service.run(command)
        good = good and not wrong
        output.say(f"{'failed ' if wrong else 'ran    '}  {service.shown(command)}{wrong and f': {wrong}'}")
    return good


def _try(path: Path) -> bool:
    """Whether a test call reached the receiver, and all else is well."""
    click.echo()
    found = checking.check(path)
    checking.print_for_people(found)
    config = load(path)
    click.echo()
    missing = [one.part for one in found if one.level == "fail"]
    try:
        tried = testcall.send_test_call(config, None, lambda word, text: output.say(f"{word.ljust(8)}  {text}"))
    except LookupError as error:
        output.say(f"No test call was sent: {error.args[0]}")
        return not missing
    if tried.taken:
        output.say(REACHED.format(tried.destination))
    else:
        output.say(f"The test call has not reached the receiver: {tried.reason}; {tried.advice}.")
    if missing:
        output.say(f"Still missing: {', '.join(missing)}; see FAIL above.")
    good = tried.taken and not missing
    if not service.has_unit(path):
        click.echo("There is no unit of systemd here: humbug-agent run is the daemon, and is to be started by you.")
    elif tried.pid is None:
        click.echo(f"The daemon does not run, and no call is read: journalctl -u {service.unit_of(path)} says why.")
        good = False
    return good
