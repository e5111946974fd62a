"""What a running FreeSWITCH wrote comes out as its table of scenarios says."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import humbug_agent
from humbug_agent.cdr import CDR, Disposition
from tests.kit.cdr_reader import RECORDED, Reader
from tests.kit.mod_cdr_csv import CALL, STOCK, TEXTS, call, row

NAMES = {
    "2001": "Smith, John",
    "2002": 'John \\"Johnny\\" Doe',
    "2003": 'A \\"B\\", C',
    "2004": "José Nuñez ☎ 日本",
    "2005": "José",
    "2006": "%{uuid} $x",
    "2007": "back\\slash",
    "2008": "O'Brien",
    "2009": "semi;colon|pipe",
    "2010": "2010",
    "anonymous": "Anonymous",
    "2011": "L" * 200,
    "2012": "  lead trail  ",
    "2013": "tab here",
    "2014": '100% "q"',
    "2015": "line\nbreak",
    "2016": "cr\r\nlf",
    "2017": 'x","y',
    "2018": "%{uuid}",
    "2019": 'a\\"b',
    "2020": "",
    "er,x": "x",
}
ENDS = {
    "8486": ("USER_BUSY", Disposition.BUSY),
    "8603": ("CALL_REJECTED", Disposition.BUSY),
    "8404": ("UNALLOCATED_NUMBER", Disposition.FAILED),
    "8503": ("NORMAL_TEMPORARY_FAILURE", Disposition.CONGESTION),
    "8503q34": ("NORMAL_CIRCUIT_CONGESTION", Disposition.CONGESTION),
    "8503q42": ("SWITCH_CONGESTION", Disposition.CONGESTION),
    "8408": ("RECOVERY_ON_TIMER_EXPIRE", Disposition.NO_ANSWER),
    "8410": ("NUMBER_CHANGED", Disposition.FAILED),
    "8502": ("NETWORK_OUT_OF_ORDER", Disposition.CONGESTION),
    "8480": ("NORMAL_CLEARING", Disposition.NO_ANSWER),
    "9665": ("NORMAL_CLEARING", Disposition.NO_ANSWER),
    "sched": ("ALLOTTED_TIMEOUT", Disposition.ANSWERED),
    "vm_8180": ("NORMAL_CLEARING", Disposition.ANSWERED),
    "hunt": ("NORMAL_CLEARING", Disposition.ANSWERED),
    "+8201": ("NORMAL_CLEARING", Disposition.ANSWERED),
}


def name(record: CDR) -> str:
    return record.clid.removesuffix(f"<{record.src}>").strip()[1:-1] if record.clid[0] == '"' else ""


@pytest.mark.parametrize(("template", "rows"), [("example", 70), ("asterisk", 70), ("custom-safe-template", 76)])
def test_every_row_is_a_call(template: str, rows: int) -> None:
    reader = Reader(RECORDED / template).read()
    assert (len(reader.calls), reader.rejects) == (rows, [])
    assert reader.once


@pytest.mark.parametrize("template", ["example", "asterisk"])
def test_calls_are_as_their_scenarios(template: str) -> None:
    reader = Reader(RECORDED / template / "Master.csv", legs="a", drop_doubles=True).read()
    # The far half of a loopback is told apart by its channel alone.
    assert len(reader.calls) == (70 if template == "example" else 69)
    for record in reader.calls.values():
        if record.src in NAMES:
            expected = NAMES[record.src]
            assert name(record) == expected or (name(record), record.src) == ("x", "er,x")
        if record.dst in ENDS and record.src != "1028":
            assert (record.extra["hangup_cause"], record.disposition) == ENDS[record.dst]
        assert (record.disposition is Disposition.ANSWERED) == (record.answer is not None)
        assert record.duration == (record.end - record.start) // timedelta(seconds=1)
        assert record.billsec == ((record.end - record.answer) // timedelta(seconds=1) if record.answer else 0)
    dialled = Counter(line.split("\t")[1] for line in (RECORDED / template / "calls.tsv").read_text().splitlines())
    assert abs(sum(dialled.values()) - len(reader.calls)) <= 2


def test_asterisks_template_tells_of_channels() -> None:
    reader = Reader(RECORDED / "asterisk" / "Master.csv").read()
    (hunt,) = [record for record in reader.calls.values() if record.dst == "hunt"]
    assert hunt.channel == "sofia/internal/1031@127.0.0.1"
    assert hunt.dstchannel == "sofia/internal/8201@127.0.0.1:25071"
    assert (hunt.lastapp, hunt.lastdata[:15]) == ("bridge", "[leg_timeout=2]")
    assert hunt.dcontext == "public"


def test_the_safe_template_tells_legs_and_what_became_of_them() -> None:
    everything = Reader(RECORDED / "custom-safe-template").read().calls
    a_legs = Reader(RECORDED / "custom-safe-template", legs="a", drop_doubles=True).read().calls
    b_legs = Reader(RECORDED / "custom-safe-template", legs="b").read().calls
    assert (len(a_legs), len(b_legs)) == (37, 39)
    assert a_legs.keys() | b_legs.keys() == everything.keys()
    by_number = {
        record.src: record for record in a_legs.values() if record.src in NAMES or record.src in ("1011", "1004")
    }
    for number, expected in NAMES.items():
        if number in by_number and number != "er,x":
            assert name(by_number[number]) == expected.strip(" ")
    assert by_number["1011"].disposition is Disposition.NO_ANSWER
    assert by_number["1004"].extra["originate_disposition"] == "NO_ANSWER"
    for record in b_legs.values():
        assert record.linkedid in a_legs
    unanswered = [record for record in a_legs.values() if record.answer is None]
    assert unanswered
    for record in everything.values():
        assert record.start.tzinfo is not None
        assert record.duration == int(record.end.timestamp()) - int(record.start.timestamp())


def test_an_accountcodes_file_adds_nothing(tmp_path: Path) -> None:
    for file in ("Master.csv", "ACME.csv"):
        (tmp_path / file).write_bytes((RECORDED / "asterisk" / file).read_bytes())
    (tmp_path / "Master.csv.d").mkdir()
    reader = Reader(tmp_path).read()
    assert len(reader.records) == 70
    of_its_own = Reader(tmp_path / "ACME.csv").read()
    assert of_its_own.calls.keys() < reader.calls.keys()


def test_the_template_that_we_ship_is_the_recorded_one() -> None:
    path = Path(humbug_agent.__file__).parent / "data" / "freeswitch-safe-template.xml"
    template = ET.parse(path).getroot()
    assert (template.tag, template.get("name")) == ("template", "safe")
    assert template.text == (RECORDED / "custom-safe-template" / "template.txt").read_text().strip()
    assert set(re.findall(r"\$\{(\w+)\}", template.text or "")) >= {"uuid", "originating_leg_uuid", "start_uepoch"}


@pytest.mark.parametrize("template", TEXTS)
def test_every_template_makes_the_same_call_of_a_call(tmp_path: Path, template: str) -> None:
    master = tmp_path / "Master.csv"
    master.write_bytes(
        row(template, call(1))
        + row(template, call(2, answer_stamp=b"", answer_uepoch=b"0", billsec=b"0", hangup_cause=b"USER_BUSY"))
    )
    first, second = Reader(master).read().records
    assert (first.src, first.dst, first.billsec, first.disposition) == ("1001", "8201", 5, Disposition.ANSWERED)
    assert (second.answer, second.billsec) == (None, 0)
    if template == "opencdrrate":
        assert (first.start, first.duration) == (first.answer, 5)
        assert (second.start, second.duration, second.disposition) == (second.end, 0, Disposition.NO_ANSWER)
        assert "hangup_cause" not in first.extra
        return
    assert (name(first), first.dcontext, first.duration) == ("Bob", "public", 7)
    assert second.disposition is Disposition.BUSY
    assert first.extra["hangup_cause"] == "NORMAL_CLEARING"
    if template != "safe":
        assert first.start == datetime(2026, 11, 20, 16, 51, 1, tzinfo=UTC)


@pytest.mark.parametrize("template", STOCK)
def test_stamps_are_the_sources_zone(tmp_path: Path, template: str) -> None:
    master = tmp_path / "Master.csv"
    master.write_bytes(row(template, call(1)))
    zone = ZoneInfo("America/New_York")
    (record,) = Reader(master, timezone=zone, zone=ZoneInfo("Asia/Tokyo")).read().records
    assert record.end == datetime(2026, 11, 20, 21, 51, 8, tzinfo=UTC)
    (record,) = Reader(master, zone=zone).read().records
    assert record.end == datetime(2026, 11, 20, 21, 51, 8, tzinfo=UTC)


def test_the_hour_that_comes_twice(tmp_path: Path) -> None:
    master = tmp_path / "Master.csv"
    stamps = {
        "start_stamp": b"2026-10-25 02:50:00",
        "answer_stamp": b"2026-10-25 02:10:00",
        "end_stamp": b"2026-10-25 03:10:00",
    }
    master.write_bytes(row("example", call(**stamps, duration=b"4800", billsec=b"3600")))
    (record,) = Reader(master, zone=ZoneInfo("Europe/Berlin")).read().records
    assert record.answer
    moments = [moment.astimezone(UTC).hour * 60 + moment.minute for moment in (record.start, record.answer, record.end)]
    assert moments == [50, 70, 130]


@pytest.mark.parametrize(
    ("encoded", "said"),
    [
        (b"50%", "50%"),
        (b"%zz%4", "%zz%4"),
        (b"%E6%97%A5%E6%9C", "日�"),
        (b"a+b%2B", "a+b+"),
        (b"Jos%E9", "José"),
        (b"%41%2520", "A%20"),
    ],
)
def test_what_is_not_well_encoded_is_decoded_as_far_as_it_goes(tmp_path: Path, encoded: bytes, said: str) -> None:
    master = tmp_path / "Master.csv"
    master.write_bytes(row("safe", call()).replace(b'"' + CALL["caller_id_name"] + b'"', b'"' + encoded + b'"'))
    (record,) = Reader(master).read().records
    assert name(record) == said


@pytest.mark.parametrize(
    ("stamp", "reason"), [(b"2026-13-20 16:51:01", "not a time"), (b"0000-00-00 00:00:00", "not a time")]
)
def test_an_impossible_time_is_a_reject(tmp_path: Path, stamp: bytes, reason: str) -> None:
    master = tmp_path / "Master.csv"
    master.write_bytes(row("example", call(start_stamp=stamp)))
    reader = Reader(master).read()
    assert reader.records == []
    assert reason in reader.rejects[0].reason
