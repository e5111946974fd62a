"""How the stores find what APIs ask for: by which plans, and how soon at a million calls."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.call_store.contract import Store, Wanted
from humbug_agent.call_store.pages import BLOCK, Views
from humbug_agent.outbox import api_queries
from humbug_agent.outbox.api_store import OutboxStore
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.receiver.store import api_store, opened
from humbug_agent.receiver.store.api_store import StoredCalls, prepare
from tests.bench.lab import cpu_of
from tests.kit import many_calls, many_collected
from tests.kit.postgresql_server import DATABASE, PASSWORD, USER, PostgresqlServer
from tests.kit.stored_questions import AT_ONCE, COUNTED, SEEN, WALKED, on, scans, scans_postgresql

FEW = 5000
MANY = 1_000_000
PAGE_SECONDS = {"outbox": 0.005, "sqlite": 0.005, "postgresql": 0.01}
"""Of the processor. What a server tells goes through two programs, and on shared cores each takes twice its time."""


@dataclass
class Filled:
    """A store with calls, of which the ``first`` began then; ``plans`` has each statement that it runs explained.

    ``server`` is how long a server of its own has worked for us, in seconds of a processor.
    """

    kind: str
    store: Store
    first: float
    last: int
    plans: Callable[[Callable[[], object]], list[list[str]]]
    server: Callable[[], float]


def in_outbox(folder: Path, number: int, held: ExitStack) -> Filled:
    path = folder / "outbox.db"
    first = many_calls.fill(path, number)
    outbox = held.enter_context(Outbox(path))
    api_queries.prepare(outbox, api_queries.INDEXES)
    store = held.enter_context(closing(OutboxStore(path, Views())))

    def plans(ask: Callable[[], object]) -> list[list[str]]:
        said: list[str] = []
        conn = store._outbox.db.conn
        conn.set_trace_callback(said.append)
        ask()
        conn.set_trace_callback(None)
        selects = [one for one in said if one.startswith("SELECT")]
        return [[row["detail"] for row in outbox.select(f"EXPLAIN QUERY PLAN {one}")] for one in selects]

    return Filled("outbox", store, first, number, plans, lambda: 0.0)


def in_collector(where: str, kind: str, number: int, held: ExitStack) -> Filled:
    store = held.enter_context(closing(opened(where)))
    first = many_collected.fill(store, kind, number)
    prepare(store)
    stored = StoredCalls(store, ZoneInfo("UTC"), Views())

    def plans(ask: Callable[[], object]) -> list[list[str]]:
        said: list[tuple[str, tuple[Any, ...]]] = []
        real = store.ask

        def heard(sql: str, *values: object) -> list[dict[str, Any]]:
            said.append((sql, values))
            return real(sql, *values)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "ask", heard)
            ask()
        how = "EXPLAIN" if kind == "postgresql" else "EXPLAIN QUERY PLAN"
        explained = (real(f"{how} {sql}", *values) for sql, values in said)
        return [[str(row.get("detail", row.get("QUERY PLAN"))) for row in rows] for rows in explained]

    def server() -> float:
        return cpu_of(store.ask("SELECT pg_backend_pid() AS pid")[0]["pid"]) if kind == "postgresql" else 0.0

    return Filled(kind, stored, first, number, plans, server)


KINDS = ("outbox", "sqlite", "postgresql")
NUMBERED = {"outbox": "api_src", "sqlite": "calls_source", "postgresql": "calls_source"}
"""By which index the calls of a number are found."""


@pytest.fixture(scope="module")
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def filled(kind: str, folder: Path, number: int, held: ExitStack) -> Filled:
    if kind == "outbox":
        return in_outbox(folder, number, held)
    where = str(folder / "calls.db")
    if kind == "postgresql":
        server = held.enter_context(PostgresqlServer())
        where = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{server.port}/{DATABASE}"
        if number == FEW:
            # Of a table so small it reads all, whatever index there is.
            for way in ("seqscan", "mergejoin", "hashjoin"):
                server.ask(f'ALTER ROLE "{USER}" SET enable_{way} = off')
    found = in_collector(where, kind, number, held)
    if kind == "postgresql":
        # As the server itself does after a while.
        server.ask("VACUUM ANALYZE")
    return found


@pytest.fixture(scope="module", params=KINDS)
def few(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, held: ExitStack) -> Filled:
    return filled(request.param, tmp_path_factory.mktemp("few"), FEW, held)


@pytest.fixture
def as_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few calls are looked for in the way of many."""
    monkeypatch.setattr(api_queries, "FEW", BLOCK)
    monkeypatch.setattr(api_store, "FEW", BLOCK)


@pytest.mark.parametrize("question", [*AT_ONCE, *COUNTED])
def test_no_page_is_looked_for_among_all_calls(few: Filled, as_of_many: None, question: str) -> None:
    if few.kind != "outbox" and question == "linkedid":
        pytest.skip("a collector knows none")
    wanted = on(few.first - 9.5 * 86400, (AT_ONCE | COUNTED)[question])
    plans = few.plans(lambda: few.store.page("x", wanted, 1, 1, 100))
    assert plans
    assert [*_scans(few, plans)] == [], plans
    # Of a tenant there may be as many as of all together.
    index = NUMBERED[few.kind]
    assert "number" not in question or any(index in step for plan in plans for step in plan), plans


@pytest.mark.parametrize("question", [*AT_ONCE, *COUNTED, *SEEN])
def test_what_came_since_is_looked_for_by_the_ids(few: Filled, question: str) -> None:
    wanted = on(few.first - 9.5 * 86400, (AT_ONCE | COUNTED | SEEN)[question])
    plans = few.plans(lambda: few.store.page("x", wanted, few.last - 50, 1, 100))
    assert [*_scans(few, plans)] == [], plans


@pytest.mark.parametrize("question", WALKED)
def test_no_piece_of_a_walk_is_looked_for_among_all_calls(few: Filled, question: str) -> None:
    wanted = on(few.first - 9.5 * 86400, WALKED[question])
    last = few.store.after(wanted, None, 2)[-1]
    for before in (None, last):
        plans = few.plans(partial(few.store.after, wanted, before, 100))
        assert [*_scans(few, plans)] == [], plans
        assert "number" not in question or any(NUMBERED[few.kind] in step for plan in plans for step in plan), plans


def _scans(few: Filled, plans: list[list[str]]) -> Iterator[str]:
    for plan in plans:
        yield from scans_postgresql(plan) if few.kind == "postgresql" else scans(plan)


def seconds(job: Callable[[], object], many: Filled, times: int = 30) -> float:
    """Of the processor, ours and the server's, for each time: what else this machine has to do is not meant."""
    job()
    began = time.thread_time() + many.server()
    for _ in range(times):
        job()
    return (time.thread_time() + many.server() - began) / times


def page_seconds(many: Filled, wanted: Wanted, begin: int, number: int, *, times: int) -> float:
    """Of the first page where it is asked anew, each time by somebody else."""
    asking = map(str, count(begin * 10))

    def page() -> object:
        return many.store.page(next(asking) if number == 1 else "x", wanted, begin, number, 100)

    return seconds(page, many, times)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_at_a_million_calls(tmp_path: Path, kind: str) -> None:
    """It takes a few milliseconds, but for the first one of what must be counted, or seen."""
    took: dict[str, float] = {}
    with ExitStack() as held:
        many = filled(kind, tmp_path, MANY, held)
        store = many.store
        print(f"\n{kind}: first page, page 7, first page from the last 50 ids on; ms, and how many there are")
        for name, question in (AT_ONCE | COUNTED | SEEN).items():
            wanted = on(many.first, question)
            number = store.page("x", wanted, 1, 1, 100).count
            at_once = name in AT_ONCE or (name == "tenant" and kind != "outbox")
            each = [
                page_seconds(many, wanted, 1, 1, times=30 if at_once else 3),
                page_seconds(many, wanted, 1, 7, times=30),
                page_seconds(many, wanted, many.last - 50, 1, times=30),
            ]
            print(f"{name:20}", *(f"{one * 1000:9.2f}" for one in each), f"{number:>10,}")
            took[name] = max(each if at_once else each[1:])
        for name, question in WALKED.items():
            took[f"walk: {name}"] = seconds(partial(store.after, on(many.first, question), None, 100), many)
            print(f"walk: {name:20} {took[f'walk: {name}'] * 1000:9.2f}")
    assert {name: one for name, one in took.items() if one > PAGE_SECONDS[kind]} == {}
