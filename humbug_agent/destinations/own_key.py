"""The key of this host for destinations that hide something and have no mask_key: a file beside the outbox.

Several PBXs of one owner want the same pseudonyms, and a mask_key; who has one PBX need not know of any key.
"""

import contextlib
import os
from pathlib import Path

NAME = "mask-key"


def make(path: Path) -> None:
    """Make it, where there is none, readable for its owner alone. Raises OSError."""
    if path.exists():
        return
    # Whole, or not there at all: of a part of it the same call would get one id now and another one later.
    new = path.with_name(f".{path.name}")
    with open(new, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(f"{os.urandom(32).hex()}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        new.unlink()


def read(path: Path) -> str:
    """Before the daemon's first start any: what is shown then is like what will be sent. Raises OSError."""
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        return os.urandom(32).hex()
