"""A Cdr event's bytes become a call, or a reject with the reason: never a wrong call."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from humbug_agent.sources.asterisk.ami import events as ami_events
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from humbug_agent.text import carried
from tests.kit.ami_calls import HEADERS, ZONE, call, event, line
from tests.kit.ami_feed import only_call, source, understood

INJECTED = b"x\r\nDestination: 666"
# Whatever comes behind the last data of a call, made up.
INJECTED_END = b"".join(b"\r\n%b: 1" % header.encode() for header in [*HEADERS][[*HEADERS].index("LastData") + 1 :])
TEXTS = [column for column, value in call(1).items() if not re.fullmatch(rb"[0-9:. -]+|ANSWERED", value)] + ["dst"]
PIECES = [b"\r\n", b"\n", b"\r", b": ", b":", b" ", b"a", b"\xc3", "ü".encode(), b"Event: Cdr", b"linkedid: 7"]
PIECES += [f"\r\n{header}:".encode() for header in HEADERS] + [b"Source: 7", b"UserField: x", b"EndTime: "]
values = st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join).filter(lambda value: b"\r\n\r\n" not in value)


def columns_of(on_the_wire: bytes) -> dict[str, str]:
    return ami_events.call_columns(on_the_wire.removesuffix(b"\r\n\r\n"))


def test_an_event_has_the_columns_of_master_csv() -> None:
    columns = call(1, answer=b"", disposition=b"NO ANSWER", billsec=b"0")
    assert columns_of(event(columns)) == {name: value.decode() for name, value in columns.items()}


def test_a_last_header_without_even_a_blank_is_an_empty_one() -> None:
    assert columns_of(event(call(1)).replace(b"UserField: \r\n", b"UserField:\r\n"))["userfield"] == ""


@given(st.dictionaries(st.sampled_from(TEXTS), values, max_size=3))
@example({"amaflags": b"\r\nUniqueID:\r\nUserField:"})
@example({"lastdata": INJECTED_END})
@settings(max_examples=300)
def test_whatever_a_value_says_it_is_kept_or_the_event_refused(changed: dict[str, bytes]) -> None:
    columns = call(1, **changed)
    try:
        found = columns_of(event(columns))
    except ValueError:
        # Only a line that looks like one of the headers is reason enough.
        assert any(re.search(rb"\r\n(%b):" % "|".join(HEADERS).encode(), value) for value in columns.values())
        return
    found.pop("linkedid", None)
    wanted = {name: carried(value) for name, value in columns.items()}
    wanted["userfield"] = carried(columns["userfield"].partition(b"\r\n")[0])
    assert found == wanted


@pytest.mark.parametrize("column", [column for column in TEXTS if column != "userfield"])
def test_a_header_within_a_value_makes_a_reject_and_no_wrong_call(column: str) -> None:
    told = event(call(1, **{column: INJECTED}))
    batch = understood(told)
    assert not batch.records
    (reject,) = batch.rejects
    assert reject.text == told.removesuffix(b"\r\n\r\n")
    assert reject.where == "AMI 127.0.0.1:5038"
    assert "header" in reject.reason


def test_a_blank_line_within_a_value_makes_no_call_of_a_stranger() -> None:
    forged = b"x\r\n\r\nEvent: Cdr\r\nPrivilege: cdr,all\r\nSource: 666"
    batch = understood(event(call(1, accountcode=forged)))
    assert not batch.records
    assert [reject.reason for reject in batch.rejects] == [
        "it has no Source: where a Cdr event has one",
        "it has no AccountCode: where a Cdr event has one",
    ]


def test_line_breaks_that_look_like_nothing_stay_in_the_value() -> None:
    found = only_call(event(call(1, clid=b'"two\r\nlines" <101>', lastdata=b"a\nb", userfield=b"c\nd")))
    assert (found.clid, found.lastdata, found.userfield) == ('"two\r\nlines" <101>', "a\nb", "c\nd")


def test_what_stands_before_the_first_header_is_passed_over() -> None:
    stamped = event(call(1), before=b"Timestamp: 1795194393.123456\r\nSystemName: pbx1\r\n")
    assert only_call(stamped) == only_call(event(call(1)))


def test_what_an_admin_has_mapped_is_taken() -> None:
    mapped = b"linkedid: 1795194393.9\r\nsequence: 41\r\npeeraccount: acme\r\nrate: 0.02\r\n"
    columns = call(1)
    found = only_call(event(columns, after=mapped))
    assert found.linkedid == "1795194393.9"
    assert found.extra == {"amaflags": "DOCUMENTATION", "sequence": "41", "peeraccount": "acme", "rate": "0.02"}
    assert found.identity == only_call(event(columns)).identity


MAPPED = call(1)


def again(*columns: str) -> bytes:
    """What an admin has mapped that the event has already, by the names that it has there."""
    return b"".join(f"{HEADER[column]}: ".encode() + MAPPED[column] + b"\r\n" for column in columns)


HEADER = {column: header for header, column in HEADERS.items()}


@pytest.mark.parametrize(
    "after",
    [
        b"UniqueID: 1795194393.1\r\n",
        b"UniqueID: 7\r\n",
        b"UniqueID:\r\nUniqueID: 7\r\n",
        again("uniqueid", "userfield"),
        again("userfield", "uniqueid"),
        again(*HEADERS.values()),
        again("clid", "src", "duration", "billsec"),
        b"Source: 666\r\nAMAFlags: x\r\nDuration: 0\r\n"
        + again("uniqueid", "userfield")
        + b"EndTime: x\r\nSource: 1\r\n",
        b"Source: 666\r\nDuration: 0\r\nDisposition: NO ANSWER\r\nUserField: other\r\n",
        b"UserField: other\r\nUniqueID: 7\r\n",
        b"EndTime: 1999-01-01 00:00:00\r\nAMAFlags: x\r\nCallerID: x\r\n",
        b"src: 666\r\nuniqueid: 7\r\nduration: 0\r\namaflags: x\r\n",
    ],
)
def test_what_is_mapped_by_the_name_of_a_stock_header_changes_nothing(after: bytes) -> None:
    honest = only_call(event(MAPPED))
    found = only_call(event(MAPPED, after=after + b"LinkedID: 1.9\r\nRate: 2\r\n"))
    assert found.linkedid == "1.9"
    assert found.extra["Rate"] == "2"
    assert replace(found, linkedid="", extra={}) == replace(honest, extra={})
    assert found.extra["amaflags"] == honest.extra["amaflags"]
    assert not {*HEADERS} & {*found.extra}


@pytest.mark.parametrize(
    ("raw", "said"),
    [("Zoë".encode(), "Zoë"), ("Zoë".encode("latin-1"), "Zoë"), ("Zoë ".encode()[:-2] + b"\xff", "ZoÃÿ")],
)
def test_each_value_is_decoded_by_itself(raw: bytes, said: str) -> None:
    found = only_call(event(call(1, src=raw, lastdata="ü".encode())))
    assert (found.src, found.lastdata) == (said, "ü")


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("disposition", b"MAYBE", "disposition 'MAYBE' is none of"),
        ("duration", b"", "no whole number"),
        ("duration", b"9" * 18, "no length of a call"),
        ("duration", b"9" * 25, "no whole number"),
        ("start", b"yesterday", "'yesterday' is not a time"),
        ("end", b"0001-01-01 00:00:00", "is no time of a call"),
    ],
)
def test_what_is_no_call_is_a_reject_with_the_reason(column: str, value: bytes, reason: str) -> None:
    batch = understood(event(call(1, **{column: value})))
    assert not batch.records
    assert reason in batch.rejects[0].reason


def test_equal_events_of_one_connection_are_as_many_calls_and_the_same_that_master_csv_has() -> None:
    forked = call(1)
    told = [record.identity for record in understood(event(forked) * 3).records]
    assert len(set(told)) == 3
    master = AsteriskCsv(AsteriskCsvSettings("master-csv", Path("Master.csv"), "beginning", False), ZONE)
    assert [record.identity for record in master.parse(line(forked) * 3).records] == told


def test_a_connection_counts_from_the_beginning() -> None:
    forked, listening = event(call(1)), source()
    first = [record.identity for record in understood(forked * 2, listening, 1).records]
    again = [record.identity for record in understood(forked * 2, listening, 2).records]
    assert first == again
    assert len(set(first)) == 2


def test_two_connections_at_a_time_count_each_for_itself() -> None:
    forked, listening = event(call(1)), source()
    told = [understood(forked, listening, connection).records[0].identity for connection in (1, 2, 1, 2)]
    assert told[0] == told[1]
    assert told[2] == told[3]
    assert len(set(told)) == 2
