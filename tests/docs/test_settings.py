"""docs/settings.md and humbug-agent.ini(5): made of the code, and each example in them is one that it takes."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from humbug_agent.api.settings import KEYS
from tests.kit.paths import TOP
from tests.test_example import SECTIONS

PAGE = (TOP / "docs" / "settings.md").read_text()
MAKE = "python packaging/settings.py > docs/settings.md"


def rows() -> Iterator[tuple[str, str, str]]:
    """Of each table of a section: section, setting, example."""
    for section in PAGE.split("\n## ")[1:-1]:
        for key, example in re.findall(r"^\| `(\w+)` \|.*\| `(.+)` \|$", section, re.MULTILINE):
            yield section.partition("\n")[0].strip("[]"), key, example


ROWS = list(rows())


def test_the_page_is_made_of_the_code() -> None:
    done = subprocess.run([sys.executable, TOP / "packaging/settings.py"], capture_output=True, text=True, check=True)
    assert done.stdout == PAGE, f"made anew by: {MAKE}"
    assert MAKE in PAGE


def test_every_setting_stands_there() -> None:
    assert sorted((kind, key) for kind, key, _ in ROWS) == sorted(
        (one.heading, key) for one in SECTIONS for key in one.settings.keys() - {"type"}
    )


@pytest.mark.parametrize(("kind", "key", "example"), ROWS, ids=[f"{kind}-{key}" for kind, key, _ in ROWS])
def test_each_example_is_taken_and_is_not_the_default(tmp_path: Path, kind: str, key: str, example: str) -> None:
    (section,) = [one for one in SECTIONS if one.heading == kind]
    assert example != section.settings[key]
    file = tmp_path / "file"
    secret = "whsec_eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"
    file.write_text(f"acme = {secret}\n" if key.startswith("api_keys_") else f"{secret}\n")
    # What needs a file here, or another setting beside it, has one.
    beside = {"listen": {"password": "x"}, "require_tls": {"certificate": str(file)}}
    beside["private_key"] = beside["require_tls"]
    beside["client_key"] = {"client_cert": str(file)}
    beside["mask_key"] = beside["mask_key_file"] = {"mask": "last 3"}
    for one, other in KEYS.values():
        beside |= {one: {other: "x"}, f"{one}_file": {other: "x"}, other: {one: "x"}, f"{other}_file": {one: "x"}}
    beside["register"] = {"call_range": "yes"}
    beside["api_keys_by"] = {"api_keys_file": str(file)}
    value = str(file) if example.startswith("/etc/humbug-agent/") else example
    given = {**section.needed(), **beside.get(key, {}), key: value}
    instead = {"api_keys_by": "api_key", "api_keys_file": "api_key", "ca_file": ""}
    given.pop(instead.get(key, key.removesuffix("_file") if key.endswith("_file") else ""), None)
    _, mistakes, asked = section.make(**given)
    assert mistakes == []
    assert key in asked


def test_the_man_page_has_them_all(tmp_path: Path) -> None:
    subprocess.run([sys.executable, TOP / "packaging/manpages.py", tmp_path], check=True)
    page = (tmp_path / "man5" / "humbug-agent.ini.5").read_text()
    sections = re.split(r"^\.SH ", page, flags=re.MULTILINE)
    named = [
        (section.partition("\n")[0].strip("[]"), key)
        for section in sections
        for key in re.findall(r"^\.TP\n\.B (\w+)$", section, re.MULTILINE)
    ]
    assert named == [(kind, key) for kind, key, _ in ROWS]
    assert not re.search(r"`|\]\(", page)
