"""A real Asterisk of each version, for whichever test asks for one."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.pbx.pbx_host import VERSIONS, Pbx, roots, why_not


@pytest.fixture(params=VERSIONS)
def asterisk_root(request: pytest.FixtureRequest) -> Path:
    if reason := why_not():
        # Where they must be there, a skipped test would look like a good one.
        (pytest.fail if os.environ.get("HUMBUG_TEST_PBX_REQUIRED") else pytest.skip)(reason)
    return roots()[request.param]


@pytest.fixture
def pbx(asterisk_root: Path) -> Iterator[Callable[..., Pbx]]:
    """Makes started ones, with what `Pbx` takes, as many as the test wants."""
    with ExitStack() as running:
        yield lambda **options: running.enter_context(Pbx(asterisk_root, **options))
