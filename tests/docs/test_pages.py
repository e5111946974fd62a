"""README.md and the pages of docs/: each link leads to what there is, and so do commands and settings."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from humbug_agent.cli.main import main
from tests.kit.paths import TOP
from tests.test_example import SECTIONS

PAGES = [TOP / "README.md", TOP / "CONTRIBUTING.md", *sorted((TOP / "docs").rglob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(TOP)) for page in PAGES])
SETTINGS = {key for section in SECTIONS for key in section.settings}


def prose(page: Path) -> str:
    """Without blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> frozenset[str]:
    """As forges make them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


@every_page
def test_each_link_leads_somewhere(page: Path) -> None:
    for where, _, part in re.findall(r"\]\(([^)#]*)(#([^)]*))?\)", prose(page)):
        if not where.startswith("https://"):
            there = (page.parent / where).resolve() if where else page
            assert there.exists(), where
            assert not part or part in anchors(there), f"{where}#{part}"


@every_page
def test_each_row_of_a_table_has_as_many_cells(page: Path) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", prose(page), re.MULTILINE):
        assert len({row.replace("\\|", "").count("|") for row in table.splitlines()}) == 1, table


def lines(page: Path) -> Iterator[str]:
    """Each command line of `humbug-agent` that stands in a page, with what it is given."""
    for found in re.findall(r"`([^`\n]*)`", prose(page).replace("``", "")):
        if re.match(r"(?:[A-Z_]+=\S+ )*humbug-agent [a-z][a-z-]*(?: |$)", found):
            yield found
    for block in re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        begin = r"^(?:[A-Z_]+=\S+ |[#$] |.*/bin/|.*exec humbug-agent (?=humbug-agent )|.*exec )*"
        yield from re.findall(rf"{begin}(humbug-agent (?:--config|[a-z]).*)$", block.replace("\\\n", ""), re.MULTILINE)


@every_page
def test_each_command_is_one(page: Path) -> None:
    for line in lines(page):
        words = line[line.index("humbug-agent") :].split()[1:]
        command: click.Command = main
        options = {option for one in main.params for option in one.opts}
        while isinstance(command, click.Group) and words:
            if words[0] == "--config":
                words = words[2:]
            elif words[0] in command.commands:
                command = command.commands[words.pop(0)]
                options |= {option for one in command.params for option in one.opts}
            else:
                break
        runs = not isinstance(command, click.Group) or command.invoke_without_command
        assert runs or line.startswith("humbug-agent COMMAND"), line
        assert {word for word in words if word.startswith("--")} <= options | {"--help"}, line


@every_page
def test_each_setting_is_one(page: Path) -> None:
    """`[section] key`, `key = value` of a block that has a section of agent.ini, and of `code` that names one."""
    for title, key in re.findall(r"`\[(agent|numbers|status)\] (\w+)(?:`| =)", prose(page)):
        (section,) = [one for one in SECTIONS if one.title == title]
        assert key in section.settings, f"[{title}] {key}"
    known = re.compile(r"\[(agent|numbers|status|source .+|destination .+)\]")
    for block in blocks(page, "ini"):
        if known.match(block):
            assert set(re.findall(r"^(\w+) =", block, re.MULTILINE)) <= SETTINGS, block


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [TOP / "README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        linked = {(page.parent / where).resolve() for where in re.findall(r"\]\(([^)#:]+\.md)", prose(page))}
        ahead += linked & {*PAGES} - reached
    assert {*PAGES} <= reached


def test_the_readme_is_one_screen() -> None:
    assert len((TOP / "README.md").read_text().splitlines()) <= 66
