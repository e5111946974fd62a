"""What every type of destination that is asked over HTTP keeps, tried over each against a real receiver."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.delivery.delivery import Delivery
from humbug_agent.destinations.contract import Answer, DeliveryError, Destination, Later, Outcome, Refused
from humbug_agent.destinations.contract import Batch as Together
from humbug_agent.destinations.webhook.destination import Webhook
from humbug_agent.destinations.webhook.settings import WebhookSettings
from humbug_agent.flat import flatten
from humbug_agent.ini import Section
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.calls import call
from tests.kit.rude import Act, Rude

Make = Callable[..., Destination]

CALLS = 50
NUMBERS = NumbersSettings(None, 9, "")


@dataclass(frozen=True, slots=True)
class There:
    """A destination, and how many calls its receiver has been sent so far."""

    destination: Destination
    received: Callable[[], int]


@pytest.fixture(params=["takes all", "refuses all", "is busy", "is away"])
def does(request: pytest.FixtureRequest) -> str:
    return str(request.param)


OVER_HTTP = ("humbug", "webhook")


def a_webhook(url: str, **changes: Any) -> Destination:
    section = {"url": url} | {name: str(value) for name, value in changes.items()}
    return Webhook(WebhookSettings.read("webhook", Section("destination webhook", section, [])), UTC, NUMBERS)


@pytest.fixture(params=OVER_HTTP)
def there(request: pytest.FixtureRequest, does: str, humbug: Make) -> Iterator[There]:
    status = {"takes all": 200, "refuses all": 400, "is busy": 503, "is away": 200}[does]
    with Rude(lambda _: Act(status=status)) as server:
        url = "http://127.0.0.1:9/" if does == "is away" else server.url
        make = humbug if request.param == "humbug" else a_webhook
        destination = make(url, timeout=2, connections=4)
        yield There(destination, lambda: len(server.requests))
        destination.close()


def sent(destination: Destination, numbers: Sequence[int]) -> dict[int, Outcome]:
    """What becomes of these calls, of which no more are handed out than it takes at once. Each number comes once."""
    waiting, came, under_way = list(numbers), dict[int, Outcome](), 0
    until = time.monotonic() + 30
    while waiting or under_way:
        assert time.monotonic() < until, f"{len(came)} of {len(numbers)} came back"
        now = [waiting.pop(0) for _ in range(min(destination.connections - under_way, len(waiting)))]
        destination.begin([[(number, flatten(call(number)))] for number in now])
        found = destination.collect(1.0)
        assert not came.keys() & dict(found).keys()
        assert len(found) == len(dict(found))
        came |= found
        under_way += len(now) - len(found)
    return came


def test_each_call_comes_back_once_with_what_becomes_of_it(there: There, does: str) -> None:
    came = sent(there.destination, range(CALLS))
    assert came.keys() == set(range(CALLS))
    kind: type[Answer | DeliveryError]
    kind = {"takes all": Answer, "refuses all": Refused, "is busy": Later, "is away": Later}[does]
    assert {type(outcome) for outcome in came.values()} == {kind}
    assert there.received() == (0 if does == "is away" else CALLS)
    assert not there.destination.doubted()


def test_a_wait_ends_when_it_is_woken(there: There) -> None:
    there.destination.wake()
    began = time.monotonic()
    assert there.destination.collect(30.0) == []
    assert time.monotonic() - began < 10


def test_a_wait_for_nothing_ends_in_time(there: There) -> None:
    assert there.destination.collect(0.05) == []


def test_looking_sends_no_call(there: There) -> None:
    assert there.destination.preview(call(1)).body
    assert there.received() == 0


def test_once_closed_what_is_under_way_comes_back(there: There) -> None:
    sent(there.destination, [1])
    there.destination.close()
    assert there.destination.collect(0.05) == []


@pytest.mark.usefixtures("hasty")
def test_a_fault_in_a_destination_costs_an_attempt_of_these_calls_and_no_more(
    outbox: Outbox, humbug: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.accept("csv", Batch([call(number) for number in range(1, 4)], [], "1"), ["humbug"])
    faults = iter([True])
    with Rude(lambda _: Act(status=200)) as server:
        destination = humbug(server.url, timeout=2, connections=4)
        begin = destination.begin

        def faulty(batches: Sequence[Together]) -> None:
            if next(faults, False):
                raise RuntimeError("nobody foresaw it")
            begin(batches)

        monkeypatch.setattr(destination, "begin", faulty)
        delivery, until = Delivery(destination), time.monotonic() + 30
        while queries.count(outbox, queries.Filter(state="sent")) < 3 and time.monotonic() < until:
            delivery.step(outbox, 0.1)
        destination.close()
    assert sorted(entry.attempts for entry in queries.entries(outbox, queries.Filter())) == [2, 2, 2]
    assert "nobody foresaw it" in queries.failures(outbox, 1)[0].error
