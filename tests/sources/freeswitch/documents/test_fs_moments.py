"""When a call began, was answered and ended: what one variable does not tell, another one does."""

import json
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import permutations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Disposition
from humbug_agent.flat import Flat, flatten, whole
from humbug_agent.outbox import rows
from humbug_agent.sources.freeswitch.documents import leg
from humbug_agent.sources.freeswitch.leg import Leg, call
from tests.kit.calls import cdrs
from tests.kit.fs_modules import changed, json_document, raw_tree, xml_document

pytestmark = pytest.mark.slow

ZURICH = ZoneInfo("Europe/Zurich")
TREE = raw_tree()
EXACT = leg(json_document(TREE, values=True), UTC)
SECONDS = {name: getattr(EXACT, name).replace(microsecond=0) for name in ("start", "answer", "end")}
NAMES = ("start", "answer", "end")
EVENTS = {"start": "created_time", "answer": "answered_time", "end": "hangup_time"}


def without(tree: dict[str, Any], *names: str, times: bool = False) -> dict[str, Any]:
    """The tree without these variables, and with ``times`` without those of its callflows."""
    left = changed(tree, **dict.fromkeys(names, ""))
    return left | {"callflow": [one | {"times": {}} for one in left["callflow"]]} if times else left


def variables_of(*moments: str, kinds: tuple[str, ...] = ("uepoch", "epoch", "stamp")) -> list[str]:
    return [f"{name}_{kind}" for name in moments for kind in kinds]


def read(tree: dict[str, Any], xml: bool = False, zone: ZoneInfo = ZURICH) -> Leg:
    return leg(xml_document(tree) if xml else json_document(tree, values=True), zone)


def test_the_case_of_a_start_at_0() -> None:
    tree = without(changed(TREE, start_epoch="0", start_uepoch="0"), "start_stamp")
    found = call(read(tree))
    assert found.start.replace(microsecond=0, tzinfo=None) == datetime(2026, 11, 20, 18, 11, 8)
    assert (found.start, found.answer, found.end) == (EXACT.start, EXACT.answer, EXACT.end)
    assert (found.duration, found.billsec, found.disposition) == (3, 2, Disposition.ANSWERED)


@pytest.mark.parametrize("xml", [True, False])
@pytest.mark.parametrize("never", ["0", "", "-1", "000"])
@pytest.mark.parametrize("kinds", [("uepoch",), ("epoch",), ("uepoch", "epoch"), ("uepoch", "epoch", "stamp")])
@pytest.mark.parametrize("which", [("start",), ("end",), ("start", "end"), ("start", "answer", "end")])
def test_a_moment_at_0_is_told_by_another_one(
    which: tuple[str, ...], kinds: tuple[str, ...], never: str, xml: bool
) -> None:
    tree = changed(TREE, **{one: "" if one.endswith("stamp") else never for one in variables_of(*which, kinds=kinds)})
    found = read(tree, xml)
    for name in NAMES:
        said = getattr(found, name)
        assert said
        assert said.replace(microsecond=0) == SECONDS[name]
    assert (found.duration, found.billsec) == (3, 2)


@pytest.mark.parametrize("missing", ["start", "end"])
@pytest.mark.parametrize("never", ["0", ""])
def test_a_length_tells_the_other_end(missing: str, never: str) -> None:
    tree = without(TREE, f"{missing}_stamp", "profile_start_epoch", "profile_start_uepoch", times=True)
    found = read(changed(tree, **{f"{missing}_epoch": never, f"{missing}_uepoch": never}))
    assert found.duration == 3
    assert found.end - found.start == timedelta(seconds=3)
    assert found.answer == EXACT.answer


def test_milliseconds_tell_a_length_as_well() -> None:
    found = read(without(TREE, "duration", "billsec"))
    assert (found.duration, found.billsec) == (3, 2)
    found = read(without(TREE, "duration", "mduration", "billsec", "billmsec"))
    assert (found.duration, found.billsec) == (3, 2)
    lengths = ("duration", "mduration", "uduration", "billsec", "billmsec", "billusec")
    found = read(without(TREE, *lengths))
    assert (found.duration, found.billsec) == (3, 2)


@pytest.mark.parametrize("unit", [1, 1000, 1_000_000])
@pytest.mark.parametrize("kind", ["uepoch", "epoch"])
def test_a_moment_is_known_whatever_it_is_counted_in(kind: str, unit: int) -> None:
    others = variables_of(*NAMES, kinds=("epoch" if kind == "uepoch" else "uepoch", "stamp"))
    counts = {f"{name}_{kind}": str(int(getattr(EXACT, name).timestamp() * unit)) for name in NAMES}
    found = read(changed(without(TREE, *others, times=True), **counts))
    for name in NAMES:
        assert abs(getattr(found, name) - getattr(EXACT, name)) < timedelta(seconds=1)


def test_stamps_alone_tell_all() -> None:
    tree = without(TREE, *variables_of(*NAMES, kinds=("uepoch", "epoch")), times=True)
    found = read(tree)
    for name in NAMES:
        assert getattr(found, name).replace(tzinfo=UTC) == SECONDS[name]
    unanswered = read(without(tree, "answer_stamp", "billsec", "billmsec", "billusec"))
    assert (unanswered.answer, unanswered.billsec) == (None, 0)


def test_stamps_in_the_hour_that_comes_twice() -> None:
    stamps = {
        "start_stamp": "2026-10-25 02:50:00", "answer_stamp": "2026-10-25 02:10:00", "end_stamp": "2026-10-25 03:10:00",
    }  # fmt: skip
    tree = without(TREE, *variables_of(*NAMES, kinds=("uepoch", "epoch")), times=True)
    found = read(changed(tree, **stamps, duration="4800", billsec="3600"))
    assert found.answer
    assert [one.astimezone(UTC).strftime("%H:%M") for one in (found.start, found.answer, found.end)] == [
        "00:50", "01:10", "02:10",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["uepoch", "epoch"])
def test_an_answer_at_0_beside_one_that_is_told_is_none_of_never(kind: str) -> None:
    found = call(read(changed(TREE, **{f"answer_{kind}": "0"})))
    assert found.answer
    assert found.answer.replace(microsecond=0) == SECONDS["answer"]
    assert (found.billsec, found.disposition) == (2, Disposition.ANSWERED)


def test_what_nobody_answered_stays_so() -> None:
    tree = raw_tree("noanswer_timeout/a_25d95d80-0a76-43ef-b041-d693f6ef3d31")
    for found in map(read, (changed(tree), changed(tree, start_epoch="0", start_uepoch="0"))):
        assert (found.answer, found.billsec) == (None, 0)
        assert found.duration == int(tree["variables"]["duration"])


def test_seconds_that_were_talked_tell_of_an_answer_that_nothing_else_tells_of() -> None:
    found = read(without(TREE, *variables_of("answer"), times=True))
    assert found.answer == EXACT.end - timedelta(seconds=2)


@pytest.mark.parametrize("never", ["0", ""])
@pytest.mark.parametrize("missing", ["start", "end"])
def test_what_nothing_tells_is_asked_for(missing: str, never: str) -> None:
    gone = [*variables_of("start", "answer", "end"), "duration", "mduration", "uduration", "profile_start_stamp"]
    kept = {"start": "end_epoch", "end": "start_epoch"}[missing]
    tree = without(
        TREE, *gone, "profile_start_epoch", "profile_start_uepoch", "billsec", "billmsec", "billusec", times=True
    )
    with pytest.raises(ValueError, match=f"no time of its {missing}"):
        read(changed(tree, **{kept: "1795194668", f"{missing}_epoch": never}))


FLOWS = raw_tree("acct_answered/a_020739a7-0bbf-4953-a3f3-77f3e3780616")


@pytest.mark.parametrize("form", ["list", "names", "xml", "xml-index"])
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("hint", ["profile_created_time", "transfer_time", "hangup_time", "profile_index"])
def test_the_newest_callflow_is_known_by_its_times(hint: str, newest_first: bool, form: str) -> None:
    """FreeSWITCH writes the newest first; in a list, or in elements of one name, and an older mod_json_cdr, too."""
    new, old = (dict(one, times=dict.fromkeys(one["times"], "0")) for one in FLOWS["callflow"])
    new["times"] |= {"profile_created_time": "1795194699797344"} if hint == "profile_created_time" else {}
    old["times"] |= {"profile_created_time": "1795194699797343"} if hint == "profile_created_time" else {}
    old["times"] |= {"transfer_time": "1795194699797343"} if hint == "transfer_time" else {}
    new["times"] |= {"hangup_time": "1795194703097359"} if hint == "hangup_time" else {}
    for one in (new, old):
        one["profile_index"] = one["profile_index"] if hint == "profile_index" else ""
    tree = FLOWS | {"callflow": [new, old] if newest_first else [old, new]}
    if form == "list":
        document = json_document(tree, values=True)
    elif form == "names":
        flows = ",".join(f'"callflow":{json.dumps(one)}' for one in tree["callflow"])
        rest = json_document({name: value for name, value in tree.items() if name != "callflow"}, values=True)
        document = rest[:-1] + f",{flows}}}".encode()
    else:
        document = xml_document(tree)
        for one in tree["callflow"]:
            index = b' profile_index="%b"' % one["profile_index"].encode()
            document = document.replace(b"<callflow>", b"<callflow%b >" % index, 1)
    found = leg(document, UTC)
    assert (found.destination, found.extra["rdnis"]) == ("8201", "acctACME-8201")


def test_three_callflows_in_any_order() -> None:
    one = FLOWS["callflow"][0]
    flows = []
    for number in range(3):
        times = one["times"] | {"profile_created_time": str(1795194699797343 + number)}
        flows.append(
            one | {"times": times, "caller_profile": one["caller_profile"] | {"destination_number": str(number)}}
        )
    for order in permutations(flows):
        tree = FLOWS | {"callflow": list(order)}
        assert {read(tree).destination, read(tree, xml=True).destination} == {"2"}


def test_a_callflow_of_another_kind_costs_nothing() -> None:
    good = TREE["callflow"]
    times, profile = {"times": {"profile_created_time": "9" * 18}}, {"caller_profile": dict[str, str]()}
    others: tuple[object, ...] = (7, None, "x", {}, times, [], profile)
    for odd in others:
        assert read(TREE | {"callflow": [odd, *good]}) == read(TREE)
        assert read(TREE | {"callflow": [*good, odd]}) == read(TREE)


def test_an_older_callflow_tells_what_the_newest_does_not() -> None:
    new, old = FLOWS["callflow"]
    names = variables_of(*NAMES)
    bare = without(FLOWS, *names, "profile_start_epoch", "profile_start_uepoch")
    told = new["times"]
    tree = bare | {"callflow": [new | {"times": told | {"created_time": "0"}}, old]}
    assert read(tree).start == read(FLOWS).start


_ABSURD = st.sampled_from(
    [
        "0", "-1", "1", "9" * 9, "9" * 10, "9" * 13, "9" * 16, "9" * 17, "9" * 18, "9" * 19, "9" * 400, "-" + "9" * 18,
        "253402300799", "253402300799999999", "253402300800", "2147483648", "1e9", "NaN", "Infinity", "0x10", " 1", "١",
        "1795194668.5", "true", "null", "+5", "221845392000", "62135596800", "-62135596800", "soon", "", "1795194668",
    ]
) | st.integers(-(10**20), 10**20).map(str)  # fmt: skip
_STAMPS = st.sampled_from(
    [
        "9999-12-31 23:59:59", "0001-01-01 00:00:00", "2026-11-20", "2026-11-20 17:11:08+01:00", "1900-01-01 00:00:00",
        "8999-12-31 23:59:59", "2026-02-30 00:00:00", "2026-11-20 24:00:00", "2026-11-20T17:11:08", "", "0", "x",
    ]
)  # fmt: skip
_LENGTHS = ("duration", "mduration", "uduration", "billsec", "billmsec", "billusec")
_NUMBERS = [*variables_of(*NAMES, kinds=("uepoch", "epoch")), *_LENGTHS, "profile_start_epoch", "profile_start_uepoch"]
zones = st.sampled_from(["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Zurich", "Asia/Kathmandu"]).map(
    ZoneInfo
)


@settings(max_examples=400)
@given(
    st.dictionaries(st.sampled_from(_NUMBERS), _ABSURD, max_size=8),
    st.dictionaries(st.sampled_from(variables_of(*NAMES, kinds=("stamp",))), _STAMPS, max_size=3),
    st.dictionaries(st.sampled_from([*EVENTS.values(), "profile_created_time", "transfer_time"]), _ABSURD, max_size=4),
    zones,
    st.booleans(),
)
def test_absurd_values_are_calls_or_refused(
    numbers: dict[str, str], stamps: dict[str, str], times: dict[str, str], zone: ZoneInfo, xml: bool
) -> None:
    tree = changed(TREE, **numbers, **stamps)
    tree["callflow"] = [one | {"times": one["times"] | times} for one in tree["callflow"]]
    storable(xml_document(tree) if xml else json_document(tree, values=True), zone)


def storable(document: bytes, zone: tzinfo) -> None:
    """A call that the outbox and the page can live with, or a ValueError, of which a reject is made."""
    with suppress(ValueError):
        found = call(leg(document, zone))
        for moment in filter(None, (found.start, found.answer, found.end)):
            assert 1500 < moment.astimezone(UTC).year < 9500
        assert max(abs(found.duration), abs(found.billsec)) < 10**12
        assert record_of(found).identity == found.identity


def record_of(found: CDR) -> CDR:
    with sqlite3.connect(":memory:") as database:
        database.row_factory = sqlite3.Row
        database.execute(f"CREATE TABLE call ({rows.COLUMNS})")
        database.execute(f"INSERT INTO call VALUES ({rows.PLACES})", flatten(found))
        (row,) = database.execute("SELECT * FROM call")
    database.close()
    (stored,) = cdrs([whole(Flat._make(row))])
    return stored


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5)
)
def test_values_of_another_kind_are_calls_or_refused(value: object) -> None:
    for name in ("variables", "callflow", "switchname"):
        storable(json.dumps(TREE | {name: value}).encode(), UTC)
        storable(json.dumps(TREE | {name: {"start_epoch": value}}).encode(), UTC)
    for name in ("start_epoch", "duration", "hangup_cause", "end_stamp", "uuid"):
        storable(json.dumps(TREE | {"variables": TREE["variables"] | {name: value}}).encode(), UTC)
