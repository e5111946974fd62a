"""The page that says who may attack, and what is done, names tests that exist."""

import ast
import re
from pathlib import Path

from tests.kit.paths import TOP

TOP = TOP
PAGE = (TOP / "docs" / "threat-model.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_every_test_that_is_named_exists() -> None:
    missing = [f"{path}::{name}" for path, name in NAMED if name not in found_in(TOP / path)]
    assert not missing


def test_every_line_of_a_table_names_one() -> None:
    lines = [
        line for line in PAGE.splitlines() if line.startswith("| ") and not re.match(r"\| (?:---|\w+ may try)", line)
    ]
    assert len(lines) > 30
    assert not [line for line in lines if "::test_" not in line.rsplit("|", 2)[1]]


def test_the_readme_leads_there() -> None:
    assert "(docs/threat-model.md)" in (TOP / "README.md").read_text()


def found_in(path: Path) -> set[str]:
    if not path.exists():
        return set()
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
