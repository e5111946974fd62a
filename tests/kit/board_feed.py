"""A feeder of a FreeSWITCH's board, and who plays its connection."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

from humbug_agent.board.freeswitch import FreeswitchFeeder
from humbug_agent.board.model import Board, QueueCall, State, View
from humbug_agent.listening.esl.event import Event
from humbug_agent.listening.esl.listener import Question
from tests.kit.esl_server import NOTHING, Recording

QUEUES, AGENTS, TIERS = (f"callcenter_config {one} list" for one in ("queue", "agent", "tier"))
CHANNELS = "show channels as json"
MEMBERS = "callcenter_config queue list members support@default"
UNKNOWN = b"-ERR callcenter_config Command not found!\n"


class Fed:
    """A feeder, whose questions are answered when the test says so."""

    def __init__(self) -> None:
        self.board = Board("esl")
        self.feeder = FreeswitchFeeder(self.board)
        self.answers: dict[str, bytes] = {CHANNELS: NOTHING}
        self.asked: list[tuple[Question, Callable[[str], None]]] = []
        self.connect(1)

    def connect(self, number: int) -> None:
        self.number = number
        self.feeder.beat(number, lambda *asked: self.asked.append(asked))

    def hears(self, *bodies: bytes) -> None:
        self.feeder.heard(self.number, bodies)

    def lists(self) -> None:
        """The answer to the last question comes."""
        question, _ = self.asked[-1]

        async def api(command: str) -> bytes:
            return self.answers.get(command, UNKNOWN)

        asyncio.run(cast(Coroutine[Any, Any, None], question(api)))

    def asks_again(self) -> None:
        self.feeder._next = 0.0
        self.connect(self.number)

    @property
    def view(self) -> View:
        return self.board.view()

    def states(self) -> dict[str, State]:
        return {one.channel: one.state for one in self.view.channels}

    def waiting(self, queue: str = "support@default") -> list[str]:
        return [call.name for call in self.queue(queue) if not call.connected]

    def connected(self, queue: str = "support@default") -> list[tuple[str, str, int | None]]:
        return [(call.name, call.agent, call.waited) for call in self.queue(queue) if call.connected]

    def queue(self, name: str) -> tuple[QueueCall, ...]:
        return self.view.queues[name].calls if name in self.view.queues else ()


def listing(recorded: str, number: int = 0) -> bytes:
    return Recording(recorded).answers(CHANNELS)[number]


def rows(body: bytes) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(body)["rows"]
    return found


def changed(body: bytes, **headers: str) -> bytes:
    """A plain event with other headers, their dashes written as underscores."""
    said = Event(body)
    return json.dumps({**said.headers, **{one.replace("_", "-"): value for one, value in headers.items()}}).encode()


def table(events: Sequence[bytes]) -> bytes:
    """What a list made by FreeSWITCH after these events would have."""
    found: dict[str, dict[str, str]] = {}
    for said in map(Event, events):
        found[said("Unique-ID")] = {
            "uuid": said("Unique-ID"),
            "direction": said("Call-Direction"),
            "name": said("Channel-Name"),
            "callstate": said("Channel-Call-State"),
            "created_epoch": str(said.whole("Caller-Channel-Created-Time") // 1_000_000),
        }
    if not found:
        return NOTHING
    return json.dumps({"row_count": len(found), "rows": list(found.values())}).encode()
