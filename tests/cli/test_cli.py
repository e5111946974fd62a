"""The commands that answer and end, as processes of their own, on real files and sockets."""

import csv
import io
import json
import os
import pty
import re
import subprocess
from collections import Counter
from contextlib import suppress

import pytest

from humbug_agent.receiver import Misbehaviour
from humbug_agent.text import text
from tests.kit.host import KEY, PROGRAM, RECORDED, Host, wait_until

pytestmark = pytest.mark.slow


def recorded(name: str) -> list[list[str]]:
    """A recorded file read by Python's csv module: an independent reading."""
    raw = (RECORDED / name).read_bytes()
    rows = csv.reader(io.StringIO(raw.decode("latin-1"), newline=""))
    return [[text(value.encode("latin-1")) for value in row] for row in rows]


def as_received(row: list[str]) -> tuple[str, ...]:
    """A Master.csv row as the receiver should have it (UniqueID and UserField where the row has them)."""
    _, src, dst, context, clid, channel, dstchannel, app, data, start, answer, end, *_ = row
    duration, billsec, disposition = row[12:15]
    numbers = (re.sub(r"^\+(\d{5,})$", r"\1", number) for number in (src, dst))
    call = (context, clid, channel, dstchannel, app, data, start, answer, end, duration, billsec, disposition)
    return (*numbers, *call, *(row[16:18] if len(row) > 16 else ()))


NAMES = (
    *("Source", "Destination", "DestinationContext", "CallerID", "Channel", "DestinationChannel", "LastApplication"),
    *("LastData", "StartTime", "AnswerTime", "EndTime", "Duration", "BillableSeconds", "Disposition", "UniqueID"),
    "UserField",
)


@pytest.mark.parametrize("encoded", ["", f"encryption_key = {KEY}"], ids=["plain", "encoded"])
@pytest.mark.parametrize("name", ["Master-full.csv", "Master-default.csv"])
def test_recorded_calls_arrive_field_for_field(host: Host, name: str, encoded: str) -> None:
    host.configure(destination=encoded)
    host.write(name)
    host.run("run", "--once")
    rows = recorded(name)
    columns = len(as_received(rows[0]))
    arrived = [tuple(str(row[name]) for name in NAMES[:columns]) for row in host.store.rows()]
    assert Counter(arrived) == Counter(as_received(row) for row in rows)
    assert len(arrived) == {"Master-full.csv": 126, "Master-default.csv": 127}[name]
    assert host.store.repeats() == 0
    uniqueids = {row["UniqueID"] for row in host.store.rows()}
    assert len(uniqueids) == {"Master-full.csv": 101, "Master-default.csv": 127}[name]


def test_a_file_that_a_full_disk_cut_loses_no_whole_record(host: Host) -> None:
    host.write("Master-diskfull.csv")
    host.run("run", "--once")
    arrived = sorted(row["UniqueID"] for row in host.store.rows())
    assert arrived == [f"1795194393.{n}" for n in range(12, 33)] + [f"1795194394.{n}" for n in (38, 39)]
    (reject,) = host.json("outbox", "list", "--state", "rejected")
    assert reject["text"].endswith('"2026-11-20 17:06:33",,"2026-')
    assert "cut short" in reject["last_error"]
    assert host.status()["rejects"] == 1


def test_a_second_run_sends_nothing_again(host: Host) -> None:
    host.write()
    assert host.run("run", "--once") == "126 sent, 0 waiting, 0 dead, 0 rejects\n"
    assert host.run("run", "--once") == "0 sent, 0 waiting, 0 dead, 0 rejects\n"
    assert host.errors == ""
    assert (host.store.count(), host.store.repeats()) == (126, 0)


def test_run_once_says_of_a_log_that_was_read_before_that_its_directory_is_missing(host: Host) -> None:
    host.write()
    host.run("run", "--once")
    # Between a rotation and the next call.
    host.master.unlink()
    host.run("run", "--once")
    assert host.errors == ""
    host.master = host.folder / "cdr-cvs" / "Master.csv"
    host.configure()
    host.run("run", "--once")
    assert f"source master-csv: {host.master.parent}: no such directory; is cdr_csv loaded" in host.errors


def test_run_once_says_by_its_exit_code_that_calls_wait(host: Host) -> None:
    host.write()
    host.receiver.receiver.misbehaviour = Misbehaviour(status=503)
    assert host.run("run", "--once", code=1) == "0 sent, 126 waiting, 0 dead, 0 rejects\n"
    assert "126 still to be sent, by the next run: humbug-agent outbox list --state waiting" in host.errors
    host.receiver.receiver.misbehaviour = Misbehaviour()
    sent = []

    def nothing_waits() -> bool:
        said = host.run("run", "--once", code=None)
        sent.append(int(said.split()[0]))
        return " 0 waiting" in said

    wait_until(nothing_waits, 20)
    assert sum(sent) == 126
    assert (host.store.count(), host.store.repeats()) == (126, 0)


def test_run_once_reads_the_others_where_a_source_fails(host: Host) -> None:
    host.write()
    hosted = "type = fusionpbx\nurl = http://127.0.0.1:9\nemail = e\npassword = hidden\ndomains = d\n"
    host.ini.write_text(f"[source hosted]\n{hosted}" + host.ini.read_text())
    assert host.run("run", "--once", code=1).startswith("126 sent")
    assert "source hosted: http://127.0.0.1:9/api/login: Connection refused" in host.errors


def test_dead_letters_are_shown_with_their_answer_and_replayed(host: Host) -> None:
    host.write()
    host.receiver.receiver.misbehaviour = Misbehaviour(status=400, body_bytes=3, every=63)
    assert "124 sent, 0 waiting, 2 dead" in host.run("run", "--once", code=1)
    dead = host.json("outbox", "list", "--state", "dead")
    assert {
        "id",
        "uniqueid",
        "source",
        "start",
        "src",
        "dst",
        "disposition",
        "state",
        "attempts",
        "last_error",
    } <= dead[0].keys()
    assert [one["attempts"] for one in dead] == [1, 1]
    assert "answered 400" in dead[0]["last_error"]
    trail = host.json("outbox", "show", str(dead[0]["id"]))
    assert trail["deliveries"][0]["status"] == 400
    assert len(trail["failures"]) == 1
    assert "answered 400" in host.run("outbox", "show", str(dead[0]["id"]))
    host.receiver.receiver.misbehaviour = Misbehaviour()
    tried = host.json("outbox", "replay", "--dry-run")
    assert tried["count"] == 2
    assert all("gateway=***&encoded=0&Event=Cdr" in one["body"] for one in tried["bodies"])
    assert len(host.json("outbox", "list", "--state", "dead")) == 2
    assert host.run("outbox", "replay") == "2 wait to be sent again\n"
    assert "2 sent, 0 waiting, 0 dead" in host.run("run", "--once")
    assert (host.store.count(), host.store.repeats()) == (126, 0)


def test_status_says_what_is_and_what_is_wrong(host: Host) -> None:
    host.write()
    before = host.status()
    assert before["calls"] == 0
    assert not (host.folder / "outbox.db").exists()
    assert before["sources"]["master-csv"]["unread_bytes"] == (RECORDED / "Master-full.csv").stat().st_size
    host.configure(destination="url = http://127.0.0.1:9/\n".replace("url", "#url"))
    host.receiver.receiver.misbehaviour = Misbehaviour(status=500)
    host.run("run", "--once", code=1)
    found = host.status()
    assert (found["calls"], found["rejects"], found["running"]) == (126, 0, False)
    assert found["deliveries"] == {"waiting": 126, "sent": 0, "dead": 0}
    assert found["sources"]["master-csv"]["calls"] == 126
    assert found["sources"]["master-csv"]["unread_bytes"] == 0
    assert "answered 500" in found["destinations"]["humbug"]["last_error"]
    assert found["destinations"]["humbug"]["oldest_waiting_seconds"] >= 0
    people = host.run("status", code=1)
    assert re.search(r"^agent +not running$", people, re.MULTILINE)
    assert re.search(r"^master-csv +stopped +126 +0 +0 ", people, re.MULTILINE)
    assert re.search(r"^humbug +stopped +126 +0 +0 ", people, re.MULTILINE)


def test_check_tries_everything_and_sends_nothing(host: Host) -> None:
    host.write()
    assert "FAIL" not in host.run("check")
    host.configure(destination="url = http://127.0.0.1:9/receiver.php".replace("url", "#"))
    host.ini.write_text(host.ini.read_text().replace(host.receiver.url, "http://127.0.0.1:9/receiver.php"))
    host.master.unlink()
    found = {one["part"]: one for one in host.json("check", code=1)}
    assert "does not exist; Asterisk makes it with the first call" in found["source master-csv"]["message"]
    assert found["destination humbug"]["message"] == "http://127.0.0.1:9/receiver.php: Connection refused"
    assert host.store.count() == 0


def test_check_takes_a_file_of_something_else_for_what_it_is(host: Host) -> None:
    host.master.write_text("this,is,not\nasterisk,at,all\n")
    assert "not a Master.csv: has 3 columns" in host.run("check", code=1)


@pytest.mark.parametrize("encoded", [False, True], ids=["plain", "encoded"])
def test_explain_shows_call_parameters_and_body_without_secrets(host: Host, encoded: bool) -> None:
    host.configure(destination=f"encryption_key = {KEY}" if encoded else "")
    record = (RECORDED / "Master-full.csv").read_bytes().splitlines()[69]
    (one,) = host.json("explain", record.decode())["calls"]
    sent = one["destinations"]["humbug"]
    assert one["call"]["clid"] == '"ACME, Inc." <+4930987654>'
    assert one["call"]["start"] == "2026-11-20T16:58:15+00:00"
    assert sent["parameters"]["Source"] == "4930987654"
    assert sent["parameters"]["gateway"] == "***"
    assert ("&data=<" in sent["body"]) is encoded
    assert "UserField=did%3A%2B4930204" in sent["body"] or encoded
    assert "ACME, Inc." in host.run("explain", "-", stdin=record + b"\n")
    assert host.store.count() == 0


def test_explain_reads_cdr_customs_layout_in_local_time(host: Host) -> None:
    first, second = json.loads(host.run("explain", "--json", stdin=(RECORDED.parent / "csv/custom.csv").read_bytes()))[
        "calls"
    ]
    expected = {"Source": "0441234567", "Destination": "202", "CallerID": '"Anna" <0441234567>', "Duration": "10"}
    expected |= {"StartTime": "2026-11-20 17:06:33", "BillableSeconds": "8", "UniqueID": "1795190793.12"}
    parameters = first["destinations"]["humbug"]["parameters"]
    assert {name: parameters[name] for name in expected} == expected
    assert second["destinations"]["humbug"]["parameters"]["Disposition"] == "NO ANSWER"


def test_explain_says_why_a_line_is_no_call(host: Host) -> None:
    host.run("explain", "a,b", code=1)
    assert "has 2 columns" in host.errors
    host.run("explain", "--source", "nobody", "x", code=2)
    assert "there are master-csv" in host.errors


def test_every_mistake_of_agent_ini_is_said_and_the_exit_code_is_2(host: Host) -> None:
    host.ini.write_text("[agent]\nkeep_days = x\n[sauce a]\n")
    for command in (["run"], ["run", "--once"], ["check"], ["status"], ["outbox", "list"], ["explain", "x"]):
        host.run(*command, code=2)
        assert len(host.errors.splitlines()) == 4
        assert "[agent] keep_days" in host.errors
        assert "[sauce a]" in host.errors


def test_export_and_list_give_all_calls(host: Host) -> None:
    host.write()
    host.run("run", "--once")
    exported = list(csv.DictReader(io.StringIO(host.run("outbox", "export"))))
    assert len(exported) == 126
    assert exported[69 - 5]["state"] == "sent"
    lines = [json.loads(line) for line in host.run("outbox", "export", "--format", "json").splitlines()]
    listed = host.json("outbox", "list")
    assert [one["id"] for one in listed] == [one["id"] for one in lines] == [int(one["id"]) for one in exported]
    table = host.run("outbox", "list", "--limit", "3", "--number", "4930555999")
    assert len(table.splitlines()) == 3
    assert "Click" not in table
    assert host.json("outbox", "list", "--since", "1h") == []
    assert len(host.json("outbox", "list", "--since", "2026-11-20 16:58:43", "--until", "2026-11-20 16:58:44")) == 18
    assert host.json("outbox", "list", "--since", "yesterday") == []


def test_purge_asks_first_and_drops_for_good(host: Host) -> None:
    host.write("Master-diskfull.csv")
    host.run("run", "--once")
    host.run("outbox", "purge", code=2)
    host.run("outbox", "purge", "--state", "sent", code=1)
    assert len(host.json("outbox", "list")) == 23
    assert host.run("outbox", "purge", "--state", "sent", "--yes") == "23 dropped\n"
    assert host.run("outbox", "purge", "--state", "rejected", "--yes") == "1 dropped\n"
    assert host.json("outbox", "list") == []
    host.run("run", "--once")
    assert (host.store.count(), host.store.repeats()) == (23, 0)


@pytest.mark.parametrize("command", [("replay",), ("replay", "--dry-run"), ("purge", "--yes")], ids=" ".join)
def test_ids_that_are_not_there_are_mistakes_and_nothing_is_done(host: Host, command: tuple[str, ...]) -> None:
    host.write("Master-diskfull.csv")
    host.run("run", "--once")
    assert host.run("outbox", *command, "3", "99", "r1", "r17", code=1) == ""
    assert "99, r17: not in the outbox" in host.errors
    assert len(host.json("outbox", "list", "--state", "sent")) == 23
    assert len(host.json("outbox", "list", "--state", "rejected")) == 1


def test_rejects_are_read_again_by_replay(host: Host) -> None:
    record = (RECORDED / "Master-full.csv").read_bytes().splitlines(keepends=True)[0]
    host.master.write_bytes(record.replace(b'"BUSY"', b'"BUSYISH"') + b"no call\n")
    host.run("run", "--once")
    first, second = host.json("outbox", "list", "--state", "rejected")
    assert "'BUSYISH' is none of ANSWERED" in first["last_error"]
    assert host.run("outbox", "replay", first["id"], second["id"]) == "0 wait to be sent again\n"
    assert "r1: still no call" in host.errors
    assert len(host.json("outbox", "list", "--state", "rejected")) == 2
    assert host.json("outbox", "show", "r1")["text"].startswith('"","101"')
    assert "None" not in host.run("outbox", "show", "r1")


def test_progress_is_shown_on_a_terminal_and_nowhere_else(host: Host) -> None:
    host.write()
    host.run("run", "--once")
    assert re.fullmatch(r".* is new: everything that is in \S+ is read and sent, rotated files included\n", host.errors)
    host.write("Master-default.csv")
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        with subprocess.Popen([PROGRAM, "--config", str(host.ini), "run", "--once"], stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            # A terminal says so when nobody is at its other end any more.
            with suppress(OSError):
                while piece := terminal.read(4096):
                    shown += piece
        assert process.returncode == 0
    assert b"Reading" in shown
    assert b"Delivering" in shown
    assert b"100%" in shown


def test_run_once_without_a_master_csv_yet_is_well_and_says_what_is_missing(host: Host) -> None:
    assert host.run("run", "--once") == "0 sent, 0 waiting, 0 dead, 0 rejects\n"
    assert "does not exist; Asterisk makes it with the first call" in host.errors


def test_run_once_makes_room_by_dropping_what_it_delivered(host: Host) -> None:
    host.configure(agent="max_size_mb = 1\nkeep_days = 0")
    record = (RECORDED / "Master-full.csv").read_bytes().splitlines(keepends=True)[6]
    host.master.write_bytes(
        b"".join(record.replace(b"PJSIP/101-00000000", b"PJSIP/101-%08x" % number) for number in range(4000))
    )
    assert host.run("run", "--once").endswith(" 0 waiting, 0 dead, 0 rejects\n")
    assert (host.store.count(), host.store.repeats()) == (4000, 0)


def test_choices_that_rejects_do_not_have_are_refused(host: Host) -> None:
    host.write("Master-diskfull.csv")
    host.run("run", "--once")
    for command in (["list"], ["replay"], ["purge", "--yes"]):
        host.run("outbox", *command, "--state", "rejected", "--number", "501", code=2)
    host.run("outbox", "purge", "7", "--state", "rejected", "--yes", code=2)
    host.run("outbox", "list", "--since", "99999999d")
    assert host.status()["rejects"] == 1


def test_another_path_is_another_file_and_no_truncation(host: Host) -> None:
    host.write("Master-diskfull.csv")
    host.run("run", "--once")
    host.master = host.folder / "elsewhere" / "Master.csv"
    host.master.parent.mkdir()
    host.write()
    host.configure()
    assert host.run("run", "--once") == "126 sent, 0 waiting, 0 dead, 1 reject\n"
    assert "truncated" not in host.errors


def test_calls_for_a_destination_that_is_gone_are_spoken_of(host: Host) -> None:
    host.write("Master-diskfull.csv")
    host.receiver.receiver.misbehaviour = Misbehaviour(status=503)
    host.run("run", "--once", code=1)
    host.ini.write_text(host.ini.read_text().replace("[destination humbug]", "[destination another]"))
    host.run("run", "--once", code=1)
    assert "23 calls wait for [destination humbug], which is no longer in" in host.errors
