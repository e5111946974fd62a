"""Everything an Asterisk has now, asked for once: CoreShowChannels and QueueStatus.

It writes a list at once, and behind the events it has written before: a list is newer than all that came so far. What
comes behind it may still tell what was before it, and then goes on to what is now. So each of the two is put on the
board when it is complete, and events before, between and behind them are dealt with as ever. But for one thing: it
may list a channel for some milliseconds after it said that it hung up (seen of Asterisk 16).
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from humbug_agent.board.asterisk_words import QUEUES_OWN, agent_name, channel, figures, lasted, member
from humbug_agent.board.model import Board, Channel, Figures, Member, QueueCall
from humbug_agent.listening.ami.headers import Headers, name
from humbug_agent.listening.ami.protocol import TOLD

SLACK_SECONDS = 3.0
"""Asterisk tells whole seconds, and events take their time."""


class Recount:
    """One question for the figures of a queue, and for its members' own: no event tells the first.

    It is behind the events that Asterisk had written before, and is put on the board as it comes.
    """

    def __init__(self, number: int, queue: str, board: Board, charset: str) -> None:
        self._id = f"{TOLD}{number}-figures"
        self._queue = queue
        self._board = board
        self._charset = charset

    def question(self) -> bytes:
        return f"Action: QueueStatus\r\nActionID: {self._id}\r\nQueue: {self._queue}\r\n\r\n".encode()

    def take(self, block: bytes) -> None:
        """One message of the answer."""
        said, event = Headers(block, self._charset), name(block)
        if said("ActionID") != self._id:
            return
        if event == "QueueParams":
            self._board.put_figures(said("Queue"), figures(said))
        elif event == "QueueMember":
            self._board.put_member(member(said))


class Listing:
    """One question and what came of it. ``done`` once it is complete; ``refused`` with Asterisk's words if it is not.

    ``confirmed`` is when the list before this one was complete, 0 if there was none; ``gone`` knows whose channel hung
    up just now.
    """

    def __init__(self, number: int, board: Board, confirmed: float, gone: Callable[[str], bool], charset: str) -> None:
        self._id = f"{TOLD}{number}"
        self._board = board
        self._confirmed = confirmed
        self._gone = gone
        self._charset = charset
        self._asked = time.time()
        self._listed: dict[str, Headers] = {}
        self._entries: dict[str, Headers] = {}
        self._queues: dict[str, Figures] = {}
        self._members: list[Member] = []
        self._channels_done = self._queues_done = False
        self._missed = ""
        self.refused = ""

    @property
    def done(self) -> bool:
        return bool(self.refused) or (self._channels_done and self._queues_done)

    def question(self) -> bytes:
        return (
            f"Action: CoreShowChannels\r\nActionID: {self._id}-channels\r\n\r\n"
            f"Action: QueueStatus\r\nActionID: {self._id}-queues\r\n\r\n"
        ).encode()

    def take(self, block: bytes) -> None:
        """One message of the answer. Those to earlier questions don't matter any more."""
        said, event = Headers(block, self._charset), name(block)
        if not said("ActionID").startswith(f"{self._id}-"):
            return
        if event == "CoreShowChannel":
            self._listed[said("Uniqueid")] = said
        elif event == "QueueParams":
            self._queues[said("Queue")] = figures(said)
        elif event == "QueueMember":
            self._members.append(member(said))
        elif event == "QueueEntry":
            self._entries[said("Uniqueid")] = said
        elif event == "CoreShowChannelsComplete":
            self._channels_done = True
            self._put_channels()
        elif event == "QueueStatusComplete":
            self._queues_done = True
        elif block.startswith(b"Response: Error"):
            if said("ActionID").endswith("-channels"):
                self.refused = said("Message")
            # An Asterisk without app_queue knows no QueueStatus.
            self._queues_done = True

    def _put_channels(self) -> None:
        now = time.time()
        known = self._board.channel
        channels = {
            uniqueid: self._listed_channel(said, known(uniqueid), now)
            for uniqueid, said in self._listed.items()
            if not self._gone(uniqueid)
        }
        if any(known(one.uniqueid) is None and self._in_between(one.since) for one in channels.values()):
            self._missed = "call"
        bridges: defaultdict[str, list[Channel]] = defaultdict(list)
        for one in channels.values():
            bridges[one.bridge].append(one)
        calls = [self._call(one, bridges[one.bridge]) for one in channels.values()]
        self._board.replace_channels(channels.values(), [call for call in calls if call])

    def _listed_channel(self, said: Headers, known: Channel | None, now: float) -> Channel:
        found = replace(channel(said, known, now), bridge=said("BridgeId"))
        if self._confirmed:
            return found
        # It may have been there long before the first event of it came.
        return replace(found, since=min(found.since, now - lasted(said)))

    def _call(self, who: Channel, together: list[Channel]) -> QueueCall | None:
        """The queue call that a channel is in, or None.

        No list tells who talks to a queue member: it is in Queue, and a bridge joins it with whom Queue called.

        Somebody else is there where a member has passed the caller on, which events have told; and where the member's
        Local channel was optimised away, which the first list takes it for.
        """
        known, said = self._board.call(who.uniqueid), self._listed[who.uniqueid]
        others = [one for one in together if who.bridge and one is not who]
        if who.application != "Queue":
            # But whose Local channel was in Queue, and was optimised away, talks to the agent all the same.
            at_agent = known and any(one.application == QUEUES_OWN or one.device == known.agent for one in others)
            return None if known and known.connected and not at_agent else known
        agent = next((one for one in others if one.application == QUEUES_OWN or not self._confirmed), None)
        if agent is None or (known and known.connected):
            return known
        queue = said("ApplicationData").partition(",")[0]
        return QueueCall(
            uniqueid=who.uniqueid,
            queue=queue,
            channel=who.channel,
            number=who.number,
            name=who.name,
            entered=known.entered if known and known.queue.casefold() == queue.casefold() else who.since,
            agent=agent.device,
            since=time.time(),
        )

    def missed(self) -> str:
        """The class of events that don't come though they should have, if there is one."""
        for uniqueid, said in self._entries.items():
            if self._board.call(uniqueid) is None and self._in_between(time.time() - said.whole("Wait")):
                return self._missed or "agent"
        return self._missed

    def put_queues(self) -> None:
        """The end of it: from now on the board is live."""
        now = int(time.time())
        # Queue(SUPPORT) is the queue support.
        names = {name.casefold(): name for name in self._queues}
        connected = [
            self._connected(replace(call, queue=names.get(call.queue.casefold(), call.queue)))
            for call in self._board.calls()
            if call.connected and call.uniqueid not in self._entries
        ]
        waiting = [self._waiting(said, now) for said in self._entries.values()]
        calls = [*waiting, *connected]
        self._board.replace(self._board.channels(), self._queues, calls, self._members, self._queues)

    def _connected(self, call: QueueCall) -> QueueCall:
        return replace(call, agent_name=call.agent_name or agent_name(self._members, call.queue, call.agent))

    def _waiting(self, said: Headers, now: int) -> QueueCall:
        uniqueid = said("Uniqueid")
        known, who = self._board.call(uniqueid), self._board.channel(uniqueid)
        same = known is not None and known.queue == said("Queue") and not known.connected
        return QueueCall(
            uniqueid=uniqueid,
            queue=said("Queue"),
            channel=said("Channel"),
            number=who.number if who else said("CallerIDNum"),
            name=who.name if who else said("CallerIDName"),
            entered=known.entered if known and same else now - said.whole("Wait"),
        )

    def _in_between(self, began: float) -> bool:
        """Whether it is from long after the last list and long before this one, so that events must have told it."""
        return bool(self._confirmed) and self._confirmed + SLACK_SECONDS < began < self._asked - SLACK_SECONDS
