"""Keeps a board true from an event socket: events make it immediate, a list of everything makes it right."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from humbug_agent.board.device import device_names
from humbug_agent.board.freeswitch_lines import FreeswitchLines
from humbug_agent.board.freeswitch_list import ListError, Listing
from humbug_agent.board.freeswitch_words import Agent, channel, connected, hung_up, queue_call
from humbug_agent.board.model import Board
from humbug_agent.listening.esl.event import Event, name, unique_id
from humbug_agent.listening.esl.listener import Api, Ask
from humbug_agent.text import AUTO

log = logging.getLogger(__name__)

EVENTS = (
    "CHANNEL_CREATE", "CHANNEL_CALLSTATE", "CHANNEL_ANSWER", "CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE",
    "CHANNEL_HANGUP_COMPLETE", "CUSTOM callcenter::info",
)  # fmt: skip
"""What to subscribe to. A channel's hangup is a call state; what comes with its record may come much later."""

CONFIRM_SECONDS = 30.0
AGAIN_SECONDS = 5.0
"""How often everything is asked for, and how long after an answer that did not come."""

SLACK_SECONDS = 5.0
"""FreeSWITCH's table of channels was 20 to 150 ms behind its events, on a machine that had little to do."""

SETTLED_SECONDS = 2.0
"""When the first list of a connection is asked for again: it may have what ended before anybody told."""

GONE_SECONDS = 60.0
"""How long a uuid is known to be gone: it never comes back."""


class FreeswitchFeeder:
    """A listener of `esl.link.Link`."""

    def __init__(self, board: Board, charset: str = AUTO) -> None:
        self._board = board
        self._charset = charset
        self._lines = FreeswitchLines(charset)
        self._connection = 0
        self._began = 0
        self._fault = ""
        self._asking = self._settled = False
        self._next = float("-inf")
        self._touched: dict[str, float] = {}
        self._gone: dict[str, float] = {}
        self._queued: dict[str, float] = {}
        self._agents: dict[str, Agent] = {}
        self._tiers: list[tuple[str, str]] = []
        self._stirred: set[str] = set()
        self._actions: dict[str, Callable[[Event], None]] = {
            "member-queue-start": self._join,
            "bridge-agent-start": self._connect,
            "bridge-agent-end": self._leave,
            "member-queue-end": self._leave,
            "agent-state-change": self._agent,
            "agent-status-change": self._agent,
        }

    # What the link calls.

    def stands(self, trouble: str) -> None:
        if trouble:
            self._begin_anew(trouble)
            self._connection = 0

    def beat(self, connection: int, ask: Ask) -> None:
        now = time.monotonic()
        self._board.keep_time()
        if connection != self._connection:
            self._begin_anew("connected; asks which calls there are", "Asking which calls there are")
            self._lines = FreeswitchLines(self._charset)
            self._connection = connection
        if not self._asking and now >= self._next:
            self._asking = True
            self._prune(now)
            self._stirred.clear()
            began = self._began

            async def question(api: Api) -> None:
                listing = Listing(self._charset)
                try:
                    await listing.ask(api)
                    lines = await self._lines.ask(api)
                except ListError as error:
                    self._failed(began, str(error))
                else:
                    self._apply(began, listing)
                    self._board.put_lines(lines)

            ask(question, lambda reason: self._failed(began, reason))

    def heard(self, connection: int, blocks: Sequence[bytes]) -> None:
        if connection != self._connection:
            return
        self._board.keep_time()
        try:
            for block in blocks:
                self._deal(block)
        except Exception as error:
            # The connection is the calls' way to the outbox, too.
            reason = f"stopped by a fault of this program: {error!r}"
            if reason != self._fault:
                self._fault = reason
                log.exception("board: stopped by a fault of this program")
            self._failed(self._began, reason)

    # How it does it.

    def _begin_anew(self, message: str, trouble: str = "") -> None:
        self._began += 1
        self._asking, self._settled, self._next = False, False, float("-inf")
        for known in (self._touched, self._gone, self._queued, self._agents):
            known.clear()
        self._tiers = []
        self._board.away(message, trouble)

    def _prune(self, now: float) -> None:
        for known, seconds in (
            (self._touched, SLACK_SECONDS),
            (self._queued, SLACK_SECONDS),
            (self._gone, GONE_SECONDS),
        ):
            for uniqueid in [one for one, at in known.items() if now - at > seconds]:
                del known[uniqueid]

    def _failed(self, began: int, reason: str) -> None:
        if began == self._began:
            self._begin_anew(reason, "FreeSWITCH does not tell its calls")
            self._next = time.monotonic() + AGAIN_SECONDS

    def _apply(self, began: int, listing: Listing) -> None:
        if began != self._began:
            return
        for one in self._stirred & self._agents.keys() & listing.agents.keys():
            known = self._agents[one]
            listing.agents[one] = replace(
                listing.agents[one], status=known.status, state=known.state, changed=known.changed
            )
        listing.apply(self._board, self._touched, self._gone, self._queued)
        self._agents, self._tiers = listing.agents, listing.tiers
        self._asking, self._next = False, time.monotonic() + (CONFIRM_SECONDS if self._settled else SETTLED_SECONDS)
        self._settled = True

    def _deal(self, block: bytes) -> None:
        event = name(block)
        if event == "CHANNEL_HANGUP_COMPLETE":
            # Ten thousand bytes for nothing else.
            self._hang_up(unique_id(block))
            return
        if not event.startswith(("CHANNEL_", "CUSTOM")):
            return
        try:
            said = Event(block, self._charset)
        except ValueError:
            log.debug("not understood: %r", block[:200])
            return
        if event != "CUSTOM":
            self._channel(event, said)
        elif said("Event-Subclass") == "callcenter::info":
            self._channel(event, said)
            if deal := self._actions.get(said("CC-Action")):
                deal(said)

    # What the events mean.

    def _channel(self, event: str, said: Event) -> None:
        uniqueid = said("Unique-ID")
        if not uniqueid or not said("Channel-Name") or uniqueid in self._gone:
            return
        if hung_up(said):
            self._hang_up(uniqueid)
            return
        self._touched[uniqueid] = time.monotonic()
        self._board.put(channel(said, self._board.channel(uniqueid), self._linkedid(said)))
        if event in ("CHANNEL_BRIDGE", "CHANNEL_UNBRIDGE"):
            self._bridge(said, said("Bridge-A-Unique-ID") if event == "CHANNEL_BRIDGE" else "")

    def _hang_up(self, uniqueid: str) -> None:
        if uniqueid not in self._gone:
            self._gone[uniqueid] = time.monotonic()
            self._board.hang_up(uniqueid)

    def _linkedid(self, said: Event) -> str:
        uniqueid = said("Unique-ID")
        known = self._board.channel(uniqueid)
        of = said("Channel-Call-UUID")
        if of in ("", uniqueid):
            # An agent's channel is its own call until it talks; a loopback's far half always is.
            of = said("variable_cc_member_session_uuid") or said("variable_other_loopback_leg_uuid")
            if known and known.linkedid != uniqueid:
                return known.linkedid
        other = self._board.channel(of) if of and of != uniqueid else None
        return other.linkedid if other else of or uniqueid

    def _bridge(self, said: Event, bridge: str) -> None:
        for header in ("Bridge-A-Unique-ID", "Bridge-B-Unique-ID"):
            if known := self._board.channel(said(header)):
                self._touched[known.uniqueid] = time.monotonic()
                self._board.put(replace(known, bridge=bridge))

    def _join(self, said: Event) -> None:
        call = queue_call(said)
        if call.uniqueid not in self._gone:
            self._queued[call.uniqueid] = time.monotonic()
            self._board.put_call(call)

    def _connect(self, said: Event) -> None:
        uniqueid = said("CC-Member-Session-UUID")
        if uniqueid in self._gone:
            return
        self._queued[uniqueid] = time.monotonic()
        before = self._board.call(uniqueid) or queue_call(said)
        at = self._board.channel(said("CC-Agent-UUID"))
        agent = self._agents.get(said("CC-Agent")) or Agent(said("CC-Agent"))
        device = device_names(at.channel if at else said("Channel-Name"))[0] or agent.device
        self._board.put_call(connected(before, device, agent.name, said.whole("CC-Agent-Answered-Time")))

    def _leave(self, said: Event) -> None:
        uniqueid = said("CC-Member-Session-UUID")
        self._queued[uniqueid] = time.monotonic()
        known = self._board.call(uniqueid)
        if known and known.queue == said("CC-Queue"):
            self._board.leave(uniqueid)

    def _agent(self, said: Event) -> None:
        known = self._agents.get(said("CC-Agent"))
        if known is None:
            return
        self._stirred.add(known.name)
        status, state = said("CC-Agent-Status") or known.status, said("CC-Agent-State") or known.state
        changed = known.changed if status == known.status else float(said.whole("Event-Date-Timestamp") // 1_000_000)
        self._agents[known.name] = now = replace(known, status=status, state=state, changed=changed)
        for queue, agent in self._tiers:
            if agent == now.name:
                self._board.put_member(now.member(queue))
