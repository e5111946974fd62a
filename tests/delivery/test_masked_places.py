"""No type of destination tells its other end, a real one, what it is not told: all bytes that come are looked at."""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from humbug_agent.config import load
from humbug_agent.destinations.contract import Answer, Destination, Outcome
from humbug_agent.flat import flatten
from tests.kit.host import PROGRAM
from tests.kit.places import PLACES, HumbugEncodedPlace, Place
from tests.kit.private_calls import COUNTRY, Private, private_calls, told
from tests.kit.rude import until

TYPES = {**PLACES, "humbug, encoded": HumbugEncodedPlace}
CALLS = 20


@pytest.fixture(scope="module", params=TYPES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with TYPES[request.param](tmp_path_factory.mktemp("place")) as made:
        yield made


def agent_ini(folder: Path, place: Place, *masks: str) -> Path:
    """With a destination for each of these masks."""
    ini = folder / "agent.ini"
    ini.touch(0o600)
    lines = [
        f"[agent]\noutbox = {folder}/outbox.db\ntimezone = UTC\n[numbers]\ncountry = {COUNTRY}\n"
        f"[source csv]\ntype = asterisk_csv\npath = {folder}/Master.csv\n"
    ]
    for mask in masks:
        lines.append(f"[destination {mask.replace(' ', '-')}]\ntype = {place.type}\n{place.lines()}")
        lines.append(f"mask = {mask}\nnames = no\nmask_key = 0123456789abcdef0123456789abcdef\n")
    ini.write_text("".join(lines))
    return ini


@settings(
    max_examples=2,
    # To find a smaller one that fails would take hundreds of rounds over the wire; test_masking.py finds it.
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(privates=st.lists(private_calls(), min_size=CALLS, max_size=CALLS))
def test_no_other_end_gets_what_it_is_not_told(place: Place, tmp_path: Path, privates: Sequence[Private]) -> None:
    before = len(place.arrived())
    for destination in load(agent_ini(tmp_path, place, "last 3", "pseudonym")).make_destinations():
        waiting = [(number, flatten(one.cdr)) for number, one in enumerate(privates)]
        came: list[Outcome] = []
        with closing(destination):
            while waiting:
                now, waiting = waiting[: destination.connections], waiting[destination.connections :]
                destination.begin([[one] for one in now])
                left = len(came) + len(now)
                until(lambda: _collected(destination, came) == left, 20, "answers to all of them")  # noqa: B023
        assert {type(outcome) for outcome in came} == {Answer}, came
    # A call has the same id whatever is hidden of it.
    assert len(place.arrived()) - before == (CALLS if place.once else 2 * CALLS)
    heard = place.heard()
    assert privates[0].cdr.uniqueid.encode() in heard
    for private in privates:
        assert not told(private, heard)


def _collected(destination: Destination, came: list[Outcome]) -> int:
    """How many came until now, of which what they are is in ``came``."""
    came += [outcome for _, outcome in destination.collect(0.1)]
    return len(came)


def test_what_explain_shows_is_what_is_sent(place: Place, tmp_path: Path) -> None:
    ini = agent_ini(tmp_path, place, "pseudonym")
    (tmp_path / "Master.csv").touch()
    line = (
        '"acct","+49301234567","101","from-trunk","""Zoë Quendler"" <+49301234567>","SIP/0301234567-0000000e",'
        '"PJSIP/101-00000012","Dial","PJSIP/101,30","2026-01-15 12:00:00","2026-01-15 12:00:05","2026-01-15 12:01:05",'
        '65,60,"ANSWERED","DOCUMENTATION","1768478400.77","0301234567"\n'
    )
    command = [PROGRAM, "--config", str(ini)]
    said = subprocess.run([*command, "explain", "--json", line], capture_output=True, check=True)
    shown = json.loads(said.stdout)["calls"][0]["destinations"]["pseudonym"]
    assert not told(Private(None, frozenset(["301234567"]), frozenset(["Zoë Quendler"])), repr(shown).encode())  # type: ignore[arg-type]
    (tmp_path / "Master.csv").write_text(line)
    subprocess.run([*command, "run", "--once"], capture_output=True, check=True)
    pseudonym = next(value for value in shown["parameters"].values() if "999" in value)
    assert pseudonym.removeprefix("+").encode() in place.heard()
