"""A collector's store of before what is dropped was written down: brought up to date, whenever that is killed."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.call_store.contract import Wanted
from humbug_agent.call_store.pages import Views
from humbug_agent.receiver.store import opened, postgresql, sqlite
from humbug_agent.receiver.store.api_store import StoredCalls
from tests.kit import many_collected
from tests.kit.postgresql_server import DATABASE, PASSWORD, USER, PostgresqlServer

OPENS = (
    "import sys; from humbug_agent.receiver.store import opened; print('go', flush=True); opened(sys.argv[1]).close()"
)
CALLS, GONE = 20_000, 100


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with PostgresqlServer() as started:
        yield started


def as_of_before(where: str, kind: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with so many calls, of which the first ones are dropped."""
    with monkeypatch.context() as patch:
        patch.setattr(sqlite, "MIGRATIONS", sqlite.MIGRATIONS[:3])
        patch.setattr(postgresql, "MIGRATIONS", postgresql.MIGRATIONS[:2])
        with closing(opened(where)) as store:
            many_collected.fill(store, kind, number)
            schema = "humbug_receiver." if kind == "postgresql" else ""
            store.run(f"DELETE FROM {schema}calls WHERE id <= {GONE}")


@pytest.fixture(params=many_collected.SHOWN)
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    if request.param == "sqlite":
        return str(tmp_path / "calls.db"), "sqlite"
    server: PostgresqlServer = request.getfixturevalue("server")
    server.ask("DROP SCHEMA IF EXISTS humbug_receiver CASCADE")
    return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{server.port}/{DATABASE}", "postgresql"


def test_what_was_dropped_and_the_counts_are_known_whenever_the_first_start_is_killed(
    where: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_of_before(*where, CALLS, monkeypatch)
    for number in range(7):
        with subprocess.Popen([sys.executable, "-c", OPENS, where[0]], stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"go\n"
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.003 * 2**number)
            process.kill()
    with closing(opened(where[0])) as store:
        asked = StoredCalls(store, ZoneInfo("UTC"), Views())
        gone = asked.dropped()
        assert gone
        kept = asked.page("x", Wanted(), 1, 1, 1)
        assert (gone.last, kept.calls[0][0], kept.count) == (GONE, GONE + 1, CALLS - GONE)
        assert gone.start == gone.end == kept.calls[0][1].end
        assert asked.page("x", Wanted(tenants=("t1", "t2")), 1, 1, 1).count == (CALLS - GONE) // 5


def test_a_store_that_has_dropped_nothing_says_nothing(where: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.GONE", 0)
    as_of_before(*where, 100, monkeypatch)
    with closing(opened(where[0])) as store:
        assert StoredCalls(store, ZoneInfo("UTC"), Views()).dropped() is None


def test_a_store_of_which_all_was_dropped(where: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    as_of_before(*where, GONE, monkeypatch)
    with closing(opened(where[0])) as store:
        gone = StoredCalls(store, ZoneInfo("UTC"), Views()).dropped()
    assert gone
    assert (gone.last, abs(gone.start - time.time()) < 600) == (GONE, True)


@pytest.mark.slow
def test_a_million_calls_are_brought_up_to_date_in_seconds(
    where: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_of_before(*where, 1_000_000, monkeypatch)
    began = time.monotonic()
    opened(where[0]).close()
    took = time.monotonic() - began
    print(f"{where[1]}: {took:.1f} s")
    assert took < 20
