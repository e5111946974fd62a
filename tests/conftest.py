"""What all tests share."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from host import API_KEY, KEY, Host
from hypothesis import settings

from humbug_agent.receiver import Background, Receiver, Store

# How long an example takes says more about the machine than about us.
settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with closing(Store(tmp_path / "calls.db")) as store, Background(Receiver(store, API_KEY, KEY)) as receiver:
        yield Host(tmp_path, receiver, store)
