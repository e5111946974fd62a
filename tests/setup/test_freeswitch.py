"""What a FreeSWITCH's files become, whatever an admin, or another program, has in them already."""

from pathlib import Path

import pytest

from humbug_agent.config import load
from humbug_agent.pbx_host.freeswitch import Freeswitch
from tests.kit.host_trees import planted
from tests.setup.test_plan import NOTHING, done, ini, planned, touched

CONFIGS = "etc/freeswitch/autoload_configs"
AGENT_INI = """\
[source posted]
type = freeswitch_http
{lines}
[source documents]
type = freeswitch_json
[destination humbug]
type = humbug
api_key = mine
"""


def loaded(root: Path, *params: tuple[str, str]) -> Path:
    """mod_json_cdr is loaded, with these settings; returns their file."""
    modules = root / CONFIGS / "modules.conf.xml"
    modules.write_text(
        modules.read_text().replace("<!-- <load module=", "<load module=").replace('_cdr"/> -->', '_cdr"/>')
    )
    file = root / CONFIGS / "json_cdr.conf.xml"
    lines = "".join(f'<param name="{name}" value="{value}"/>\n' for name, value in params)
    file.write_text(f"<configuration>\n<!-- mine: </settings> -->\n<settings>\n{lines}</settings>\n</configuration>\n")
    assert Freeswitch(root).loads("mod_json_cdr")
    return file


def settings(root: Path) -> dict[str, str]:
    return dict(Freeswitch(root).settings("json_cdr"))


def configured(root: Path, *lines: str) -> None:
    ini(root).parent.mkdir()
    ini(root).write_text(AGENT_INI.format(lines="\n".join(lines)))


def test_a_mod_json_cdr_whose_documents_are_somebodys_is_left_alone(tmp_path: Path) -> None:
    root = planted("freeswitch", tmp_path)
    loaded(root, ("log-dir", "/var/spool/billing"), ("log-b-leg", "true"))
    plan = done(root)
    assert touched(plan, root) == {"humbug-agent/agent.ini"}
    assert [(source.type, str(source.reads)) for source in load(ini(root)).sources] == [
        ("freeswitch_json", "/var/spool/billing")
    ]


def test_a_mod_json_cdr_that_tells_nobody_keeps_what_is_set(tmp_path: Path) -> None:
    root = planted("freeswitch", tmp_path)
    loaded(root, ("log-b-leg", "true"), ("encode", "true"), ("err-log-dir", "/srv/unsent"))
    done(root)
    found = settings(root)
    assert found["url"] == "http://127.0.0.1:8089/"
    # What is encoded would be a reject.
    assert (found["encode"], found["log-b-leg"], found["timeout"]) == ("false", "true", "5")
    assert [str(source.reads) for source in load(ini(root)).sources if source.reads] == ["/srv/unsent"]
    assert planned(root, NOTHING).empty


@pytest.mark.parametrize("url", ["http://127.0.0.1:8089", "http://localhost:8089/cdr", "http://[::1]:8089/"])
def test_an_address_of_ours_is_known_however_it_is_written(tmp_path: Path, url: str) -> None:
    root = planted("freeswitch", tmp_path)
    loaded(root, ("url", url), ("err-log-dir", ""))
    assert touched(done(root), root) == {"humbug-agent/agent.ini"}
    assert {source.type for source in load(ini(root)).sources} == {"freeswitch_http", "freeswitch_json"}


@pytest.mark.parametrize(
    ("listen", "address"),
    [("127.0.0.1:8189", "127.0.0.1:8189"), ("0.0.0.0:8190", "127.0.0.1:8190"), ("[::1]:8191", "[::1]:8191")],
)
@pytest.mark.parametrize("is_loaded", [False, True])
def test_it_posts_where_agent_ini_listens_with_the_password_that_it_asks_for(
    tmp_path: Path, listen: str, address: str, is_loaded: bool
) -> None:
    root = planted("freeswitch", tmp_path)
    if is_loaded:
        loaded(root)
    configured(root, f"listen = {listen}", "username = fs", 'password = a"<b')
    plan = done(root, NOTHING)
    found = settings(root)
    assert (found["url"], found["cred"]) == (f"http://{address}/", 'fs:a"<b')
    assert "<b" not in "\n".join(plan.diff())
    assert planned(root, NOTHING).empty


def test_a_password_that_only_agent_ini_has_is_given_to_the_module(tmp_path: Path) -> None:
    root = planted("freeswitch", tmp_path)
    file = loaded(root, ("url", "http://127.0.0.1:8089/"), ("retries", "3"), ("cred", "old:one"))
    before = file.read_text().partition("</settings>\n</conf")
    configured(root, "password = word")
    done(root, NOTHING)
    assert file.read_text() == f'{before[0]}  <param name="cred" value=":word"/>\n{before[1]}{before[2]}'
    assert planned(root, NOTHING).empty


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("<c><modules/></c>\n", '<c><modules>\n  <load module="mod_json_cdr"/>\n</modules></c>\n'),
        ("<c><modules></modules></c>", '<c><modules>\n  <load module="mod_json_cdr"/>\n</modules></c>'),
        (
            "<c>\n\t<modules>\n\t</modules>\n</c>\n<!-- it was </modules> -->\n",
            '<c>\n\t<modules>\n\t  <load module="mod_json_cdr"/>\n\t</modules>\n</c>\n<!-- it was </modules> -->\n',
        ),
    ],
)
def test_the_module_is_loaded_however_modules_is_written(tmp_path: Path, text: str, after: str) -> None:
    root = planted("freeswitch", tmp_path)
    file = root / CONFIGS / "modules.conf.xml"
    file.write_text(text)
    done(root)
    assert file.read_text() == after
    assert Freeswitch(root).loads("mod_json_cdr")
    assert planned(root, NOTHING).empty


def test_a_file_without_the_element_is_left_to_the_admin(tmp_path: Path) -> None:
    root = planted("freeswitch", tmp_path)
    (root / CONFIGS / "modules.conf.xml").write_text("<configuration/>\n")
    plan = done(root)
    assert any("modules.conf.xml has no <modules>" in sentence for sentence in plan.left)
    assert "freeswitch/autoload_configs/modules.conf.xml" not in touched(plan, root)
