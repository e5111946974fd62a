"""What every type of destination owes to the delivery, through outages, refusals and kills, with its real other end."""

import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.config import Config, load
from humbug_agent.delivery.delivery import Delivery
from humbug_agent.destinations import DESTINATIONS
from humbug_agent.destinations.contract import Destination
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.calls import call
from tests.kit.host import PROGRAM
from tests.kit.places import PLACES, Place
from tests.kit.rude import never, until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("hasty")]

CALLS = 60


def test_each_type_has_a_place() -> None:
    assert {place.type for place in PLACES.values()} == set(DESTINATIONS), "tests/kit/places.py has the other ends"


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "place"
    folder.mkdir()
    with PLACES[request.param](folder) as made:
        yield made


def config(folder: Path, place: Place, *, wrong: bool = False) -> Config:
    ini = folder / "agent.ini"
    ini.touch(0o600)
    ini.write_text(
        f"[agent]\noutbox = {folder}/outbox.db\ntimezone = UTC\n"
        f"[source csv]\ntype = asterisk_csv\npath = {folder}/Master.csv\n"
        f"[destination there]\ntype = {place.type}\n{place.lines(wrong=wrong)}"
    )
    return load(ini)


@contextmanager
def sending(folder: Path, place: Place, *, wrong: bool = False) -> Iterator[tuple[Destination, Callable[[], None]]]:
    """The destination, and a function that has the delivery make one step."""
    (destination,) = config(folder, place, wrong=wrong).make_destinations()
    delivery = Delivery(destination)
    with Outbox(folder / "outbox.db") as outbox:
        try:
            yield destination, lambda: void(delivery.step(outbox, 0.05))
        finally:
            destination.close()


def void(_: object) -> None:
    pass


def fill(outbox: Outbox, calls: int = CALLS) -> list[str]:
    """The UniqueIDs of so many calls, that wait from now on."""
    made = [call(number) for number in range(calls)]
    outbox.accept("csv", Batch(made, [], None), ["there"])
    return [each.uniqueid for each in made]


def states(outbox: Outbox) -> Counter[str]:
    counted = {state: queries.count(outbox, queries.Filter(state=state)) for state in ("waiting", "sent", "dead")}
    return Counter({state: number for state, number in counted.items() if number})


def stepped(step: Callable[[], None], condition: Callable[[], bool]) -> Callable[[], bool]:
    def look() -> bool:
        step()
        return condition()

    return look


def test_all_calls_arrive_once_while_all_is_well(place: Place, tmp_path: Path, outbox: Outbox) -> None:
    uniqueids = fill(outbox)
    with sending(tmp_path, place) as (_, step):
        until(stepped(step, lambda: states(outbox)["sent"] == CALLS), 20, "all sent")
    assert sorted(place.arrived()) == sorted(uniqueids)
    assert all(entry.attempts == 1 for entry in queries.entries(outbox, queries.Filter()))


def test_what_is_refused_is_dead_alone_and_all_that_went_with_it_arrives_once(
    place: Place, tmp_path: Path, outbox: Outbox
) -> None:
    if not place.refuses_calls:
        pytest.skip("it takes whatever can be sent")
    uniqueids = fill(outbox)
    refused = {uniqueids[0], uniqueids[CALLS // 2], uniqueids[-1]}
    place.refuse(refused)
    with sending(tmp_path, place) as (_, step):
        until(stepped(step, lambda: states(outbox)["waiting"] == 0), 20, "none waits")
    dead = {entry.record.uniqueid for entry in queries.entries(outbox, queries.Filter(state="dead"))}  # type: ignore[union-attr]
    assert dead == refused
    assert sorted(place.arrived()) == sorted(set(uniqueids) - refused)


def test_nobody_is_blamed_for_a_place_that_is_away_and_all_arrive_once_it_is_back(
    place: Place, tmp_path: Path, outbox: Outbox
) -> None:
    uniqueids = fill(outbox)
    place.away()
    with sending(tmp_path, place) as (_, step):
        failing = stepped(step, lambda: outbox.health()["destination there"].state == "failing")
        until(failing, 20, "the destination fails")
        assert states(outbox) == {"waiting": CALLS}
        place.back()
        until(stepped(step, lambda: states(outbox)["sent"] == CALLS), 30, "all sent")
    assert sorted(place.arrived()) == sorted(uniqueids)


def test_wrong_credentials_pause_the_destination_and_the_right_ones_bring_all(
    place: Place, tmp_path: Path, outbox: Outbox
) -> None:
    uniqueids = fill(outbox)
    with sending(tmp_path, place, wrong=True) as (_, step):
        paused = stepped(step, lambda: outbox.health()["destination there"].state == "paused")
        until(paused, 20, "the destination pauses")
    assert states(outbox) == {"waiting": CALLS}
    assert not place.arrived()
    with sending(tmp_path, place) as (_, step):
        until(stepped(step, lambda: states(outbox)["sent"] == CALLS), 20, "all sent")
    assert sorted(place.arrived()) == sorted(uniqueids)


def test_a_slow_place_has_no_more_under_way_than_it_takes_and_gets_the_rest_later(
    place: Place, tmp_path: Path, outbox: Outbox
) -> None:
    uniqueids = fill(outbox, 300)
    place.hold()
    with sending(tmp_path, place) as (destination, step):
        until(stepped(step, place.held), 20, "something waits for its answer")
        at_once = destination.connections * destination.batch
        never(stepped(step, lambda: len(place.arrived()) > at_once), 0.5, "more is under way than it takes")
        place.go_on()
        until(stepped(step, lambda: states(outbox)["sent"] == len(uniqueids)), 30, "all sent")
    assert set(place.arrived()) == set(uniqueids)


def test_what_comes_too_late_is_sent_again_and_nobody_is_blamed(place: Place, tmp_path: Path, outbox: Outbox) -> None:
    uniqueids = fill(outbox)
    place.hold()
    with sending(tmp_path, place) as (destination, step):
        failing = stepped(step, lambda: outbox.health()["destination there"].state == "failing")
        until(failing, 20, "its time is over")
        assert states(outbox) == {"waiting": CALLS}
        place.go_on()
        until(stepped(step, lambda: states(outbox)["sent"] == CALLS), 30, "all sent")
        # Probes were sent meanwhile, one after the other.
        doubtful = destination.connections * destination.batch
    arrived = Counter(place.arrived())
    assert set(arrived) == set(uniqueids)
    if place.once:
        assert set(arrived.values()) == {1}
    assert sum(number > 1 for number in arrived.values()) <= doubtful + 10


def test_killed_in_the_midst_no_call_is_lost_and_only_what_was_under_way_comes_twice(
    place: Place, tmp_path: Path, outbox: Outbox
) -> None:
    uniqueids = fill(outbox, 300)
    (destination,) = config(tmp_path, place).make_destinations()
    doubtful = destination.connections * destination.batch
    (tmp_path / "Master.csv").touch()
    command = [PROGRAM, "--config", str(tmp_path / "agent.ini"), "run"]
    place.hold()
    with subprocess.Popen(command) as agent:
        until(place.held, 20, "something waits for its answer")
        agent.send_signal(signal.SIGKILL)
    place.go_on()
    assert states(outbox) == {"waiting": len(uniqueids)}
    with subprocess.Popen(command) as agent:
        try:
            until(lambda: states(outbox)["sent"] == len(uniqueids), 30, "all sent")
        finally:
            agent.terminate()
    arrived = Counter(place.arrived())
    assert set(arrived) == set(uniqueids)
    assert sum(arrived.values()) - len(arrived) <= (0 if place.once else doubtful)
