"""Rows of FusionPBX's table are the calls that their documents tell of, wherever the document is."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import pytest

from humbug_agent.cdr import CDR
from humbug_agent.sources.freeswitch.documents import leg
from humbug_agent.sources.freeswitch.leg import call, wanted
from tests.kit.calls import cdrs
from tests.kit.fs_modules import RECORDED
from tests.kit.fusionpbx_database import FusionpbxDatabase
from tests.sources.postgresql.conftest import source

pytestmark = pytest.mark.slow

DOCUMENTS = [path.read_bytes() for path in sorted(RECORDED.rglob("*.xml"))]
SINCE = "since = 2020-01-01"


def by_documents(legs: str = "a", *, drop_doubles: bool = True) -> dict[str, CDR]:
    """As freeswitch_json has them, by uuid."""
    found = (leg(document, UTC) for document in DOCUMENTS)
    return {one.uuid: call(one) for one in found if wanted(one, legs, drop_doubles=drop_doubles)}


def read(database: FusionpbxDatabase, more: str = "") -> dict[str, CDR]:
    batches = source(f"{database.ini()}\n{SINCE}\n{more}").read(None, Event(), follow=False)
    found = [record for batch in batches for record in cdrs(batch.records)]
    assert len({one.uniqueid for one in found}) == len(found)
    return {one.uniqueid: one for one in found}


@pytest.mark.parametrize("keeps", ["apart", "json", "xml"])
@pytest.mark.parametrize(("legs", "doubles"), [("a", "yes"), ("ab", "no")])
def test_a_row_with_its_document_is_that_documents_call(
    database: FusionpbxDatabase, keeps: str, legs: str, doubles: str
) -> None:
    for document in DOCUMENTS:
        database.import_xml(document, keeps=keeps)
    expected = by_documents(legs, drop_doubles=doubles == "yes")
    assert len(expected) >= 4
    assert read(database, f"legs = {legs}\ndrop_doubles = {doubles}") == expected


def test_a_row_without_a_document_is_the_same_call_as_far_as_the_table_goes(database: FusionpbxDatabase) -> None:
    for document in DOCUMENTS:
        database.import_xml(document, keeps="nowhere")
    found, expected = read(database), by_documents()
    assert found.keys() == expected.keys()

    def told(cdr: CDR) -> CDR:
        """Without what no column has, and in whole seconds."""
        start, end = (one.replace(microsecond=0) for one in (cdr.start, cdr.end))
        answer = cdr.answer and cdr.answer.replace(microsecond=0)
        return replace(
            cdr, start=start, answer=answer, end=end, channel="", dstchannel="", linkedid="", clid="", extra={}
        )

    assert {uuid: told(one) for uuid, one in found.items()} == {uuid: told(one) for uuid, one in expected.items()}
    one = next(iter(found.values()))
    assert one.extra["hangup_cause"] == expected[one.uniqueid].extra["hangup_cause"]


def test_a_document_that_says_nothing_leaves_it_to_the_columns(database: FusionpbxDatabase) -> None:
    uuids = [database.import_xml(document, keeps="json") for document in DOCUMENTS]
    with database.connected() as db:
        db.execute("""UPDATE v_xml_cdr SET json = '{"variables": {}}'""")
    found = read(database, "legs = ab\ndrop_doubles = no")
    assert found.keys() == set(uuids)
    assert not any(one.channel for one in found.values())


def test_a_document_of_megabytes_stays_where_it_is(database: FusionpbxDatabase) -> None:
    uuid = database.import_xml(DOCUMENTS[0], keeps="json")
    with database.connected() as db:
        db.execute("UPDATE v_xml_cdr SET json = json || jsonb_build_object('more', repeat('x', 600000))")
    assert not read(database, "legs = ab\ndrop_doubles = no")[uuid].channel


def test_the_caller_of_a_row_has_no_pin(database: FusionpbxDatabase) -> None:
    uuid = database.import_xml(DOCUMENTS[0], keeps="nowhere")
    with database.connected() as db:
        db.execute("UPDATE v_xml_cdr SET pin_number = '4711-secret'")
    assert "4711-secret" not in str(read(database, "legs = ab\ndrop_doubles = no")[uuid])


def test_rows_from_before_there_was_an_insert_date_are_read_too(database: FusionpbxDatabase) -> None:
    for document in DOCUMENTS:
        database.import_xml(document)
    with database.connected() as db:
        db.execute("UPDATE v_xml_cdr SET insert_date = NULL WHERE hangup_cause <> 'NORMAL_CLEARING'")
        (undated,) = db.execute("SELECT count(*) FROM v_xml_cdr WHERE insert_date IS NULL").fetchone() or (0,)
    assert undated
    assert read(database) == by_documents()


def test_a_table_that_never_had_an_insert_date_is_read_by_the_end_of_the_calls(tmp_path: Path) -> None:
    with FusionpbxDatabase() as old:
        for document in DOCUMENTS:
            old.import_xml(document, keeps="json")
        with old.connected() as db:
            db.execute("ALTER TABLE v_xml_cdr DROP COLUMN insert_date")
            db.execute("CREATE INDEX ON v_xml_cdr (end_epoch, xml_cdr_uuid)")
            db.execute("DROP TABLE v_xml_cdr_json")
        assert read(old) == by_documents()


def test_what_is_before_since_is_not_read(database: FusionpbxDatabase) -> None:
    for document in DOCUMENTS:
        database.import_xml(document)
    with database.connected() as db:
        db.execute("UPDATE v_xml_cdr SET insert_date = %s", [datetime(2019, 12, 31, 23, 59, tzinfo=UTC)])
    assert read(database) == {}
