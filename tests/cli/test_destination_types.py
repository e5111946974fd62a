"""The commands, over types of destination that are not asked over HTTP: none of them needs a status, or a URL."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit import nats_server, postgresql_server
from tests.kit.calls import call
from tests.kit.host import PROGRAM
from tests.kit.places import PLACES, NatsPlace, Place, PostgresqlPlace
from tests.kit.rude import until

pytestmark = pytest.mark.slow

Run = Callable[..., str]


@pytest.fixture(params=[name for name, place in PLACES.items() if place.once])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with PLACES[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def run(place: Place, tmp_path: Path) -> Run:
    """A command with this host's agent.ini: what it says, or where it ends with another code, an error."""

    def run(*arguments: str, wrong: bool = False, code: int = 0) -> str:
        ini = tmp_path / "agent.ini"
        ini.touch(0o600)
        (tmp_path / "Master.csv").touch()
        ini.write_text(
            f"[agent]\noutbox = {tmp_path}/outbox.db\ntimezone = UTC\n"
            f"[source csv]\ntype = asterisk_csv\npath = {tmp_path}/Master.csv\n"
            f"[destination there]\ntype = {place.type}\n{place.lines(wrong=wrong)}"
        )
        command = [PROGRAM, "--config", str(ini), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        for word in (nats_server.PASSWORD, postgresql_server.PASSWORD):
            assert word not in said
        return said

    return run


def events(place: Place) -> list[str]:
    """What kind of call each is that is there."""
    if isinstance(place, NatsPlace):
        return [event["type"] for event in place.server.events()]
    assert isinstance(place, PostgresqlPlace)
    return [event for (event,) in place.server.ask("SELECT event FROM cdr")]


def test_a_test_call_is_answered_and_marked(place: Place, run: Run, tmp_path: Path) -> None:
    said = run("test-call")
    assert [line.split()[1] for line in said.splitlines()] == ["sending", "answered", "good"], said
    agent_ini = str(tmp_path / "agent.ini")
    with Outbox(tmp_path / "outbox.db") as outbox, subprocess.Popen([PROGRAM, "--config", agent_ini, "run"]) as agent:
        try:
            until(lambda: "destination there" in outbox.health(), 60, "the daemon delivers")
            tried = json.loads(run("test-call", "--json"))
        finally:
            agent.terminate()
    assert tried["taken"]
    assert tried["by"] == "daemon"
    assert tried["answered"]
    assert set(events(place)) == {"call.test"} or set(events(place)) == {"TestCall"}
    assert len(events(place)) == 2


def test_what_is_wrong_is_said_and_no_secret(place: Place, run: Run) -> None:
    assert "password" in run("check", wrong=True, code=1)
    said = run("test-call", wrong=True, code=1)
    assert "password" in said
    assert "credentials" in said
    run("support", wrong=True)
    assert "password" in run("doctor", wrong=True, code=2)
    assert not place.arrived()


def test_a_replay_of_what_is_there_adds_nothing(place: Place, run: Run, tmp_path: Path) -> None:
    run("check")
    with Outbox(tmp_path / "outbox.db") as outbox:
        outbox.accept("csv", Batch([call(number) for number in range(5)], [], None), ["there"])
        run("run", "--once")
        assert len(place.arrived()) == 5
        assert (
            "INSERT INTO" in (said := run("outbox", "replay", "--state", "sent", "--dry-run")) or '"version":1' in said
        )
        run("outbox", "replay", "--state", "sent")
        assert queries.count(outbox, queries.Filter(state="waiting")) == 5
        run("run", "--once")
        assert queries.count(outbox, queries.Filter(state="sent")) == 5
    assert len(place.arrived()) == 5
