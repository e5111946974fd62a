import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

_PACK: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.fixture
def compress() -> Callable[[Path, str], None]:
    def pack(path: Path, how: str) -> None:
        """As logrotate does: the packed file beside the plain one, then the plain one goes."""
        path.with_name(f"{path.name}.{how}").write_bytes(_PACK[how](path.read_bytes()))
        path.unlink()

    return pack
