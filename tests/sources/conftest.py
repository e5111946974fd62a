import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from humbug_agent.sources.boxis import source as boxis
from humbug_agent.sources.fusionpbx import source as fusionpbx
from humbug_agent.sources.while1 import source as while1

_PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Master.csv"


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The APIs of hosted PBXs are asked as fast as they answer."""
    for api in (boxis, fusionpbx, while1):
        monkeypatch.setattr(api, "PAUSE", 0.0)


@pytest.fixture
def compress() -> Callable[[Path, str], None]:
    def pack(path: Path, how: str) -> None:
        """As logrotate does: the packed file beside the plain one, then the plain one goes."""
        path.with_name(f"{path.name}.{how}").write_bytes(_PACK[how](path.read_bytes()))
        path.unlink()

    return pack
