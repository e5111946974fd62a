"""What is kept of a call's way and of rejects, through replays and purges, and what each run counts."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.queries import Filter
from humbug_agent.receiver import Misbehaviour
from tests.kit.calls import batch, call, reject
from tests.kit.host import RECORDED, SECRETS, Host, wait_until

pytestmark = pytest.mark.slow

RECORDS = (RECORDED / "Master-full.csv").read_bytes().splitlines(keepends=True)


def test_a_success_is_kept_when_the_call_is_replayed(host: Host) -> None:
    host.master.write_bytes(RECORDS[6])
    host.run("run", "--once")
    (first,) = host.json("outbox", "show", "1")["deliveries"]
    assert (first["state"], first["attempts"], first["status"]) == ("sent", 1, 200)
    assert first["reply"]
    assert host.run("outbox", "replay", "1") == "1 waits to be sent again\n"

    trail = host.json("outbox", "show", "1")
    (replay,) = trail["replays"]
    assert replay | first == replay | {"due": None}
    assert abs(datetime.fromisoformat(replay["replayed"]).timestamp() - time.time()) < 60
    (waiting,) = trail["deliveries"]
    assert [waiting[name] for name in ("state", "attempts", "tried", "status", "reply", "last_error")] == [
        *("waiting", 0, None, None, "", ""),
    ]

    # It is refused then; and sent at last.
    host.receiver.receiver.misbehaviour = Misbehaviour(status=400)
    host.run("run", "--once", code=1)
    host.receiver.receiver.misbehaviour = Misbehaviour()
    host.run("outbox", "replay")
    host.run("run", "--once")
    trail = host.json("outbox", "show", "1")
    assert [one["state"] for one in trail["replays"]] == ["sent", "dead"]
    assert [one["status"] for one in trail["replays"]] == [200, 400]
    assert trail["replays"][0]["tried"] == first["tried"]
    assert [one["status"] for one in trail["failures"]] == [400]
    assert [one["state"] for one in trail["deliveries"]] == ["sent"]
    people = host.run("outbox", "show", "1")
    assert re.findall(r"^(?:delivery|failure|before a replay)$", people, re.MULTILINE) == [
        *("delivery", "failure", "before a replay", "before a replay"),
    ]
    before = people[people.index("before a replay") :]
    assert re.search(
        rf"^state +sent\nattempts +1\ntried +{re.escape(first['tried'])}\nstatus +200$", before, re.MULTILINE
    )
    assert not any(secret in people for secret in SECRETS)


def test_every_success_is_kept_however_often_it_is_replayed(host: Host) -> None:
    host.master.write_bytes(RECORDS[6])
    for _ in range(4):
        host.run("run", "--once")
        host.run("outbox", "replay", "1")
        # Said twice, it is one: nothing was tried in between.
        host.run("outbox", "replay", "1")
    trail = host.json("outbox", "show", "1")
    assert [one["state"] for one in trail["replays"]] == ["sent"] * 4
    assert host.store.count() == 1
    assert host.store.repeats() == 3


def test_a_replay_of_what_waits_keeps_what_it_was_answered(host: Host) -> None:
    host.master.write_bytes(RECORDS[6])
    host.receiver.receiver.misbehaviour = Misbehaviour(status=503)
    host.run("run", "--once", code=1)
    host.run("outbox", "replay", "1")
    (replay,) = host.json("outbox", "show", "1")["replays"]
    assert (replay["state"], replay["status"]) == ("waiting", 503)
    assert replay["attempts"] >= 1


def test_the_trail_of_one_destination_leaves_the_other_alone_and_goes_with_the_call(host: Host) -> None:
    with Outbox(host.folder / "outbox.db") as outbox:
        outbox.accept("csv", batch(1, 2), ["one", "two"])
        for name in ("one", "two"):
            outbox.mark(name, [Mark(1, "sent", 1.0, status=200, reply=f"from {name}")])
        assert queries.replay(outbox, Filter(ids=[1], destination="one")) == 1
        assert [(one.destination, one.reply) for one in queries.replays(outbox, 1)] == [("one", "from one")]
        assert [entry.reply for entry in queries.entries(outbox, Filter(ids=[1]))] == ["", "from two"]
        queries.purge(outbox, Filter(ids=[1]))
        assert outbox.select("SELECT * FROM replays") == []


def test_rejects_are_those_that_are_there_now(host: Host) -> None:
    host.master.write_bytes(RECORDS[0].replace(b'"BUSY"', b'"BUSYISH"') + b"no call\nnor this\n")
    host.run("run", "--once")

    def told() -> list[int]:
        status = host.status()
        people = host.run("status", code=1)
        column = re.search(r"^master-csv +\S+ +\d+ +(\d+) ", people, re.MULTILINE)
        line = re.search(r"^rejects +(\d+)$", people, re.MULTILINE)
        assert column
        assert line
        source = status["sources"]["master-csv"]
        return [status["rejects"], source["rejects"], int(column[1]), int(line[1]), source["rejects_ever"]]

    assert told() == [3, 3, 3, 3, 3]
    host.run("outbox", "purge", "r3", "--yes")
    assert told() == [2, 2, 2, 2, 3]
    # As today's version reads it, the first one is a call.
    with Outbox(host.folder / "outbox.db") as outbox, outbox.transaction() as db:
        db.execute("UPDATE rejects SET text = ? WHERE id = 1", (RECORDS[0],))
    host.run("outbox", "replay", "--state", "rejected")
    assert told() == [1, 1, 1, 1, 3]
    assert host.run("run", "--once") == "1 sent, 0 waiting, 0 dead, 1 reject\n"
    assert host.errors == "1 not understood: humbug-agent outbox list --state rejected shows why\n"
    host.run("outbox", "purge", "--state", "rejected", "--yes")
    assert told() == [0, 0, 0, 0, 3]
    host.run("run", "--once")
    assert told() == [0, 0, 0, 0, 3]


def test_each_source_has_its_own_rejects(host: Host) -> None:
    with Outbox(host.folder / "outbox.db") as outbox:
        outbox.accept("master-csv", Batch([], [reject(b"one"), reject(b"two")], ""), ["humbug"])
        outbox.accept("former", Batch([], [reject(b"three")], ""), ["humbug"])
    status = host.status()
    assert (status["rejects"], status["sources"]["master-csv"]["rejects"]) == (3, 2)


def test_run_once_counts_what_this_run_sent_and_says_what_is_left(host: Host) -> None:
    host.master.write_bytes(b"".join(RECORDS[:10]))
    host.receiver.receiver.misbehaviour = Misbehaviour(status=400, every=5)
    assert host.run("run", "--once", code=1) == "8 sent, 0 waiting, 2 dead, 0 rejects\n"
    assert "2 refused for good: humbug-agent outbox list --state dead shows why" in host.errors
    host.receiver.receiver.misbehaviour = Misbehaviour()
    with host.master.open("ab") as master:
        master.write(b"".join(RECORDS[10:13]) + b"no call\n")
    assert host.run("run", "--once", code=1) == "3 sent, 0 waiting, 2 dead, 1 reject\n"
    host.run("outbox", "replay")
    assert host.run("run", "--once") == "2 sent, 0 waiting, 0 dead, 1 reject\n"
    assert host.run("run", "--once") == "0 sent, 0 waiting, 0 dead, 1 reject\n"
    assert host.store.count() == 13


def test_run_once_counts_the_deliveries_to_each_destination(host: Host) -> None:
    host.ini.write_text(
        host.ini.read_text() + f"[destination second]\ntype = humbug\nurl = {host.receiver.url}\napi_key = an-api-key\n"
    )
    host.master.write_bytes(RECORDS[6])
    assert host.run("run", "--once") == "2 sent, 0 waiting, 0 dead, 0 rejects\n"


def test_a_running_daemon_sends_a_replayed_success_again_and_both_are_seen(host: Host) -> None:
    host.master.write_bytes(RECORDS[6])
    daemon = host.daemon()
    try:
        wait_until(lambda: host.store.count() == 1, 30)
        wait_until(lambda: host.status()["deliveries"]["sent"] == 1, 30)
        host.run("outbox", "replay", "1")
        wait_until(lambda: host.store.repeats() == 1, 30)
        wait_until(lambda: host.status()["deliveries"]["sent"] == 1, 30)
        trail = host.json("outbox", "show", "1")
        assert [one["state"] for one in (*trail["replays"], *trail["deliveries"])] == ["sent", "sent"]
    finally:
        daemon.terminate()
        daemon.communicate(timeout=30)


def test_a_journey_is_told_by_any_of_its_names(host: Host) -> None:
    start = datetime(2026, 11, 20, 16, 58, 2, tzinfo=UTC)
    told = [
        call(
            number,
            uniqueid=f"1.{number}",
            linkedid="1.1" if number != 3 else "1.3",
            start=start + timedelta(seconds=number),
        )
        for number in range(1, 5)
    ]
    host.write()
    with Outbox(host.folder / "outbox.db") as outbox:
        outbox.accept("a", Batch([*told, call(5, uniqueid="9.9", linkedid="")], [], "c"), [])
    journeys = [host.json("outbox", "show", "--journey", ident) for ident in ("1", "4", "1.1", "1.4")]
    assert journeys[0]["tied_by"] == "linkedid"
    assert [(one["id"], one["after_seconds"]) for one in journeys[0]["calls"]] == [(1, 0), (2, 1), (4, 3)]
    assert all(one == journeys[0] for one in journeys)
    head, *lines = host.run("outbox", "show", "--journey", "1.4").splitlines()
    assert head.split()[0] == "START"
    assert [line.split()[-1] for line in lines] == ["1", "2", "4"]
    assert "the calls of one channel" in host.json("outbox", "show", "--journey", "9.9")["note"]
    host.run("outbox", "show", "--journey", "7.7", code=1)
    assert "7.7: no call in the outbox has this" in host.errors
