"""What a wall may have to show: queues of so many agents and callers, with names of every kind."""

from collections.abc import Sequence

from tests.web.page.page_data import (
    Json,
    board,
    call,
    connected,
    figures,
    lines,
    member,
    queue,
    status,
    thresholds,
    trunk,
    waiting,
)
from tests.web.page.page_hostile import NAMES

FIRST = ("Anna", "Bruno", "Carla", "Dora", "Emil", "Finn", "Gina", "Hugo", "Ines", "Jan")
LAST = ("Keller", "Rossi", "Huber", "Frei", "Berger", "Meier")
STATES = ("in use", "in use", "idle", "ringing", "in use", "idle", "unavailable")


def floor(agents: int = 20, waits: int = 30, names: Sequence[str] = ()) -> Json:
    """Two queues, most of it in support; ``names`` are those of the first callers and agents."""

    def called(number: int, usual: str) -> str:
        return names[number] if number < len(names) else usual

    people = [
        member(
            called(number, f"{FIRST[number % 10]} {LAST[number % 6]}"), f"PJSIP/{200 + number}",
            STATES[number % len(STATES)], "lunch" if number % 6 == 5 else None, state_seconds=12.0 + 37 * number,
            calls_taken=number, last_call_seconds=48.0 * number or None, penalty=number % 3,
        )
        for number in range(agents)
    ]  # fmt: skip
    callers = [
        waiting(
            1000 + number, number=f"+4144{2000000 + number}", name=called(number, ""), country="Switzerland",
            position=number + 1, seconds=400.0 - number,
        )
        for number in range(waits)
    ]  # fmt: skip
    talks = [connected(5000), connected(5001, agent_name="Bruno Rossi", seconds=200.0)] if agents else []
    support = queue("support", callers, talks, people)
    sales = queue("sales", [], [], people[:3], figures=figures(completed=40, abandoned=2, service_level_percent=95.0))
    calls = [call(1000 + number, devices=["PJSIP/trunk"], queue="support") for number in range(waits)]
    told = lines(trunk("provider", channels=5), trunk("berlin", channels=0))
    return status([board("ami", calls, [sales, support]) | {"lines": told}])


def hostile_floor() -> Json:
    answer = floor(8, 8, list(NAMES))
    answer["boards"][0]["queues"][0]["name"] = "W" * 120 + "\u202e"
    answer["boards"][0]["queues"][1]["members"][5]["reason"] = "<b>" * 60
    return answer


def alarmed(number: int, names: Sequence[str] = ()) -> Json:
    """The floor with so many queues more that are beyond a threshold; ``names`` are those of the first."""
    answer = floor()
    limits = thresholds(critical_waiting=1)
    answer["boards"][0]["queues"] += [
        queue(
            names[place] if place < len(names) else f"Kundendienst Nord {place}",
            [waiting(20_000 + place, seconds=1.0)], [], [], figures=None, thresholds=limits,
        )
        for place in range(number)
    ]  # fmt: skip
    return answer
