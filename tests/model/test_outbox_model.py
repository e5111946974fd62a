"""The outbox beside a plain model of it: whatever is done to the one and to the other, both hold the same.

In any order: batches, deliveries with every outcome, replays, purges, retention, set clocks, restarts, kills.
"""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from humbug_agent.cdr import CDR, Batch, digest
from humbug_agent.outbox import dropping, queries, schema
from humbug_agent.outbox.dropping import Piecemeal
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.queries import STATES, Filter
from humbug_agent.outbox.waits import cut_waits, move_waits
from tests.kit.calls import call, reject
from tests.kit.plain_outbox import PlainOutbox

pytestmark = pytest.mark.slow

BEGAN = 1_800_000_000.0
DESTINATIONS = ("one", "two")
SOURCES = ("csv", "ami", "esl")
TO = st.sampled_from(DESTINATIONS)
FROM = st.sampled_from(SOURCES)
SEVERAL = st.lists(TO, min_size=1, max_size=2, unique=True)
CALLS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 1)), max_size=8)
"""Number and occurrence: two of a number are equal but for their identities, one that comes again is the same."""

REJECTS = st.lists(st.integers(0, 6), max_size=3)
CURSOR = st.none() | st.integers(0, 9).map(str)
OUTCOMES = st.lists(st.sampled_from(("sent", "later", "soon", "blameless", "dead")), min_size=1, max_size=4)
PICKS = st.lists(st.integers(0, 30), max_size=6)
"""Each means one of those that there are."""

FEW = st.lists(st.integers(0, 30), min_size=1, max_size=3)
MEANWHILE = st.sampled_from(("nothing", "nothing", "sent", "dead", "replayed", "purged", "delivered ones forgotten"))


def made(number: int, occurrence: int) -> CDR:
    return call(number, identity=digest("call", str(number), str(occurrence)))


class Beside(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = BEGAN
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(time, "time", lambda: self.now)
        # So that there is more than one piece of everything.
        for size in ("FIRST", "FEWEST", "MOST"):
            self.patch.setattr(dropping, size, 2)
        self.folder = TemporaryDirectory()
        self.places = count()
        self.model = PlainOutbox()
        self.ever: set[bytes] = set()

    @initialize()
    def begin(self) -> None:
        self.open(self.place() / "outbox.db")
        self.put("csv", [(number, 0) for number in range(6)], [], "0", ["one", "two"])

    def picked(self, picks: list[int]) -> list[int]:
        """Ids of calls, and one that there is not."""
        ids = [*self.model.calls, self.model.highest + 1]
        return [ids[pick % len(ids)] for pick in picks]

    def place(self) -> Path:
        path = Path(self.folder.name) / str(next(self.places))
        path.mkdir()
        return path

    def open(self, path: Path) -> None:
        """Two connections, as the daemon's and that of a command beside it."""
        self.path = path
        self.outbox, self.other = Outbox(path), Outbox(path)
        for each in (self.outbox, self.other):
            # What a power cut leaves is not what this is about.
            each.db.conn.execute("PRAGMA synchronous = OFF")

    def close(self) -> None:
        self.outbox.close()
        self.other.close()

    def teardown(self) -> None:
        with suppress(AttributeError):
            assert self.outbox.select("PRAGMA integrity_check")[0][0] == "ok"
            self.close()
        self.patch.undo()
        self.folder.cleanup()

    # What sources and the pump do.

    @rule(source=FROM, calls=CALLS, rejects=REJECTS, cursor=CURSOR, to=SEVERAL)
    def accept(
        self, source: str, calls: list[tuple[int, int]], rejects: list[int], cursor: str | None, to: list[str]
    ) -> None:
        self.put(source, calls, rejects, cursor, to)

    def put(
        self, source: str, calls: list[tuple[int, int]], rejects: list[int], cursor: str | None, to: list[str]
    ) -> None:
        records = [made(*one) for one in calls]
        kept = [reject(b"%d" % number) for number in rejects]
        identities, keys = [record.identity for record in records], [one.key for one in kept]
        assert self.outbox.known(identities) == set(identities) & self.ever
        new = self.model.accept(source, identities, keys, cursor, self.now)
        assert self.outbox.accept(source, Batch(records, kept, cursor), to) == len(new)
        for one in new:
            (row,) = self.outbox.select("SELECT id FROM calls WHERE identity = ?", one.identity)
            self.model.add(row["id"], one, to)
        self.ever |= {*identities, *keys}

    @rule(source=FROM, calls=CALLS, to=SEVERAL)
    def accept_what_can_not_be_stored(self, source: str, calls: list[tuple[int, int]], to: list[str]) -> None:
        bad = call(99, disposition=None)
        with pytest.raises(AttributeError):
            self.outbox.accept(source, Batch([*(made(*one) for one in calls), bad], [], "never"), to)

    @precondition(lambda self: self.model.cursors)
    @rule(source=FROM)
    def begin_anew(self, source: str) -> None:
        if source in self.model.cursors:
            self.outbox.forget_cursor(source)
            self.model.cursors[source].cursor = ""

    # What deliveries do.

    @rule(to=TO, limit=st.integers(1, 8), without=PICKS, outcomes=OUTCOMES, meanwhile=MEANWHILE)
    def deliver(self, to: str, limit: int, without: list[int], outcomes: list[str], meanwhile: str) -> None:
        without = self.picked(without)
        found = self.outbox.take(to, limit, self.now, without)
        assert [one.id for one in found] == self.model.due(to, limit, self.now, without)
        assert [one.attempts for one in found] == [self.model.to(to)[one.id].attempts for one in found]
        newest = [number for number, one in self.model.waiting(to).items() if not one.due and number not in without]
        assert [one.id for one in self.outbox.take_newest(to, set(without))] == newest[-1:]
        if taken := [one.id for one in found]:
            self.do(meanwhile, to, taken[:2])
            self.mark(self.outbox, to, [self.marked(*one) for one in zip(taken, outcomes, strict=False)])

    def do(self, meanwhile: str, to: str, taken: list[int]) -> None:
        """Somebody else does it to what was just taken."""
        if meanwhile in ("sent", "dead"):
            self.mark(self.other, to, [self.marked(number, meanwhile) for number in taken])
        elif meanwhile == "replayed":
            self.replay_these(Filter(destination=to), self.model.chosen(STATES, [to], []))
        elif meanwhile == "purged":
            self.purge_these(Filter(destination=to, ids=taken), self.model.chosen(STATES, [to], taken))
        elif meanwhile == "delivered ones forgotten":
            self.forget(self.now)

    def mark(self, outbox: Outbox, to: str, marks: list[Mark]) -> None:
        self.model.mark(to, marks)
        assert outbox.mark(to, marks)

    def marked(self, number: int, outcome: str) -> Mark:
        states = {"sent": "sent", "dead": "dead"}
        due = {"later": self.now + 300.0, "soon": self.now + 1.0, "blameless": None}.get(outcome, 0.0)
        error = "" if outcome == "sent" else f"{outcome} at {self.now}"
        return Mark(number, states.get(outcome, "waiting"), self.now, due, 200, "said", error)

    @rule(to=TO, picks=PICKS)
    def doubt_answers(self, to: str, picks: list[int]) -> None:
        self.outbox.doubt_answers(to, self.picked(picks), self.now)
        self.model.doubt(to, self.picked(picks), self.now)

    @rule(to=TO, picks=PICKS, seconds=st.integers(1, 600))
    def put_off(self, to: str, picks: list[int], seconds: int) -> None:
        due = dict.fromkeys(self.picked(picks), self.now + seconds)
        self.outbox.put_off(to, due)
        self.model.put_off(to, due)

    @rule(to=TO, picks=PICKS)
    def ask_what_waits(self, to: str, picks: list[int]) -> None:
        ids = self.picked(picks)
        assert self.outbox.still_waiting(to, ids) == set(ids) & self.model.waiting(to).keys()

    # What the command line and house-keeping do, over another connection.

    @rule(states=st.sampled_from((None, *STATES)), to=st.none() | TO, picks=PICKS)
    def replay(self, states: str | None, to: str | None, picks: list[int]) -> None:
        self.replay_these(*self.chosen(states, to, picks))

    def replay_these(self, wanted: Filter, chosen: list[tuple[int, str]]) -> None:
        assert queries.replay(self.other, wanted) == len(chosen)
        self.model.replay(chosen)

    @rule(
        states=st.sampled_from((None, *STATES)),
        to=st.none() | TO,
        picks=st.lists(st.integers(0, 30), min_size=1, max_size=3),
    )
    def purge(self, states: str | None, to: str | None, picks: list[int]) -> None:
        self.purge_these(*self.chosen(states, to, picks))

    def purge_these(self, wanted: Filter, chosen: list[tuple[int, str]]) -> None:
        assert queries.purge(self.other, wanted) == len(chosen)
        self.model.purge(chosen)

    def chosen(self, state: str | None, to: str | None, picks: list[int]) -> tuple[Filter, list[tuple[int, str]]]:
        ids = self.picked(picks)
        wanted = Filter(state=state, destination=to, ids=ids)
        chosen = self.model.chosen([state] if state else STATES, [to] if to else DESTINATIONS, ids)
        assert queries.count(self.other, wanted) == len(chosen)
        return wanted, chosen

    @rule(seconds=st.integers(0, 1000))
    def forget_delivered(self, seconds: int) -> None:
        self.forget(self.now - seconds)

    def forget(self, before: float) -> None:
        assert dropping.forget_delivered(Piecemeal(self.other), before) == self.model.forget_delivered(before)
        dropping.shrink(Piecemeal(self.other))

    @rule(picks=PICKS)
    def drop_rejects(self, picks: list[int]) -> None:
        keys = {row["id"]: row["key"] for row in self.other.select("SELECT id, key FROM rejects")}
        gone = keys.keys() & set(picks)
        assert queries.drop_rejects(self.other, sorted(gone)) == len(gone)
        self.model.drop_rejects(keys[one] for one in gone)

    @rule()
    def wait_no_longer(self) -> None:
        queries.wait_no_longer(self.other, self.now)
        self.model.wait_no_longer(self.now)

    # What time and fate do.

    @rule(seconds=st.sampled_from((1, 60, 400, 4000)))
    def time_passes(self, seconds: int) -> None:
        self.now += seconds

    @rule(hours=st.integers(1, 3))
    def clock_is_set_ahead(self, hours: int) -> None:
        self.now += hours * 3600.0
        for name in DESTINATIONS:
            move_waits(self.outbox, name, hours * 3600.0)
            self.model.move(name, hours * 3600.0)

    @rule()
    def reopen(self) -> None:
        self.close()
        self.open(self.path)
        for name in DESTINATIONS:
            # As a delivery does that begins: nothing here was put off by a wrong clock.
            cut_waits(self.outbox, name, self.now)

    @rule()
    def kill(self) -> None:
        """In the midst of a transaction: what is on disk at that moment is what the next start finds."""
        there = self.place()
        with suppress(InterruptedError), self.outbox.transaction() as conn:
            conn.execute("PRAGMA cache_size = 1")
            for table in ("deliveries", "calls", "cursors", "rejects", "failures"):
                conn.execute(f"DELETE FROM {table}")
            for suffix in ("", "-wal"):
                shutil.copy(f"{self.path}{suffix}", there)
            raise InterruptedError
        self.close()
        self.open(there / "outbox.db")

    @rule()
    def salvage(self) -> None:
        self.close()
        schema.move_aside(self.path, lambda source, cursor: cursor, DESTINATIONS)
        self.model.salvage()
        self.open(self.path)

    # What must be so.

    @invariant()
    def calls_are_the_same(self) -> None:
        if not hasattr(self, "outbox"):
            return
        found = self.rows("SELECT id, identity, source, also, accepted FROM calls")
        assert found == [
            (number, one.identity, one.source, one.also, one.accepted) for number, one in self.model.calls.items()
        ]
        forgotten = {identity for (identity,) in self.rows("SELECT identity FROM forgotten")}
        assert forgotten == self.model.forgotten
        kept = {one.identity for one in self.model.calls.values()} | self.model.rejects.keys()
        assert kept | forgotten == self.ever
        assert not kept & forgotten

    @invariant()
    def deliveries_are_the_same(self) -> None:
        if not hasattr(self, "outbox"):
            return
        found = self.rows(
            "SELECT call, destination, state, attempts, due, tried, status, reply, error, "
            "(SELECT count(*) FROM failures AS f WHERE f.call = d.call AND f.destination = d.destination), "
            "(SELECT count(*) FROM replays AS r WHERE r.call = d.call AND r.destination = d.destination) "
            "FROM deliveries AS d ORDER BY call, destination"
        )
        assert found == [
            (
                *(number, name, d.state, d.attempts, d.due, d.tried, d.status, d.reply, d.error),
                *(len(d.failures), len(d.replays)),
            )
            for number, one in self.model.calls.items()
            for name, d in sorted(one.to.items())
        ]
        assert all(one.to for one in self.model.calls.values()), "a call without a delivery"
        for table in ("failures", "replays"):
            assert not self.rows(
                f"SELECT 1 FROM {table} WHERE (call, destination) NOT IN (SELECT call, destination FROM deliveries)"
            )

    @invariant()
    def rejects_and_cursors_are_the_same(self) -> None:
        if not hasattr(self, "outbox"):
            return
        assert sorted(self.rows("SELECT key, source FROM rejects")) == sorted(self.model.rejects.items())
        read = {name: (one.cursor, one.at, one.calls, one.rejects) for name, one in self.model.cursors.items()}
        assert {
            name: (one.cursor, one.at, one.calls, one.rejects) for name, one in queries.read_so_far(self.outbox).items()
        } == read
        for name, (cursor, *_) in read.items():
            assert self.outbox.cursor(name) == cursor
            assert self.outbox.unkept(name) == 0

    @invariant()
    def totals_are_the_same(self) -> None:
        if not hasattr(self, "outbox"):
            return
        totals = queries.totals(self.other)
        assert totals.calls == len(self.model.calls)
        assert totals.rejects == Counter(self.model.rejects.values())
        for name in DESTINATIONS:
            to = self.model.to(name)
            assert totals.deliveries.get(name, dict.fromkeys(STATES, 0)) == {
                state: sum(one.state == state for one in to.values()) for state in STATES
            }
            waiting = self.model.waiting(name)
            first = self.model.calls[min(waiting)].accepted if waiting else None
            assert totals.oldest.get(name) == first
            sent = {minute: number for (to_, minute), number in self.model.sent_minutes.items() if to_ == name}
            newest = max(sent, default=0)
            assert self.outbox.sent_minutes(name)[0] == {
                minute: number for minute, number in sent.items() if minute > newest - 60
            }

    def rows(self, sql: str) -> Sequence[tuple[object, ...]]:
        return [tuple(row) for row in self.other.select(sql)]


TestBeside = Beside.TestCase
TestBeside.settings = settings(max_examples=80, stateful_step_count=30)
