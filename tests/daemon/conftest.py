"""A host whose agent serves [status]."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.host import API_KEY, KEY, Host
from tests.kit.served import Page


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with closing(Store(tmp_path / "calls.db")) as store, Background(Receiver(store, API_KEY, KEY)) as receiver:
        yield Host(tmp_path, receiver, store)


@pytest.fixture
def page(host: Host) -> Page:
    return Page(host)
