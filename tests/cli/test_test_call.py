"""`test-call`: through the daemon's outbox or without one, to a real receiver that takes it, or does not."""

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from humbug_agent.cli.testcall import send_test_call
from humbug_agent.config import load
from humbug_agent.outbox import queries, testing
from humbug_agent.outbox.lock import AgentError
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.receiver import Background, Misbehaviour, Receiver, Store
from tests.kit.calls import call
from tests.kit.host import API_KEY, PROGRAM, Host, wait_until
from tests.kit.ports import free_port

pytestmark = pytest.mark.slow

UNIQUEID = re.compile("humbug-agent-test-[0-9a-f]{16}")


@contextmanager
def daemon(host: Host) -> Iterator[subprocess.Popen[bytes]]:
    with open(host.folder / "log", "ab") as log, host.daemon(log) as running:
        try:
            wait_until(lambda: host.status()["destinations"]["humbug"]["state"] == "ok")
            yield running
            running.terminate()
            assert running.wait(20) == 0
        finally:
            running.kill()


def rows_of(host: Host) -> list[tuple[int, ...]]:
    """How many rows each table of calls holds, and how many of what is counted."""
    with Outbox(host.folder / "outbox.db") as outbox:
        tables = ("calls", "deliveries", "failures", "replays", "cursors", "rejects", "sent_minutes")
        counted = [tuple(outbox.select(f"SELECT count(*) FROM {table}")[0]) for table in tables]
        totals = queries.totals(outbox)
        return [*counted, (totals.calls, sum(sum(states.values()) for states in totals.deliveries.values()))]


def test_with_a_daemon_it_goes_through_the_outbox_and_nothing_of_it_stays(host: Host) -> None:
    with daemon(host):
        host.write()
        wait_until(lambda: host.status()["destinations"]["humbug"]["sent"] == 126)
        before = rows_of(host)
        said = host.run("test-call")
        assert rows_of(host) == before
        assert host.status()["calls"] == 126
        steps = [line.split(maxsplit=2)[1] for line in said.splitlines()]
        assert steps == ["accepted", "sending", "answered", "text", "good"], said
        assert f"into the outbox {host.folder}/outbox.db, of the daemon" in said
        assert f"to {host.receiver.url}" in said
    *_, test = host.store.rows()
    assert (host.store.count(), host.store.repeats()) == (127, 0)
    assert UNIQUEID.fullmatch(test["UniqueID"])
    assert test["UniqueID"] in said
    assert "test-call" not in json.dumps(list(host.json("outbox", "list")))


def test_what_the_receiver_gets_is_marked_wherever_it_names_something(host: Host) -> None:
    host.run("test-call")
    (test,) = host.store.rows()
    for name in (
        "Source", "Destination", "DestinationContext", "CallerID", "Channel", "LastApplication", "LastData",
        "UniqueID", "UserField",
    ):  # fmt: skip
        assert re.search("test|no call", test[name], re.I), name
    assert (test["Duration"], test["BillableSeconds"], test["Disposition"]) == ("0", "0", "NO ANSWER")


def test_without_a_daemon_the_command_sends_it_and_makes_no_outbox(host: Host) -> None:
    said = host.run("test-call")
    assert "by this command: no humbug-agent runs" in said
    assert host.store.count() == 1
    assert not (host.folder / "outbox.db").exists()


def test_each_is_another_one(host: Host) -> None:
    uniqueids = {host.json("test-call")["uniqueid"] for _ in range(3)}
    with daemon(host):
        uniqueids |= {host.json("test-call")["uniqueid"] for _ in range(3)}
    assert (len(uniqueids), host.store.count(), host.store.repeats()) == (6, 6, 0)


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "encoded"])
@pytest.mark.parametrize("runs", [False, True], ids=["alone", "daemon"])
def test_a_wrong_key_is_told_at_once_with_what_to_do(host: Host, runs: bool, encoded: bool) -> None:
    if encoded:
        host.configure(destination="encryption_key = another-one")
    else:
        host.ini.write_text(host.ini.read_text().replace(API_KEY, "mistyped"))
    found = tried(host, runs, code=1)
    assert (found["taken"], found["status"]) == (False, 401)
    assert "check api_key and encryption_key" in found["reason"]
    assert found["advice"].startswith("put the API key and the encryption key that the receiver knows")
    assert ("humbug-agent reload" in found["advice"]) == runs
    assert "mistyped" not in json.dumps(found)
    assert "another-one" not in json.dumps(found)
    assert host.store.count() == 0


@pytest.mark.parametrize("runs", [False, True], ids=["alone", "daemon"])
@pytest.mark.parametrize(
    ("status", "advice"),
    [(400, "compare encryption_key"), (404, "the receiver's own address"), (503, "in trouble itself: wait")],
)
def test_what_the_receiver_answers_leads_to_advice(host: Host, runs: bool, status: int, advice: str) -> None:
    host.receiver.receiver.misbehaviour = Misbehaviour(status=status)
    found = tried(host, runs, code=1)
    assert (found["taken"], found["status"]) == (False, status)
    assert advice in found["advice"]
    if runs:
        # Nothing waits that would be sent once the receiver is well, and nothing is dead.
        with Outbox(host.folder / "outbox.db") as outbox:
            assert not queries.totals(outbox).deliveries


@pytest.mark.parametrize("runs", [False, True], ids=["alone", "daemon"])
def test_a_receiver_that_is_not_there(host: Host, runs: bool) -> None:
    host.ini.write_text(host.ini.read_text().replace(host.receiver.url, f"http://127.0.0.1:{free_port()}/"))
    found = tried(host, runs, code=1)
    assert (found["status"], found["answered"]) == (None, None)
    assert "Connection refused" in found["reason"]
    assert "humbug-agent check tries the same address" in found["advice"]


def test_a_text_that_does_not_match_is_no_success(host: Host) -> None:
    host.configure(destination="accept_pattern = ^OK$")
    found = tried(host, False, code=1)
    assert (found["status"], found["taken"]) == (200, False)
    assert "accept_pattern" in found["advice"]


def tried(host: Host, runs: bool, code: int) -> dict[str, Any]:
    """`test-call --json`, with a daemon if it ``runs``."""
    if not runs:
        return dict(host.json("test-call", code=code))
    with daemon(host):
        return dict(host.json("test-call", code=code))


def test_another_destination(host: Host, tmp_path: Path) -> None:
    with (
        closing(Store(tmp_path / "other.db")) as store,
        Background(Receiver(store, "another-key", None)) as other,
    ):
        more = f"[destination other]\ntype = humbug\nurl = {other.url}\napi_key = another-key\n"
        host.ini.write_text(host.ini.read_text() + more)
        host.run("test-call", "--to", "other")
        with daemon(host):
            host.run("test-call", "--to", "other")
        assert (store.count(), host.store.count()) == (2, 0)
    host.run("test-call", "--to", "othr", code=2)
    assert "no [destination othr]" in host.errors
    assert "there are humbug, other" in host.errors


def test_a_destination_that_the_daemon_has_not_taken_yet_is_told(host: Host) -> None:
    with daemon(host):
        more = f"[destination other]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
        host.ini.write_text(host.ini.read_text() + more)
        assert "changed since it was read" in host.run("test-call", "--to", "other", code=1)
        assert "has no destination other; humbug-agent reload" in host.errors
        host.run("reload")
        host.run("test-call", "--to", "other")
    assert host.store.count() == 1


def test_a_backlog_does_not_hold_it_up(host: Host) -> None:
    host.receiver.receiver.misbehaviour = Misbehaviour(delay=0.05)
    host.configure(destination="connections = 1")
    with daemon(host):
        for _ in range(10):
            host.write()
        wait_until(lambda: host.status()["destinations"]["humbug"]["waiting"] > 500)
        host.run("test-call")
        assert host.status()["destinations"]["humbug"]["waiting"] > 100


def test_it_is_no_delivered_call_in_the_metrics(host: Host) -> None:
    port = free_port()
    host.ini.write_text(host.ini.read_text() + f"[status]\nlisten = 127.0.0.1:{port}\n")
    with daemon(host):
        host.write()
        wait_until(lambda: host.status()["destinations"]["humbug"]["sent"] == 126)
        host.run("test-call")
        host.receiver.receiver.misbehaviour = Misbehaviour(status=400)
        host.run("test-call", code=1)
        said = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        assert 'humbug_delivered_total{destination="humbug"} 126.0' in said
        assert 'humbug_delivery_attempts_failed_total{destination="humbug"} 0.0' in said
        with Outbox(host.folder / "outbox.db") as outbox:
            assert sum(outbox.sent_minutes("humbug")[0].values()) == 126
    log = (host.folder / "log").read_text()
    assert re.search(r"ERROR test call \d+: refused for good: .*answered 400\n", log), log


def test_while_it_is_in_the_outbox_nobody_counts_it_among_the_calls(tmp_path: Path) -> None:
    with Outbox(tmp_path / "outbox.db") as outbox:
        number = testing.accept(outbox, call(1), "humbug", 5.0)
        assert queries.totals(outbox).calls == 0
        assert not queries.read_so_far(outbox)
        found = testing.look(outbox, number)
        assert found
        assert found.record == call(1)
        (due,) = outbox.take("humbug", 10, 10.0)
        assert getattr(due, "test", False)
        testing.take_back(outbox, number)
        assert testing.look(outbox, number) is None


def test_where_the_daemon_ends_meanwhile_nothing_is_left_to_be_sent(host: Host) -> None:
    host.receiver.receiver.misbehaviour = Misbehaviour(delay=3.0)
    with host.daemon(subprocess.DEVNULL) as running:
        wait_until(lambda: host.status()["destinations"]["humbug"]["state"] == "ok")

        def kill(step: str, _: str) -> None:
            if step == "sending":
                running.kill()
                running.wait()

        found = send_test_call(load(host.ini), None, kill)
    assert (found.taken, found.reason) == (False, "the daemon ended meanwhile")
    assert "humbug-agent status" in found.advice
    with Outbox(host.folder / "outbox.db") as outbox:
        assert not queries.totals(outbox).deliveries


def test_a_daemon_that_takes_too_long_is_told_why_and_the_test_call_is_taken_back(host: Host) -> None:
    host.receiver.receiver.misbehaviour = Misbehaviour(status=401)
    with daemon(host):
        host.write()
        wait_until(lambda: host.status()["destinations"]["humbug"]["state"] == "paused")
        found = send_test_call(load(host.ini), None, lambda *_: None, patience=0.5)
        assert not found.taken
        assert re.match("destination humbug is paused: .*answered 401", found.reason)
        with Outbox(host.folder / "outbox.db") as outbox:
            assert queries.totals(outbox).deliveries["humbug"]["waiting"] == 126


def test_a_run_once_takes_none(host: Host) -> None:
    """It ends when nothing is due; what comes then would wait for nobody."""
    host.receiver.receiver.misbehaviour = Misbehaviour(delay=30.0)
    host.write()
    with subprocess.Popen([PROGRAM, "--config", host.ini, "run", "--once"], stderr=subprocess.DEVNULL) as once:
        try:
            wait_until(lambda: host.status()["running"])
            with pytest.raises(AgentError, match="is run --once"):
                send_test_call(load(host.ini), None, lambda *_: None)
        finally:
            once.kill()


def test_who_listens_and_says_nothing_is_waited_for_no_longer_than_the_timeout(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        there = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        host.configure(destination="timeout = 1")
        host.ini.write_text(host.ini.read_text().replace(host.receiver.url, there))
        found = tried(host, False, code=1)
    assert found["status"] is None
    assert "no answer within 1 s" in str(found["reason"])
