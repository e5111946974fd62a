"""One call that Asterisk tells as a line, or an event, and as a database's row: however they come, it is one call."""

from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, LACKS, Batch, Disposition, Form, digest, occurrence
from humbug_agent.flat import flatten
from humbug_agent.outbox import dropping, queries, schema, spill
from humbug_agent.outbox.dropping import Piecemeal
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.twins import likeness
from tests.kit.calls import START, batch, call

TO = ["humbug"]
LONG = "PJSIP/1001&PJSIP/1002&PJSIP/1003&PJSIP/1004&PJSIP/1005&PJSIP/1006&PJSIP/1007&PJSIP/1008"


def line(kind: int, number: int = 1) -> CDR:
    """The ``number``-th of the equal calls of a kind; kinds differ in one thing alone."""
    said = (
        {}, {"dst": "10"}, {"dst": "1"}, {"lastdata": LONG}, {"lastdata": f"{LONG[:70]}, Müller"}, {"duration": 11},
        {"dstchannel": "PJSIP/204-1"}, {"uniqueid": ""}, {"disposition": Disposition.BUSY},
        {"start": START + timedelta(seconds=1), "end": START + timedelta(seconds=11)},
    )[kind]  # fmt: skip
    identity = occurrence(digest("line", str(kind)), number)
    # Calls that go on at the same time have channels of their own; those of the first kinds are forked.
    channel = f"PJSIP/101-{max(kind, 2):08x}"
    return (
        call(0, identity=identity, start=START, end=START + timedelta(seconds=10), channel=channel, userfield="")
        if not said
        else replace(line(0), identity=identity, channel=channel, **said)
    )


def row(kind: int, number: int = 1, width: int = 80) -> CDR:
    """The same as a table has it."""
    whole = line(kind, number)
    cut = {name: getattr(whole, name)[:width].replace("ü", "?") for name in ("src", "dst", "channel", "lastdata")}
    uniqueid = whole.uniqueid or "1795193882.7"
    return replace(whole, identity=occurrence(digest("row", str(kind)), number), uniqueid=uniqueid, clid="", **cut)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db")


def told(outbox: Outbox, *calls: CDR, how: Form) -> int:
    return outbox.accept(how.value, Batch(calls, [], "c", told=how), TO)


def total(outbox: Outbox) -> int:
    return queries.totals(outbox).calls


STEPS = st.lists(
    st.tuples(st.sampled_from(Form), st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3)), max_size=6)),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, last=st.booleans())
def test_lines_and_rows_in_any_order_give_each_call_once_and_never_one_of_two(
    steps: list[tuple[Form, list[tuple[int, int]]]], last: bool
) -> None:
    with TemporaryDirectory() as folder, closing(Outbox(Path(folder) / "outbox.db")) as outbox:
        outbox.db.conn.execute("PRAGMA synchronous = OFF")
        came: dict[Form, set[tuple[int, int]]] = {how: set() for how in Form}
        if last:
            # Whatever came in pieces comes once more as a whole: nothing is new.
            steps = [*steps, *((how, [one for w, ones in steps if w is how for one in ones]) for how in Form)]
        for how, ones in steps:
            # The second of two equal ones is never told before the first.
            ones = [(kind, below) for kind, number in ones for below in range(1, number + 1)]
            made = [(line if how is Form.WHOLE else row)(*one) for one in ones]
            before = total(outbox)
            came[how].update(ones)
            new = told(outbox, *made, how=how)
            assert new == total(outbox) - before
            lines, rows = (Counter(kind for kind, _ in came[each]) for each in (Form.WHOLE, Form.ROW))
            assert total(outbox) == sum((lines | rows).values())
            assert outbox.known([one.identity for one in made]) == {one.identity for one in made}


def test_each_claims_but_one(outbox: Outbox) -> None:
    assert told(outbox, line(0, 1), line(0, 2), how=Form.WHOLE) == 2
    assert told(outbox, row(0, 1), how=Form.ROW) == 0
    assert told(outbox, row(0, 1), row(0, 2), row(0, 3), how=Form.ROW) == 1
    assert told(outbox, line(0, 3), how=Form.WHOLE) == 0
    assert told(outbox, line(0, 4), how=Form.WHOLE) == 1


def test_that_both_told_it_is_written_down(outbox: Outbox) -> None:
    told(outbox, line(0), how=Form.WHOLE)
    told(outbox, row(0), row(1), how=Form.ROW)
    told(outbox, line(1), how=Form.WHOLE)
    found = [(one["source"], one["also"]) for one in outbox.select("SELECT source, also FROM calls ORDER BY id")]
    assert found == [("whole", "row"), ("row", "whole")]


def test_where_no_row_ever_came_nobody_looks_for_twins(outbox: Outbox) -> None:
    asked: list[str] = []
    outbox.db.conn.set_trace_callback(asked.append)
    told(outbox, *(line(kind) for kind in range(10)), how=Form.WHOLE)
    assert not [sql for sql in asked if "start IN" in sql]
    told(outbox, row(0), how=Form.ROW)
    assert [sql for sql in asked if "start IN" in sql]


def test_calls_of_other_sources_are_never_claimed(outbox: Outbox) -> None:
    outbox.accept("rows of another kind", Batch([line(5)], [], "c"), TO)
    outbox.accept("the same call again", Batch([row(5)], [], "c"), TO)
    assert total(outbox) == 2


def test_a_dropped_call_stays_known_by_all_its_identities(outbox: Outbox) -> None:
    told(outbox, line(0), how=Form.WHOLE)
    told(outbox, row(0), row(1), how=Form.ROW)
    outbox.mark("humbug", [Mark(1, "sent", 1.0), Mark(2, "sent", 1.0)])
    assert dropping.forget_delivered(Piecemeal(outbox), 1e12) == 2
    assert told(outbox, row(0), row(1), how=Form.ROW) == 0
    assert told(outbox, line(0), how=Form.WHOLE) == 0
    assert not outbox.select("SELECT 1 FROM aliases")


def test_a_purged_call_does_too(outbox: Outbox) -> None:
    told(outbox, line(0), how=Form.WHOLE)
    told(outbox, row(0), how=Form.ROW)
    queries.purge(outbox, queries.Filter())
    assert told(outbox, row(0), how=Form.ROW) == 0
    assert not outbox.select("SELECT 1 FROM aliases")


def test_what_is_salvaged_of_a_damaged_outbox_stays_known(outbox: Outbox) -> None:
    told(outbox, line(0), how=Form.WHOLE)
    told(outbox, row(0), row(1), row(2), how=Form.ROW)
    outbox.mark("humbug", [Mark(1, "sent", 1.0)])
    outbox.close()
    schema.move_aside(outbox.path, lambda source, cursor: cursor, TO)
    with Outbox(outbox.path) as after:
        # The first is delivered and gone, and its row is known; the others go on.
        assert total(after) == 2
        assert told(after, row(0), row(1), row(2), how=Form.ROW) == 0
        assert told(after, line(0), line(1), line(2), how=Form.WHOLE) == 0
        assert told(after, line(1, 2), how=Form.WHOLE) == 1


def test_where_the_aliases_can_not_be_salvaged_no_call_is_claimed_by_who_may_be_another(outbox: Outbox) -> None:
    told(outbox, row(0), row(1), how=Form.ROW)
    told(outbox, line(2), how=Form.WHOLE)
    pages = outbox.select("SELECT rootpage FROM sqlite_master WHERE name IN ('aliases', 'aliases_call')")
    outbox.db.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox.close()
    with outbox.path.open("r+b") as file:
        for (page,) in pages:
            file.seek((page - 1) * 4096)
            file.write(b"\xff" * 4096)
    schema.move_aside(outbox.path, lambda source, cursor: cursor, TO)
    with Outbox(outbox.path) as after:
        assert told(after, row(0, 2), how=Form.ROW) == 1
        assert told(after, line(2, 2), line(1, 2), how=Form.WHOLE) == 2


def test_events_that_were_kept_at_a_stop_are_recognised(tmp_path: Path, outbox: Outbox) -> None:
    told(outbox, row(0), how=Form.ROW)
    spill.write(outbox.path, "ami", Batch([line(0)], [], None, told=Form.WHOLE))
    spill.bring_in(outbox.path, TO, 2**30)
    assert total(outbox) == 1
    assert not spill.waiting(outbox.path)


def test_a_row_that_can_not_be_stored_claims_nothing(outbox: Outbox) -> None:
    told(outbox, line(0), how=Form.WHOLE)
    with suppress(AttributeError):
        told(outbox, row(0), call(1, disposition=None), how=Form.ROW)
    assert not outbox.select("SELECT 1 FROM aliases")
    assert told(outbox, row(0), how=Form.ROW) == 0


@pytest.mark.parametrize(
    ("as_row", "as_line", "same"),
    [
        ("PJSIP/204", "PJSIP/204", True),
        ("PJSIP/204", "PJSIP/204,12", False),
        ("", "PJSIP/204", False),
        ("PJSIP/204", "", False),
        (LONG[:80], LONG, True),
        (LONG[:20], LONG, True),
        (LONG[:18], LONG, False),
        (LONG, LONG[:80], False),
        ("M?ller,12", "Müller,12", True),
        ("MÃ¼ller,12", "Müller,12", True),
        ("Moller,12", "Müller,12", True),
        ("Dialer", "Müller,12", False),
        ("blank behind", "blank behind ", True),
    ],
)
def test_which_texts_agree(as_row: str, as_line: str, same: bool) -> None:
    whole = replace(line(0), lastdata=as_line)
    assert bool(likeness(flatten(replace(whole, lastdata=as_row)), flatten(whole))) is same


def test_a_column_that_the_table_lacks_says_nothing() -> None:
    whole = line(0)
    without = replace(whole, accountcode="", dcontext="")
    assert not likeness(flatten(without), flatten(whole))
    assert likeness(flatten(replace(without, extra={LACKS: "accountcode dcontext"})), flatten(whole))


def test_a_time_that_clocks_showed_twice_is_one_time() -> None:
    summer, winter = timezone(timedelta(hours=2)), timezone(timedelta(hours=1))
    whole = replace(line(0), start=START.astimezone(summer))
    row_ = replace(whole, start=START.astimezone(summer).replace(tzinfo=winter), uniqueid="")
    assert likeness(flatten(row_), flatten(whole))
    assert not likeness(flatten(replace(row_, start=row_.start + timedelta(seconds=1))), flatten(whole))


def test_the_one_that_agrees_best_is_taken(outbox: Outbox) -> None:
    told(outbox, replace(line(3), lastdata=LONG), replace(line(3, 2), lastdata=LONG[:80]), how=Form.WHOLE)
    told(outbox, row(3, 1), how=Form.ROW)
    (found,) = outbox.select("SELECT call FROM aliases")
    assert found["call"] == 2


def test_an_older_outbox_gets_the_table(tmp_path: Path) -> None:
    from sqlite_utils import Database

    from humbug_agent.outbox.migrations import migrations

    path = tmp_path / "old.db"
    with closing(Database(path).conn) as conn:
        migrations.apply(Database(conn), stop_before="m008_aliases")
    with Outbox(path) as outbox:
        outbox.accept("csv", batch(1, 2), TO)
        assert told(outbox, call(1), how=Form.ROW) == 0
