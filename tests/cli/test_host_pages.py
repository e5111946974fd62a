"""The pages of docs/hosts: what they print is what there is."""

import re
import shlex
from pathlib import Path

import click
import pytest

from humbug_agent import __version__, config
from humbug_agent.cli import init
from humbug_agent.cli.main import main
from humbug_agent.setup.asterisk import CUSTOM, MANAGER_D
from tests.kit.paths import TOP

PAGES = sorted((TOP / "docs" / "hosts").glob("*.md"))
page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def blocks(path: Path, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


@page
def test_each_command_is_one(path: Path) -> None:
    lines = [line for block in blocks(path, "sh") for line in block.splitlines()]
    assert lines[:1] == [f"apt install ./humbug-agent_{__version__}_all.deb"]
    assert "humbug-agent init --apply" in lines
    for line in lines[1:]:
        words = [word for word in shlex.split(line) if "=" not in word]
        assert words.pop(0) == "humbug-agent"
        command = main.commands[words.pop(0)]
        assert set(words) <= {option for one in command.params for option in one.opts}
        for name in re.findall(r"(HUMBUG_\w+)=", line):
            assert name in [one.envvar for one in command.params if isinstance(one, click.Option)]


@page
def test_what_it_ends_with_is_what_init_says(path: Path) -> None:
    assert f"\n```\n{init.REACHED.format('humbug')}\n```\n" in path.read_text()


@pytest.mark.parametrize("block", blocks(TOP / "docs" / "hosts" / "hosted.md", "ini"))
def test_each_source_to_copy_is_read(tmp_path: Path, block: str) -> None:
    ini = tmp_path / "agent.ini"
    ini.touch(0o600)
    ini.write_text(f"{block}\n[destination humbug]\ntype = humbug\napi_key = k\n")
    (source,) = config.load(ini).sources
    assert f"type = {source.type}" in block


def test_the_files_of_freepbx_are_those_that_init_writes_to() -> None:
    text = (TOP / "docs" / "hosts" / "freepbx.md").read_text()
    assert all(f"/etc/asterisk/{name}" in text for name in CUSTOM.values())
    assert MANAGER_D in (TOP / "docs" / "hosts" / "asterisk.md").read_text()


def test_init_names_a_page_that_there_is() -> None:
    assert all((TOP / name).exists() for name in re.findall(r"docs/\S+\.md", init.HOSTED))
