"""`test-call`: a marked record goes the whole way to the receiver, so that the keys are known to be right.

It is no call of the PBX: every parameter that names somebody or something says so, it is not counted among the calls,
and nothing of it stays in the outbox.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from humbug_agent import backoff
from humbug_agent.cdr import CDR, Disposition, digest
from humbug_agent.config import Config
from humbug_agent.destinations.contract import Answer, Destination, Misconfigured, Outcome, Refused
from humbug_agent.flat import TEST, flatten
from humbug_agent.outbox import lock, testing
from humbug_agent.outbox.lock import AgentError
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.queries import Entry
from humbug_agent.status import taken
from humbug_agent.status.overview import compared, daemon
from humbug_agent.words import iso

LOOK_SECONDS = 0.1
BEGIN_SECONDS = 10.0
"""How long a daemon may take from its start until it tells what it does."""

PATIENCE_SECONDS = backoff.PAUSED.longest * backoff.MOST_JITTER
"""How long to wait for the running daemon: one that is paused tries the next call after that at the latest."""

CLID = '"Test call of humbug-agent" <test-call>'
MARK = "humbug-agent test-call"
RELOAD = ", then humbug-agent reload and this again"

Say = Callable[[str, str], None]
"""Hears each step as it happens: a word for it, and what happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What became of a test call.

    ``by`` is who sent it: the daemon with ``pid``, or the command. Times are ISO 8601 in the PBX's zone: ``accepted``
    into the outbox, ``answered`` by the receiver, None where it was not. ``status`` and ``answer`` are what that said;
    ``reason`` is why it did not take the call and ``advice`` what to do, blank where it took it.
    """

    taken: bool
    destination: str
    where: str
    by: str
    pid: int | None
    uniqueid: str
    parameters: dict[str, str]
    accepted: str | None
    answered: str | None
    status: int | None
    answer: str
    reason: str
    advice: str

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def send_test_call(
    config: Config, name: str | None, say: Say, patience: float = PATIENCE_SECONDS, account: str | None = None
) -> Tried:
    """Send a test call to the destination of this name, None: the first one, and wait for the answer.

    ``account`` says whose key is tried where the destination has several.

    By the running daemon, if there is one, through its outbox; it waits up to ``patience`` seconds for that. Raises
    AgentError where the daemon has no such destination, LookupError where agent.ini has none, or ``account`` does not
    belong to it; OutboxError, OSError.
    """
    destinations = {one.name: one for one in config.make_destinations()}
    if name is not None and name not in destinations:
        raise LookupError(f"no [destination {name}] in {config.path}; there are {', '.join(destinations)}")
    destination = destinations[name or next(iter(destinations))]
    record = replace(_record(config.agent.timezone), **_made_for(config, destination.name, account))
    try:
        if running := daemon(config.path, config):
            return _Through(config, running, destination, record, say).send(patience)
        return _directly(config, destination, record, say)
    finally:
        for one in destinations.values():
            one.close()


def _made_for(config: Config, name: str, account: str | None) -> Mapping[str, Any]:
    """What the test call is to say so that it goes to this account, by a CDR's fields. Raises LookupError."""
    settings = next(one for one in config.destinations if one.name == name)
    made = settings.made_for(account or "")
    if account is None and made is not None:
        raise LookupError(f"[destination {name}] has keys of several accounts; say by --account VALUE whose is tried")
    if account is not None and made is None:
        raise LookupError(f"[destination {name}] has one account; leave out --account")
    return made or {}


def _record(zone: tzinfo) -> CDR:
    """A call that nobody takes for one, and of which there is no second."""
    word, now = secrets.token_hex(8), datetime.now(zone).replace(microsecond=0)
    return CDR(
        identity=digest(MARK, word),
        src="test-call",
        dst="test-call",
        dcontext="humbug-agent-test-call",
        clid=CLID,
        channel=f"HumbugAgent/test-call-{word}",
        dstchannel="",
        lastapp="TestCall",
        lastdata="no call of the PBX",
        start=now,
        answer=None,
        end=now,
        duration=0,
        billsec=0,
        disposition=Disposition.NO_ANSWER,
        uniqueid=f"humbug-agent-test-{word}",
        userfield=MARK,
    )


def _directly(config: Config, destination: Destination, record: CDR, say: Say) -> Tried:
    """By this command: what no daemon would take from the outbox must not wait there."""
    say("sending", f"to {destination.where}, by this command: no humbug-agent runs with {config.path}")
    began = time.monotonic()
    destination.begin([[(0, flatten(record)._replace(event=TEST))]])
    outcomes: list[tuple[int, Outcome]] = []
    # The destination's own timeout ends it.
    while not outcomes:
        outcomes = destination.collect(1.0)
    outcome = outcomes[0][1]
    answer = outcome if isinstance(outcome, Answer) else outcome.answer
    reason = "" if isinstance(outcome, Answer) else outcome.reason
    advice = ""
    if not isinstance(outcome, Answer):
        refused, lasting = isinstance(outcome, Refused), isinstance(outcome, Misconfigured)
        advice = _advice(answer.status, refused=refused, lasting=lasting) + ", then this again"
    _say_answer(say, answer, reason, time.monotonic() - began)
    return Tried(
        taken=not reason,
        destination=destination.name,
        where=destination.where,
        by="command",
        pid=None,
        uniqueid=record.uniqueid,
        parameters=destination.preview(record).parameters,
        accepted=None,
        answered=_now(config) if answer.status is not None or not reason else None,
        status=answer.status,
        answer=answer.text,
        reason=reason,
        advice=advice,
    )


class _Through:
    """A test call on its way through the outbox of the running daemon."""

    def __init__(self, config: Config, running: lock.Running, destination: Destination, record: CDR, say: Say) -> None:
        self._config = config
        self._running = running
        self._destination = destination
        self._record = record
        self._say = say

    def send(self, patience: float) -> Tried:
        self._await_begin()
        with Outbox(self._running.outbox) as outbox:
            began, accepted = time.monotonic(), _now(self._config)
            number = testing.accept(outbox, self._record, self._destination.name, time.time())
            try:
                self._say("accepted", f"into the outbox {outbox.path}, of the daemon with pid {self._running.pid}")
                self._say("sending", f"to {self._destination.where}")
                found, reason = self._await_answer(outbox, number, began + patience)
            finally:
                testing.take_back(outbox, number)
        return self._told(found, reason, accepted, time.monotonic() - began)

    def _await_begin(self) -> None:
        """Until the daemon tells that it delivers to the destination. Raises AgentError where it does not."""
        deadline = time.monotonic() + BEGIN_SECONDS
        while not (went := taken.read_back(self._running.outbox, self._running.pid)):
            if time.monotonic() > deadline:
                raise AgentError(
                    f"the humbug-agent with pid {self._running.pid} only begins, is run --once, or of another version; "
                    "wait until it has ended, or restart it"
                )
            time.sleep(LOOK_SECONDS)
        config = self._config
        if wrong := compared(config.path, config, (), went, config.agent.timezone)[1]:
            self._say("warning", wrong)
        with Outbox(self._running.outbox) as outbox:
            if f"destination {self._destination.name}" not in outbox.health():
                raise AgentError(
                    f"the humbug-agent with pid {self._running.pid} has no destination {self._destination.name}; "
                    "humbug-agent reload has it read agent.ini again"
                )

    def _await_answer(self, outbox: Outbox, number: int, deadline: float) -> tuple[Entry | None, str]:
        """How it stands once it was tried; or, where that takes too long, why it was not."""
        part = f"destination {self._destination.name}"
        told = ""
        while True:
            found = testing.look(outbox, number)
            if found is None:
                return None, "somebody has purged it from the outbox"
            if found.attempts:
                return found, ""
            if lock.running(outbox.path) != self._running.pid:
                return None, "the daemon ended meanwhile"
            health = outbox.health().get(part)
            trouble = f"{part} is {health.state}: {health.message}" if health and health.message else ""
            if trouble and trouble != told:
                self._say("waiting", f"{trouble}; the daemon tries it again now and then")
            told = trouble or told
            if time.monotonic() > deadline:
                return None, trouble or "the daemon did not get to it"
            time.sleep(LOOK_SECONDS)

    def _told(self, found: Entry | None, reason: str, accepted: str, took: float) -> Tried:
        good = found is not None and found.state == "sent"
        advice = ""
        if found:
            reason = "" if good else found.error
            lasting = not good and found.state == "waiting" and found.due == testing.BEFORE_ALL
            if not good:
                advice = _advice(found.status, refused=found.state == "dead", lasting=lasting)
                advice += RELOAD if lasting or found.state == "dead" else ", then this again"
            _say_answer(self._say, Answer(found.status, found.reply), reason, took)
        else:
            self._say("failed", reason)
            advice = "humbug-agent status says how the daemon fares; mend what it says, then this again"
        return Tried(
            taken=good,
            destination=self._destination.name,
            where=self._destination.where,
            by="daemon",
            pid=self._running.pid,
            uniqueid=self._record.uniqueid,
            parameters=self._destination.preview(self._record).parameters,
            accepted=accepted,
            answered=iso(found.tried, self._config.agent.timezone) if found and (good or found.status) else None,
            status=found.status if found else None,
            answer=found.reply if found else "",
            reason=reason,
            advice=advice,
        )


def _say_answer(say: Say, answer: Answer, reason: str, took: float) -> None:
    if answer.status is None:
        # Not all that take calls have a status to say.
        say("failed" if reason else "answered", f"after {took:.1f} s: {reason or answer.text}")
        return
    say("answered", f"{answer.status} after {took:.1f} s")
    if answer.text.strip():
        say("text", " ".join(answer.text.split()))
    if reason:
        say("failed", reason)


def _advice(status: int | None, *, refused: bool, lasting: bool) -> str:
    """What to do where the receiver did not take it.

    ``refused``: for good, by status or by reject_pattern; ``lasting``: no call would get through.
    """
    if status is None:
        if refused:
            return "the receiver takes no such call: mend there what it says"
        if lasting:
            return "mend what that says: the address, credentials, ca_file or proxy of the destination, or the receiver"
        return "humbug-agent check tries the same address; look for a firewall or a proxy between here and there"
    if 200 <= status <= 299:
        return "compare the text with accept_pattern and reject_pattern of the destination"
    if refused:
        return "the receiver does not understand it: compare encryption_key and value_escaping with what it expects"
    if status in (401, 403):
        return "put the API key and the encryption key that the receiver knows into the destination"
    if lasting:
        return "put the receiver's own address into the url of the destination"
    return "the receiver is in trouble itself: wait; real calls are kept meanwhile and tried again"


def _now(config: Config) -> str:
    return iso(time.time(), config.agent.timezone) or ""
