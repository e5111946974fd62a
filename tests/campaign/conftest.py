"""The chance of a campaign."""

import os
import random

import pytest


@pytest.fixture
def seed() -> int:
    number = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nKILL_SEED={number}")
    return number
