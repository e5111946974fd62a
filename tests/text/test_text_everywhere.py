"""The same bytes say the same, whichever source tells them, on the board and at the receiver."""

import json
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.board.asterisk_words import channel
from humbug_agent.board.freeswitch_words import rows, table
from humbug_agent.cdr import CDR
from humbug_agent.ini import Secret
from humbug_agent.listening.ami.headers import Headers
from humbug_agent.listening.esl.event import Event
from humbug_agent.sources.asterisk.ami.settings import AsteriskAmiSettings
from humbug_agent.sources.asterisk.ami.source import AsteriskAmi
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from humbug_agent.sources.contract import Source
from humbug_agent.sources.freeswitch.csv.settings import FreeswitchCsvSettings
from humbug_agent.sources.freeswitch.csv.source import FreeswitchCsv
from humbug_agent.sources.freeswitch.esl.settings import FreeswitchEslSettings
from humbug_agent.sources.freeswitch.esl.source import FreeswitchEsl
from humbug_agent.sources.freeswitch.http.settings import FreeswitchHttpSettings
from humbug_agent.sources.freeswitch.http.source import FreeswitchHttp
from humbug_agent.sources.freeswitch.json.settings import FreeswitchJsonSettings
from humbug_agent.sources.freeswitch.json.source import FreeswitchJson
from humbug_agent.sources.freeswitch.settings import Legs
from humbug_agent.text import AUTO, text
from tests.kit.host import Host

pytestmark = pytest.mark.slow

# Asterisk's fields hold 79 bytes.
CUT_NAME = '"Отдел 1: Общество с ограниченной ответственностью'.encode()[:79]
CUT_DATA = "Playback: Добро пожаловать в компанию Ромашка, наш".encode()[:79]
NAME, DATA = '"Отдел 1: Общество с ограниченной ответстве�', "Playback: Добро пожаловать в компанию Ромашка, �"

CALL = {
    "AccountCode": b"",
    "Source": b"0441234567",
    "Destination": b"202",
    "DestinationContext": b"from-internal",
    "CallerID": b"<0441234567>",
    "Channel": b"PJSIP/101-00000001",
    "DestinationChannel": b"PJSIP/202-00000002",
    "LastApplication": b"Dial",
    "LastData": b"PJSIP/202,20",
    "StartTime": b"2026-11-20 17:06:33",
    "AnswerTime": b"2026-11-20 17:06:35",
    "EndTime": b"2026-11-20 17:06:43",
    "Duration": b"10",
    "BillableSeconds": b"8",
    "Disposition": b"ANSWERED",
    "AMAFlags": b"DOCUMENTATION",
    "UniqueID": b"1795190793.12",
    "UserField": b"",
}
UUID = b"4855758b-ec4a-41a5-8cec-b4d1ba826fe1"


def record(**other: bytes) -> bytes:
    bare = ("Duration", "BillableSeconds")
    values = CALL | other
    return b",".join(v if k in bare else b'"' + v.replace(b'"', b'""') + b'"' for k, v in values.items()) + b"\n"


def event(**other: bytes) -> bytes:
    values = CALL | other
    lines = b"".join(b"%b: %b\r\n" % (name.encode(), value) for name, value in values.items())
    return b"Event: Cdr\r\nPrivilege: cdr,all\r\n" + lines


def only(source: Source, raw: bytes) -> CDR:
    batch = source.parse(raw)
    (found,) = batch.records
    assert isinstance(found, CDR)
    assert not batch.rejects
    return found


def csv(charset: str = AUTO) -> AsteriskCsv:
    return AsteriskCsv(AsteriskCsvSettings("csv", Path("Master.csv"), "beginning", False, charset), UTC)


def ami(charset: str = AUTO) -> AsteriskAmi:
    settings = AsteriskAmiSettings(
        "ami", "127.0.0.1", 5038, "u", Secret("s"), False, None, frozenset(("cdr", "alarm")), charset
    )
    return AsteriskAmi(settings, UTC)


def quoted(value: bytes) -> bytes:
    """As cJSON writes it."""
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def json_document(name: bytes, encoded: bool = False) -> bytes:
    number, shown = b"0441234567", b'"%b" <0441234567>' % name
    variables = {
        b"uuid": UUID, b"hangup_cause": b"NORMAL_CLEARING", b"start_epoch": b"1795190793", b"end_epoch": b"1795190803",
        b"start_stamp": b"2026-11-20 17:06:33", b"caller_id": shown, b"accountcode": name + b" .",
    }  # fmt: skip
    if encoded:
        variables = {one: quote(value, safe="").encode() for one, value in variables.items()}
    profile = {b"caller_id_name": name, b"caller_id_number": number, b"destination_number": b"202"}

    def members(values: dict[bytes, bytes]) -> bytes:
        return b",".join(quoted(one) + b":" + quoted(value) for one, value in values.items())

    return b'{"switchname":%b,"variables":{%b},"callflow":[{"caller_profile":{%b}}]}' % (
        quoted(name), members(variables), members(profile),
    )  # fmt: skip


def xml_document(name: bytes, encoding: str = "", encoded: bool = True) -> bytes:
    plain = name.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b'"', b"&quot;")
    value = quote(name + b" .", safe="").encode() if encoded else plain + b" ."
    stamp = b"2026-11-20%2017%3A06%3A33" if encoded else b"2026-11-20 17:06:33"
    declared = f' encoding="{encoding}"'.encode() if encoding else b""
    return (
        b'<?xml version="1.0"%b?>\n<cdr switchname="%b"><variables><uuid>%b</uuid><hangup_cause>NORMAL_CLEARING'
        b"</hangup_cause><start_epoch>1795190793</start_epoch><end_epoch>1795190803</end_epoch><start_stamp>%b"
        b"</start_stamp><accountcode>%b</accountcode></variables><callflow><caller_profile><caller_id_name>%b"
        b"</caller_id_name><caller_id_number>0441234567</caller_id_number><destination_number>202"
        b"</destination_number></caller_profile></callflow></cdr>"
    ) % (declared, plain, UUID, stamp, value, plain)


def hangup(name: bytes) -> dict[bytes, bytes]:
    return {
        b"Event-Name": b"CHANNEL_HANGUP_COMPLETE", b"Unique-ID": UUID, b"variable_uuid": UUID,
        b"Hangup-Cause": b"NORMAL_CLEARING", b"Caller-Caller-ID-Name": name, b"Caller-Caller-ID-Number": b"0441234567",
        b"Caller-Destination-Number": b"202", b"variable_start_epoch": b"1795190793",
        b"variable_end_epoch": b"1795190803", b"variable_accountcode": name + b" .", b"FreeSWITCH-Switchname": name,
    }  # fmt: skip


def json_event(name: bytes) -> bytes:
    return b"{%b}" % b",".join(quoted(one) + b":" + quoted(value) for one, value in hangup(name).items())


def plain_event(name: bytes) -> bytes:
    return b"".join(b"%b: %b\n" % (one, quote(value, safe="").encode()) for one, value in hangup(name).items()) + b"\n"


def example_row(name: bytes) -> bytes:
    values = (
        name, b"0441234567", b"202", b"default", b"2026-11-20 17:06:33", b"", b"2026-11-20 17:06:43", b"10", b"0",
        b"NORMAL_CLEARING", UUID, b"", name + b" .", b"PCMU", b"PCMU",
    )  # fmt: skip
    return b'"' + b'","'.join(values) + b'"\n'


def asterisk_row(name: bytes) -> bytes:
    values = (
        name + b" .", b"0441234567", b"202", b"default", b'"%b" <0441234567>' % name, b"sofia/internal/1",
        b"", b"", b"", b"2026-11-20 17:06:33", b"", b"2026-11-20 17:06:43", b"10", b"0", b"NORMAL_CLEARING",
        b"DOCUMENTATION", UUID, b"",
    )  # fmt: skip
    return b'"' + b'","'.join(values) + b'"\n'


def legs(charset: str) -> Legs:
    return {"legs": "a", "drop_doubles": True, "timezone": UTC, "charset": charset}


def documents(charset: str) -> FreeswitchJson:
    return FreeswitchJson(FreeswitchJsonSettings("json", Path("x"), "keep", **legs(charset)), UTC)


def posted(charset: str) -> FreeswitchHttp:
    settings = FreeswitchHttpSettings("http", "127.0.0.1", 8089, "", None, **legs(charset))
    return FreeswitchHttp(settings, UTC)


def socket(charset: str) -> FreeswitchEsl:
    return FreeswitchEsl(FreeswitchEslSettings("esl", "::1", 1, Secret("s"), **legs(charset)), UTC)


def rows_of(charset: str) -> FreeswitchCsv:
    settings = FreeswitchCsvSettings("cdr", Path("Master.csv"), "auto", "beginning", **legs(charset))
    return FreeswitchCsv(settings, UTC)


WAYS: dict[str, tuple[Callable[[str], Source], Callable[[bytes], bytes]]] = {
    "json": (documents, json_document),
    "json encoded": (documents, lambda name: json_document(name, encoded=True)),
    "xml": (documents, xml_document),
    "xml plain": (documents, lambda name: xml_document(name, encoded=False)),
    "http json": (posted, json_document),
    "http xml": (posted, xml_document),
    "esl json": (socket, json_event),
    "esl plain": (socket, plain_event),
    "csv": (rows_of, example_row),
    "csv asterisk": (rows_of, asterisk_row),
}
NAMES = [
    (AUTO, CUT_NAME[1:], NAME[1:]),
    (AUTO, "Отдел 東京".encode(), "Отдел 東京"),
    (AUTO, b"Jos\xe9", "José"),
    (AUTO, b"\x93Caf\xe9\x94", "“Café”"),
    ("cp1251", "Отдел продаж".encode("cp1251"), "Отдел продаж"),
    ("cp1251", "Отдел продаж".encode(), "Отдел продаж"),
    ("cp1251", CUT_NAME[1:], NAME[1:]),
    ("gbk", "客服中心".encode("gbk"), "客服中心"),
    # The second byte of each of these is a backslash.
    ("big5", "許功蓋".encode("big5"), "許功蓋"),
    ("shift_jis", "ソ表示".encode("shift_jis"), "ソ表示"),
]


@pytest.mark.parametrize(("charset", "raw", "said"), NAMES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_freeswitch_says_the_same(way: str, charset: str, raw: bytes, said: str) -> None:
    source, written = WAYS[way]
    found = only(source(charset), written(raw))
    assert found.clid == f'"{said}" <0441234567>'
    assert found.accountcode == f"{said} ."
    assert found.extra.get("switchname", said) == said


@pytest.mark.parametrize(("charset", "raw", "said"), NAMES)
def test_master_csv_and_ami_say_the_same(charset: str, raw: bytes, said: str) -> None:
    other = {"CallerID": b'"%b" <7>' % raw, "UserField": raw, "LastData": raw + b",20"}
    for found in (only(csv(charset), record(**other)), only(ami(charset), event(**other))):
        assert (found.clid, found.userfield, found.lastdata) == (f'"{said}" <7>', said, f"{said},20")


def test_a_name_and_data_that_asterisk_cut_in_a_character_lose_that_one() -> None:
    both = {"CallerID": CUT_NAME, "LastData": CUT_DATA}
    for found in (only(csv(), record(**both)), only(ami(), event(**both))):
        assert (found.clid, found.lastdata) == (NAME, DATA)


@pytest.mark.parametrize(("charset", "raw", "said"), NAMES)
def test_what_else_ami_reports_says_the_same(charset: str, raw: bytes, said: str) -> None:
    (notice,) = ami(charset).parse(b"Event: Alarm\r\nPrivilege: system,all\r\nAlarm: %b\r\n" % raw).records
    assert not isinstance(notice, CDR)
    assert notice.fields["Alarm"] == said


values = st.binary(max_size=30).map(lambda raw: raw.translate(None, b"\r\n\0"))
charsets = st.sampled_from([AUTO, "cp1251", "gbk", "utf-8"])


@given(values, values, charsets, charsets)
def test_a_call_is_the_same_over_both_whatever_its_bytes_and_charsets(
    name: bytes, data: bytes, one: str, other: str
) -> None:
    changed = {"CallerID": name, "LastData": data}
    written, told = only(csv(one), record(**changed)), only(ami(other), event(**changed))
    assert written.identity == told.identity
    assert written.clid == text(name, one)
    assert told.clid == text(name, other)


@pytest.mark.parametrize(
    ("raw", "identity"),
    [
        ("José".encode(), "6c8e03b5d8c5bdb1b1536798ca88d10b"),
        (b"Jos\xe9", "6c8e03b5d8c5bdb1b1536798ca88d10b"),
        (CUT_NAME, "ed53831741fc74b2415ef3794cd17da5"),
    ],
)
def test_calls_that_are_in_an_outbox_already_keep_their_identity(raw: bytes, identity: str) -> None:
    for charset in (AUTO, "cp1251"):
        assert only(csv(charset), record(CallerID=raw)).identity.hex() == identity


@pytest.mark.parametrize(
    ("raw", "encoding", "said"),
    [
        ("Отдел".encode("cp1251"), "windows-1251", "Отдел"),
        ("Отдел".encode("koi8-r"), "KOI8-R", "Отдел"),
        ("Отдел".encode(), "windows-1251", "Отдел"),
        ("客服".encode("gbk"), "GBK", "客服"),
        (b"\xa4 10", "iso-8859-15", "€ 10"),
        (b"Jos\xe9", "utf-8", "José"),
        (b"Jos\xe9", "no-such-charset", "José"),
        (b"Jos\xe9", "utf-16", "José"),
    ],
)
@pytest.mark.parametrize("encoded", [True, False])
def test_a_charset_that_xml_declares_is_heeded(raw: bytes, encoding: str, said: str, encoded: bool) -> None:
    found = only(documents(AUTO), xml_document(raw, encoding, encoded))
    assert (found.clid, found.accountcode) == (f'"{said}" <0441234567>', f"{said} .")


@pytest.mark.parametrize("charset", [AUTO, "iso8859-1", "cp1251", "gbk"])
def test_a_reference_and_an_escape_say_what_they_say_in_any_charset(charset: str) -> None:
    told = xml_document(b"Zo#").replace(b"Zo#", b"Zo&#235;")
    assert only(documents(charset), told).clid == '"Zoë" <0441234567>'
    declared = xml_document(b"J\xe9 #", "iso-8859-1", encoded=False).replace(b"#", b"&#x417;")
    assert only(documents(charset), declared).clid == '"Jé З" <0441234567>'
    assert Event(rb'{"Event-Name":"X","a":"Zo\u00eb \ud83d\ude00 \ud83d"}', charset)("a") == "Zoë 😀 �"


def test_one_bad_name_leaves_all_others_of_a_document_and_an_event_alone() -> None:
    document = json_document(b"Jos\xe9").replace(b'"uuid":', '"sip_gateway_name":"Отдел","uuid":'.encode())
    assert only(documents(AUTO), document).extra["sip_gateway_name"] == "Отдел"
    said = Event(b'{"Event-Name":"X","a":"Jos\xe9","b":"%b","c":["%b","\xe9"]}' % (("Отдел".encode(),) * 2))
    assert (said("a"), said("b"), said("c")) == ("José", "Отдел", "ARRAY::Отдел|:é")


def escaped(raw: bytes) -> bytes:
    """As Asterisk escapes a channel's text, byte by byte."""
    return raw.replace(b"\\", b"\\\\").replace(b"'", b"\\'").replace(b'"', b'\\"')


@pytest.mark.parametrize(("charset", "raw", "said"), NAMES)
def test_the_board_says_the_same(charset: str, raw: bytes, said: str) -> None:
    block = b"Event: Newchannel\r\nUniqueid: 1.1\r\nChannel: SIP/1-1\r\nCallerIDName: %b\r\nQueue: %b" % (
        escaped(b"O'" + raw),
        raw,
    )
    headers = Headers(block, charset)
    assert channel(headers, None, 0.0).name == f"O'{said}"
    assert headers("Queue") == said
    listed = b'{"row_count":1,"rows":[{"uuid":"u","name":%b,"direction":"inbound","callstate":"ACTIVE"}]}' % quoted(raw)
    assert rows(listed, charset)[0]["name"] == said
    assert [row["name"] for row in table(b"name|status\n%b|Available\n+OK" % raw, b"name", charset)] == [said]


def test_what_was_read_is_what_is_sent_and_shown(host: Host) -> None:
    line = record(CallerID=CUT_NAME, LastData=CUT_DATA, Source=b"Jos\xe9")
    host.master.write_bytes(line)
    host.run("run", "--once")
    (row,) = host.store.rows()
    assert (row["CallerID"], row["LastData"], row["Source"]) == (NAME, DATA, "José")
    (listed,) = host.json("outbox", "list")
    assert listed["src"] == "José"
    shown = host.json("outbox", "show", str(listed["id"]))["call"]
    explained = json.loads(host.run("explain", "--json", stdin=line))["calls"][0]
    for call in (shown, explained["call"]):
        assert (call["clid"], call["lastdata"], call["src"]) == (NAME, DATA, "José")
    assert explained["destinations"]["humbug"]["parameters"]["CallerID"] == NAME


def test_a_charset_is_heeded_wherever_a_call_or_a_reject_is_shown(host: Host) -> None:
    host.configure(source="charset = cp1251")
    name = "Отдел продаж"
    line = record(CallerID=name.encode("cp1251"))
    host.master.write_bytes(line + b'"no call","%b"\n' % name.encode("cp1251"))
    host.run("run", "--once")
    (row,) = host.store.rows()
    assert row["CallerID"] == name
    (reject,) = host.json("outbox", "list", "--state", "rejected")
    assert reject["text"] == f'"no call","{name}"'
    assert name in host.run("outbox", "list", "--state", "rejected")
    assert host.json("outbox", "show", reject["id"])["text"] == f'"no call","{name}"'
    assert json.loads(host.run("explain", "--json", stdin=line))["calls"][0]["call"]["clid"] == name
    assert (
        name
        in json.loads(host.run("explain", "--json", stdin=b'"' + name.encode("cp1251"), code=1))["rejects"][0]["text"]
    )
    # What was told in another charset is no other call.
    host.configure(source="charset = koi8-r")
    host.master.rename(host.master.with_name("Master.csv.1"))
    host.master.write_bytes(line)
    host.run("run", "--once")
    assert host.store.count() == 2
