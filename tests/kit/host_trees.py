"""The /etc trees of hosts of each kind, as they are when the PBX has just been installed."""

import shutil
from pathlib import Path

from tests.kit.paths import DATA

TREES = {path.name: path for path in sorted((DATA / "hosts").iterdir())}
"""Kind of host -> its root: Asterisk as Debian packages it, FreePBX, FusionPBX, FreeSWITCH; a host without a PBX."""


def planted(kind: str, folder: Path) -> Path:
    """A copy that may be changed."""
    root = folder / kind
    shutil.copytree(TREES[kind], root)
    return root
