"""Keeps a board true from an AMI: events make it immediate, a list of everything now and then makes it right."""

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from humbug_agent.ami.headers import Headers, name
from humbug_agent.ami.protocol import TOLD
from humbug_agent.board.asterisk_list import Listing
from humbug_agent.board.asterisk_words import agent, channel, member, queue_call
from humbug_agent.board.model import Board, QueueCall

log = logging.getLogger(__name__)

CLASSES = ("agent", "call")
"""What the AMI user's read must have; its write must have reporting."""

_ANSWER = f"\r\nActionID: {TOLD}".encode()

CONFIRM_SECONDS = 30.0
ANSWER_SECONDS = 10.0
"""How often everything is asked for, and how long the answer may take."""


class AsteriskFeeder:
    """A listener of `ami.link.Link`; ``user`` is the AMI user, to say what to do about missing rights."""

    def __init__(self, board: Board, user: str) -> None:
        self._board = board
        self._user = user
        self._connection = 0
        self._numbers = itertools.count(1)
        self._list = Listing(0, board)
        self._open = False
        self._asked = float("-inf")
        self._confirmed = 0.0
        self._deaf = ""
        self._left: dict[str, QueueCall] = {}
        calls = {
            "Newchannel": self._put,
            "Newstate": self._put,
            "NewCallerid": self._put,
            "NewConnectedLine": self._put,
            "NewAccountCode": self._put,
            "BridgeEnter": self._put,
            "BridgeLeave": self._part,
            "DialBegin": self._dial,
            "Rename": self._rename,
            "Hangup": self._hang_up,
        }
        agents = {
            "QueueCallerJoin": self._join,
            "QueueCallerLeave": self._leave,
            "QueueCallerAbandon": self._leave,
            "AgentConnect": self._connect,
            "AgentComplete": self._leave,
            "QueueMemberAdded": self._member,
            "QueueMemberStatus": self._member,
            "QueueMemberPause": self._member,
            "QueueMemberRemoved": self._no_member,
        }
        self._events: dict[str, tuple[str, Callable[[Headers], None]]] = {
            **{event: ("call", deal) for event, deal in calls.items()},
            **{event: ("agent", deal) for event, deal in agents.items()},
        }

    # What the link calls.

    def stands(self, trouble: str) -> None:
        if trouble:
            self._begin_anew(trouble)
            self._connection = 0

    def beat(self, connection: int, tell: Callable[[bytes], None]) -> None:
        now = time.monotonic()
        if connection != self._connection:
            self._begin_anew("connected; asks which calls there are")
            self._connection = connection
        if self._open and now - self._asked > ANSWER_SECONDS:
            self._begin_anew(f"does not tell its channels and queues within {ANSWER_SECONDS:.0f} s")
        if now - self._asked > CONFIRM_SECONDS:
            self._asked, self._open = now, True
            self._list = Listing(next(self._numbers), self._board)
            tell(self._list.question())

    def heard(self, connection: int, blocks: Sequence[bytes]) -> None:
        if connection != self._connection:
            return
        try:
            for block in blocks:
                if _ANSWER in block:
                    self._answer(block)
                elif event := self._events.get(name(block)):
                    self._deal(block, *event)
        except Exception as error:
            # The connection is the calls' way to the outbox, too.
            log.exception("board: stopped by a fault of this program")
            self._begin_anew(f"stopped by a fault of this program: {error!r}")

    # How it does it.

    def _begin_anew(self, message: str) -> None:
        self._open, self._asked, self._confirmed, self._deaf = False, float("-inf"), 0.0, ""
        self._left.clear()
        self._board.away(message)

    def _answer(self, block: bytes) -> None:
        self._list.take(block)
        if not (self._open and self._list.done):
            return
        self._open = False
        if self._list.refused:
            self._board.away(
                f"its user {self._user} may not list channels ({self._list.refused}): in manager.conf, section "
                f"[{self._user}], write must have reporting; then asterisk -rx 'manager reload'"
            )
            return
        missed = self._list.apply(self._confirmed)
        self._confirmed = time.time()
        self._deaf = self._deaf or missed
        if self._deaf:
            self._board.away(
                f"tells of no calls as they happen: in manager.conf, section [{self._user}], read must have "
                f"{self._deaf}; then asterisk -rx 'manager reload'"
            )

    def _deal(self, block: bytes, kind: str, deal: Callable[[Headers], None]) -> None:
        if kind == self._deaf:
            self._deaf, self._asked = "", float("-inf")
        deal(Headers(block))

    # What the events mean.

    def _put(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        self._list.touched.add(uniqueid)
        self._board.put(channel(said, self._board.channel(uniqueid), time.time()))

    def _part(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        if known := self._board.channel(uniqueid):
            self._list.touched.add(uniqueid)
            self._board.put(replace(known, bridge=""))

    def _dial(self, said: Headers) -> None:
        uniqueid = said("DestUniqueid")
        if known := self._board.channel(uniqueid):
            self._list.touched.add(uniqueid)
            self._board.put(replace(known, callee=True))

    def _rename(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        if known := self._board.channel(uniqueid):
            self._list.touched.add(uniqueid)
            self._board.put(replace(known, channel=said("Newname")))

    def _hang_up(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        self._list.gone.add(uniqueid)
        self._left.pop(uniqueid, None)
        self._board.hang_up(uniqueid)

    def _join(self, said: Headers) -> None:
        self._list.queued.add(said("Uniqueid"))
        self._board.put_call(queue_call(said, time.time()))

    def _leave(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        self._list.queued.add(uniqueid)
        known = self._board.call(uniqueid)
        if known and known.queue == said("Queue"):
            self._left[uniqueid] = known
            self._board.leave(uniqueid)

    def _connect(self, said: Headers) -> None:
        uniqueid, now, waited = said("Uniqueid"), time.time(), said.whole("HoldTime")
        self._list.queued.add(uniqueid)
        before = self._board.call(uniqueid) or self._left.pop(uniqueid, None) or queue_call(said, now - waited)
        self._board.put_call(
            replace(before, agent=agent(said), agent_name=said("MemberName"), waited=waited, since=now)
        )

    def _member(self, said: Headers) -> None:
        self._board.put_member(member(said))

    def _no_member(self, said: Headers) -> None:
        self._board.drop_member(said("Queue"), said("Interface"))
