"""`reconcile`, with the real daemon, a real receiver, and a Master.csv that is rotated and packed."""

import gzip
import json
import os
import pty
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from humbug_agent.receiver import Misbehaviour
from tests.kit.ami_calls import call as columns
from tests.kit.ami_calls import line
from tests.kit.host import PROGRAM, Host, wait_until

pytestmark = pytest.mark.slow

DAY = 86400
NAME = "master-csv"


def lines(*numbers: int, days_ago: int = 0) -> bytes:
    """Calls that ended so many days ago, a second after one another."""
    end = time.time() - days_ago * DAY - 600

    def of(number: int) -> bytes:
        at = [f"{datetime.fromtimestamp(end - back, UTC):%Y-%m-%d %H:%M:%S}".encode() for back in (10, 8, 0)]
        uniqueid = b"%d.%d" % (end - 10, number)
        return line(columns(number, start=at[0], answer=at[1], end=at[2], uniqueid=uniqueid))

    return b"".join(map(of, numbers))


def rotated(host: Host) -> None:
    """Three files: packed, rotated, and the log. Calls 1 to 3 of three days ago, 4 to 6 of a day ago, 7 to 9 of now."""
    for name, body, days_ago in (
        (".2.gz", gzip.compress(lines(1, 2, 3, days_ago=3)), 3),
        (".1", lines(4, 5, 6, days_ago=1), 1),
        ("", lines(7, 8, 9), 0),
    ):
        path = host.master.with_name(host.master.name + name)
        path.write_bytes(body)
        os.utime(path, (time.time() - days_ago * DAY,) * 2)


def lose(host: Host, *numbers: int) -> None:
    """As if the outbox had been restored from a back-up: the calls are gone, and nothing tells that they were there."""
    with closing(sqlite3.connect(host.folder / "outbox.db", timeout=30)) as db, db:
        for number in numbers:
            (call,) = db.execute("SELECT id FROM calls WHERE dst = ?", (str(number),)).fetchone()
            db.execute("DELETE FROM deliveries WHERE call = ?", (call,))
            db.execute("DELETE FROM calls WHERE id = ?", (call,))


def cursors(host: Host) -> list[Any]:
    with closing(sqlite3.connect(host.folder / "outbox.db", timeout=30)) as db:
        return db.execute("SELECT source, cursor, at FROM cursors").fetchall()


@contextmanager
def running(host: Host) -> Iterator[None]:
    with host.daemon() as daemon:
        try:
            wait_until(lambda: host.status()["running"])
            yield
        finally:
            daemon.terminate()
            daemon.communicate(timeout=30)


def listed(found: dict[str, Any], state: str) -> list[int]:
    return sorted(int(one["dst"]) for one in found["differing"] if one["state"] == state)


def total(found: dict[str, Any], name: str = NAME) -> dict[str, Any]:
    return {key: value for key, value in found["sources"][name]["total"].items() if value and key != "destinations"}


def stands(found: dict[str, Any]) -> dict[str, int]:
    return {state: n for state, n in found["sources"][NAME]["total"]["destinations"]["humbug"].items() if n}


def why(found: dict[str, Any], state: str) -> str:
    return "; ".join(one["reason"] for one in found["reasons"] if one["state"] == state)


def test_what_is_missing_is_listed_and_brought_in_beside_the_running_daemon(host: Host) -> None:
    rotated(host)
    with running(host):
        wait_until(lambda: host.store.count() == 9)
        assert host.json("reconcile")["complete"] is True
        lose(host, 2, 5, 9)
        before = cursors(host)
        found = host.json("reconcile", code=1)
        assert listed(found, "missing") == [2, 5, 9]
        assert total(found) == {"pbx": 9, "outbox": 6, "missing": 3}
        assert len(found["days"]) == 3
        assert [one["missing"] for one in found["days"]] == [1, 1, 1]
        assert "lost from the outbox" in why(found, "missing")
        assert stands(found) == {"sent": 6}
        found = host.json("reconcile", "--send")
        assert total(found) == {"pbx": 9, "outbox": 9, "brought": 3}
        assert [one["dst"] for one in found["differing"] if one["brought_in"]] == ["2", "5", "9"]
        # The daemon hears of it, and the receiver had them already.
        wait_until(lambda: host.store.repeats() == 3, 10)
        assert cursors(host) == before
        wait_until(lambda: stands(host.json("reconcile")) == {"sent": 9})
        # It goes on from where it was.
        with host.master.open("ab") as log:
            log.write(lines(10))
        wait_until(lambda: host.store.count() == 10)
        assert host.json("reconcile", "--send")["complete"] is True
    assert (host.store.count(), host.store.repeats()) == (10, 3)


def test_people_see_a_day_a_line_a_total_and_what_to_do(host: Host) -> None:
    rotated(host)
    host.run("run", "--once")
    assert "nothing is missing" in host.run("reconcile")
    lose(host, 5)
    said = host.run("reconcile", code=1).splitlines()
    assert said[0].split() == ["DAY", "SOURCE", "PBX", "OUTBOX", "MISSING", "SENT", "WAITING", "DEAD"]
    assert [one.split()[1:] for one in said[1:4]] == [
        [NAME, "3", "3", "0", "3", "0", "0"],
        [NAME, "3", "2", "1", "2", "0", "0"],
        [NAME, "3", "3", "0", "3", "0", "0"],
    ]
    assert said[4].split() == ["total", NAME, "9", "8", "1", "8", "0", "0"]
    assert len({one.index(NAME) for one in said[1:5]}) == 1
    assert said[-1] == "1 call missing; with --send they are brought in"
    assert host.errors == ""


def test_only_the_days_that_are_asked_for_are_read(host: Host) -> None:
    rotated(host)
    host.run("run", "--once")
    lose(host, 1, 5)
    assert listed(host.json("reconcile", "--since", "2d", code=1), "missing") == [5]
    assert total(host.json("reconcile", "--since", "today")) == {"pbx": 3, "outbox": 3}
    # A file that was last written to before that is not even opened.
    packed = host.master.with_name("Master.csv.2.gz")
    packed.write_bytes(gzip.compress(b'"no","call"\n' * 3))
    assert host.json("reconcile", code=1)["sources"][NAME]["rejects_missing"] == 3
    os.utime(packed, (time.time() - 3 * DAY,) * 2)
    assert host.json("reconcile", "--since", "today")["sources"][NAME]["rejects_missing"] == 0
    # From the beginning of that day on.
    assert total(host.json("reconcile", "--since", "1m")) == {"pbx": 3, "outbox": 3}


def test_why_calls_stand_as_they_do(host: Host) -> None:
    host.master.write_bytes(lines(1, 2))
    host.receiver.receiver.misbehaviour = Misbehaviour(status=400)
    host.run("run", "--once", code=1)
    host.receiver.receiver.misbehaviour = Misbehaviour(status=503)
    with host.master.open("ab") as log:
        log.write(lines(3) + b'"these","are","not","enough"\n')
    host.run("run", "--once", code=1)
    with host.master.open("ab") as log:
        log.write(lines(4).replace(b"Dial", b"Queue"))
    found = host.json("reconcile", code=1)
    assert total(found) == {"pbx": 4, "outbox": 3, "missing": 1}
    assert stands(found) == {"waiting": 1, "dead": 2}
    assert "503" in why(found, "waiting")
    assert "400" in why(found, "dead")
    assert listed(found, "dead") == [1, 2]
    (rejected,) = [one for one in found["differing"] if one["state"] == "rejected"]
    assert (rejected["id"], rejected["start"]) == ("r1", None)
    assert "columns" in rejected["reason"]
    assert "Master.csv, byte" in rejected["place"]
    assert host.run("reconcile", code=1).splitlines()[-1] == (
        "1 call missing, 1 reject, 2 deliveries refused for good; with --send they are brought in"
    )


def test_a_reject_that_is_not_there_is_kept_as_one(host: Host) -> None:
    host.master.write_bytes(lines(1) + b'"these","are","not","enough"\n')
    host.run("run", "--once")
    with closing(sqlite3.connect(host.folder / "outbox.db")) as db, db:
        db.execute("DELETE FROM rejects")
    assert host.json("reconcile", code=1)["sources"][NAME]["rejects_missing"] == 1
    found = host.json("reconcile", "--send", code=1)["sources"][NAME]
    assert (found["rejects"], found["rejects_missing"]) == (1, 0)
    assert len(host.json("outbox", "list", "--state", "rejected")) == 1
    # What an admin has purged is no news.
    host.run("outbox", "purge", "r2", "--yes")
    assert host.json("reconcile")["complete"] is True


def test_what_was_dropped_is_never_missing_and_never_sent_again(host: Host) -> None:
    host.configure(agent="keep_days = 0")
    rotated(host)
    host.run("run", "--once")
    host.run("run", "--once")
    found = host.json("reconcile", "--send")
    assert total(found) == {"pbx": 9, "dropped": 9}
    assert "dropped from the outbox" in why(found, "dropped")
    assert host.store.count() == 9
    # The outbox has forgotten by now what it dropped; from then on it can't know.
    with closing(sqlite3.connect(host.folder / "outbox.db")) as db, db:
        db.execute("DELETE FROM forgotten")
        db.execute(f"PRAGMA application_id = {int(time.time() // 3600) + 1}")
    found = host.json("reconcile", "--send")
    assert total(found) == {"pbx": 9, "dropped": 9}
    assert "would not know it any more" in why(found, "dropped")
    host.run("run", "--once")
    assert host.store.count() == 9


def test_what_a_first_start_left_out_is_not_missing(host: Host) -> None:
    host.configure(source="start = end")
    host.master.write_bytes(lines(1, 2, days_ago=1))
    host.run("run", "--once")
    with host.master.open("ab") as log:
        log.write(lines(3).replace(lines(3), line(columns(3))) + line(columns(4)))
    host.run("run", "--once")
    assert host.store.count() == 2
    found = host.json("reconcile", "--send")
    assert total(found) == {"pbx": 4, "outbox": 2, "left_out": 2}
    assert "start = end" in why(found, "left out")
    assert host.store.count() == 2


def test_a_source_that_was_never_read_or_not_since_then_is_said_to_be_so(host: Host) -> None:
    host.master.write_bytes(lines(1))
    host.run("run", "--once")
    with host.master.open("ab") as log:
        log.write(line(columns(2)))
    other = host.folder / "other.csv"
    other.write_bytes(lines(3))
    with host.ini.open("a") as ini:
        ini.write(f"[source other]\ntype = asterisk_csv\npath = {other}\n")
    found = host.json("reconcile", code=1)
    assert total(found) == {"pbx": 2, "outbox": 1, "missing": 1}
    assert total(found, "other") == {"pbx": 1, "missing": 1, "not_told": 1}
    reasons = why(found, "missing")
    assert "not read yet: the source was read last at" in reasons
    assert "the source was never read" in reasons
    assert list(host.json("reconcile", "--source", "other", code=1)["sources"]) == ["other"]
    assert host.json("reconcile", "--send")["complete"] is True
    # As a first start has it, whatever was brought in.
    assert [source for source, _, _ in cursors(host)] == [NAME]
    assert host.run("run", "--once").startswith("2 sent")
    assert (host.store.count(), host.store.repeats()) == (3, 0)


def test_of_a_source_that_is_told_each_call_once_the_outbox_alone_is_shown(host: Host) -> None:
    host.master.write_bytes(lines(1, 2))
    host.run("run", "--once")
    with host.ini.open("a") as ini:
        ini.write("[source ami]\ntype = asterisk_ami\nport = 9\nusername = u\nsecret = hidden\n")
    with closing(sqlite3.connect(host.folder / "outbox.db")) as db, db:
        db.execute("UPDATE calls SET also = 'ami' WHERE dst = '2'")
    found = host.json("reconcile")
    assert found["sources"]["ami"]["total"]["pbx"] is None
    assert found["sources"]["ami"]["total"]["outbox"] == 1
    (day,) = [one for one in found["days"] if one["source"] == "ami"]
    assert day["destinations"]["humbug"] == {"sent": 1, "waiting": 0, "dead": 0}
    said = host.run("reconcile")
    assert "source ami: is told each call once, when it ends, and can't ask for it again: what stands here" in said
    assert "nothing is missing" in said


def test_calls_that_only_the_outbox_has_are_counted_beside(host: Host) -> None:
    written = lines(1, 2, 3)
    host.master.write_bytes(written)
    host.run("run", "--once")
    host.master.write_bytes(written.splitlines(keepends=True)[0])
    found = host.json("reconcile")
    assert total(found) == {"pbx": 1, "outbox": 1, "not_told": 2}
    assert "does not tell them now" in why(found, "not told")


def test_a_source_that_can_not_be_read_is_an_error_and_the_others_are_compared(host: Host) -> None:
    host.master.write_bytes(lines(1))
    host.run("run", "--once")
    with host.ini.open("a") as ini:
        ini.write(
            "[source hosted]\ntype = fusionpbx\nurl = http://127.0.0.1:9\nemail = e\npassword = hidden\ndomains = d\n"
        )
    found = host.json("reconcile", code=1)
    assert "Connection refused" in found["sources"]["hosted"]["error"]
    assert total(found) == {"pbx": 1, "outbox": 1}
    assert "Error: source hosted: http://127.0.0.1:9/api/login: Connection refused" in host.errors
    assert "nothing is missing" not in host.run("reconcile", code=1)


def test_what_is_asked_wrongly_is_said_with_exit_code_2(host: Host) -> None:
    host.run("reconcile", "--source", "nobody", code=2)
    assert "no [source nobody]" in host.errors
    host.run("reconcile", "--since", "soon", code=2)
    assert "'soon' is no time" in host.errors
    host.run("reconcile", code=1)
    assert "does not exist yet" in host.errors
    assert not (host.folder / "outbox.db").exists()
    host.ini.write_text("[agent]\nnonsense = 1\n")
    host.run("reconcile", code=2)


def test_progress_is_for_a_terminal_alone(host: Host) -> None:
    rotated(host)
    host.run("run", "--once")
    host.run("reconcile")
    assert host.errors == ""
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        command = [PROGRAM, "--config", str(host.ini), "reconcile", "--json"]
        with subprocess.Popen(command, stderr=theirs, stdout=subprocess.PIPE) as process:
            os.close(theirs)
            assert process.stdout
            assert json.loads(process.stdout.read())["complete"] is True
            shown = b""
            with suppress(OSError):
                while piece := terminal.read(4096):
                    shown += piece
    assert b"Reading master-csv" in shown
    assert b"100%" in shown
