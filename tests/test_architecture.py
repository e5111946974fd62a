"""The plan of the house, kept: who may import whom, how long a file gets, what the documents must name."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import click.testing
import pytest

import humbug_agent
from humbug_agent.cli.main import main
from humbug_agent.destinations import DESTINATIONS
from humbug_agent.sources import SOURCES
from tests.kit.paths import TOP
from tests.kit.pbxs import PBXS

PACKAGE = Path(humbug_agent.__file__).parent
TOP = TOP
FILES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "words": set(),
    "text": set(),
    "scrub": set(),
    "backoff": set(),
    "repeats": set(),
    "ini": set(),
    "cdr": set(),
    "flat": {"cdr", "words"},
    "host": set(),
    "http_client": {"backoff", "host", "words"},
    "http_server": {"host", "ini", "words"},
    "libpq": {"ini"},
    "numbers": {"ini"},
    "call_store": {"flat"},
    "outbox": {"backoff", "cdr", "flat", "numbers", "call_store", "words"},
    "listening": {"backoff", "host", "ini", "scrub", "text"},
    "board": {"host", "ini", "listening", "text"},
    "pbx_host": set(),
    "routing": {"board", "cdr", "flat", "ini", "numbers"},
    "sources": {
        "backoff", "board", "cdr", "flat", "host", "http_client", "http_server", "ini", "listening", "pbx_host",
        "scrub", "text", "words",
    },
    "destinations": {"cdr", "flat", "host", "http_client", "ini", "libpq", "numbers", "routing", "scrub", "words"},
    # What a host needs: it knows both sides of the wire, and none of the types in particular.
    "setup": {"destinations", "ini", "pbx_host", "sources", "words"},
    "receiver": {"cdr", "flat", "http_server", "ini", "libpq", "repeats", "call_store", "words"},
    "delivery": {"backoff", "destinations", "outbox", "repeats", "words"},
    "api": {"cdr", "flat", "http_server", "ini", "call_store", "words"},
    "config": {"api", "board", "destinations", "http_server", "ini", "numbers", "outbox", "sources"},
    "status": {"config", "host", "ini", "outbox", "sources", "words"},
    "doctor": {
        "config", "destinations", "host", "ini", "outbox", "pbx_host", "routing", "setup", "sources", "status", "words",
    },
    # Asks the sources anew, beside the daemon.
    "reconcile": {"cdr", "config", "flat", "outbox", "sources", "words"},
    # The board and the outbox are shown, and only read.
    "web": {"board", "config", "delivery", "http_server", "ini", "numbers", "outbox", "status", "words"},
    "daemon": {
        "api", "backoff", "board", "cdr", "config", "delivery", "doctor", "flat", "host", "http_server", "ini",
        "outbox", "repeats", "sources", "status", "call_store", "text", "web", "words",
    },
    "cli": {
        "api", "backoff", "cdr", "config", "daemon", "destinations", "doctor", "flat", "host", "http_server", "ini",
        "numbers", "outbox", "pbx_host", "receiver", "reconcile", "scrub", "setup", "sources", "status", "call_store",
        "text", "web", "words",
    },
}  # fmt: skip
"""Room -> the rooms that it imports, besides itself; each stands above all that it imports, so there is no circle.

A room is a module of the package, or a folder in it.
"""


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
    return found


def test_rooms_import_what_the_plan_says_and_no_more() -> None:
    found: dict[str, set[str]] = {}
    for path in FILES:
        here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found.setdefault(here, set()).update({room(name) for name in imports(path)} - {here, "__version__"})
    said = {"__init__": set(), **MAY_IMPORT}
    assert not (new := found.keys() - said.keys()), f"{new}: give each new room a line in MAY_IMPORT, above"
    for room_, imported in found.items():
        more, less = imported - said[room_], said[room_] - imported
        assert not more, f"{room_} imports {more}: where that is meant, say so in MAY_IMPORT, above"
        assert not less, f"{room_} imports {less} no more: take that out of MAY_IMPORT, above"
    assert found.keys() == said.keys()


def test_each_type_of_source_has_a_pbx_in_the_contracts_tests() -> None:
    assert not (lacking := SOURCES.keys() - PBXS.keys()), (
        f"{lacking}: write a Pbx in tests/kit/pbxs.py, and name it in PBXS"
    )


def test_all_rooms_are_installed() -> None:
    """What has no __init__.py is no package to setuptools, and stays behind."""
    assert not (lacking := {path.parent for path in FILES if not path.with_name("__init__.py").exists()}), lacking


def test_each_room_stands_above_all_that_it_imports() -> None:
    seen: set[str] = set()
    for here, there in MAY_IMPORT.items():
        assert there <= seen, f"{here} imports what stands below it"
        seen.add(here)


def test_few_files_stand_beside_the_rooms() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 10


def homes() -> list[tuple[str, Path]]:
    """Each type, and the folder that is its home. A source and a destination may be of one name."""
    return [
        (type_, PACKAGE / room / where.partition(":")[0].replace(".", "/"))
        for room, types in (("sources", SOURCES), ("destinations", DESTINATIONS))
        for type_, where in types.items()
    ]


@pytest.mark.parametrize(("type_", "home"), homes())
def test_the_path_of_a_home_is_made_of_the_words_of_its_type(type_: str, home: Path) -> None:
    # Python wants something before a digit: the home of 3cx_csv would be _3cx/csv.
    assert type_ == "_".join(part.removeprefix("_") for part in home.relative_to(PACKAGE).parts[1:])
    assert (home / "settings.py").exists()


def test_nobody_imports_from_a_home_but_who_lives_there() -> None:
    """Types are asked by their contract; the registries alone know where each one lives."""
    for path in FILES:
        for name in imports(path):
            for _, home in homes():
                inside = ".".join(home.relative_to(PACKAGE.parent).parts)
                assert path.is_relative_to(home) or not f"{name}.".startswith(f"{inside}."), f"{path} imports {name}"


DATABASES = {"mysql", "postgresql"}
"""Types of sources and destinations that are databases: what one is asked is its home's own business."""


def test_sql_is_in_the_outbox_in_the_receivers_store_and_in_the_homes_of_databases() -> None:
    spoken = {
        PACKAGE / "outbox",
        PACKAGE / "receiver" / "store",
        *(home for type_, home in homes() if type_ in DATABASES),
    }
    for path in FILES:
        at_home = path.parent in spoken
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        asked = [
            call
            for call in calls
            if re.search(r"\.(execute|executemany|executescript|send_query|send_query_params)$", ast.unparse(call.func))
        ]
        assert at_home or not asked, f"{path}, line {asked[0].lineno}"


def test_click_is_in_the_command_line_alone() -> None:
    for path in FILES:
        assert path.parent.name == "cli" or not re.search(r"^\s*(?:import|from) click", path.read_text(), re.M), path


def test_delivery_knows_no_destination_in_particular() -> None:
    found = {name for path in (PACKAGE / "delivery").glob("*.py") for name in imports(path)}
    assert {name for name in found if room(name) == "destinations"} == {"humbug_agent.destinations.contract"}


def test_a_destination_loads_what_it_needs_where_something_is_sent_there() -> None:
    """Who has none of that type has not installed it; and who has is to have no more than the rest of it costs."""
    script = (
        "import sys; from datetime import UTC; from pathlib import Path; from humbug_agent import destinations as d\n"
        "from humbug_agent.ini import Section; from humbug_agent.numbers.settings import NumbersSettings as N\n"
        "given = {'webhook': {'url': 'http://localhost/'}, 'humbug': {'api_key': 'x'}}\n"
        "for kind in d.DESTINATIONS:\n"
        "    said = d.settings_of(kind).read('x', Section('x', given.get(kind, {}), []))\n"
        "    d.make_destination(said, UTC, N(None, 9, ''), Path('mask-key'))\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "humbug_agent.destinations.nats.destination" in loaded
    assert {"psycopg", "nats"} & set(loaded) == set()


def test_status_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    """Monitoring asks for it once a minute, and most of what it costs is loading."""
    ini = tmp_path / "agent.ini"
    # Where it is missing, more is looked at.
    shutil.copy(TOP / "tests/data/asterisk22/Master-full.csv", tmp_path / "Master.csv")
    ini.write_text(
        f"[agent]\noutbox = {tmp_path}/outbox.db\n[source pbx]\ntype = asterisk_csv\npath = {tmp_path}/Master.csv\n"
        "[destination there]\ntype = humbug\nurl = http://127.0.0.1:9/\napi_key = x\n"
    )
    script = (
        "import atexit, sys; from humbug_agent.cli.main import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        f"sys.argv = ['humbug-agent', '--config', {str(ini)!r}, 'status']; main()"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stderr
    loaded = set(ran.stderr.split())
    assert "humbug_agent.sources.asterisk.csv.source" in loaded
    needless = {
        "requests", "asyncio", "watchdog", "uvicorn", "starlette", "panoramisk", "sqlite_utils", "psycopg", "difflib",
        "humbug_agent.board.model", "humbug_agent.pbx_host.asterisk", "humbug_agent.call_store.contract",
    }  # fmt: skip
    assert loaded & needless == set()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_stay_short(path: Path) -> None:
    """One subject may take 450 lines."""
    assert len(path.read_text().splitlines()) <= 450


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_one_is_never_counted_as_many(path: Path) -> None:
    """What is counted is named by `words.count`, in sentences and in the log."""
    text = path.read_text()
    many = re.findall(r"(?:%d|:,\}) [a-z]+s\b", text) + re.findall(r"\{len\([^}]*\} [a-z]+s\b", text)
    assert not many or path.name == "words.py", f"words.count says how many there are, also of one: {many}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_the_system_says_is_never_in_pythons_form(path: Path) -> None:
    """As text an OSError is ``[Errno 13] Permission denied: PosixPath('...')``: `words.said` says it in words."""
    wrong = []
    for handler in ast.walk(ast.parse(path.read_text())):
        if isinstance(handler, ast.ExceptHandler) and handler.type and "OSError" in ast.unparse(handler.type):
            for node in ast.walk(handler):
                if (isinstance(node, ast.FormattedValue) and ast.unparse(node.value) == handler.name) or (
                    isinstance(node, ast.Call) and ast.unparse(node) == f"str({handler.name})"
                ):
                    wrong.append(f"line {node.lineno}")
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_class_says_first_what_it_is(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            said = ast.get_docstring(node) or ""
            assert said[:1].isupper(), f"{node.name}: its docstring begins with what it is, in a sentence"


def test_no_two_classes_of_the_sources_have_one_name() -> None:
    found: dict[str, Path] = {}
    for path in sorted((PACKAGE / "sources").rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                twice = (
                    f"{node.name} is in {found.get(node.name)} and in {path}: call one otherwise, or begin it with _"
                )
                assert node.name not in found, twice
                found[node.name] = path


def test_nobody_asks_of_which_type_settings_or_sources_are() -> None:
    """A member of the contract answers instead, or one of its protocols, which say what a source can do."""
    ours = {where.partition(":")[2] for types in (SOURCES, DESTINATIONS) for where in types.values()}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass", "type"):
                asked = {name.removesuffix("Settings") for name in re.findall(r"\w+", ast.unparse(node))}
                assert not asked & ours, f"{path}, line {node.lineno}"


def commands(group: click.Group, prefix: str = "") -> list[str]:
    found = []
    for name, command in group.commands.items():
        found += commands(command, f"{prefix}{name} ") if isinstance(command, click.Group) else [f"{prefix}{name}"]
    return found


def test_the_page_of_commands_has_every_command() -> None:
    page = (TOP / "docs" / "commands.md").read_text()
    assert [name for name in commands(main) if f"\n| `{name}" not in page] == []


def test_every_command_has_help_in_words() -> None:
    for name in commands(main):
        found = click.testing.CliRunner().invoke(main, [*name.split(), "--help"])
        assert found.exit_code == 0
        assert len(found.output.splitlines()[2].strip()) > 20
