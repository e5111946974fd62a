"""Asterisk's configuration files, read as a real one reads them (tests/pbx/test_conf_on_pbx.py asks that)."""

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.pbx_host.asterisk import Asterisk
from humbug_agent.pbx_host.conf import ConfError, read
from tests.kit.asterisk_conf import BESIDE, CASES


def written(folder: Path, name: str) -> Path:
    for beside, text in BESIDE.items():
        (folder / beside).parent.mkdir(exist_ok=True)
        (folder / beside).write_bytes(text)
    path = folder / f"{name}.conf"
    path.write_bytes(CASES[name][0])
    return path


@pytest.mark.parametrize("name", CASES)
def test_each_form_is_read_as_asterisk_does(tmp_path: Path, name: str) -> None:
    path, expected = written(tmp_path, name), CASES[name][1]
    if expected is None:
        with pytest.raises(ConfError, match=rf"{path}, line \d+: "):
            read(path, tmp_path)
    else:
        sections = [one for one in read(path, tmp_path).sections if not one.template]
        assert [(one.name, [(set_.name, set_.value) for set_ in one.settings]) for one in sections] == expected


def test_each_setting_knows_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "more.conf").write_text("\n; a comment\nusegmtime = yes\n")
    path = tmp_path / "cdr.conf"
    path.write_text("[t](!)\nlogsize = 1\n[csv](t)\n#include more.conf\nloguniqueid = no\n")
    section = read(path, tmp_path).first("CSV")
    assert section
    assert [(one.name, one.file.name, one.line) for one in section.settings] == [
        ("logsize", "cdr.conf", 2),
        ("usegmtime", "more.conf", 3),
        ("loguniqueid", "cdr.conf", 5),
    ]
    assert (section.file, section.line) == (path, 3)


def test_whole_paths_are_below_the_root(tmp_path: Path) -> None:
    etc = tmp_path / "etc" / "asterisk"
    etc.mkdir(parents=True)
    (etc / "cdr.conf").write_text("[csv]\n#include /etc/asterisk/b.conf\n#tryinclude /etc/asterisk/none.conf\n")
    (etc / "b.conf").write_text("a = 1\n")
    conf = read(etc / "cdr.conf", etc, tmp_path)
    assert conf.files == [etc / "cdr.conf", etc / "b.conf"]


PIECES = [
    *(
        "[",
        "]",
        "(",
        ")",
        "!",
        "+",
        ",",
        ";",
        ";--",
        "--;",
        "\\",
        "\n",
        "*",
        "?",
        "\0",
        "/",
        "..",
        "{",
        "}",
        "=",
        ">",
        "+=",
        '"',
    ),
    *(
        "#include ",
        "#tryinclude ",
        "x.inc",
        "[csv]\n",
        "[general]\n",
        "[a](!)\n",
        "[b](a)\n",
        "read",
        "port",
        " ",
        "\r",
        "\xff",
    ),
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_nonsense_is_read_or_refused(text: str) -> None:
    with TemporaryDirectory() as folder:
        etc = Path(folder) / "etc" / "asterisk"
        etc.mkdir(parents=True)
        (etc / "x.inc").write_text("q = 1\n[z]\nw = 2\n")
        for name in ("asterisk.conf", "cdr.conf", "cdr_manager.conf", "manager.conf", "modules.conf"):
            (etc / name).write_bytes(text.encode("latin-1"))
        asterisk = Asterisk(Path(folder))
        for ask in (asterisk.master_csv, asterisk.tells_cdrs, asterisk.ami):
            with suppress(ConfError, OSError):
                ask()
