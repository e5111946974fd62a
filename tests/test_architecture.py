"""The plan of the house, kept: who may import whom, how long a file gets, what the documents must name."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import click
import click.testing
import pytest

import humbug_agent
from humbug_agent.cli import main
from humbug_agent.config import DESTINATION_TYPES, SOURCE_TYPES
from humbug_agent.destinations import DESTINATIONS
from humbug_agent.sources import SOURCES

PACKAGE = Path(humbug_agent.__file__).parent
TOP = Path(__file__).parent.parent
FILES = sorted(PACKAGE.rglob("*.py"))

# Room -> the rooms it may import, besides itself. A room is a module of the package, or a folder in it.
MAY_IMPORT = {
    "cdr": set(),
    "text": set(),
    "scrub": set(),
    "words": set(),
    "ini": set(),
    "systemd": set(),
    "politeness": set(),
    "pace": set(),
    "sayings": set(),
    "numbers": {"cdr"},
    "config_status": {"ini"},
    "config_contract": set(),
    "config_apis": {"config_contract", "ini"},
    "config_template": set(),
    "config_sources": {"config_apis", "config_contract", "config_template", "ini", "text"},
    "config": {"cdr", "ini", "config_contract", "config_sources", "config_status"},
    "salvage": {"cdr", "rows"},
    "migrations": set(),
    "minutes": {"migrations"},
    "schema": {"cdr", "migrations", "salvage"},
    "rows": {"cdr"},
    "outbox": {"cdr", "minutes", "rows", "schema"},
    "clock": {"outbox"},
    "dropping": {"outbox"},
    "history": {"cdr", "dropping", "outbox", "rows", "schema"},
    "keeping": set(),
    "names": set(),
    "http_scheme": {"names"},
    "http_words": set(),
    "http_wire": {"names"},
    "http_client": {"http_scheme", "http_wire", "http_words"},
    "ami": {"config", "keeping", "pace", "scrub", "text"},
    "esl": {"config_sources", "keeping", "pace", "scrub", "text"},
    "board": {"ami", "esl", "systemd", "text"},
    "countries": set(),
    "tally": {"migrations"},
    "sources": {
        "cdr",
        "config",
        "config_apis",
        "config_sources",
        "config_template",
        "http_client",
        "ini",
        "numbers",
        "pace",
        "ami",
        "esl",
        "scrub",
        "text",
        "web",
    },
    "destinations": {"cdr", "config", "http_client", "numbers", "scrub"},
    "receiver": {"cdr", "ini", "web"},
    # Delivery knows what a destination is, and none in particular.
    "delivery": {"cdr", "clock", "crew", "outbox", "sayings", "schema", "pace", "tally", "destinations"},
    "crew": {"outbox", "destinations"},
    # The board and the outbox are shown, and only read.
    "web": {"board", "config", "config_status", "ini", "countries", "daemon_user", "schema", "show", "tally"},
    "life": set(),
    "lock": {"schema"},
    "taken": {"config", "ini", "outbox", "systemd"},
    "gaps": {"config", "outbox"},
    "spill": {"cdr", "outbox", "rows", "schema"},
    "supervisor": {"cdr", "outbox", "pace", "sayings", "schema", "sources", "spill"},
    "kept": {"board", "config", "serving", "sources", "supervisor", "web"},
    "serving": {
        "board",
        "config",
        "config_status",
        "ini",
        "kept",
        "outbox",
        "sayings",
        "schema",
        "sources",
        "standing",
        "tally",
        "web",
    },
    "upkeep": {"config", "dropping", "outbox", "history", "politeness", "sayings", "schema", "sources", "spill"},
    "agent": {
        "config",
        "outbox",
        "pace",
        "gaps",
        "upkeep",
        "kept",
        "life",
        "lock",
        "sayings",
        "schema",
        "delivery",
        "serving",
        "supervisor",
        "sources",
        "destinations",
        "systemd",
        "taken",
    },
    "troubles": set(),
    "daemon_user": set(),
}
FOR_ALL = {"words"}
"""What every sentence is made with, wherever it is said."""

ABOVE = {
    "cli",
    "once",
    "cli_common",
    "cli_filters",
    "cli_outbox",
    "cli_receiver",
    "demo",
    "show",
    "standing",
    "overview",
    "nagios",
    "checking",
    "reloading",
}


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("humbug_agent"):
            # "from humbug_agent import schema" names the room in the names.
            names = [node.module] if "." in node.module else [f"humbug_agent.{alias.name}" for alias in node.names]
            found.update(names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name.startswith("humbug_agent."))
    return {name for name in found if name != "humbug_agent.__version__"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_rooms_import_only_what_the_plan_allows(path: Path) -> None:
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if here in ABOVE or here == "__init__":
        return
    there = {room(name) for name in imports(path)} - {here, *FOR_ALL}
    assert there <= MAY_IMPORT[here], f"{here} may not import {there - MAY_IMPORT[here]}"


def test_no_source_knows_another_nor_any_destination_another() -> None:
    for folder, types in (("sources", SOURCES), ("destinations", DESTINATIONS)):
        modules = {f"humbug_agent.{folder}.{where.partition(':')[0]}" for where in types.values()}
        for path in (PACKAGE / folder).rglob("*.py"):
            if path.name != "__init__.py":
                mine = ".".join(["humbug_agent", *path.relative_to(PACKAGE).with_suffix("").parts])
                assert not (imports(path) & modules) - {mine}


@pytest.mark.parametrize("name", ["delivery.py", "crew.py"])
def test_delivery_knows_no_destination_in_particular(name: str) -> None:
    assert {name for name in imports(PACKAGE / name) if room(name) == "destinations"} == {
        "humbug_agent.destinations.contract"
    }


def test_every_type_that_agent_ini_knows_can_be_made() -> None:
    assert SOURCE_TYPES.keys() == SOURCES.keys()
    assert DESTINATION_TYPES.keys() == DESTINATIONS.keys()


def test_status_loads_no_more_than_it_needs() -> None:
    """Monitoring asks for it once a minute, and most of what it costs is loading."""
    script = "import sys, humbug_agent.overview; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {"requests", "asyncio", "watchdog", "uvicorn", "starlette", "panoramisk"} & set(loaded) == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    """One subject may take 450 lines."""
    assert len(path.read_text().splitlines()) <= 450


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_is_never_counted_as_many(path: Path) -> None:
    """What is counted is named by `words.count`, in sentences and in the log."""
    text = path.read_text()
    many = re.findall(r"(?:%d|:,\}) [a-z]+s\b", text) + re.findall(r"\{len\([^}]*\} [a-z]+s\b", text)
    assert not many or path.name == "words.py"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_the_system_says_is_never_in_pythons_form(path: Path) -> None:
    """As text an OSError is ``[Errno 13] Permission denied: PosixPath('...')``: `words.said` says it in words."""
    wrong = []
    for handler in ast.walk(ast.parse(path.read_text())):
        if isinstance(handler, ast.ExceptHandler) and handler.type and "OSError" in ast.unparse(handler.type):
            for node in ast.walk(handler):
                in_text = isinstance(node, ast.FormattedValue) and ast.unparse(node.value) == handler.name
                if in_text or (isinstance(node, ast.Call) and ast.unparse(node) == f"str({handler.name})"):
                    wrong.append(f"line {node.lineno}")
    assert not wrong


def commands(group: click.Group, prefix: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, f"{prefix}{name} ") if isinstance(command, click.Group) else [f"{prefix}{name}"]
    return found


def test_the_readme_names_every_command() -> None:
    readme = (TOP / "README.md").read_text()
    missing = [name for name in commands(main) if f"`{name}" not in readme and f"humbug-agent {name}" not in readme]
    assert not missing


def test_every_command_has_help_in_words() -> None:
    for name in commands(main):
        found = click.testing.CliRunner().invoke(main, [*name.split(), "--help"])
        assert found.exit_code == 0
        assert len(found.output.splitlines()[2].strip()) > 20
