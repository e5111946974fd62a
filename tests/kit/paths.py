"""Where the tests find what lies beside them."""

from pathlib import Path

KIT = Path(__file__).parent
"""What tests share, some of it as programs of their own."""

TESTS = KIT.parent
DATA = TESTS / "data"
"""Recordings of real PBXs."""

TOP = TESTS.parent
"""The project's own folder: README.md, agent.ini.example, systemd/."""
