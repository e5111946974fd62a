"""Where calls end up, for each type of destination but humbug's: read with no line of the agent's own.

A webhook is the rude receiver. PostgreSQL and NATS are real servers that are killed with SIGKILL, hang and come back.
"""

import base64
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, Self

from standardwebhooks import Webhook

from tests.campaign.battle import change_manners, check_verdict, tell, tell_of
from tests.campaign.ledger import judge
from tests.campaign.mortal import CONNECTIONS, Mortal
from tests.campaign.rude_receiver import KIND, RudeReceiver
from tests.campaign.writer import FIELDS, ZONE, Call
from tests.kit.nats_server import NatsServer
from tests.kit.postgresql_server import PostgresqlServer

KEY = b"the-key-that-signs-all-of-it"

_OF_AN_EVENT = (
    *("src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer", "end"),
    *("duration", "billsec", "disposition", "uniqueid", "userfield"),
)
"""What an event has for each of FIELDS."""

_TIMES = ("start", "answer", "end")
_COLUMNS = ", ".join(f"{name}_time" if name in _TIMES else name for name in _OF_AN_EVENT)


class End(Protocol):
    """The other end of a destination, within ``with``."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def section(self, life: int) -> str:
        """That of agent.ini."""
        ...

    def upset(self, rng: random.Random) -> None:
        """Something goes wrong, or another way than before, or well again."""
        ...

    def recover(self) -> None:
        """From now on nothing goes wrong."""
        ...

    def received(self) -> int:
        """How many different calls it has."""
        ...

    def check(self, agent: Mortal, written: Sequence[Call]) -> None:
        """Each call that was ``written`` is there, and none oftener than its destination promises."""
        ...


class WebhookEnd:
    """Who takes batches of so many calls."""

    def __init__(self, batch: int, seed: int) -> None:
        self._batch = batch
        self._receiver = RudeReceiver(Events(batch), seed)

    def __enter__(self) -> Self:
        self._receiver.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._receiver.__exit__()

    def section(self, life: int) -> str:
        return (
            f"[destination there]\ntype = webhook\nurl = {self._receiver.url(life)}\nbatch = {self._batch}\n"
            f"secret = whsec_{base64.b64encode(KEY).decode()}\nconnections = {CONNECTIONS}\ntimeout = 10\n"
        )

    def upset(self, rng: random.Random) -> None:
        change_manners(self._receiver, rng)

    def recover(self) -> None:
        self._receiver.listen(True)
        self._receiver.be(KIND)

    def received(self) -> int:
        return len(self._receiver.oracle.calls)

    def check(self, agent: Mortal, written: Sequence[Call]) -> None:
        verdict = judge(self._receiver, agent.killed, written)
        tell(self._receiver, agent, calls=len(written), lost=len(verdict.missing), again=verdict.doubled)
        assert self._receiver.faults == []
        assert self._receiver.oracle.arrivals == self.received() + verdict.doubled.repeats
        check_verdict(self._receiver, agent, verdict, self._batch)


class Events:
    """What a receiver of a webhook keeps: signed events, of which it knows each again by its ``id``."""

    def __init__(self, batch: int) -> None:
        self.calls: dict[str, dict[str, str]] = {}
        self.arrivals = 0
        self._batch = batch

    def take(self, headers: Mapping[str, str], body: bytes) -> Sequence[str]:
        said = Webhook(KEY).verify(body, dict(headers))
        events = [said] if self._batch == 1 else said
        if not 0 < len(events) <= self._batch:
            raise ValueError(f"has {len(events)} events")
        for event in events:
            fields = dict(zip(FIELDS, call_of(event), strict=True))
            if self.calls.setdefault(event["id"], fields) != fields:
                raise ValueError(f"{event['id']} was {self.calls[event['id']]}, and is now {fields}")
        self.arrivals += len(events)
        return [event["id"] for event in events]


class EngineEnd:
    """A server that has each call once, whatever is killed, and is killed itself. ``calls`` are those that it has."""

    def __init__(self, server: PostgresqlServer | NatsServer, lines: str, calls: Callable[[], Sequence[Call]]) -> None:
        self._server = server
        self._lines = lines
        self._calls = calls
        self._wrong = ""
        self._deeds = Counter[str]()

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()

    def section(self, life: int) -> str:
        return f"[destination there]\n{self._lines}{self._server.lines()}pbx = here\ntimeout = 2\n"

    def upset(self, rng: random.Random) -> None:
        if self._wrong:
            self.recover()
            return
        self._wrong = rng.choice(("killed", "killed", "hung"))
        self._deeds[self._wrong] += 1
        if self._wrong == "hung":
            self._server.freeze()
        else:
            self._server.kill()

    def recover(self) -> None:
        if self._wrong == "hung":
            self._server.thaw()
        elif self._wrong:
            self._server.start()
        self._wrong = ""

    def received(self) -> int:
        return len(self._calls())

    def check(self, agent: Mortal, written: Sequence[Call]) -> None:
        have, want = Counter(self._calls()), Counter(written)
        lost, again = want - have, have - want
        told = {"server killed": self._deeds["killed"], "server hung": self._deeds["hung"]}
        tell_of(agent, calls=len(written), lost=lost.total(), repeated=again.total(), **told)
        assert lost == Counter(), agent.tail()
        assert again == Counter(), agent.tail()


def postgresql() -> EngineEnd:
    server = PostgresqlServer()

    def calls() -> list[Call]:
        there = server.ask("SELECT to_regclass('cdr')")[0][0]
        return [_call(row) for row in server.ask(f"SELECT {_COLUMNS} FROM cdr")] if there else []

    return EngineEnd(server, "type = postgresql\nbatch = 100\n", calls)


def nats() -> EngineEnd:
    server = NatsServer()
    return EngineEnd(server, "type = nats\n", lambda: [call_of(event) for event in server.events()])


def call_of(event: dict[str, Any]) -> Call:
    """As FIELDS has it. Raises ValueError, KeyError."""
    if (event["type"], event["version"]) != ("call.ended", 1):
        raise ValueError(f"is no call: {event}")
    data = event["data"]
    times = {name: datetime.fromisoformat(data[name]) for name in _TIMES if data[name]}
    return _call([times.get(name, data[name]) for name in _OF_AN_EVENT])


def _call(said: Sequence[Any]) -> Call:
    """As the receiver of Humbug's has it, of what _OF_AN_EVENT names: moments, numbers and texts."""
    texts = ["" if one is None else _clock(one) if isinstance(one, datetime) else str(one) for one in said]
    texts[1] = texts[1].lstrip("+")
    return tuple(texts)


def _clock(moment: datetime) -> str:
    return str(moment.astimezone(ZONE).replace(tzinfo=None))


ENDS: dict[str, Callable[[int], End]] = {
    "webhook": lambda seed: WebhookEnd(1, seed),
    "webhook in batches": lambda seed: WebhookEnd(25, seed),
    "postgresql": lambda _: postgresql(),
    "nats": lambda _: nats(),
}
"""By the type of destination, and what else is set; made of a seed for its own chance."""
