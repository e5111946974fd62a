"""FreeswitchEsl in this process: which calls it makes of which events, and what it hands over again."""

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from humbug_agent.cdr import CDR, Disposition, digest
from humbug_agent.listening.esl.event import Event, name
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.documents import leg as leg_of_document
from humbug_agent.sources.freeswitch.esl.event import HANGUP, leg
from tests.kit.calls import cdrs
from tests.kit.esl_calls import A_LEG, B_LEG, ZONE, changed, hangup, heartbeat, numbered, reading, source, uuid, uuids
from tests.kit.esl_server import EslServer, Recording, event
from tests.kit.host import wait_until

PROFILE = {
    "caller_id_name": "Caller-Caller-ID-Name",
    "caller_id_number": "Caller-Caller-ID-Number",
    "destination_number": "Caller-Destination-Number",
    "context": "Caller-Context",
    "uuid": "Caller-Unique-ID",
    "chan_name": "Caller-Channel-Name",
    "network_addr": "Caller-Network-Addr",
    "ani": "Caller-ANI",
    "source": "Caller-Source",
}
HANGUPS = [
    (recorded, number, body)
    for recorded in ("json_calls", "plain_calls", "plain_newline_in_name")
    for number, body in enumerate(body for body in Recording(recorded).events() if name(body) == HANGUP)
]


def call(body: bytes, *, legs: str = "a", drop: bool = True) -> CDR:
    batch = source(legs=legs, drop=drop).parse(body)
    assert not batch.rejects, batch.rejects
    (record,) = cdrs(batch.records)
    return record


def reason(body: bytes) -> str:
    batch = source().parse(body)
    assert not batch.records
    (reject,) = batch.rejects
    assert reject.text == body.strip()
    assert reject.where == "event socket 127.0.0.1:8021"
    return reject.reason


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        (
            "json_calls",
            [
                ('Smith, "J" é', "4005", "8201", Disposition.ANSWERED, 3, 2),
                ("José", "4006", "8486", Disposition.BUSY, 0, 0),
            ],
        ),
        (
            "plain_calls",
            [
                ('Smith, "J" é', "4001", "8201", Disposition.ANSWERED, 3, 2),
                ("Busy", "4002", "8486", Disposition.BUSY, 0, 0),
                ("Cancel", "4003", "8180", Disposition.CANCEL, 1, 0),
            ],
        ),
        (
            "plain_newline_in_name",
            [
                ("line\nbreak: x", "4008", "8486", Disposition.BUSY, 1, 0),
                ("José 100%", "4009", "8486", Disposition.BUSY, 1, 0),
            ],
        ),
    ],
)
def test_a_recording_comes_out_as_the_calls_it_was(
    esl: EslServer, recorded: str, expected: list[tuple[object, ...]]
) -> None:
    esl.recording, esl.sizes = Recording(recorded), (1, 7, 1400, 3, 64000)
    with reading(esl) as consumer:
        found = cdrs(consumer.take(len(expected)))
        assert [(one.clid, one.src, one.dst, one.disposition) for one in found] == [
            (f'"{name}" <{number}>', number, dst, disposition) for name, number, dst, disposition, *_ in expected
        ]
        assert [(one.duration, one.billsec) for one in found] == [tuple(one[-2:]) for one in expected]
        assert all((one.answer is not None) == (one.disposition is Disposition.ANSWERED) for one in found)
        assert "ends the connection (Disconnected, goodbye.)" in consumer.until_failure()


@pytest.mark.parametrize(("legs", "number"), [("a", 3), ("b", 3), ("ab", 6)])
def test_only_the_legs_that_are_wanted_are_calls(legs: str, number: int) -> None:
    of = source(legs=legs)
    batches = [of.parse(body) for recorded, _, body in HANGUPS if recorded == "plain_calls"]
    assert sum(len(batch.records) for batch in batches) == number
    assert not any(batch.rejects for batch in batches)


@pytest.mark.parametrize(("recorded", "number", "body"), HANGUPS, ids=[f"{one}-{n}" for one, n, _ in HANGUPS])
def test_an_event_says_what_the_document_of_the_same_leg_says(recorded: str, number: int, body: bytes) -> None:
    said = Event(body)
    variables = {one.removeprefix("variable_"): said(one) for one in said.headers if one.startswith("variable_")}
    profile = {one: said(header) for one, header in PROFILE.items() if header in said.headers}
    document = {
        "switchname": said("FreeSWITCH-Switchname"),
        "variables": variables,
        "callflow": [{"caller_profile": profile, "times": {}}],
    }
    assert leg(body, ZONE) == leg_of_document(json.dumps(document).encode(), ZONE)


def test_a_call_is_complete() -> None:
    found = call(A_LEG)
    start = datetime(2026, 11, 20, 17, 1, 34, 684705, UTC)
    assert (found.start, found.start.tzinfo) == (start, ZONE)
    assert found.answer == start + timedelta(microseconds=1060416)
    assert found.identity == digest("freeswitch", found.uniqueid)
    assert (found.channel, found.dstchannel) == ("sofia/internal/4005@127.0.0.1", "sofia/internal/8201@127.0.0.1:25071")
    assert (found.lastapp, found.lastdata) == ("bridge", "sofia/internal/8201@127.0.0.1:25071")
    assert (found.linkedid, found.dcontext) == (found.uniqueid, "public")
    assert found.extra["hangup_cause"] == "NORMAL_CLEARING"
    assert call(B_LEG, legs="b").linkedid == found.uniqueid


def test_what_no_bill_would_have_is_left_out() -> None:
    for headers in (
        {"variable_cc_side": "agent"},
        {"variable_channel_name": "loopback/9664-b"},
        {"variable_hangup_cause": "LOSE_RACE", "variable_answer_uepoch": "0", "variable_answer_epoch": "0"},
    ):
        assert not source().parse(changed(**headers)).records
        assert source(drop=False).parse(changed(**headers)).records


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"variable_process_cdr": "false"}, False),
        ({"variable_process_cdr": "true"}, True),
        ({"variable_process_cdr": "a_only"}, True),
        ({"variable_process_cdr": "b_only"}, False),
        ({"variable_skip_cdr_causes": "USER_BUSY|NORMAL_CLEARING"}, False),
        ({"variable_skip_cdr_causes": "USER_BUSY"}, True),
    ],
)
def test_the_dialplan_can_have_no_record_made(headers: dict[str, str], told: bool) -> None:
    batch = source().parse(changed(**headers))
    assert (len(batch.records), len(batch.rejects)) == (int(told), 0)


TELLING = [
    "Caller__Channel__Created__Time", "Caller__Channel__Answered__Time",
    *(f"variable_{name}_{kind}" for name in ("start", "profile_start", "answer") for kind in ("epoch", "uepoch")),
]  # fmt: skip
LENGTHS = [
    *(f"variable_{name}" for name in ("duration", "mduration", "uduration", "billsec", "billmsec", "billusec")),
    "variable_start_stamp", "variable_profile_start_stamp", "variable_answer_stamp",
]  # fmt: skip
"""What would tell when the call began."""


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"variable_uuid": None, "Unique__ID": None}, "has no uuid"),
        ({"variable_hangup_cause": None, "Hangup__Cause": None}, "has no hangup_cause"),
        ({"Caller__Destination__Number": None}, "has no Caller-Destination-Number, which says who was called"),
        (dict.fromkeys(TELLING, "0") | dict.fromkeys(LENGTHS), "has no time of its start"),
        ({"variable_end_uepoch": "soon"}, "end time is 'soon', which is no whole number"),
        ({"variable_end_uepoch": "9" * 18}, "seconds since the epoch are no time"),
        ({"variable_duration": "3.5"}, "a duration is '3.5', which is no whole number"),
        ({"Event__Name": "CHANNEL_CREATE"}, "it is no CHANNEL_HANGUP_COMPLETE event"),
    ],
)
def test_an_event_that_lacks_something_is_a_reject(headers: dict[str, str | None], words: str) -> None:
    assert words in reason(changed(**headers))


def test_a_torn_event_is_a_reject_with_its_text() -> None:
    assert "it is no JSON" in reason(A_LEG[:5000])
    assert "it is no CHANNEL_HANGUP_COMPLETE event" in reason(b"hello")


def test_older_ones_without_epochs_are_local_time() -> None:
    headers = {f"variable_{one}_{unit}": None for one in ("start", "answer", "end") for unit in ("epoch", "uepoch")}
    times = {f"Caller__Channel__{one}__Time": None for one in ("Created", "Answered", "Hangup")}
    found = call(changed(**headers, **times, variable_start_stamp="2026-07-20 17:01:34"))
    assert found.start == datetime(2026, 7, 20, 15, 1, 34, tzinfo=UTC)


def test_what_is_not_on_disk_yet_is_handed_over_again(esl: EslServer) -> None:
    with reading(esl) as consumer:
        esl.play(numbered(1, 2, 3))
        assert uuids(consumer.take(3)) == [uuid(1), uuid(2), uuid(3)]
        # They may have come as several batches: asking for the last one acknowledged those before it.
        last = consumer.last
        for _ in range(2):
            consumer.fails()
            assert consumer.next() is last
        assert consumer.next().records == []


def test_what_came_before_the_stop_is_handed_over(esl: EslServer) -> None:
    with reading(esl) as consumer:
        esl.play(numbered(*range(40)))
        wait_until(lambda: len(consumer.source._inbox._items) == 40)
        assert len(consumer.rest()) == 40
        wait_until(lambda: not esl.open)


def test_other_events_are_no_calls(esl: EslServer) -> None:
    with reading(esl) as consumer:
        others = [body for body in Recording("json_calls").events() if name(body) != HANGUP]
        esl.play(b"".join(map(event, others)) + heartbeat() + event(b"\xff{") + hangup(7))
        assert uuids(consumer.take(1)) == [uuid(7)]
        assert set(esl.said) >= {"event json CHANNEL_HANGUP_COMPLETE HEARTBEAT"}


def test_check_logs_in_for_real(esl: EslServer) -> None:
    began = time.monotonic()
    assert source(esl.port).check() == (
        f"event socket 127.0.0.1:{esl.port}: logged in (FreeSWITCH 1.11.3-dev git cc93a68 2026-08-21 14:10:14Z 64bit, "
        "6 channels now)"
    )
    assert time.monotonic() - began < 2
    esl.password = "another"
    with pytest.raises(SourceError, match="refuses the password"):
        source(esl.port).check()
    esl.vanish()
    with pytest.raises(SourceError, match="nobody listens there; does FreeSWITCH run"):
        source(esl.port).check()
