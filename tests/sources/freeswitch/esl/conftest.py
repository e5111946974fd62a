"""An event socket, and a board that is fed by none."""

from collections.abc import Iterator

import pytest

from tests.kit.board_feed import Fed
from tests.kit.esl_server import EslServer


@pytest.fixture
def esl() -> Iterator[EslServer]:
    with EslServer() as server:
        yield server


@pytest.fixture
def fed() -> Fed:
    return Fed()
