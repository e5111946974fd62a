"""Documents of FreeSWITCH's modules, recorded ones and any that a caller could make them write."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.cdr import CDR, Direction, Disposition
from humbug_agent.sources.freeswitch.documents import leg
from humbug_agent.sources.freeswitch.leg import call, wanted
from tests.kit import php_json
from tests.kit.fs_modules import ANSWERED, RECORDED, UUID, changed, json_document, raw_tree, recorded

FILES = sorted(RECORDED.rglob("*.cdr.*"))
SCENARIOS = {
    "acct_answered": "acct_answered",
    "answered_callee": "answered_callee_hangs_up",
    "busy486": "busy486",
    "noanswer_timeout": "noanswer_timeout",
}
A_DISPOSITIONS = {
    "acct_answered": Disposition.ANSWERED,
    "answered_callee": Disposition.ANSWERED,
    "busy486": Disposition.BUSY,
    "cc_member": Disposition.ANSWERED,
    "name_pct_inject": Disposition.ANSWERED,
    "name_utf8": Disposition.ANSWERED,
    "noanswer_timeout": Disposition.NO_ANSWER,
}
NAMES = {
    "acct_answered": "Acct",
    "answered_callee": "Bob",
    "busy486": "Busy Caller",
    "cc_member": "CC Member",
    "name_pct_inject": 'x","y',
    "name_utf8": "José Nuñez ☎ 日本",
    "noanswer_timeout": "No Answer",
}


def identified(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def uuid_of(path: Path) -> str:
    return path.name.removeprefix("a_").partition(".")[0]


@pytest.fixture(scope="module")
def scenarios() -> dict[str, list[list[str]]]:
    rows = csv.reader((RECORDED.parent / "csv" / "scenarios.tsv").read_text().splitlines(), delimiter="\t")
    return {row[0]: [one.split("/") for one in row[3].split()] for row in rows}


@pytest.mark.parametrize("path", FILES, ids=identified)
def test_every_recording_is_what_the_scenarios_say(path: Path, scenarios: dict[str, list[list[str]]]) -> None:
    found = leg(path.read_bytes(), UTC)
    folder = path.parent.name
    assert found.uuid == uuid_of(path)
    assert found.name == NAMES[folder]
    if folder in SCENARIOS:
        answered = "ans" if found.answer else "-"
        rows = scenarios[SCENARIOS[folder]]
        same = [row for row in rows if row[:3] == [found.destination, found.cause, answered]]
        assert any(abs(found.duration - int(row[3])) <= 1 and abs(found.billsec - int(row[4])) <= 1 for row in same)


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".xml"], ids=identified)
def test_xml_and_json_say_the_same(path: Path) -> None:
    assert leg(path.read_bytes(), UTC) == leg(path.with_suffix(".json").read_bytes(), UTC)


@pytest.mark.parametrize("folder", A_DISPOSITIONS)
def test_one_call_is_left_of_each_scenario(folder: str) -> None:
    legs = [leg(path.read_bytes(), UTC) for path in sorted((RECORDED / folder).glob("*.json"))]
    (found,) = [call(one) for one in legs if wanted(one, "a", drop_doubles=True)]
    assert found.disposition is A_DISPOSITIONS[folder]
    assert len([one for one in legs if wanted(one, "ab", drop_doubles=False)]) == len(legs)


def test_all_that_an_answered_call_says() -> None:
    found = call(leg(recorded(ANSWERED), ZoneInfo("America/New_York")))
    assert found == CDR(
        identity=found.identity,
        src="1001",
        dst="8201",
        dcontext="public",
        clid='"Bob" <1001>',
        channel="sofia/internal/1001@127.0.0.1",
        dstchannel="sofia/internal/8201@127.0.0.1:25071",
        lastapp="bridge",
        lastdata="sofia/internal/8201@127.0.0.1:25071",
        start=datetime(2026, 11, 20, 17, 11, 8, 657340, UTC),
        answer=datetime(2026, 11, 20, 17, 11, 9, 737340, UTC),
        end=datetime(2026, 11, 20, 17, 11, 11, 937423, UTC),
        duration=3,
        billsec=2,
        disposition=Disposition.ANSWERED,
        direction=Direction.UNKNOWN,
        uniqueid=UUID,
        linkedid=UUID,
        extra=found.extra,
    )
    assert dict(found.extra) == {
        "hangup_cause": "NORMAL_CLEARING", "hangup_cause_q850": "16", "sip_hangup_disposition": "send_bye",
        "originate_disposition": "SUCCESS", "last_bridge_hangup_cause": "NORMAL_CLEARING", "DIALSTATUS": "SUCCESS",
        "direction": "inbound", "bridge_uuid": "d8e9e3b8-7457-4212-add4-d8d82bf9afe1", "read_codec": "PCMU",
        "write_codec": "PCMU", "mduration": "3280", "billmsec": "2200", "waitmsec": "1080", "hold_accum_seconds": "0",
        "sip_call_id": found.extra["sip_call_id"], "sip_user_agent": "siptoy",
        "last_sent_callee_id_name": "Outbound Call",
        "last_sent_callee_id_number": "8201", "network_addr": "127.0.0.1", "ani": "1001", "source": "mod_sofia",
        "switchname": "fslab",
    }  # fmt: skip


def test_legs_of_one_call_have_one_linkedid() -> None:
    for folder, legs in (("answered_callee", 2), ("cc_member", 3)):
        found = [leg(path.read_bytes(), UTC) for path in (RECORDED / folder).glob("*.json")]
        assert len(found) == legs
        assert len({one.linkedid for one in found}) == 1
    assert [one.agent_side for one in sorted(found, key=lambda one: one.start)].count(True) == 2


def test_b_leg_is_told_by_who_originated_it() -> None:
    assert leg(recorded("answered_callee/d8e9e3b8-7457-4212-add4-d8d82bf9afe1"), UTC).b_leg is True
    assert leg(recorded(ANSWERED), UTC).b_leg is False


def test_after_a_transfer_the_newest_destination_is_the_one() -> None:
    tree = json.loads(recorded("acct_answered/a_020739a7-0bbf-4953-a3f3-77f3e3780616"))
    assert [flow["caller_profile"]["destination_number"] for flow in tree["callflow"]] == ["8201", "acctACME-8201"]
    found = leg(json.dumps(tree).encode(), UTC)
    assert (found.destination, found.accountcode, found.extra["rdnis"]) == ("8201", "ACME", "acctACME-8201")


@pytest.mark.parametrize(
    ("said", "direction"),
    [("inbound", Direction.INBOUND), ("outbound", Direction.OUTBOUND), ("local", Direction.INTERNAL)],
)
def test_direction_is_what_fusionpbx_calls_it(said: str, direction: Direction) -> None:
    document = json_document(changed(raw_tree(), call_direction=said), values=True)
    assert call(leg(document, UTC)).direction is direction


def test_refusal_of_the_other_side_is_told_by_its_sip_status() -> None:
    never = {"answer_epoch": "0", "answer_uepoch": "0"}
    refused = {"hangup_cause": "CALL_REJECTED", **never, "originate_disposition": "CALL_REJECTED"}
    for status, disposition in (("403", Disposition.FAILED), ("603", Disposition.BUSY)):
        tree = changed(raw_tree(), **refused, last_bridge_proto_specific_hangup_cause=f"sip:{status}")
        assert call(leg(json_document(tree, values=True), UTC)).disposition is disposition


def test_zero_is_no_answer_whatever_the_stamp_says() -> None:
    tree = changed(raw_tree(), answer_epoch="0", answer_uepoch="0")
    assert leg(json_document(tree, values=True), UTC).answer is None


def test_times_come_from_the_most_exact() -> None:
    names = [f"{event}_{kind}" for event in ("start", "answer", "end") for kind in ("uepoch", "epoch")]
    exact = leg(json_document(raw_tree(), values=True), UTC)
    seconds = changed(raw_tree(), **dict.fromkeys(names[::2], ""))
    flow = changed(raw_tree(), **dict.fromkeys(names, ""))
    stamps = {**flow, "callflow": [{**flow["callflow"][0], "times": {}}]}
    zone = ZoneInfo("Europe/Berlin")
    assert leg(json_document(seconds, values=True), UTC).start == exact.start.replace(microsecond=0)
    assert leg(json_document(flow, values=True), UTC) == exact
    assert leg(json_document(stamps, values=True), zone).start == exact.start.replace(tzinfo=zone, microsecond=0)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"hangup_cause": ""}, "hangup_cause"),
        ({"start_uepoch": "soon"}, "whole number"),
        ({"start_uepoch": "9" * 18}, "are no time"),
        ({"duration": "three"}, "whole number"),
    ],
)
def test_what_a_call_needs_is_asked_for(variables: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        leg(json_document(changed(raw_tree(), **variables), values=True), UTC)


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".xml"], ids=identified)
def test_what_fusionpbx_keeps_of_xml_says_the_same(path: Path) -> None:
    assert leg(php_json.kept(path.read_bytes()), UTC) == leg(path.read_bytes(), UTC)


def test_of_a_variable_that_fusionpbx_keeps_twice_the_first_counts_as_in_xml() -> None:
    xml = recorded(ANSWERED, "xml").replace(
        b"<bridge_uuid>", b"<accountcode>first</accountcode><accountcode>2</accountcode><bridge_uuid>", 1
    )
    assert leg(xml, UTC).accountcode == "first"
    assert leg(php_json.kept(xml), UTC) == leg(xml, UTC)


def test_a_number_of_any_length_is_no_obstacle() -> None:
    """Python makes no int of more than 4,300 digits."""
    raw = json_document(raw_tree(), values=True)
    long = raw.replace(b"{", b'{"other": ' + b"9" * 5000 + b",", 1)
    assert call(leg(long, UTC)) == call(leg(raw, UTC))
