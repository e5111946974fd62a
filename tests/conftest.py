"""What all tests share."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from hypothesis import settings

from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.ami_server import AmiServer
from tests.kit.host import API_KEY, KEY, Host
from tests.kit.paths import TESTS

# How long an example takes says more about the machine than about us.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


LEFT_OVER_SECONDS = 5.0

ROOMS = {"pbx": TESTS / "pbx", "browser": TESTS / "web" / "page"}
"""Marker -> the folder whose tests all have it."""


LONG = (
    "test_queue_figures_on_pbx.py",
    "test_burst_cost.py",
    "test_three_thousand_calls_at_once_lose_nothing_and_ami_is_never_cut[asterisk16]",
    "test_every_call_comes_once_and_at_its_right_hour[asterisk16-forward]",
    "test_every_call_comes_once_and_at_its_right_hour[asterisk22-back]",
    "test_kills_of_both_sides_lose_no_call_to[webhook",
    "test_from_agent_to_collector_to_agent_to_collector[cdr]",
    "test_from_agent_to_collector_to_agent_to_collector[getcdr]",
    "gets_each_call_once_while_others_come",
    "test_a_page_at_a_million_calls",
    "test_a_million_calls_are_brought_up_to_date_in_seconds",
    "asterisk16-listing-",
    "asterisk22-queueless-",
    "test_mysql_cost.py",
    "test_axe.py",
    "test_each_row_of_many_years_is_a_call_once_wherever_the_daemon_is_killed",
    "test_each_mistake_is_found_alone_and_among_all_others",
)
"""Parts of the names of tests that `sh tests/run long` has: they take minutes, and others beside them show the same."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(part in item.nodeid for part in LONG):
            item.add_marker("long")
        for marker, room in ROOMS.items():
            if item.path.is_relative_to(room):
                item.add_marker(marker)


@pytest.fixture(autouse=True)
def nothing_left_over() -> Iterator[None]:
    """A thread that a test leaves behind fails this test, and not another one that it disturbs."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + LEFT_OVER_SECONDS
    while left := [thread for thread in threading.enumerate() if thread not in before]:
        assert time.monotonic() < deadline, f"left behind: {', '.join(thread.name for thread in left)}"
        left[0].join(0.1)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with closing(Store(tmp_path / "calls.db")) as store, Background(Receiver(store, API_KEY, KEY)) as receiver:
        yield Host(tmp_path, receiver, store)


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    with AmiServer() as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a daemon keeps what it can't put into its outbox, as systemd would tell it."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("run")
        patch.setenv("RUNTIME_DIRECTORY", str(folder))
        yield folder


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> Callable[..., ssl.SSLContext]:
    def make(name: str = "127.0.0.1") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    return make


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"
