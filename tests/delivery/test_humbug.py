"""The request that Humbug gets: its parameters, its body to the byte, its headers."""

import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, unquote_plus, unquote_to_bytes
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from humbug_agent import __version__
from humbug_agent.cdr import Direction, Disposition, Notice
from humbug_agent.destinations.humbug.destination import encoded, inner, plain
from humbug_agent.flat import flatten
from humbug_agent.receiver import decode
from tests.kit.paths import DATA
from tests.kit.rude import Rude
from tests.kit.sending import Call, Make

VECTOR = json.loads((DATA / "humbug-vector.json").read_text("utf-8"))
GIVEN, EXPECTED = VECTOR["input"], VECTOR["expected"]
ORDER = list(GIVEN["fields"])
SENT_AT = "2026-01-15 13:41:48"
ZURICH = ZoneInfo("Europe/Zurich")
TEXTS = st.text(max_size=40) | st.text("&%+=#; \t\r\n\0\x7f\"'<>/,ÿé€😀a1", max_size=40)
KEYS = st.text(min_size=1, max_size=60)


def unxored(data: str, key: str) -> bytes:
    """What stands under the hex digits: written from the vendor's page, not from the package."""
    mask = key.encode()
    return bytes(byte ^ mask[i % len(mask)] for i, byte in enumerate(bytes.fromhex(data)))


def read_back(body: str, key: str | None) -> list[tuple[str, str]]:
    outer = parse_qsl(body, keep_blank_values=True, strict_parsing=True, errors="strict")
    if key is None:
        return outer
    assert [name for name, _ in outer] == ["gateway", "encoded", "data", "event_time"]
    *pieces, last = unxored(dict(outer)["data"], key).split(b"&")
    assert last == b""
    pairs = [piece.partition(b"=") for piece in pieces]
    return [(name.decode(), unquote_to_bytes(value).decode()) for name, _, value in pairs] + [outer[-1]]


def test_the_encoded_body_is_the_vendors_to_the_byte() -> None:
    fields, key = GIVEN["fields"], GIVEN["key"]
    assert inner(GIVEN["gateway"], fields, "none").decode() == EXPECTED["inner"]
    assert inner(GIVEN["gateway"], fields, "reserved").decode() == EXPECTED["inner"]
    body = encoded(GIVEN["gateway"], fields, GIVEN["event_time"], key, "reserved")
    assert dict(parse_qsl(body))["data"] == EXPECTED["data"]
    front, name, event_time = body.rpartition("event_time=")
    assert front + name + unquote_plus(event_time) == EXPECTED["encoded"]


def test_the_plain_body_has_the_vendors_parameters_in_its_order_with_its_values() -> None:
    body = plain(GIVEN["gateway"], GIVEN["fields"], GIVEN["event_time"])
    sample = [tuple(pair.split("=", 1)) for pair in EXPECTED["plain"].rstrip("&").split("&")]
    assert read_back(body, None) == sample


def test_the_vendors_call_read_from_a_pbx_becomes_the_vendors_text(call: Call, unsent: Make) -> None:
    said = GIVEN["fields"]
    times = [datetime.fromisoformat(said[name]).replace(tzinfo=ZURICH) for name in ORDER if name.endswith("Time")]
    cdr = call(
        src=said["Source"],
        dst=said["Destination"],
        clid=said["CallerID"],
        dcontext=said["DestinationContext"],
        channel=said["Channel"],
        dstchannel=said["DestinationChannel"],
        lastapp=said["LastApplication"],
        lastdata=said["LastData"],
        start=times[0].astimezone(UTC),
        answer=times[1].astimezone(UTC),
        end=times[2].astimezone(UTC),
        duration=2437,
        billsec=2432,
        uniqueid=said["UniqueID"],
    )
    humbug = unsent("http://x/", zone=ZURICH, api_key=GIVEN["gateway"], encryption_key=GIVEN["key"])
    text = unxored(dict(parse_qsl(humbug.body(flatten(cdr), GIVEN["event_time"])))["data"], GIVEN["key"]).decode()
    # The sample's ANSWER is not a word of Asterisk's: ours is.
    assert text == EXPECTED["inner"].replace("Disposition=ANSWER&", "Disposition=ANSWERED&")


@given(st.lists(TEXTS, min_size=9, max_size=9), KEYS, KEYS | st.none())
@example(["+4144845"] + ["a&b=c%20+d#é😀\r\n\0"] * 8, "key&=%+ é", "\xff&")
def test_whatever_the_call_and_the_keys_hold_comes_out_again(
    call: Call, unsent: Make, texts: list[str], api_key: str, key: str | None
) -> None:
    names = ("src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata", "userfield")
    cdr = call(**dict(zip(names, texts, strict=True)))
    body = unsent("http://x/", api_key=api_key, encryption_key=key).body(flatten(cdr), SENT_AT)
    src, dst = (text[1:] if re.fullmatch(r"\+[0-9]{5,}", text) else text for text in texts[:2])
    went_in = ["Cdr", src, dst, *texts[2:8], "2026-01-15 12:00:01", "2026-01-15 12:00:06", "2026-01-15 12:01:06"]
    went_in += ["65", "60", "ANSWERED", "1700000000.1", texts[8] or "inbound"]
    wanted = [("gateway", api_key), ("encoded", "1" if key else "0"), *zip(ORDER, went_in, strict=True)]
    wanted += [("event_time", SENT_AT)]
    assert read_back(body, key) == wanted
    assert list(decode(body.encode("ascii"), key).items()) == wanted


@given(TEXTS, KEYS)
def test_unescaped_values_go_as_the_bytes_that_they_are(call: Call, unsent: Make, text: str, key: str) -> None:
    humbug = unsent("http://x/", api_key="k", encryption_key=key, value_escaping="none")
    cdr = call(clid=text)
    data = dict(parse_qsl(humbug.body(flatten(cdr), SENT_AT)))["data"]
    raw = "".join(f"{name}={value}&" for name, value in humbug.fields(flatten(cdr)).items())
    assert unxored(data, key) == f"gateway=k&encoded=1&{raw}".encode()
    assert f"CallerID={text}&" in raw
    assert re.fullmatch("[0-9a-f]*", data)


def test_each_byte_over_7f_is_two_digits(call: Call, unsent: Make) -> None:
    # The vendor's C collector prints eight for them.
    humbug = unsent("http://x/", api_key="k", encryption_key="a")
    data = [dict(parse_qsl(humbug.body(flatten(call(clid=clid)), SENT_AT)))["data"] for clid in ("", "ÿ" * 100)]
    assert len(data[1]) - len(data[0]) == 2 * len(("ÿ" * 100).encode())


@pytest.mark.parametrize("key", [None, "a-key"])
def test_what_is_no_call_goes_with_its_own_fields_and_its_own_time(unsent: Make, key: str | None) -> None:
    at = datetime(2026, 1, 15, 12, 41, 48, tzinfo=UTC)
    notice = Notice(identity=b"n" * 16, event="Alarm", at=at, fields={"Alarm": "Red Alarm", "DAHDIChannel": "1"})
    preview = unsent("http://x/", zone=ZURICH, api_key="k", encryption_key=key).preview(notice)
    encoded_ = "1" if key else "0"
    assert list(preview.parameters.items()) == [
        ("gateway", "***"), ("encoded", encoded_), ("Event", "Alarm"), ("Alarm", "Red Alarm"), ("DAHDIChannel", "1"),
        ("event_time", SENT_AT),
    ]  # fmt: skip


def test_an_unanswered_call_has_a_blank_answer_time(call: Call, unsent: Make) -> None:
    fields = unsent("http://x/").fields(flatten(call(answer=None, disposition=Disposition.NO_ANSWER)))
    assert list(fields) == ORDER
    assert (fields["AnswerTime"], fields["Disposition"]) == ("", "NO ANSWER")


@pytest.mark.parametrize(("month", "hour"), [(1, "13"), (7, "14")])
def test_times_are_the_pbxs_in_winter_and_summer(call: Call, unsent: Make, month: int, hour: str) -> None:
    fields = unsent("http://x/", zone=ZURICH).fields(flatten(call(start=datetime(2026, month, 15, 12, 0, tzinfo=UTC))))
    assert fields["StartTime"] == f"2026-{month:02}-15 {hour}:00:00"


def test_the_event_time_is_now_in_the_pbxs_zone_on_a_24_hour_clock(call: Call, humbug: Make) -> None:
    zones = [ZoneInfo(f"Etc/GMT{offset:+}") for offset in (-12, -6, 0, 6, 12)]
    with Rude() as server:
        for zone in zones:
            humbug(server.url, zone=zone).send(call())
        now = datetime.now(UTC)
    for zone, request in zip(zones, server.requests, strict=True):
        said = datetime.strptime(request.form["event_time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
        assert timedelta(seconds=-1) < now - said < timedelta(seconds=10)


def test_a_missing_unique_id_is_made_up_the_same_each_time_and_different_for_each_call(
    call: Call, unsent: Make
) -> None:
    made = [
        unsent("http://x/").fields(flatten(call(n, start=call(1).start, uniqueid="")))["UniqueID"] for n in (1, 2, 3)
    ]
    again = [
        unsent("http://y/").fields(flatten(call(n, start=call(1).start, uniqueid="")))["UniqueID"] for n in (1, 2, 3)
    ]
    assert made == again
    hashed = [bytes([n]) + bytes(15) for n in range(200)]
    ids = {unsent("http://x/").fields(flatten(call(identity=identity, uniqueid="")))["UniqueID"] for identity in hashed}
    assert len(ids) == 200
    assert all(re.fullmatch("[0-9]+[.][0-9]+", one) for one in ids)


@pytest.mark.parametrize(
    ("country", "number", "sent"),
    [
        (None, "+41448450043", "41448450043"),
        (None, "0448450043", "0448450043"),
        (None, "401", "401"),
        ("CH", "+493012345678", "493012345678"),
        ("CH", "0448450043", "41448450043"),
        ("CH", "00493012345678", "493012345678"),
        ("CH", "41448450043", "41448450043"),
        ("DE", "03012345678", "493012345678"),
        ("DE", "0041448450043", "41448450043"),
        *(("CH", same, same) for same in ("401", "40123", "anonymous", "", "117", "1811", "*21#", "s", "+", "+4x")),
        *(("DE", same, same) for same in ("401", "anonymous", "110", "112", "116117", "11880", "*21#")),
    ],
)
def test_outside_numbers_become_e164_and_others_stay(
    call: Call, unsent: Make, country: str | None, number: str, sent: str
) -> None:
    fields = unsent("http://x/", country=country).fields(flatten(call(src=number, dst=number)))
    assert (fields["Source"], fields["Destination"]) == (sent, sent)


@pytest.mark.parametrize("extension", ["40123", "30100", "89100", "301234", "6912345"])
def test_a_long_german_extension_stays_what_it_is(call: Call, unsent: Make, extension: str) -> None:
    assert unsent("http://x/", country="DE").fields(flatten(call(dst=extension)))["Destination"] == extension


@pytest.mark.parametrize(
    ("userfield", "direction", "sent"),
    [
        ("sales", Direction.INBOUND, "sales"),
        ("", Direction.INBOUND, "inbound"),
        ("", Direction.OUTBOUND, "outbound"),
        ("", Direction.INTERNAL, ""),
        ("", Direction.UNKNOWN, ""),
    ],
)
def test_an_empty_user_field_says_the_direction(
    call: Call, unsent: Make, userfield: str, direction: Direction, sent: str
) -> None:
    assert unsent("http://x/").fields(flatten(call(userfield=userfield, direction=direction)))["UserField"] == sent


def test_the_request_says_who_sends_what_and_which_call_it_is(call: Call, humbug: Make) -> None:
    with Rude() as server:
        answer = humbug(server.url).send(call(77))
        request = server.requests[0]
    assert (answer.status, answer.text) == (200, "ok")
    assert (request.method, request.target) == ("POST", "/receiver.php")
    assert request.headers["user-agent"] == f"humbug-agent/{__version__}"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["idempotency-key"] == call(77).identity.hex()
    assert request.headers["content-length"] == str(len(request.body))


@pytest.mark.parametrize("key", [None, "zebra-crossing"])
def test_a_preview_shows_the_call_and_no_secret(call: Call, unsent: Make, key: str | None) -> None:
    humbug = unsent("http://x/", api_key="s3cr3t & key", encryption_key=key)
    shown = humbug.preview(call(clid="anyone"))
    text = f"{shown!r} {shown.body} {shown.parameters} {humbug!r} {humbug.__dict__}"
    for secret in ("s3cr3t", "zebra"):
        assert secret not in text
    assert not re.search("[0-9a-f]{40}", text)
    assert shown.parameters["CallerID"] == "anyone"
    assert list(shown.parameters) == ["gateway", "encoded", *ORDER, "event_time"]
    if key is None:
        assert parse_qsl(shown.body, keep_blank_values=True) == list(shown.parameters.items())
    else:
        digits = len(dict(parse_qsl(humbug.body(flatten(call(clid="anyone")), SENT_AT)))["data"])
        assert f"data=<{digits} hex digits>" in shown.body
