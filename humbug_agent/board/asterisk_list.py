"""Everything an Asterisk has now, asked for once: CoreShowChannels and QueueStatus.

It writes lists at once, and events by and by: what an event said since the question is newer than the list, or about
to be said again. So a channel that was touched since then stays as the events have it, and one that hung up stays gone.
"""

import time
from dataclasses import replace

from humbug_agent.ami.headers import Headers, name
from humbug_agent.ami.protocol import TOLD
from humbug_agent.board.asterisk_words import channel, member
from humbug_agent.board.model import Board, Channel, Member, QueueCall

SLACK_SECONDS = 3.0
"""Asterisk tells whole seconds, and events take their time."""


class Listing:
    """One question and what came of it. ``done`` once it is complete; ``refused`` with Asterisk's words if it is not.

    The feeder notes which channels events have ``touched`` since, which are ``gone``, and who joined or left a queue
    (``queued``), all by uniqueid.
    """

    def __init__(self, number: int, board: Board) -> None:
        self._id = f"{TOLD}{number}"
        self._board = board
        self._asked = time.time()
        self._listed: dict[str, Headers] = {}
        self._entries: list[Headers] = []
        self._queues: list[str] = []
        self._members: list[Member] = []
        self.touched: set[str] = set()
        self.gone: set[str] = set()
        self.queued: set[str] = set()
        self.done = False
        self.refused = ""

    def question(self) -> bytes:
        return (
            f"Action: CoreShowChannels\r\nActionID: {self._id}-channels\r\n\r\n"
            f"Action: QueueStatus\r\nActionID: {self._id}-queues\r\n\r\n"
        ).encode()

    # What came of it.

    def take(self, block: bytes) -> None:
        """One message of the answer. Those to earlier questions don't matter any more."""
        said, event = Headers(block), name(block)
        if not said("ActionID").startswith(f"{self._id}-"):
            return
        if event == "CoreShowChannel":
            self._listed[said("Uniqueid")] = said
        elif event == "QueueParams":
            self._queues.append(said("Queue"))
        elif event == "QueueMember":
            self._members.append(member(said))
        elif event == "QueueEntry":
            self._entries.append(said)
        elif event == "QueueStatusComplete":
            self.done = True
        elif said("Response") == "Error":
            if said("ActionID").endswith("-channels"):
                self.refused = said("Message")
            # An Asterisk without app_queue knows no QueueStatus.
            self.done = True

    def apply(self, confirmed: float) -> str:
        """Put it on the board. Returns the class of events that don't come though they should have, if there is one.

        ``confirmed`` is when the list before this one was taken over, 0 if there was none.
        """
        channels = self._channels()
        waiting = self._waiting(channels)
        deaf = self._missed(confirmed)
        connected = self._connected(channels, waiting)
        self._board.replace(channels.values(), self._queues, [*waiting.values(), *connected], self._members)
        return deaf

    def _channels(self) -> dict[str, Channel]:
        now = time.time()
        found: dict[str, Channel] = {}
        for uniqueid, said in self._listed.items():
            known = self._board.channel(uniqueid)
            if uniqueid in self.gone:
                continue
            if known and uniqueid in self.touched:
                found[uniqueid] = replace(known, application=said("Application"))
            else:
                found[uniqueid] = replace(channel(said, known, now), bridge=said("BridgeId"))
        for uniqueid in self.touched - self.gone:
            if known := self._board.channel(uniqueid):
                found.setdefault(uniqueid, known)
        return found

    def _waiting(self, channels: dict[str, Channel]) -> dict[str, QueueCall]:
        now = time.time()
        found: dict[str, QueueCall] = {}
        for said in self._entries:
            uniqueid = said("Uniqueid")
            if uniqueid in self.gone or uniqueid in self.queued:
                continue
            known = self._board.call(uniqueid)
            who = channels.get(uniqueid)
            same = known is not None and known.queue == said("Queue") and not known.connected
            found[uniqueid] = QueueCall(
                uniqueid=uniqueid,
                queue=said("Queue"),
                channel=said("Channel"),
                number=who.number if who else said("CallerIDNum"),
                name=who.name if who else said("CallerIDName"),
                entered=known.entered if known and same else now - said.whole("Wait"),
            )
        return found

    def _connected(self, channels: dict[str, Channel], waiting: dict[str, QueueCall]) -> list[QueueCall]:
        """Who talks to a queue member, which no list tells: those known, and those in Queue whom a bridge joins."""
        found = []
        for uniqueid in channels.keys() - waiting.keys():
            known = self._board.call(uniqueid)
            said = self._listed.get(uniqueid)
            if uniqueid in self.queued or said is None:
                found += [known] if known else []
            elif said("Application") == "Queue" and known and known.connected:
                found.append(known)
            elif said("Application") == "Queue" and (agent := self._agent(channels[uniqueid], channels)):
                who, now = channels[uniqueid], time.time()
                found.append(
                    QueueCall(
                        uniqueid=uniqueid,
                        queue=said("ApplicationData").partition(",")[0],
                        channel=who.channel,
                        number=who.number,
                        name=who.name,
                        entered=who.since,
                        agent=agent.device,
                        agent_name=self._named(agent.device),
                        since=now,
                    )
                )
        return found

    def _agent(self, caller: Channel, channels: dict[str, Channel]) -> Channel | None:
        return next(
            (one for one in channels.values() if caller.bridge and one.bridge == caller.bridge and one is not caller),
            None,
        )

    def _named(self, interface: str) -> str:
        return next((one.name for one in self._members if one.interface == interface), "")

    def _missed(self, confirmed: float) -> str:
        """Something that came long after the last list and long before this one, and no event told of it: its class."""
        if not confirmed:
            return ""
        now = time.time()
        after, before = confirmed + SLACK_SECONDS, self._asked - SLACK_SECONDS
        for uniqueid, said in self._listed.items():
            if self._board.channel(uniqueid) is None and after < channel(said, None, now).since < before:
                return "call"
        for said in self._entries:
            if self._board.call(said("Uniqueid")) is None and after < now - said.whole("Wait") < before:
                return "agent"
        return ""
