"""Keeps a board true from an AMI: events make it immediate, a list of everything now and then makes it right."""

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from humbug_agent.board.asterisk_lines import ANSWER as LINES_ANSWER
from humbug_agent.board.asterisk_lines import AsteriskLines
from humbug_agent.board.asterisk_list import Listing, Recount
from humbug_agent.board.asterisk_words import agent, agent_name, channel, member, queue_call
from humbug_agent.board.model import Board, Channel, QueueCall
from humbug_agent.host.pbx_first import DOUBT_SECONDS
from humbug_agent.host.systemd import to_reload, unit
from humbug_agent.listening.ami.headers import Headers, name
from humbug_agent.listening.ami.protocol import BANNER, OLD_BANNER, TOLD
from humbug_agent.text import AUTO, text

log = logging.getLogger(__name__)

CLASSES = ("agent", "call")
"""What the AMI user's read must have; its write must have reporting."""

WELCOME = "system"
"""What it may have: then trunks and phones change as it happens, and not only when they are asked for."""

LACKS = "The AMI user lacks a right"
"""The trouble of a board whose feeder may not see what it needs."""

_ANSWER = f"\r\nActionID: {TOLD}".encode()

CONFIRM_SECONDS = 30.0
ANSWER_SECONDS = 10.0
"""How often everything is asked for, and how long the answer may take."""


SETTLED_SECONDS, MOST_RECOUNTS = 0.2, 10
"""How long after a call's event Asterisk has surely counted it, and of how many queues the figures are asked for at
once, which is once a second at the most."""

MANY, MANY_TIMES, CALM_SECONDS = 150, 4, 1.0
"""So many events in so many reads, one right behind the other, are more than can be followed without keeping Asterisk
waiting, which would cut the connection off. Then everything is asked for again, once there were fewer for so long."""


class AsteriskFeeder:
    """A listener of `ami.link.Link`; ``user`` is the AMI user, to say what to do about missing rights.

    ``private`` says that nobody else can read the connection.
    """

    def __init__(self, board: Board, user: str, charset: str = AUTO, *, private: bool = True) -> None:
        self._board = board
        self._user = user
        self._charset = charset
        self._connection = 0
        self._numbers = itertools.count(1)
        self._list = Listing(0, board, 0.0, self._has_gone, charset)
        self._lines = AsteriskLines(board, user, charset, private=private)
        self._open = False
        self._asked = float("-inf")
        self._confirmed = 0.0
        self._deaf = ""
        # Of which classes an event has come on this connection.
        self._heard: set[str] = set()
        self._fault = ""
        self._flooded = float("-inf")
        self._many = 0
        self._left: dict[str, QueueCall] = {}
        # Queue -> when something happened there that changes its figures.
        self._miscounted: dict[str, float] = {}
        self._recounts: list[Recount] = []
        # When an event came that cannot be after what was told before.
        self._doubted: float | None = None
        # A connection to an Asterisk that speaks otherwise, and its version of AMI.
        self._old = (0, "")
        # Since the last beat, and since the one before it.
        self._gone: tuple[set[str], set[str]] = (set(), set())
        calls = {
            "Newchannel": self._put,
            "Newstate": self._put,
            "NewCallerid": self._put,
            "NewConnectedLine": self._put,
            "NewAccountCode": self._put,
            "BridgeEnter": self._enter,
            "BridgeLeave": self._part,
            "DialBegin": self._dial,
            "Rename": self._rename,
            "LocalOptimizationBegin": self._optimize,
            "Hangup": self._hang_up,
        }
        agents = {
            "QueueCallerJoin": self._join,
            "QueueCallerLeave": self._leave,
            "QueueCallerAbandon": self._abandon,
            "AgentConnect": self._connect,
            "AgentComplete": self._complete,
            "QueueMemberAdded": self._new_member,
            "QueueMemberStatus": self._member,
            "QueueMemberPause": self._member,
            "QueueMemberPenalty": self._member,
            "QueueMemberRinginuse": self._member,
            "QueueMemberRemoved": self._no_member,
        }
        lines = {
            "Registry": self._lines.registry,
            "PeerStatus": self._lines.peer,
            "ContactStatus": self._lines.contact,
        }
        self._events: dict[str, tuple[str, Callable[[Headers], None]]] = {
            **{event: ("call", deal) for event, deal in calls.items()},
            **{event: ("agent", deal) for event, deal in agents.items()},
            **{event: (WELCOME, deal) for event, deal in lines.items()},
        }

    # What the link calls.

    def stands(self, trouble: str) -> None:
        if trouble:
            self._begin_anew(trouble, "")
            self._connection = 0

    def beat(self, connection: int, tell: Callable[[bytes], None]) -> None:
        now = time.monotonic()
        self._board.keep_time()
        self._gone = set(), self._gone[0]
        if connection != self._connection:
            self._connection = connection
            self._heard.clear()
            self._lines.forget()
            if self._too_old:
                self._begin_anew(
                    f"needs Asterisk 12 or later (this is AMI {self._old[1]}); calls are delivered all the same",
                    "Asterisk is too old for the board",
                )
            else:
                self._begin_anew("connected; asks which calls there are", "Asking which calls there are")
        if self._too_old:
            return
        if self._open and now - self._asked > ANSWER_SECONDS:
            self._begin_anew(
                f"does not tell its channels and queues within {ANSWER_SECONDS:.0f} s", "AMI does not answer"
            )
        old = now - self._asked > CONFIRM_SECONDS or self._doubts(now)
        if old and now - self._flooded > CALM_SECONDS:
            self._asked, self._open, self._doubted = now, True, None
            self._list = Listing(next(self._numbers), self._board, self._confirmed, self._has_gone, self._charset)
            # It has all figures.
            self._miscounted.clear()
            tell(self._list.question())
        elif self._confirmed and now - self._flooded > CALM_SECONDS:
            self._recount(now, tell)
            if due := self._lines.question(now):
                tell(due)

    def heard(self, connection: int, blocks: Sequence[bytes]) -> None:
        if blocks[0].startswith(OLD_BANNER):
            self._old = connection, text(blocks[0].removeprefix(BANNER))
        if connection != self._connection or self._too_old:
            return
        self._board.keep_time()
        self._many = self._many + 1 if sum(_ANSWER not in block for block in blocks) > MANY else 0
        if self._many >= MANY_TIMES:
            self._flooded = time.monotonic()
            self._begin_anew(
                "more happens at once than can be followed; asks again when it is less", "Too much happens at once"
            )
            return
        try:
            for block in blocks:
                if LINES_ANSWER in block:
                    self._lines.take(block)
                elif _ANSWER in block:
                    self._answer(block)
                elif event := self._events.get(name(block)):
                    self._deal(block, *event)
        except Exception as error:
            # The connection is the calls' way to the outbox, too.
            message = f"stopped by a fault of this program: {error!r}"
            if message != self._fault:
                # Where one event has it, a thousand may.
                log.exception("board: stopped by a fault of this program")
            self._fault = message
            self._begin_anew(message, "The board has a fault")

    # How it does it.

    @property
    def _too_old(self) -> bool:
        return self._connection == self._old[0] != 0

    def _begin_anew(self, message: str, trouble: str) -> None:
        self._open, self._asked, self._confirmed, self._deaf = False, float("-inf"), 0.0, ""
        self._doubted = None
        for known in (self._left, self._miscounted, self._recounts):
            known.clear()
        self._board.away(message, trouble)

    def _doubts(self, now: float) -> bool:
        """Whether everything is to be asked for again now, since events did not tell all that has happened."""
        settled = self._doubted is not None and now - self._doubted > SETTLED_SECONDS
        return settled and not self._open and now - self._asked > DOUBT_SECONDS

    def _recount(self, now: float, tell: Callable[[bytes], None]) -> None:
        due = list(self._miscounted)[:MOST_RECOUNTS]
        for queue in due:
            # What has just happened may not be counted yet: then it is asked for once more, behind the others.
            at = self._miscounted.pop(queue)
            if now - at < SETTLED_SECONDS:
                self._miscounted[queue] = at
        self._recounts = [Recount(next(self._numbers), queue, self._board, self._charset) for queue in due]
        if due:
            tell(b"".join(one.question() for one in self._recounts))

    def _answer(self, block: bytes) -> None:
        for one in self._recounts:
            one.take(block)
        self._list.take(block)
        if not (self._open and self._list.done):
            return
        self._open = False
        if self._list.refused:
            # What comes meanwhile is not on the board, and that no event told it would be said of the next list.
            self._confirmed = 0.0
            self._board.away(
                f"its user {self._user} may not list channels ({self._list.refused}): in manager.conf, section "
                f"[{self._user}], write must have reporting, such as: write = reporting; {_then()}",
                LACKS,
            )
            return
        self._confirmed = time.time()
        missed = self._list.missed()
        # A connection keeps its rights: what one event came of it may see, and no event tells of some things.
        self._deaf = self._deaf or ("" if missed in self._heard else missed)
        if self._deaf:
            self._board.away(
                f"tells of no calls as they happen: in manager.conf, section [{self._user}], read must have "
                f"{self._deaf}, such as: read = cdr,{','.join(reversed(CLASSES))}; {_then()}",
                LACKS,
            )
            return
        self._list.put_queues()
        self._left = {uniqueid: call for uniqueid, call in self._left.items() if self._board.channel(uniqueid)}

    def _deal(self, block: bytes, kind: str, deal: Callable[[Headers], None]) -> None:
        self._heard.add(kind)
        if kind == self._deaf:
            # What came while it was deaf is no reason to be so again.
            self._deaf, self._confirmed, self._open, self._asked = "", 0.0, False, float("-inf")
        deal(Headers(block, self._charset))

    # What the events mean.

    def _put(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        # Of a call that somebody picked up, Asterisk goes on to tell once its channel has hung up.
        if not self._has_gone(uniqueid):
            self._board.put(channel(said, self._board.channel(uniqueid), time.time()))

    def _enter(self, said: Headers) -> None:
        self._put(said)
        self._doubt(said("Uniqueid"))
        entered = self._board.channel(said("Uniqueid"))
        if entered and said("BridgeType") == "basic":
            # But for a conference, they are one call from now on, the oldest of theirs, as is told of who enters alone.
            for one in self._others(entered):
                self._board.put(replace(one, linkedid=entered.linkedid))

    def _part(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        if known := self._board.channel(uniqueid):
            self._board.put(replace(known, bridge=""))

    def _dial(self, said: Headers) -> None:
        uniqueid = said("DestUniqueid")
        if known := self._board.channel(uniqueid):
            self._board.put(replace(known, callee=True))

    def _rename(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        if known := self._board.channel(uniqueid):
            self._board.put(replace(known, channel=said("Newname")))

    def _optimize(self, said: Headers) -> None:
        """A Local channel goes: whoever talks to one of its halves is from now on what the other half was."""
        one, two = self._board.channel(said("LocalOneUniqueid")), self._board.channel(said("LocalTwoUniqueid"))
        if one is None or two is None:
            return
        caller, agent = next(self._others(one), None), next(self._others(two), None)
        if caller and (call := self._board.call(two.uniqueid)):
            self._board.leave(two.uniqueid)
            self._board.put_call(replace(call, uniqueid=caller.uniqueid, channel=caller.channel))
        elif caller and agent and (call := self._board.call(caller.uniqueid)) and call.agent == one.device:
            self._board.put_call(replace(call, agent=agent.device))

    def _others(self, who: Channel) -> Iterator[Channel]:
        """Who is in the same bridge."""
        return (one for one in self._board.channels() if one.bridge == who.bridge != "" and one is not who)

    def _hang_up(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        self._gone[0].add(uniqueid)
        self._left.pop(uniqueid, None)
        self._doubt(uniqueid)
        self._board.hang_up(uniqueid)

    def _doubt(self, uniqueid: str) -> None:
        """Of a caller who waits there is no such event: the last one of its waiting comes before. Unless it was put in
        another's place, or taken away, of which no event tells: who waits there now a list knows.
        """
        known = self._board.call(uniqueid)
        if known and not known.connected:
            self._doubted = time.monotonic()

    def _has_gone(self, uniqueid: str) -> bool:
        return any(uniqueid in gone for gone in self._gone)

    def _join(self, said: Headers) -> None:
        known = self._board.call(said("Uniqueid"))
        same = known and known.queue == said("Queue") and known.waited is None
        # What is known of it may be from a list, and where it stands from before it left.
        self._board.leave(said("Uniqueid"))
        call = queue_call(said, known.entered if known and same else time.time())
        self._board.put_call(call, said.whole("Position"))

    def _abandon(self, said: Headers) -> None:
        self._miscounted[said("Queue")] = time.monotonic()
        self._leave(said)

    def _leave(self, said: Headers) -> None:
        uniqueid = said("Uniqueid")
        known = self._board.call(uniqueid)
        if known and known.queue == said("Queue"):
            self._left[uniqueid] = known
            self._board.leave(uniqueid)

    def _complete(self, said: Headers) -> None:
        self._miscounted[said("Queue")] = time.monotonic()
        # Of a caller whom the agent has sent back into the queue it may come late.
        known = self._board.call(said("Uniqueid"))
        if known and known.connected and known.queue == said("Queue"):
            self._board.leave(known.uniqueid)

    def _connect(self, said: Headers) -> None:
        self._miscounted[said("Queue")] = time.monotonic()
        uniqueid, now, waited = said("Uniqueid"), time.time(), said.whole("HoldTime")
        name = agent_name(self._board.members(), said("Queue"), said("Interface"), said("MemberName"))
        known = (self._board.call(uniqueid), self._left.pop(uniqueid, None))
        before = next((one for one in known if one and one.queue == said("Queue")), queue_call(said, now - waited))
        self._board.put_call(replace(before, agent=agent(said), agent_name=name, waited=waited, since=now))

    def _member(self, said: Headers) -> None:
        self._board.put_member(member(said))

    def _new_member(self, said: Headers) -> None:
        one = member(said)
        self._board.put_member(replace(one, since=one.since or time.time()))

    def _no_member(self, said: Headers) -> None:
        self._board.drop_member(said("Queue"), said("Interface"))


def _then() -> str:
    """A connection keeps the rights that its user had when it logged in."""
    return f"then asterisk -rx 'manager reload' and {to_reload(unit())}"
