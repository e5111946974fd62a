"""An event's body is what FreeSWITCH meant, in JSON and in plain text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.listening.esl.event import Event, core, name, unique_id
from humbug_agent.text import text
from tests.kit.esl_server import Recording

headers = st.text("abcdefABCDEF-_", min_size=1, max_size=12).filter(lambda header: header != "Event-Name")
values = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


def c_json(said: dict[str, bytes]) -> bytes:
    """As FreeSWITCH writes it: only what JSON must escape is escaped, byte by byte."""
    escaped = {b'"': b'\\"', b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}

    def quoted(value: bytes) -> bytes:
        each = (bytes([byte]) for byte in value)
        return b'"%s"' % b"".join(escaped.get(byte, b"\\u%04x" % byte[0] if byte < b" " else byte) for byte in each)

    return b"{%s}" % b",".join(quoted(header.encode()) + b":" + quoted(value) for header, value in said.items())


def test_a_latin_1_name_leaves_the_other_values_alone() -> None:
    said = Event(c_json({"Event-Name": b"X", "one": b"Jos\xe9", "two": "José ✓".encode(), "three": b"\\\xff\n"}))
    assert [said(one) for one in ("one", "two", "three", "four")] == ["José", "José ✓", "\\ÿ\n", ""]


@given(st.dictionaries(headers, values, max_size=6))
def test_any_text_comes_back_exactly(said: dict[str, str]) -> None:
    event = Event(c_json({"Event-Name": b"X", **{header: value.encode() for header, value in said.items()}}))
    assert {header: event(header) for header in said} == said


@given(st.dictionaries(headers, st.binary(max_size=12), max_size=6))
def test_no_bytes_are_too_odd(said: dict[str, bytes]) -> None:
    said = {header: value.replace(b"\0", b"") for header, value in said.items()}
    event = Event(c_json({"Event-Name": b"X", **said}))
    for header, value in said.items():
        assert event(header) == text(value)


def test_plain_values_are_decoded_header_by_header() -> None:
    body = (
        b"Event-Subclass: callcenter%3A%3Ainfo\nEvent-Name: CUSTOM\nline: a%0Ab: %25%E9\nx: 1,2\n\nContent: no header\n"
    )
    said = Event(body)
    assert name(body) == said("Event-Name") == "CUSTOM"
    assert (said("Event-Subclass"), said("line"), said("x"), said("Content")) == (
        "callcenter::info", "a\nb: %é", "1,2", "",
    )  # fmt: skip


@pytest.mark.parametrize("recorded", ["json_calls", "plain_calls", "callcenter", "plain_states_one_call", "bgapi_job"])
def test_recorded_events_have_their_names_and_core(recorded: str) -> None:
    events = Recording(recorded).events()
    assert events
    for body in events:
        said = Event(body)
        assert name(body) == said("Event-Name")
        assert core(body) == said("Core-UUID")
        assert unique_id(body) == said("Unique-ID")


def test_several_values_are_one_as_freeswitch_writes_it() -> None:
    assert Event(json.dumps({"Event-Name": "X", "DP_MATCH": ["8201", "a"]}).encode())("DP_MATCH") == "ARRAY::8201|:a"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"Event-Name":"X"', "it is no JSON"),
        (b"{" * 100_000, "it is no JSON"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a":"b"}', "it has no Event-Name"),
        (b"[1]", "it has no Event-Name"),
        (b"", "it has no Event-Name"),
        (b"\xff\xfe", "it has no Event-Name"),
    ],
)
def test_what_is_no_event_is_said(body: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Event(body)


def test_a_number_is_one_or_none() -> None:
    said = Event(b'{"Event-Name":"X","a":"12","b":"-1","c":"","d":"12a","e":7,"f":"99999999999999999999999"}')
    assert [said.whole(header) for header in "abcdef"] == [12, 0, 0, 0, 7, 0]


def test_no_value_passes_for_a_channel() -> None:
    odd = b'x","Unique-ID":"forged"\nUnique-ID: forged\n'
    assert unique_id(c_json({"Event-Name": b"X", "Channel-Name": odd, "Unique-ID": b"real"})) == "real"
    assert unique_id(b"Event-Name: X\nChannel-Name: a%0AUnique-ID: forged\nUnique-ID: real\n\n") == "real"
