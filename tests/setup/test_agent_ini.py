"""agent.ini, edited without touching what an admin has written."""

from pathlib import Path

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
