"""The recorded calls, written with the templates of which there is no recording, come back as they were recorded."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from humbug_agent.cdr import CDR, Disposition
from humbug_agent.sources.freeswitch.csv.row_leg import made
from humbug_agent.sources.freeswitch.csv.rows import LegRow, LegRows
from tests.kit.cdr_reader import RECORDED, Reader
from tests.kit.mod_cdr_csv import STOCK, Values, call, row

RECORDINGS = ("example", "asterisk", "custom-safe-template")
Scenario = tuple[str, str, bool]
"""Who was called, the hangup cause, and whether it was answered."""


def recorded(recording: str) -> list[Values]:
    """The variables of every recorded call, as far as its row tells them; the others are made up."""
    found, _ = LegRows("auto").split((RECORDED / recording / "Master.csv").read_bytes(), more=False, final=True)
    rows = [item for item in found if isinstance(item, LegRow)]
    assert len(rows) == len(found) > 69
    return [variables(item) for item in rows]


def variables(item: LegRow) -> Values:
    leg, _ = made(item, UTC)
    values = {name: value for name, value in item.values.items() if name not in ("signal_bond", "regex")}
    values |= {
        "caller_id_name": name_of(item, leg.name),
        "caller_id_number": raw(leg.number),
        "destination_number": raw(leg.destination),
        "context": raw(leg.context),
        "accountcode": raw(leg.accountcode),
        "start_stamp": stamp(leg.start),
        "answer_stamp": stamp(leg.answer),
        "end_stamp": stamp(leg.end),
        "signal_bond": item.values.get("originating_leg_uuid", b""),
    }
    return call(**values)


def name_of(item: LegRow, name: str) -> bytes:
    return item.values["caller_id_name"] if item.template.name == "example" else raw(name)


def raw(value: str) -> bytes:
    """What is no UTF-8 was read as Latin-1."""
    return value.encode("latin-1") if value == "José" else value.encode()


def stamp(moment: datetime | None) -> bytes:
    return moment.strftime("%Y-%m-%d %H:%M:%S").encode() if moment else b""


def what_it_says(record: CDR, template: str) -> tuple[object, ...]:
    said = [record.uniqueid, record.src, record.dst, record.accountcode, record.billsec, record.answer is None]
    if template != "opencdrrate":
        said += [record.clid, record.dcontext, record.duration, record.extra["hangup_cause"]]
        said += [record.start.replace(microsecond=0), record.end.replace(microsecond=0)]
    return tuple(said)


@pytest.mark.parametrize("auto", [True, False])
@pytest.mark.parametrize("recording", RECORDINGS)
@pytest.mark.parametrize("template", STOCK)
def test_the_recorded_calls_in_every_stock_template(tmp_path: Path, template: str, recording: str, auto: bool) -> None:
    master = tmp_path / "Master.csv"
    master.write_bytes(b"".join(row(template, values) for values in recorded(recording)))
    reader = Reader(master, template="auto" if auto else template).read()
    original = Reader(RECORDED / recording).read()
    assert reader.rejects == []
    assert [what_it_says(one, template) for one in reader.records] == [
        what_it_says(one, template) for one in original.records
    ]
    for record, wanted in zip(reader.records, original.records, strict=True):
        # Only the recommended template tells what became of the call that the caller's leg made.
        told = "originate_disposition" not in wanted.extra and "last_bridge_hangup_cause" not in wanted.extra
        if template == "opencdrrate":
            assert record.disposition is (Disposition.ANSWERED if wanted.answer else Disposition.NO_ANSWER)
        elif told or wanted.answer or wanted.extra["hangup_cause"] != "NORMAL_CLEARING":
            assert record.disposition is wanted.disposition


def scenarios() -> dict[str, list[tuple[Scenario, int, int]]]:
    """The rows of each, with legs=ab; seconds are as they were in that run."""
    lines = (RECORDED / "scenarios.tsv").read_text().splitlines()[1:]
    table = {}
    for name, *_, rows in (line.split("\t") for line in lines):
        parts = [one.split("/") for one in rows.split("  ")]
        table[name] = [((dst, cause, ans == "ans"), int(took), int(talked)) for dst, cause, ans, took, talked in parts]
    return table


@pytest.mark.parametrize("recording", RECORDINGS)
def test_the_scenarios_are_in_their_recordings(recording: str) -> None:
    read = [
        ((one.dst, one.extra["hangup_cause"], one.answer is not None), one.duration, one.billsec)
        for one in Reader(RECORDED / recording).read().records
    ]
    table = scenarios()
    lines = (RECORDED / recording / "calls.tsv").read_text().splitlines()
    played = [line.split("\t")[0] for line in lines if line.split("\t")[0] in table]
    assert len(played) >= 10
    for name in played:
        found = [
            any(one == said and abs(length - took) <= 1 and abs(talk - talked) <= 1 for one, length, talk in read)
            for said, took, talked in table[name]
        ]
        # The other recordings have the callers' legs only.
        assert all(found) if recording == "custom-safe-template" else any(found), name
