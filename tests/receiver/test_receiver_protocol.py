"""The protocol, read strictly."""

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent import receiver
from humbug_agent.receiver import Faults, WrongKey, decode, faults, protocol
from tests.kit.forms import API_KEY, CALL, EVENT_TIME, FIELDS, KEY, VECTOR, encode, hexed, plain, post


def said(body: bytes, key: str | None = KEY) -> list[str]:
    with pytest.raises(Faults) as caught:
        decode(body, key)
    assert str(caught.value).splitlines() == caught.value.faults
    return caught.value.faults


# The protocol


@pytest.mark.parametrize("form", ["plain", "encoded"])
def test_vendors_own_bytes_are_understood(form: str) -> None:
    expected = {"gateway": API_KEY, "encoded": "1" if form == "encoded" else "0", **FIELDS, "event_time": EVENT_TIME}
    assert decode(VECTOR["expected"][form].encode(), KEY) == expected
    assert faults(expected) == []


def test_upper_case_digits_are_accepted() -> None:
    body = f"gateway={API_KEY}&encoded=1&data={VECTOR['expected']['data'].upper()}"
    assert decode(body.encode(), KEY) == {"gateway": API_KEY, "encoded": "1", **FIELDS}


def test_the_tests_encoder_is_the_vendors() -> None:
    assert hexed(VECTOR["expected"]["inner"], KEY) == VECTOR["expected"]["data"]


def test_plus_is_a_blank_in_a_form_and_a_plus_in_data() -> None:
    inner = f"gateway={API_KEY}&encoded=1&CallerID=+4420%2B7 5%&LastData=a=b&"
    body = f"gateway={API_KEY}&encoded=1&data={hexed(inner, KEY)}".encode()
    assert decode(body, KEY) == {"gateway": API_KEY, "encoded": "1", "CallerID": "+4420+7 5%", "LastData": "a=b"}
    assert decode(b"encoded=0&CallerID=+4420%2B7 5%&LastData=a=b", None) == {
        "encoded": "0",
        "CallerID": " 4420+7 5%",
        "LastData": "a=b",
    }


texts = st.text(st.characters(codec="utf-8"), max_size=30)
calls = st.dictionaries(st.sampled_from([*FIELDS, "Description"]), texts)


@given(fields=calls, key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40), gateway=texts)
def test_any_encoded_call_comes_back(fields: dict[str, str], key: str, gateway: str) -> None:
    expected = {"gateway": gateway, "encoded": "1", **fields, "event_time": EVENT_TIME}
    assert decode(encode(fields, key, gateway), key) == expected


@given(fields=calls, gateway=texts)
def test_any_plain_call_comes_back(fields: dict[str, str], gateway: str) -> None:
    expected = {"gateway": gateway, "encoded": "0", **fields}
    assert decode(urlencode(expected).encode(), None) == expected


@given(body=st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: b"gateway=&encoded=1&data=" + data))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    try:
        parameters = decode(body, KEY)
    except (Faults, WrongKey):
        return
    assert faults(parameters)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", ["encoded is missing"]),
        (b"gateway=a&Event=Cdr", ["encoded is missing"]),
        (b"encoded=2", ["encoded is neither 0 nor 1"]),
        (b"encoded=", ["encoded is neither 0 nor 1"]),
        (b"encoded=0&Source=1&Source=1", ["Source is given twice"]),
        (b"encoded=0&CallerID=%ff&UserField=\xe9", ["CallerID is not UTF-8", "UserField is not UTF-8"]),
        (b"gateway=a&encoded=1", ["data is missing"]),
        (b"encoded=1&data=00", ["gateway is missing beside data"]),
        (b"gateway=a&encoded=1&data=0g", ["data is not hexadecimal"]),
        (b"gateway=a&encoded=1&data=0 ", ["data is not hexadecimal"]),
        (b"gateway=a&encoded=1&data=0x1", ["data has an odd number of digits", "data is not hexadecimal"]),
        (b"gateway=a&encoded=1&data=000", ["data has an odd number of digits"]),
        (
            b"gateway=a&encoded=1&data=00&Source=1",
            ["beside gateway, encoded, data, event_time nothing stands in the body of an encoded call"],
        ),
        (b"a=&" * 2000, ["there are more than 100 parameters", "encoded is missing"]),
    ],
)
def test_broken_bodies(body: bytes, expected: list[str]) -> None:
    assert said(body) == expected


@pytest.mark.parametrize("key", [None, ""])
def test_encoded_without_a_configured_key(key: str | None) -> None:
    assert said(encode(FIELDS), key) == ["the call is encoded, and no encryption key is configured here"]


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("encoded=1&Source=1&Source=2&", "Source is given twice"),
        ("encoded=1&Source=%ff&", "Source is not UTF-8"),
        ("encoded=0&", "encoded is not 1 within data"),
        ("encoded=1&event_time=2011-01-25 13:41:48&", "event_time stands within data and belongs beside it"),
    ],
)
def test_broken_within_data(inner: str, expected: str) -> None:
    body = f"gateway={API_KEY}&encoded=1&data={hexed(f'gateway={API_KEY}&{inner}', KEY)}"
    assert said(body.encode()) == [expected]


@pytest.mark.parametrize("key", ["another", KEY[:8] + "XXXX" + KEY[12:]])
def test_another_encryption_key(key: str) -> None:
    with pytest.raises(WrongKey) as caught:
        decode(encode(FIELDS), key)
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        *((name, None, f"{name} is missing") for name in CALL if name in receiver.REQUIRED and name != "encoded"),
        ("Event", "Newchannel", "Event is not one of Cdr, Reload, Shutdown, Alarm, AlarmClear"),
        ("Event", "", "Event is not one of Cdr, Reload, Shutdown, Alarm, AlarmClear"),
        *(
            (name, value, f"{name} is not a whole number")
            for name in ("Duration", "BillableSeconds")
            for value in ("", "1.5", "+1", "12s", "--1", "٣", " 1", "1\n", "9" * 19)
        ),
        *(
            (name, value, f"{name} is not a date and time such as 2011-12-01 23:59:59")
            for name in ("StartTime", "AnswerTime", "EndTime", "event_time")
            for value in (
                "2011-02-29 12:00:00",
                "2011-01-11 24:00:00",
                "2011-01-11T12:00:00",
                "2011-1-11 12:00:00",
                "0",
            )
        ),
        ("StartTime", "", "StartTime is not a date and time such as 2011-12-01 23:59:59"),
        ("EndTime", "", "EndTime is not a date and time such as 2011-12-01 23:59:59"),
        ("Disposition", "answered", f"Disposition is not one of {', '.join(receiver.DISPOSITIONS)}"),
        ("Disposition", "", f"Disposition is not one of {', '.join(receiver.DISPOSITIONS)}"),
        ("UniqueID", "", "UniqueID is blank"),
        ("UniqueID", " ", "UniqueID is blank"),
        ("Userfield", "inbound", receiver.UNKNOWN),
        ("data", "00", receiver.UNKNOWN),
    ],
)
def test_each_mistake(strict_url: str, name: str, value: str | None, expected: str) -> None:
    answer = post(strict_url, plain(**{name: value}))
    assert answer.status_code == 400
    assert answer.json() == {"faults": [expected]}


def test_all_mistakes_at_once() -> None:
    assert faults({"encoded": "2", "Duration": "x"}) == [
        *(f"{name} is missing" for name in receiver.REQUIRED if name not in ("encoded", "Duration")),
        "encoded is neither 0 nor 1",
        "Duration is not a whole number",
    ]


def test_blank_text_and_an_unanswered_call_are_good() -> None:
    blank = dict.fromkeys(("Source", "Destination", "DestinationContext", "CallerID", "Channel", "AnswerTime"), "")
    for disposition in receiver.DISPOSITIONS:
        assert faults({**CALL, **blank, "Disposition": disposition, "Duration": "-3"}) == []
    for optional in protocol.OPTIONAL:
        assert faults({name: value for name, value in CALL.items() if name != optional}) == []
