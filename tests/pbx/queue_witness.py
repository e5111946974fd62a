"""What happens in a queue, told twice more: by the console of its Asterisk, and by the raw events, counted anew."""

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager, Message

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_QUEUE = re.compile(
    r"^(?P<queue>\S+) has (?P<waiting>\d+) calls .* \((?P<hold>\d+)s holdtime, (?P<talk>\d+)s talktime\), W:\d+, "
    r"C:(?P<completed>\d+), A:(?P<abandoned>\d+), SL:(?P<level>[\d.]+)%, SL2:[\d.]+% within (?P<target>\d+)s$",
    re.MULTILINE,
)
_MEMBER = re.compile(
    r"^ +(?P<name>.+?) \((?P<interface>Local/\S+)\)(?P<rest>.*) has taken (?P<taken>no|\d+) calls(?P<more>.*)$",
    re.MULTILINE,
)
_STATUS = {"0": "unknown", "1": "idle", "2": "in use", "5": "unavailable", "6": "ringing", "7": "in use, ringing"}
_STATES = {"Not in use": "idle", "In use": "in use", "Ringing": "ringing", "Unavailable": "unavailable"}

Values = dict[tuple[str, ...], object]
"""A figure, such as ("queue", "completed") or ("Local/9801@agents/n", "calls_taken") -> its value."""

Ages = dict[tuple[str, ...], float]
"""The same for those that run: seconds."""


@dataclass(frozen=True)
class Shown:
    """What ``queue show`` says of one queue."""

    values: Values
    ages: Ages


def console(pbx: Pbx, queue: str) -> Shown:
    text = _COLOURS.sub("", pbx.cli(f"queue show {queue}"))
    found = _QUEUE.search(text)
    assert found, text
    values: Values = {
        ("queue", "waiting"): int(found["waiting"]),
        ("queue", "completed"): int(found["completed"]),
        ("queue", "abandoned"): int(found["abandoned"]),
        ("queue", "hold_seconds"): int(found["hold"]),
        ("queue", "talk_seconds"): int(found["talk"]),
        ("queue", "service_level_percent"): float(found["level"]) if int(found["completed"]) else None,
        ("queue", "service_level_seconds"): int(found["target"]),
    }
    waits = [_seconds(one) for one in re.findall(r"\(wait: ([\d:]+), prio", text)]
    ages: Ages = {("queue", "longest_wait_seconds"): max(waits, default=0)}
    for one in _MEMBER.finditer(text):
        interface, rest = one["interface"], one["rest"] + one["more"]
        state = re.search(r"\((Not in use|In use|Ringing|Unavailable)\)", rest)
        paused = re.search(r"\(paused(?::(.*?))? was (\d+) secs ago\)", rest)
        last = re.search(r"\(last was (\d+) secs ago\)", rest)
        login = re.search(r"\(login was (\d+) secs ago\)", rest)
        penalty = re.search(r"with penalty (\d+)", rest)
        assert state, one[0]
        assert login, one[0]
        values |= {
            (interface, "name"): one["name"],
            (interface, "state"): _STATES[state[1]],
            (interface, "paused"): paused is not None,
            (interface, "calls_taken"): 0 if one["taken"] == "no" else int(one["taken"]),
            (interface, "penalty"): int(penalty[1]) if penalty else 0,
            **({(interface, "reason"): paused[1] or ""} if paused else {}),
        }
        ages[interface, "login_seconds"] = int(login[1])
        if last:
            ages[interface, "last_call_seconds"] = int(last[1])
        if paused:
            ages[interface, "last_pause_seconds"] = int(paused[2])
    return Shown(values, ages)


def _seconds(wait: str) -> int:
    minutes, _, seconds = wait.rpartition(":")
    return int(minutes) * 60 + int(seconds)


@dataclass
class Counted:
    """One queue, by its events alone.

    ``history`` has every figure's value, and from when on (monotonic): between two questions to the console it may have
    had others than the console says. Of what runs it has since when, in seconds since the epoch.
    """

    target: int
    waiting: dict[str, float] = field(default_factory=dict)
    """Since when, in seconds since the epoch."""

    talking: dict[str, str] = field(default_factory=dict)
    """Who talks: the caller's uniqueid -> the agent's channel."""

    history: list[tuple[float, tuple[str, ...], object]] = field(default_factory=list)
    joined: int = 0
    connected: int = 0
    completed: int = 0
    abandoned: int = 0
    unanswered: int = 0
    transferred: int = 0
    in_time: int = 0
    hold: int = 0
    talk: int = 0
    taken: Counter[str] = field(default_factory=Counter)
    pauses: Counter[str] = field(default_factory=Counter)

    @property
    def level(self) -> float | None:
        return round(100 * self.in_time / self.completed, 1) if self.completed else None

    def hears(self, said: Message) -> None:
        event, caller = said["Event"], said.get("Uniqueid", "")
        if event == "QueueCallerJoin":
            self.joined += 1
            self.waiting[caller] = time.time()
        elif event == "QueueCallerLeave":
            del self.waiting[caller]
        elif event == "QueueCallerAbandon":
            self.abandoned += 1
        elif event == "AgentConnect":
            # The first one stands alone, each later one counts for a quarter. Source: app_queue.c, recalc_holdtime.
            first = not (self.completed + self.abandoned)
            self.hold = int(said["HoldTime"]) if first else (3 * self.hold + int(said["HoldTime"])) >> 2
            self.connected += 1
            self.talking[caller] = said["DestChannel"]
        elif event == "AgentRingNoAnswer":
            self.unanswered += 1
        elif event == "AgentComplete":
            self._complete(said)
        elif event == "QueueMemberPause":
            self.pauses[said["Paused"]] += 1
        if event in ("QueueMemberPause", "QueueMemberStatus"):
            self._member(said)
        self._remember()

    def _member(self, said: Message) -> None:
        now, interface = time.monotonic(), said["Interface"]
        values: dict[str, object] = {
            "state": _STATUS[said["Status"]],
            "paused": said["Paused"] == "1",
            "reason": said["PausedReason"],
            "calls_taken": int(said["CallsTaken"]),
            "last_call_seconds": float(said["LastCall"]),
            "last_pause_seconds": float(said["LastPause"]),
        }
        self.history += [(now, (interface, name), value) for name, value in values.items()]

    def _complete(self, said: Message) -> None:
        talked = int(said["TalkTime"])
        self.completed += 1
        self.talk = talked if self.completed == 1 else (3 * self.talk + talked) >> 2
        self.transferred += said["Reason"] == "transfer"
        self.in_time += int(said["HoldTime"]) <= self.target
        self.taken[said["Interface"]] += 1
        # Of a caller who is gone by then Asterisk says nothing more.
        self.talking.pop(said.get("Uniqueid", ""), None)
        self.history.append((time.monotonic(), (said["Interface"], "calls_taken"), self.taken[said["Interface"]]))

    def _remember(self) -> None:
        now = time.monotonic()
        self.history += [(now, ("queue", name), value) for name, value in self.figures().items()]
        oldest = min(self.waiting.values(), default=time.time())
        self.history.append((now, ("queue", "longest_wait_seconds"), oldest))

    def figures(self) -> dict[str, object]:
        """In the words of /status.json."""
        return {
            "waiting": len(self.waiting),
            "completed": self.completed,
            "abandoned": self.abandoned,
            "hold_seconds": self.hold,
            "talk_seconds": self.talk,
            "service_level_percent": self.level,
        }


class Witness:
    """Hears all of an Asterisk's events, in a thread of its own, and counts those of one queue."""

    def __init__(self, pbx: Pbx, queue: str, target: int) -> None:
        self.counted = Counted(target)
        self._queue = queue
        self._manager = Manager(pbx.ami_port, events=True, timeout=600)
        self._thread = threading.Thread(target=self._listen, name="witness")

    def _listen(self) -> None:
        try:
            while True:
                said = self._manager.message()
                if said.get("Queue") == self._queue and "Event" in said:
                    self.counted.hears(said)
        except ConnectionError:
            return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._manager.hang_up()
        self._thread.join()
        self._manager.close()
