"""Tries an AMI for real: the login, and whether calls would be told.

A user without the right to see calls gets neither an event nor an error, so the rights have to be looked up. Only the
console tells them: over AMI, where this user may ask it, or the PBX's own, where this host is the PBX. Elsewhere a call
that ends while the check listens is the proof.
"""

import asyncio
import re
import time
from collections.abc import Sequence, Set

from panoramisk.message import Message

from humbug_agent.host.codes import Code
from humbug_agent.ini import LOOPBACK
from humbug_agent.listening.ami.headers import name
from humbug_agent.listening.ami.link import connect
from humbug_agent.listening.ami.protocol import BANNER, OLD_BANNER, OLDEST_BANNER, AmiError, Protocol
from humbug_agent.pbx_host import console
from humbug_agent.sources.asterisk.ami.settings import AsteriskAmiSettings
from humbug_agent.sources.contract import SourceError

LOGIN_SECONDS = 10.0
LISTEN_SECONDS = 5.0
GRACE_SECONDS = 1.5
"""A call's Cdr event may come after its Hangup."""

ASK_SECONDS = 10.0


def check(settings: AsteriskAmiSettings, classes: Set[str]) -> str:
    """A line about what was found. ``classes`` of events are wanted. Raises SourceError when they would not come."""
    try:
        return asyncio.run(_check(settings, classes))
    except AmiError as error:
        raise SourceError(str(error)) from error


async def _check(settings: AsteriskAmiSettings, classes: Set[str]) -> str:
    ended: list[tuple[float, str]] = []

    def note(blocks: Sequence[bytes]) -> None:
        for block in blocks:
            event = name(block)
            # An answered call has a record whatever cdr.conf says.
            if event == "Cdr" or (event == "Hangup" and b"\r\nChannelState: 6\r\n" in block):
                ended.append((time.monotonic(), event))

    protocol = await connect(settings, "cdr,call", LOGIN_SECONDS, note)
    try:
        found = f"{protocol.where}: logged in as {settings.username} ({protocol.greeted.result()})"
        if "call" in classes:
            _judge_version(protocol)
            await _try_listing(settings, protocol)
        oldest = protocol.greeted.result().startswith(OLDEST_BANNER.decode())
        needed = {"call" if oldest and one == "cdr" else one for one in classes}
        user = await _console(settings, protocol, f"manager show user {settings.username}")
        if user is not None:
            _judge_rights(settings, needed, user)
            _judge_cdr(settings, await _console(settings, protocol, "cdr show status") or "")
            board = " and all channels and queues" if "call" in classes else ""
            return f"{found}, may see {', '.join(sorted(settings.events))}{board}"
        return f"{found}; {await _listen(settings, protocol, ended)}"
    finally:
        protocol.abort("the check is over")


def _judge_version(protocol: Protocol) -> None:
    greeting = protocol.greeted.result()
    if greeting.startswith(OLD_BANNER.decode()):
        raise SourceError(
            f"{protocol.where}: the live board of [status] needs Asterisk 12 or later (this is AMI "
            f"{greeting.removeprefix(BANNER.decode())}); calls are delivered all the same"
        )


async def _try_listing(settings: AsteriskAmiSettings, protocol: Protocol) -> None:
    """CoreStatus needs the right that the board's lists need, and is short."""
    answer = await _ask(protocol, "CoreStatus")
    if not answer.success:
        raise SourceError(
            f"AMI user {settings.username} may not list channels for [status] ({answer.message}): in manager.conf, "
            f"section [{settings.username}], write must have reporting, such as: write = reporting; then "
            "asterisk -rx 'manager reload'",
            code=Code.AMI_BLIND,
        )


def _judge_rights(settings: AsteriskAmiSettings, needed: Set[str], shown: str) -> None:
    has = re.search(r"read perm:\s*(\S*)", shown)
    classes = set(has[1].split(",")) - {"<none>", "none", ""} if has else {"all"}
    if "all" not in classes and not needed <= classes:
        now, missing, wanted = (",".join(sorted(some)) for some in (classes, needed - classes, needed | classes))
        raise SourceError(
            f"AMI user {settings.username} may not see {missing} events (its read is {now or 'empty'}): in "
            f"manager.conf, section [{settings.username}], write read = {wanted}, then asterisk -rx 'manager reload'",
            code=Code.AMI_BLIND,
        )


def _judge_cdr(settings: AsteriskAmiSettings, shown: str) -> None:
    if "cdr" not in settings.events or "Registered Backends" not in shown:
        return
    if re.search(r"Logging:\s*Disabled", shown):
        raise SourceError(
            "Asterisk makes no CDRs: in cdr.conf, section [general], write enable = yes, then restart it",
            code=Code.CDR_OFF,
        )
    if not re.search(r"^\s*cdr_manager\s*$", shown, re.MULTILINE):
        # With enabled = no it is listed as "cdr_manager (suspended)".
        raise SourceError(
            "Asterisk sends no Cdr events: in cdr_manager.conf, section [general], write enabled = yes, then "
            "asterisk -rx 'module reload cdr_manager.so' (if it is not loaded: 'module load cdr_manager.so')",
            code=Code.EVENTS_OFF,
        )


async def _console(settings: AsteriskAmiSettings, protocol: Protocol, command: str) -> str | None:
    """What Asterisk's console says to it; None where nobody lets us ask."""
    answer = await _ask(protocol, "Command", Command=command)
    if answer.success:
        output = answer.get("Output", answer.content)
        return "\n".join(output) if isinstance(output, list) else str(output)
    return await asyncio.to_thread(console.said_to, command) if settings.host in LOOPBACK else None


async def _ask(protocol: Protocol, action: str, **headers: str) -> Message:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return await protocol.ask(action, **headers)
    except TimeoutError as error:
        raise AmiError(f"{protocol.where}: does not answer {action} within {ASK_SECONDS:.0f} s") from error


async def _listen(settings: AsteriskAmiSettings, protocol: Protocol, ended: list[tuple[float, str]]) -> str:
    """For what other calls that are ending now prove."""
    until = time.monotonic() + LISTEN_SECONDS
    while time.monotonic() < until and "cdr" in settings.events:
        if any(event == "Cdr" for _, event in ended):
            return "a Cdr event came"
        if ended and time.monotonic() - ended[0][0] > GRACE_SECONDS:
            raise SourceError(
                f"AMI user {settings.username} saw a call end, and no Cdr event came: in manager.conf, section "
                f"[{settings.username}], read must have cdr; in cdr_manager.conf, [general], enabled must be yes",
                code=Code.AMI_BLIND,
            )
        if protocol.lost.done():
            raise AmiError(f"{protocol.where}: {protocol.lost.result()}")
        await asyncio.sleep(0.05)
    return (
        "no call ended while this listened, so its rights stay untested: run this as root on the PBX, or look whether "
        f"'read perm' has cdr in: asterisk -rx 'manager show user {settings.username}'"
    )
