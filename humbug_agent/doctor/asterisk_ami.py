"""What Asterisk's manager interface lets the agent's user see and do, by its configuration."""

import re
from collections.abc import Iterator, Set

from humbug_agent.config import Config
from humbug_agent.doctor.asked import ListensToAmi, opened
from humbug_agent.doctor.asterisk_cdr import to_change
from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.ini import LOOPBACK
from humbug_agent.pbx_host.asterisk import ANYWHERE, AmiUser, Asterisk
from humbug_agent.pbx_host.conf import Section, Setting
from humbug_agent.setup.asterisk import BOARD_RIGHTS, RIGHTS

EVENT = "Event: Cdr\r\nPrivilege: cdr,all\r\n"
"""The beginning of each event that tells a call."""

HARMLESS = {"cdr", "call", "agent", "reporting", "system"}
"""To read: what happens on the PBX, and no secrets or commands of others."""

FREE_PORT = 6494
"""[status]'s own by default, which no PBX uses."""

LEAST_WRITETIMEOUT = 100
"""Milliseconds. Source: manager.c of Asterisk 1.4 to 22."""


def findings(config: Config, asterisk: Asterisk) -> Iterator[Finding]:
    """Raises OSError, ConfError."""
    for source in config.sources:
        if isinstance(source, ListensToAmi) and source.host in LOOPBACK:
            yield from _of_source(source, asterisk, board=config.status is not None)


def _of_source(source: ListensToAmi, asterisk: Asterisk, *, board: bool) -> Iterator[Finding]:
    part, ami, conf = f"source {source.name}", asterisk.ami(), asterisk.etc / "manager.conf"
    if not ami.enabled:
        said, change = f"{conf}, [general]: enabled is not yes", f"{conf}, [general]: enabled = yes"
        yield Finding(code=Code.AMI_OFF, said=said, change=change, part=part)
    if "cdr" in source.events and (off := asterisk.events_off()):
        change = f"{to_change(asterisk, 'cdr_manager.conf', general=True)}, [general]: enabled = yes"
        yield Finding(code=Code.EVENTS_OFF, said=f"{asterisk.etc}: {off}", change=change, part=part)
    user = ami.user(source.username)
    if user is None:
        if ami.users:
            said = f"{conf} has no [{source.username}], which agent.ini logs in as"
            change = f"{to_change(asterisk, 'manager.conf')}: [{source.username}]\nsecret = …\nread = cdr\nwrite ="
            yield Finding(code=Code.AMI_BLIND, said=said, change=change, part=part)
        return
    where = f"{_where(user.section, asterisk)}, [{user.name}]"
    reads, writes = BOARD_RIGHTS if board else RIGHTS
    reads = reads - ({"cdr"} - source.events) | ({"system"} if source.events - {"cdr"} else set())
    yield from _of_rights(user, reads, writes, where, part)
    if ami.bind in ANYWHERE and not any(user.section.every(one) for one in ("permit", "deny", "acl")):
        said = f"{where}: any host may log in as it, for AMI listens on all addresses and it has no deny and permit"
        change = f"{where}: deny = 0.0.0.0/0.0.0.0\npermit = 127.0.0.1/255.255.255.255"
        yield Finding(code=Code.AMI_MIGHTY, said=said, change=change, part=part)
    if "cdr" in source.events:
        yield from _of_filters(user.section, where, part, asterisk)
    yield from _of_writetimeout(user.section, where, part)


def _of_rights(user: AmiUser, reads: Set[str], writes: Set[str], where: str, part: str) -> Iterator[Finding]:
    missing = ("all" not in user.read and reads - user.read) or set()
    # Class system lets it list channels, too, and reload besides.
    unwritten = set() if user.write & {"all", "system"} else writes - user.write
    for right, lacks, needs in (("read", missing, reads), ("write", unwritten, writes)):
        if lacks:
            said = f"{where}: {right} has no {','.join(sorted(lacks))} (it is {_listed(getattr(user, right))})"
            change = f"{where}: {right} = {','.join(sorted(needs | getattr(user, right)))}"
            yield Finding(code=Code.AMI_BLIND, said=said, change=change, part=part)
    for right, more, needs in (
        ("read", user.read - HARMLESS - reads, reads),
        ("write", user.write - BOARD_RIGHTS[1] - {"none"}, writes),
    ):
        if more - {"none"}:
            said = f"{where}: {right} = {_listed(getattr(user, right))}, of which {_listed(more)} is not needed"
            change = f"{where}: {right} = {','.join(sorted(needs))}"
            yield Finding(code=Code.AMI_MIGHTY, said=said, change=change, part=part)


def _of_filters(section: Section, where: str, part: str, asterisk: Asterisk) -> Iterator[Finding]:
    filters = [one for one in section.settings if one.name.lower().startswith("eventfilter")]
    wanted = [one for one in filters if not _excludes(one)]
    hiding = [one for one in filters if _excludes(one) and _may_match(one)]
    if wanted and not any(_passes(one) for one in wanted):
        hiding.append(wanted[0])
    if hiding:
        one = hiding[0]
        said = f"{_where(one, asterisk)}: {one.name} = {one.value}"
        yield Finding(code=Code.EVENTFILTER, said=said, change=f"{where}: no eventfilter", part=part)
    general = asterisk.conf("manager.conf").first("general")
    disabled = general.last("disabledevents") if general else None
    if disabled and "cdr" in re.split(r"[,\s]+", disabled.value.lower()):
        said = f"{_where(disabled, asterisk)}: disabledevents has Cdr"
        change = f"{asterisk.etc / 'manager.conf'}, [general]: disabledevents without Cdr"
        yield Finding(code=Code.EVENTFILTER, said=said, change=change, part=part)


def _excludes(one: Setting) -> bool:
    return one.value.startswith("!") or "action(exclude)" in one.name.lower().replace(" ", "")


def _passes(one: Setting) -> bool:
    """Whether each event that tells a call has it: a filter for a caller's or a channel's name lets only some pass."""
    if event := re.search(r"name\((\w+)\)", one.name, re.IGNORECASE):
        return event[1].lower() == "cdr" and not one.value
    return _found(one.value)


def _may_match(one: Setting) -> bool:
    """Whether it leaves out a call: not where it begins with the name of another event."""
    if event := re.search(r"name\((\w+)\)", one.name, re.IGNORECASE):
        return event[1].lower() == "cdr"
    pattern = one.value.removeprefix("!")
    return not pattern.lstrip("^").startswith("Event:") or _found(pattern)


def _found(pattern: str) -> bool:
    try:
        return re.search(pattern, EVENT) is not None
    except re.error:
        # POSIX's may be none of Python's.
        return "Cdr" in pattern


def _of_writetimeout(section: Section, where: str, part: str) -> Iterator[Finding]:
    found = section.last("writetimeout")
    number = re.match(r"\s*\d+", found.value) if found else None
    if found and (number is None or int(number[0]) < LEAST_WRITETIMEOUT):
        said = f"{where}: writetimeout = {found.value} is less than {LEAST_WRITETIMEOUT} ms"
        yield Finding(code=Code.WRITETIMEOUT, said=said, change=f"{where}: writetimeout = 5000", part=part)


def _where(one: Section | Setting, asterisk: Asterisk) -> str:
    return f"/{one.file.relative_to(asterisk.root)}, line {one.line}"


def _listed(classes: Set[str]) -> str:
    return ",".join(sorted(classes)) or "empty"


def of_ports(config: Config, asterisk: Asterisk) -> Iterator[Finding]:
    """Ports of ours that Asterisk's HTTP server has, or will have once it runs. Raises OSError, ConfError."""
    theirs = _http_ports(asterisk)
    for part, listens in opened(config).items():
        if whose := theirs.get(listens.port):
            said = f"agent.ini, [{part}]: port {listens.port} is that of Asterisk's own HTTP server: {whose}"
            change = f"agent.ini, [{part}]: listen = 127.0.0.1:{FREE_PORT}"
            yield Finding(code=Code.PORT, said=said, change=change, part=part)


def _http_ports(asterisk: Asterisk) -> dict[int, str]:
    """Each, and where that is said."""
    try:
        general = asterisk.conf("http.conf").first("general")
    except FileNotFoundError:
        return {}
    if general is None or not general.yes("enabled", False):
        return {}
    conf = asterisk.etc / "http.conf"
    plain, tls = general.last("bindport"), general.last("tlsbindaddr")
    found = {plain.value if plain else "8088": f"{conf}, [general]: {'bindport' if plain else 'enabled'}"}
    if general.yes("tlsenable", False):
        found[tls.value.rpartition(":")[2] if tls else "8089"] = f"{conf}, [general]: tlsenable"
    return {int(port): where for port, where in found.items() if port.isdigit()}
