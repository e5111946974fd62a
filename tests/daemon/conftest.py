"""A host whose agent serves [status]."""

import pytest

from tests.kit.host import Host
from tests.kit.served import Page


@pytest.fixture
def page(host: Host) -> Page:
    return Page(host)
