"""A host that listens to an AMI, and the AMI."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ami_daemon import AmiHost
from ami_server import AmiServer
from host import API_KEY, KEY

from humbug_agent.receiver import Background, Receiver, Store


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    with AmiServer() as server:
        yield server


@pytest.fixture
def pbx(tmp_path: Path, ami: AmiServer) -> Iterator[AmiHost]:
    with closing(Store(tmp_path / "calls.db")) as store, Background(Receiver(store, API_KEY, KEY)) as receiver:
        host = AmiHost(tmp_path, receiver, store)
        host.listen_to(ami.port)
        yield host
