"""A host that listens to an AMI, and the AMI."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from humbug_agent.receiver import Background, Receiver, Store
from tests.kit.ami_daemon import AmiHost
from tests.kit.ami_server import AmiServer
from tests.kit.host import API_KEY, KEY


@pytest.fixture
def pbx(tmp_path: Path, ami: AmiServer) -> Iterator[AmiHost]:
    with closing(Store(tmp_path / "calls.db")) as store, Background(Receiver(store, API_KEY, KEY)) as receiver:
        host = AmiHost(tmp_path, receiver, store)
        host.listen_to(ami.port)
        yield host
