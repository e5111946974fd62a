"""What a destination is not told stands in no field of what it gets, and what it is told is as it was."""

import json
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import Direction, Notice
from humbug_agent.config import load
from humbug_agent.daemon import housekeeping
from humbug_agent.destinations import make_destination, own_key, settings_of
from humbug_agent.destinations.masking import Masked, Masking
from humbug_agent.destinations.settings import Privacy
from humbug_agent.flat import Flat, flatten, is_call
from humbug_agent.ini import Secret, Section
from humbug_agent.numbers.plain import PARTING
from humbug_agent.numbers.settings import NumbersSettings
from humbug_agent.outbox.schema import OutboxError
from tests.kit.calls import call
from tests.kit.private_calls import COUNTRY, Private, private_calls, told

KEY = Secret("a-key-that-nobody-knows")
MASKS = ("last 3", "pseudonym")


def masking(mask: str = "", *, names: bool = True, country: str | None = COUNTRY, key: Secret = KEY) -> Masking:
    return Masking(Privacy(mask, names, key), country, Path("not-asked-for"))


def shown(flat: Flat) -> bytes:
    return "\n".join(map(str, flat)).encode()


@pytest.mark.parametrize("mask", MASKS)
@settings(max_examples=50)
@given(private=private_calls())
def test_neither_a_number_nor_a_name_is_in_any_field(mask: str, private: Private) -> None:
    flat = flatten(private.cdr)
    assert told(private, shown(flat))
    hidden = masking(mask, names=False)(flat)
    assert is_call(hidden) or "\\" in hidden.extra
    assert not told(private, shown(hidden)), hidden
    # What is no text is as it was.
    kinds = [name for name, value in flat._asdict().items() if not isinstance(value, str | bytes)]
    assert all(getattr(hidden, name) == getattr(flat, name) for name in [*kinds, "disposition", "direction", "event"])


@settings(max_examples=50)
@given(private_calls())
def test_without_a_mask_numbers_stay_and_names_go(private: Private) -> None:
    hidden = masking(names=False)(flatten(private.cdr))
    assert (hidden.src, hidden.dst) == (private.cdr.src, private.cdr.dst)
    assert not told(replace(private, numbers=frozenset()), shown(hidden))


@settings(max_examples=50)
@given(private_calls())
def test_with_names_they_stay_and_numbers_go(private: Private) -> None:
    hidden = masking("last 3")(flatten(private.cdr))
    assert all(name in hidden.clid for name in private.names)
    assert not told(replace(private, names=frozenset()), shown(hidden))


@pytest.mark.parametrize(
    ("text", "last_three"),
    [
        ("+49301234567", "+49301234xxx"),
        ("0049301234567", "0049301234xxx"),
        ("0301234567", "0301234xxx"),
        ("2125551234", "2125551xxx"),
        ("SIP/trunk/0441234567-0000000e", "SIP/trunk/0441234xxx-0000000e"),
        ("Local/0441234567@ctx-00000012;2", "Local/0441234xxx@ctx-00000012;2"),
        ("call +41 44 123 45 67", "call +41 44 xxx xx xx"),
        ("tel:+65-61234567", "tel:+65-61xxxxxx"),
        ("030-12345678", "030-1xxxxxxx"),
        ("0301234567.20260115.wav", "0301234xxx.20260xxx.wav"),
        ("0301234567.12", "0301234xxx.12"),
        # With what the time was right behind it.
        ("rec030123456720260115120000.wav", "rec0301xxxxxxxxxxxxxxxxxxxx.wav"),
        ("+493012345671768478400", "+4930xxxxxxxxxxxxxxxxx"),
        ("PJSIP/+852-61234567@trunk", "PJSIP/+852-6xxxxxxx@trunk"),
        # No outside numbers.
        ("101", "101"),
        ("204512", "204512"),
        ("*97", "*97"),
        ("PJSIP/101-00000012", "PJSIP/101-00000012"),
        ("1795193882.12", "1795193882.12"),
        ("3f2504e0-4f89-11d3-9a0c-030512345678", "3f2504e0-4f89-11d3-9a0c-030512345678"),
        ("192.168.1.100", "192.168.1.100"),
        ("2026-01-15 12:00:00", "2026-01-15 12:00:00"),
        ("20260115-120000", "20260115-120000"),
        ("1700000000123456", "1700000000123456"),
        ("PJSIP/204,12", "PJSIP/204,12"),
        ("", ""),
    ],
)
def test_what_is_an_outside_number_and_what_is_none(text: str, last_three: str) -> None:
    flat = flatten(call(1, dst="101", clid="", userfield=text, extra={"a": text}))
    hidden = masking("last 3", country=None)(flat)
    assert hidden.userfield == last_three
    assert hidden == flat._replace(
        identity=hidden.identity,
        userfield=last_three,
        extra=flat.extra.replace(text, last_three) if text else flat.extra,
    )


def test_by_the_direction_a_short_number_is_an_outside_one() -> None:
    said = {"src": "4711", "dst": "4712", "clid": '"A" <4711>', "lastdata": "SIP/4711&SIP/4712&SIP/47123", "extra": {}}
    for direction, wanted in (
        (Direction.INBOUND, ("4xxx", "4712", '"A" <4xxx>', "SIP/4xxx&SIP/4712&SIP/47123")),
        (Direction.OUTBOUND, ("4711", "4xxx", '"A" <4711>', "SIP/4711&SIP/4xxx&SIP/47123")),
        (Direction.INTERNAL, ("4711", "4712", '"A" <4711>', "SIP/4711&SIP/4712&SIP/47123")),
    ):
        hidden = masking("last 3")(flatten(call(1, direction=direction, **said)))
        assert (hidden.src, hidden.dst, hidden.clid, hidden.lastdata) == wanted


@pytest.mark.parametrize(
    ("written", "last_three"),
    [
        ("from +٤٩٣٠١٢٣٤٥٦٧, at 101²", "from +49301234xxx, at 101²"),
        ("＋４９（３０）１２３４５６７", "+49(30)xxxxxxx"),
        ("\u202a+49\u00a030\u20111234567\u202c", "\u202a+49 30-xxxxxxx\u202c"),
        ("٠٣٠ ١٢٣ ٤٥ ٦٧؛ ١٠١", "030 1xx xx xx؛ ١٠١"),
    ],
)
def test_digits_of_any_script_are_hidden_and_all_else_stays(written: str, last_three: str) -> None:
    hidden = masking("last 3", country=None)(flatten(call(1, dst="101", clid="", userfield=written, extra={})))
    assert hidden.userfield == last_three


@pytest.mark.parametrize("written", ["+852-61234567", "+852 6123 4567", "(+852) 61234567"])
def test_a_number_that_is_written_in_groups_is_hidden_in_each_form(written: str) -> None:
    said = {"src": written, "clid": f'"A" <{written}>', "channel": "PJSIP/+852-61234567", "lastdata": "61234567"}
    hidden = masking("last 3", country=None)(flatten(call(1, dst="101", extra={"a": "x61234567y"}, **said)))
    assert "4567" not in shown(hidden).decode().translate(PARTING), hidden


def test_names_in_headers_go_and_no_field_loses_its_own() -> None:
    extra = {
        "caller_id_name": "Ina",
        "destination_number": "101",
        "sip_full_to": '"Carla Cool" <sip:101@example.org>;tag=1',
        "sip_h_P-Asserted-Identity": "Dora Dim <sip:102@example.org>, <tel:103>",
        "note": "Dora Dim rang Carla Cool",
    }
    hidden = masking(names=False)(flatten(call(1, clid='"Ina" <101>', extra=extra)))
    assert json.loads(hidden.extra) == {
        "caller_id_name": "",
        "destination_number": "101",
        "sip_full_to": '"" <sip:101@example.org>;tag=1',
        "sip_h_P-Asserted-Identity": " <sip:102@example.org>, <tel:103>",
        "note": " rang ",
    }


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("Ann", "Annual report of Ann, for Joann and ANN", "Annual report of , for Joann and "),
        ("Ann Lee", "rec_ann_lee_20260115.wav, Ann  Lee, Ann-Lees", "rec__20260115.wav, , s"),
        ("Ann", "ann20260115.wav", "20260115.wav"),
        ("Jo", "Jo, Joann, jo2, x-jo_1", ", Joann, jo2, x-_1"),
        ("Ada", "3f2504e0-4f89-11d3-9ada-0c0305e82c33 of Ada", "3f2504e0-4f89-11d3-9ada-0c0305e82c33 of "),
        ("Dr. Vögtlin (Praxis)", "Dr. Vögtlin (Praxis), dr vögtlin praxis", "), "),
        # Scripts without blanks between words, or with others right before or behind.
        ("王伟", "来电王伟先生", "来电先生"),
        ("דנה", "לדנה", "ל"),
        ("김철수", "김철수씨", "씨"),
    ],
)
def test_a_name_goes_where_it_is_a_word(name: str, text: str, left: str) -> None:
    hidden = masking(names=False)(flatten(call(1, clid=f'"{name}" <101>', userfield=text, lastdata="", extra={})))
    assert hidden.userfield == left


def test_a_pseudonym_is_the_same_for_each_form_and_another_for_another_number_or_key() -> None:
    def pseudonym(src: str, **changed: object) -> str:
        return masking("pseudonym", **changed)(flatten(call(1, src=src, clid=""))).src  # type: ignore[arg-type]

    one = pseudonym("+49301234567")
    assert one.startswith("+999")
    assert one[1:].isdigit()
    assert len(one) == 16
    assert {pseudonym(form) for form in ("0049301234567", "0301234567", "49301234567", "+49 (0)30 123 45 67")} == {one}
    assert pseudonym("0049301234567", country=None) == pseudonym("+49301234567", country=None) == one
    assert (
        len({one, pseudonym("+49301234568"), pseudonym("+41301234567"), pseudonym("+49301234567", key=Secret("x"))})
        == 4
    )


def test_an_id_tells_nothing_of_what_is_hidden() -> None:
    """Ours is a digest of the whole call: of one of which three digits are hidden, it would tell them."""
    flat = flatten(call(1))
    one, again, other = masking("last 3")(flat), masking("last 3")(flat), masking("last 3", key=Secret("x"))(flat)
    assert one.identity == again.identity
    assert len({flat.identity, one.identity, other.identity}) == 3
    assert masking(names=False)(flat).identity != flat.identity


def test_of_a_notice_it_is_the_same() -> None:
    fields = {"CallerIDName": "Zoë Quendler", "Note": "Zoë Quendler, 0301234567", "Channel": "SIP/0301234567-0000000e"}
    notice = Notice(identity=bytes(16), event="Alarm", at=call(1).start, fields=fields)
    hidden = masking("last 3", names=False)(flatten(notice))
    assert hidden.extra == '{"CallerIDName": "", "Note": ", 0301234xxx", "Channel": "SIP/0301234xxx-0000000e"}'
    assert hidden.event == "Alarm"


@pytest.mark.parametrize(
    ("clid", "left"),
    [
        ('"Anna" <101>', "<101>"),
        ("Anna <101>", "<101>"),
        ("Anna", ""),
        ("101", "101"),
        ('"101" <101>', "<101>"),
        ('"An <na" <101>', "<101>"),
        ("", ""),
    ],
)
def test_of_a_clid_the_number_is_left(clid: str, left: str) -> None:
    assert masking(names=False)(flatten(call(1, src="101", clid=clid))).clid == left


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=3))
def test_whatever_a_call_says_it_can_be_hidden(text: str, extra: dict[str, str]) -> None:
    cdr = call(1, clid=text, userfield=text, lastdata=text, extra=extra)
    for mask in MASKS:
        masking(mask, names=False)(flatten(cdr))


def test_nothing_stands_between_a_destination_and_what_is_all_told() -> None:
    for more, wrapped in (({}, False), ({"names": "no", "mask_key": KEY.reveal()}, True)):
        one = settings_of("webhook").read("x", Section("x", {"url": "http://localhost/"} | more, []))
        made = make_destination(one, UTC, NumbersSettings(None, 9, ""), Path("not-asked-for"))
        assert isinstance(made, Masked) is wrapped
        made.close()


@pytest.mark.parametrize("kind", ["humbug", "webhook", "postgresql", "nats"])
@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"mask": "last 3"}, ""),
        ({"names": "no"}, ""),
        ({"mask": "last 4", "mask_key": KEY.reveal()}, "mask: 'last 4' is not one of no, last 3, pseudonym"),
        ({"mask": "pseudonym", "mask_key": "too-short"}, "mask_key: has fewer than 16 characters"),
        ({"mask": "pseudonym", "mask_key_file": "/nowhere"}, "mask_key_file: the file that is set can't be read"),
        ({"mask": "no", "names": "yes"}, ""),
        ({"mask": "no", "mask_key": KEY.reveal()}, ""),
        ({"mask_key": KEY.reveal()}, "mask_key: hides nothing by itself; it needs mask, or names = no, beside it"),
    ],
)
def test_mistakes(kind: str, given: dict[str, str], wrong: str) -> None:
    mistakes: list[str] = []
    settings_of(kind).read(
        "x", Section("x", {"url": "nats://x" if kind == "nats" else "http://x", "api_key": "k"} | given, mistakes)
    )
    mistakes = [one for one in mistakes if "mask" in one]
    assert len(mistakes) == bool(wrong)
    assert wrong in "".join(mistakes)
    assert "too-short" not in "".join(mistakes)


def test_without_a_key_of_its_own_there_is_one_that_stays(tmp_path: Path) -> None:
    path = tmp_path / own_key.NAME
    flat = flatten(call(1, src="+41441234567"))
    privacy = Privacy("pseudonym")
    # What is shown before the daemon's first start leaves nothing behind.
    assert Masking(privacy, None, path)(flat).src.startswith("+999")
    assert not path.exists()
    own_key.make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    before = Masking(privacy, None, path)(flat)
    own_key.make(path)
    assert Masking(privacy, None, path)(flat) == before != flat
    assert [one.name for one in tmp_path.iterdir()] == [own_key.NAME]
    own_key.make(tmp_path / "another")
    assert Masking(privacy, None, tmp_path / "another")(flat).src != before.src


@pytest.mark.parametrize("said", ["mask = last 3", "names = no"])
def test_the_daemon_makes_the_hosts_key(tmp_path: Path, said: str) -> None:
    ini = tmp_path / "agent.ini"
    ini.touch(0o600)
    ini.write_text(
        f"[agent]\noutbox = {tmp_path}/outbox.db\n[source csv]\ntype = asterisk_csv\npath = {tmp_path}/Master.csv\n"
        f"[destination x]\ntype = humbug\napi_key = x\nurl = http://localhost:1/\n{said}\n"
    )
    config = load(ini)
    housekeeping.prepare(config)
    assert config.own_key.exists()
    config.own_key.unlink()
    (tmp_path / f".{own_key.NAME}").mkdir()
    with pytest.raises(OutboxError, match=r"mask-key: Is a directory; there the daemon keeps the key"):
        housekeeping.prepare(config)
