"""docs/messages.md has every message of warning and above, and none that the program does not say."""

import ast
import re

import pytest

from tests.docs import sayings
from tests.kit.paths import TOP

PAGE = (TOP / "docs" / "messages.md").read_text()
ENTRIES = [
    entry
    for line in PAGE.splitlines()
    if line.startswith("| `")
    for entry in re.findall(r"`([^`]+)`", line.split(" | ")[0])
]

PASSED_ON = {
    "api/call_range.py:": "errors of the outbox",
    "api/cdr.py:": "errors of the outbox",
    "api/getcdr.py:": "errors of the outbox",
    "cli/main.py:_warn": "what `check` warns about in agent.ini, setting by setting",
    "daemon/agent.py:_prepared": "errors of the outbox",
    "daemon/agent.py:_watch_over": "errors of the outbox",
    "daemon/housekeeping.py:keep_house_always": "errors of the outbox",
    "daemon/status_serving.py:_look": "what a board says",
    "daemon/supervisor.py:_report": "errors of the outbox",
    "delivery/delivery.py:_end": "errors of the outbox",
    "delivery/delivery.py:_finish": "errors of the outbox",
    "delivery/delivery.py:_of_outbox": "errors of the outbox",
    "delivery/delivery.py:_write_late": "errors of the outbox",
    "daemon/supervisor.py:_say": "what a source says",
    "repeats.py:to": "what was said to Sayings",
    "sources/files/following.py:_say_notes": "what a shelf says of a rotated file",
    "status/coverage.py:look": "that a source is deaf",
}
"""Who logs a text that was made elsewhere, and what that is. The page has those texts, too."""


def pattern(entry: str) -> re.Pattern[str]:
    return re.compile(".*?".join(map(re.escape, entry.strip("…").split("…"))), re.DOTALL)


PATTERNS = {entry: pattern(entry) for entry in ENTRIES}
NEEDED = sorted(
    {one for one in (*sayings.logged(), *sayings.raised(), *sayings.made(), *sayings.monitored()) if one[1]}
)


@pytest.mark.parametrize(("where", "said"), NEEDED)
def test_the_page_has_it(where: str, said: str) -> None:
    assert any(one.search(said) for one in PATTERNS.values()), f"{where} says what docs/messages.md does not explain"


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_program_says_it(entry: str) -> None:
    assert len(re.findall(r"[^\W\d_]{2,}", entry)) >= 3, "too short to be known by"
    assert any(PATTERNS[entry].search(said) for said in sayings.everything())


def test_who_passes_on_what_was_said_elsewhere_is_known() -> None:
    assert {where for where, said in sayings.logged() if not said} == PASSED_ON.keys()


def test_it_collects_what_there_is() -> None:
    """By a few that are said in each of the ways."""
    found = {said for _, said in NEEDED}
    assert "…: no such directory; waiting for it. Is path right? humbug-agent check says more" in found
    assert "paused: …. All calls are kept, one is tried now and then" in found
    assert "outbox …: its disk is full; free some space there, nothing is lost meanwhile" in found
    assert "the agent is not running" in found
    tree = ast.parse('def f():\n    """No words that count."""\n    log.error("one two %s three", 1)')
    assert [*sayings.sentences(tree)] == ["one two … three"]
