"""What a test can't do without and not every host has: it is skipped without it, and fails where it must be there."""

import os
from typing import TypeVar

import pytest

T = TypeVar("T")


def needed(found: T | None, what: str, required: str) -> T:
    """``found``, if it is there; ``required`` is the variable by which a skip is a failure."""
    if found is not None:
        return found
    assert not os.environ.get(required), f"{what} is not here, and {required} is set"
    pytest.skip(f"{what} is not here; tests/databases/prepare installs it")
