"""agent.ini, edited without touching what an admin has written."""

from configparser import ConfigParser
from configparser import Error as NotRead
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from humbug_agent.setup.agent_ini import AgentIni
from tests.kit.paths import TOP

EXAMPLE = (TOP / "agent.ini.example").read_text()
SAMPLE = "# A sample.\n#[source ami]\n#type = asterisk_ami\n#username =\n"


def lines_changed(before: str, after: str) -> list[str]:
    old = before.splitlines()
    return [line for line in after.splitlines() if line not in old]


def test_a_commented_out_section_of_the_example_is_taken() -> None:
    ini = AgentIni(EXAMPLE)
    ini.enable("source ami", SAMPLE)
    ini.set("source ami", {"type": "asterisk_ami", "username": "humbug"})
    assert lines_changed(EXAMPLE, ini.text) == ["[source ami]", "type = asterisk_ami", "username = humbug"]
    assert len(ini.text.splitlines()) == len(EXAMPLE.splitlines())


def test_a_section_that_is_nowhere_comes_to_the_end_with_its_words() -> None:
    ini = AgentIni("[agent]\n")
    ini.enable("source ami", SAMPLE)
    ini.set("source ami", {"port": "5039"})
    assert ini.text == "[agent]\n\n# A sample.\n[source ami]\n#type = asterisk_ami\n#username =\nport = 5039\n"


def test_what_says_the_same_stays_as_it_is_written() -> None:
    text = "[destination humbug]\ntype=humbug\napi_key  =   k\n"
    ini = AgentIni(text)
    ini.enable("destination humbug", SAMPLE)
    ini.set("destination humbug", {"type": "humbug", "api_key": "k"})
    assert ini.text == text
    ini.set("destination humbug", {"api_key": "other"})
    assert ini.text == "[destination humbug]\ntype=humbug\napi_key = other\n"


def test_of_a_set_key_and_its_comment_the_set_one_is_changed() -> None:
    ini = AgentIni("[a]\n#k = default\nk = mine\n[b]\nk = not this\n")
    ini.set("a", {"k": "new"})
    assert ini.text == "[a]\n#k = default\nk = new\n[b]\nk = not this\n"


def test_a_section_that_is_disabled_is_a_comment(tmp_path: Path) -> None:
    ini = AgentIni("# first\n[source a]\ntype = x\n\n# words\n#k = 1\n[source b]\ntype = y\n")
    ini.disable("source a")
    assert ini.text == "# first\n#[source a]\n#type = x\n\n# words\n#k = 1\n[source b]\ntype = y\n"
    assert not ini.has("source a")


def test_a_comment_goes_on_behind_what_only_python_takes_for_a_line_end() -> None:
    text = "# one\x0ctwo\u2028three\n[numbers]\n"
    ini = AgentIni(text)
    ini.set("numbers", {"country": "CH"})
    assert ini.text == f"{text}country = CH\n"


def test_lines_go_on_to_end_as_they_do() -> None:
    text = "[a]\r\nk = mine\r\n# words"
    ini = AgentIni(text)
    ini.set("a", {"k": "new", "l": "more"})
    ini.enable("source ami", SAMPLE)
    assert ini.text.count("\r\n") == ini.text.count("\n") == 9
    assert ini.text.startswith("[a]\r\nk = new\r\nl = more\r\n# words\r\n\r\n# A sample.\r\n[source ami]\r\n")


def as_read(text: str) -> dict[str, dict[str, str]]:
    """As the daemon reads it. Raises configparser's errors."""
    parser = ConfigParser(interpolation=None, default_section="\0")
    parser.read_string(text)
    return {title: dict(parser[title]) for title in parser.sections()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[a]\nk: old\n", "[a]\nk = new\n"),
        ("[a]\nK=old\n", "[a]\nk = new\n"),
        ("[a] ; mine\nk = old\n", "[a] ; mine\nk = new\n"),
        ("[a]\n  j = 1\n  k = old\n", "[a]\n  j = 1\n  k = new\n"),
        ("[a]\n  j = 1\n", "[a]\n  j = 1\n  k = new\n"),
        ("[a]\n  #k =\n  j = 1\n", "[a]\n  #k =\n  j = 1\n  k = new\n"),
        ("[a]\n#k =\n  j = 1\n", "[a]\n  k = new\n  j = 1\n"),
        ("[a]\nk =\n  old\n  # words\n  more\nj = 1\n", "[a]\nk = new\n  # words\nj = 1\n"),
        ("[a]\nj =\n  1\n#k =\n  2\n", "[a]\nj =\n  1\n#k =\n  2\nk = new\n"),
        # A section that is commented out ends nothing.
        ("[a]\nj = 1\n#[b]\nk = old\n", "[a]\nj = 1\n#[b]\nk = new\n"),
        ("[a]\nj = 1\n#[b]\n#k = its\n", "[a]\nj = 1\nk = new\n#[b]\n#k = its\n"),
        ("[a]\n[b]\nj = [a]\n  [a]\n", "[a]\nk = new\n[b]\nj = [a]\n  [a]\n"),
    ],
)
def test_a_setting_is_found_as_the_daemon_finds_it(before: str, after: str) -> None:
    ini = AgentIni(before)
    ini.set("a", {"k": "new"})
    assert ini.text == after
    assert as_read(after)["a"]["k"] == "new"


def test_a_commented_out_section_takes_nobodys_settings() -> None:
    text = "[destination humbug]\n#[source ami]\n#type = asterisk_ami\napi_key = mine\n"
    ini = AgentIni(text)
    ini.enable("source ami", SAMPLE)
    assert as_read(ini.text) == {"destination humbug": {"api_key": "mine"}, "source ami": {}}


def test_settings_that_are_dropped_are_comments() -> None:
    ini = AgentIni("[a]\nKey_File : /x\n  y\nkey_fil = 1\n[b]\nkey_file = 2\n")
    ini.drop("a", ("key_file",))
    assert ini.text == "[a]\n#Key_File : /x\n#  y\nkey_fil = 1\n[b]\nkey_file = 2\n"


PIECES = (
    "[a]", "[a] ; x", "  [b]", "[b]", "#[a]", "#[c]", "k = 1", "K: 2", "  k=3", "\tj : 4", "l =", "    more",
    " ] = [a]", "", "  ", "#k = 5", "  #j = 6", "; words", "# k = 7", "#    more", "k[1] = 8",
)  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.sampled_from("ac"), st.sampled_from("kjn"))
def test_whatever_stands_there_what_was_meant_is_read_and_all_else_as_before(
    lines: list[str], title: str, key: str
) -> None:
    text = "\n".join(lines)
    try:
        before = as_read(text)
    except NotRead:
        assume(False)
        return
    ini = AgentIni(text)
    ini.enable(title, f"# A sample.\n#[{title}]\n#j = 1\n")
    assert as_read(ini.text) == {title: {}, **before}
    ini.set(title, {key: "new"})
    assert as_read(ini.text) == before | {title: {**before.get(title, {}), key: "new"}}
    ini.drop(title, (key,))
    kept = {name: value for name, value in before.get(title, {}).items() if name != key}
    assert as_read(ini.text) == before | {title: kept}
    # Nobody indents a header; behind a section that is none any more it would go on with the value above.
    assume("  [b]" not in lines)
    ini.disable(title)
    assert as_read(ini.text) == {name: values for name, values in before.items() if name != title}
