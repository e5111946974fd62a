"""A template's own text in agent.ini, as it stands in cdr_csv.conf.xml, and the rows that FreeSWITCH writes with it."""

import html
import re
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Disposition
from humbug_agent.config import load
from humbug_agent.ini import ConfigError
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.csv.rows import LegRow, LegRows
from humbug_agent.sources.freeswitch.csv.settings import FreeswitchCsvSettings
from humbug_agent.sources.freeswitch.csv.template_text import parsed
from humbug_agent.sources.freeswitch.csv.templates import TEMPLATES
from tests.kit.cdr_reader import RECORDED, Reader, source
from tests.kit.mod_cdr_csv import TEXTS, Values, call, row, rows, rows_of, uuid, written
from tests.kit.narrow import only
from tests.kit.odd_calls import calls

pytestmark = pytest.mark.slow

ACME = {"domain_name": b"acme", "sip_hangup_disposition": b"recv_bye"}
EXAMPLE = TEXTS["example"].strip()
FRONT = '"${domain_name}",' + EXAMPLE
BEHIND = EXAMPLE + ',"${sip_hangup_disposition}"'
EPOCHS = {
    "start_epoch": b"1795193461", "answer_epoch": b"1795193463", "end_epoch": b"1795193468", "mduration": b"7809",
    "billmsec": b"5999", "created_time": b"1795193461190756", "answered_time": b"1795193463000001",
    "hangup_time": b"1795193468999999", "uduration": b"7809243", "billusec": b"5999998",
}  # fmt: skip
SHAPES = {
    "front": FRONT,
    "behind": BEHIND,
    "both": f'"${{domain_name}}",{BEHIND}',
    "in the midst": EXAMPLE.replace('"${uuid}"', '"${domain_name}","${uuid}"'),
    "between name and number": EXAMPLE.replace('"${caller_id_number}"', '"${domain_name}","${caller_id_number}"'),
    "constant": EXAMPLE.replace('"${uuid}"', '"pbx-1","${uuid}"'),
    "constant first": '"cdr",' + EXAMPLE,
    "insert": "INSERT INTO cdr_acme (a, b) VALUES ('${uuid}', '${caller_id_name}', '${caller_id_number}', "
    "'${destination_number}', '${context}', '${start_stamp}', '${answer_stamp}', '${end_stamp}', ${duration}, "
    "${billsec}, '${hangup_cause}');",
    "encoded": '"${uuid}","${start_uepoch}","${answer_uepoch}","${end_uepoch}","${duration}","${billsec}",'
    '"${hangup_cause}","${url_encode(${caller_id_name})}","${url_encode(${caller_id_number})}",'
    '"${url_encode(${destination_number})}","${url_encode(${context})}"',
    "bare": "${uuid},${caller_id_name},${caller_id_number},${destination_number},${context},${start_epoch},"
    "${answer_epoch},${end_epoch},${duration},${billsec},${hangup_cause}",
    "semicolons": "${start_stamp};${answer_stamp};${end_stamp};${caller_id_name};${caller_id_number};"
    "${destination_number};${context};${duration};${billsec};${hangup_cause};${uuid}",
    "tabs": "${uuid}\t${start_stamp}\t${answer_stamp}\t${end_stamp}\t${duration}\t${billsec}\t${hangup_cause}\t"
    "${caller_id_name}\t${caller_id_number}\t${destination_number}\t${context}",
    "names last": '"${uuid}","${start_stamp}","${answer_stamp}","${end_stamp}","${duration}","${billsec}",'
    '"${hangup_cause}","${context}","${destination_number}","${caller_id_number}","${caller_id_name}"',
    "names first": '"${caller_id_name}","${caller_id_number}","${destination_number}","${context}","${billsec}",'
    '"${duration}","${hangup_cause}","${uuid}","${end_stamp}","${answer_stamp}","${start_stamp}"',
    "scattered": '"${start_stamp}","${caller_id_name}","${answer_stamp}","${caller_id_number}","${uuid}",'
    '"${destination_number}","${end_stamp}","${context}","${duration}","${billsec}","${hangup_cause}"',
    "caller_id": '"${caller_id}","${destination_number}","${context}","${start_stamp}","${answer_stamp}",'
    '"${end_stamp}","${duration}","${billsec}","${hangup_cause}","${uuid}"',
    "profile times": '"${uuid}","${created_time}","${answered_time}","${hangup_time}","${caller_id_name}",'
    '"${caller_id_number}","${destination_number}","${context}","${hangup_cause}"',
    "milliseconds": '"${caller_id_name}","${caller_id_number}","${destination_number}","${context}",'
    '"${start_epoch}","${answer_epoch}","${mduration}","${billmsec}","${hangup_cause}","${uuid}"',
    "api": '"${caller_id_name}","${caller_id_number}","${destination_number}","${context}","${strftime(%Y-%m)}",'
    '"${start_stamp}","${answer_stamp}","${end_stamp}","${duration}","${billsec}","${hangup_cause}","${uuid}",'
    '"${regex(${direction}|^(in|out)bound$|%1)}"',
    "twice": '"${uuid}",' + EXAMPLE,
    "global": '"$${hostname}",' + EXAMPLE,
}


def values(number: int = 1, **changed: bytes) -> Values:
    return call(number, **(ACME | EPOCHS | changed))


def read(tmp_path: Path, template: str, data: bytes) -> Reader:
    (tmp_path / "Master.csv").write_bytes(data)
    return Reader(tmp_path / "Master.csv", template=template).read()


def said(record: CDR) -> tuple[object, ...]:
    return record.uniqueid, record.clid, record.src, record.dst, record.dcontext, record.duration, record.billsec


@pytest.mark.parametrize("template", SHAPES)
def test_a_template_of_ones_own_is_read(tmp_path: Path, template: str) -> None:
    text = SHAPES[template]
    zeros = ("answer_epoch", "answer_uepoch", "answered_time", "billsec", "billmsec", "billusec")
    unanswered = {"answer_stamp": b"", **dict.fromkeys(zeros, b"0")}
    data = rows_of(
        text, values(1), values(2, **unanswered, hangup_cause=b"USER_BUSY"), values(3, caller_id_name=b"Eve")
    )
    reader = read(tmp_path, text, data)
    assert reader.rejects == []
    first, second, third = reader.records
    assert said(first) == (uuid(1).decode(), '"Bob" <1001>', "1001", "8201", "public", 7, 5)
    assert (second.uniqueid, second.answer, second.billsec) == (uuid(2).decode(), None, 0)
    assert (first.disposition, second.disposition) == (Disposition.ANSWERED, Disposition.BUSY)
    assert said(third)[1] == '"Eve" <1001>'
    for moment, second_of in ((first.start, 1), (first.answer, 3), (first.end, 8)):
        assert moment
        assert (moment.astimezone(UTC).strftime("%F %H:%M"), moment.second) == ("2026-11-20 16:51", second_of)
    if template in ("front", "both"):
        assert first.extra["domain_name"] == "acme"
    if template in ("behind", "both"):
        assert (first.extra["sip_hangup_disposition"], first.extra["write_codec"]) == ("recv_bye", "PCMU")


@pytest.mark.parametrize("template", TEXTS)
def test_a_stock_templates_text_reads_like_its_name(template: str) -> None:
    if template == "fallback":
        return  # It is in no file: it is what FreeSWITCH has when the named one is missing.
    data = rows(template, 1, 2) + row(template, call(3, caller_id_name=b"one\ntwo", answer_stamp=b"", billsec=b"0"))
    by_name, by_text = (LegRows(one).split(data, more=False, final=True)[0] for one in (template, TEXTS[template]))
    assert [item.text for item in by_text] == [item.text for item in by_name]
    for ours, theirs in zip(by_text, by_name, strict=True):
        assert isinstance(ours, LegRow)
        assert isinstance(theirs, LegRow)
        assert ours.values == theirs.values
        assert TEMPLATES[template].encoded == ours.template.encoded


@pytest.mark.parametrize(("recording", "count"), [("example", 70), ("asterisk", 70), ("custom-safe-template", 76)])
def test_the_recordings_by_their_templates_text(recording: str, count: int) -> None:
    text = TEXTS["safe" if recording.startswith("custom") else recording]
    by_text = Reader(RECORDED / recording, template=text).read()
    by_name = Reader(RECORDED / recording).read()
    assert (len(by_text.calls), by_text.rejects) == (count, [])
    assert by_text.records == by_name.records


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(SHAPES)),
    st.lists(st.integers(1, 9).flatmap(calls), max_size=3, unique_by=lambda one: one["uuid"]),
)
def test_whatever_stands_in_a_call_nothing_else_is_made_of_it(template: str, odd: list[Values]) -> None:
    text = SHAPES[template]
    every = [values(100), *({**one, **ACME, **EPOCHS} for one in odd), values(101)]
    data = rows_of(text, *every)
    found, taken = LegRows(text).split(data, more=False, final=True)
    assert taken == len(data)
    for item in found:
        assert data[item.at :].startswith(item.text)
        if isinstance(item, LegRow):
            names = dict(zip(item.template.columns, parsed(text).columns, strict=True))
            assert written(text, {names[name]: value for name, value in item.values.items()}, decoded=True) == item.text


@settings(max_examples=200)
@given(
    st.sampled_from([name for name in SHAPES if '"' in SHAPES[name]]),
    st.binary(max_size=30).map(lambda name: name.translate(None, b"\0\"'<>")),
)
def test_without_quotes_any_name_comes_back(template: str, name: bytes) -> None:
    text = SHAPES[template]
    found, _ = LegRows(text).split(
        rows_of(text, values(1), values(2, caller_id_name=name), values(3)), more=False, final=True
    )
    assert [item.values["uuid"] for item in found if isinstance(item, LegRow)] == [uuid(1), uuid(2), uuid(3)]


@pytest.mark.parametrize("template", ["front", "behind", "both", "in the midst", "constant", "api", "twice"])
def test_a_name_with_quotes_and_commas_is_that_name_or_a_reject(tmp_path: Path, template: str) -> None:
    text = SHAPES[template]
    names = [b'x","y', b'"', b'a "b" c', b'","', b'Anna","86630648', b'acme","Anna']
    data = rows_of(text, *(values(at, caller_id_name=name) for at, name in enumerate(names, 1)), values(99))
    reader = read(tmp_path, text, data)
    assert len(reader.records) + len(reader.rejects) == len(names) + 1
    assert reader.records[-1].uniqueid == uuid(99).decode()
    for record in reader.records[:-1]:
        at = int(record.uniqueid[:8], 16)
        assert record.clid == f'"{names[at - 1].decode()}" <1001>'


def configured(tmp_path: Path, template: str) -> str:
    ini = tmp_path / "agent.ini"
    ini.write_text(
        f"[agent]\noutbox = {tmp_path}/outbox.db\n[source cdr]\ntype = freeswitch_csv\ntemplate = {template}\n"
        "[destination humbug]\ntype = humbug\napi_key = x\n"
    )
    return only(FreeswitchCsvSettings, load(ini).sources).template


@pytest.mark.parametrize("template", [name for name in SHAPES if name != "tabs"])
@pytest.mark.parametrize("how", ["as it is", "escaped", "element", "wrapped"])
def test_it_is_pasted_into_agent_ini(tmp_path: Path, template: str, how: str) -> None:
    text = SHAPES[template]
    pasted = {
        "as it is": text,
        "escaped": html.escape(text),
        "element": f'<template name="own">{html.escape(text, quote=False)}</template>',
        "wrapped": re.sub(r',(?=["$\'])', ",\n    ", text),
    }[how]
    assert parsed(configured(tmp_path, pasted)) == parsed(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (EXAMPLE.replace("${uuid}", "x"), "which call it is, as ${uuid} would"),
        (EXAMPLE.replace("${destination_number}", "x"), "who was called, as ${destination_number} would"),
        (EXAMPLE.replace("${caller_id_number}", "x"), "who called, as ${caller_id_number} would"),
        (re.sub(r"\$\{\w+_stamp\}", "x", EXAMPLE), "when it was, as ${start_stamp} would"),
        (re.sub(r"\$\{(answer_stamp|billsec)\}", "x", EXAMPLE), "whether it was answered, as ${answer_stamp} would"),
        (re.sub(r"\$\{(end_stamp|duration|billsec)\}", "x", EXAMPLE), "how long it took, as ${end_stamp} would"),
        ("${url_encode(${uuid})", "is not closed by a brace"),
        (EXAMPLE.replace('","', ""), "nothing is between ${caller_id_name} and ${caller_id_number}"),
        ("${uuid}", "who called, as ${caller_id_number} would"),
        ("exampel", "did you mean example?"),
    ],
)
def test_a_template_that_tells_too_little_is_a_mistake(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, text)
    (mistake,) = caught.value.mistakes
    assert ": [source cdr] template: " in mistake
    assert words in mistake


def test_check_names_it_and_says_when_the_rows_are_others(tmp_path: Path) -> None:
    (tmp_path / "Master.csv").write_bytes(rows_of(FRONT, values(1), values(2)))
    assert ", template in agent.ini, " in source(tmp_path, template=FRONT).check()
    (tmp_path / "Master.csv").write_bytes(rows("opencdrrate", 1, 2) + b"\n" * 30)
    assert (
        "has rows of template opencdrrate, and not of the one in agent.ini"
        in source(tmp_path, template=FRONT).trouble()
    )


def test_another_text_than_freeswitchs_makes_no_name_of_a_column(tmp_path: Path) -> None:
    for text, other in (
        (EXAMPLE, FRONT),
        (FRONT, SHAPES["both"].replace('"${context}"', '"${context}","${domain_name}"')),
    ):
        reader = read(tmp_path, text, rows_of(other, *(values(number) for number in range(20))))
        assert not reader.records
        with pytest.raises(SourceError, match=r"template"):
            reader.source.check()


def test_a_name_with_a_comma_is_plain_between_quotes(tmp_path: Path) -> None:
    text = '"${caller_id_name}",${caller_id_number},${destination_number},${start_epoch},${billsec},"${uuid}"'
    (record,) = read(tmp_path, text, rows_of(text, values(1, caller_id_name=b"Smith, John"))).records
    assert record.clid == '"Smith, John" <1001>'
