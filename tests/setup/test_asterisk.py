"""What an Asterisk's files become, whatever an admin has written there; read as Asterisk reads them."""

import os
import re
from pathlib import Path

import pytest

from humbug_agent.pbx_host.asterisk import Asterisk
from humbug_agent.setup.files import owner_of
from tests.kit.host_trees import planted
from tests.setup.test_plan import NOTHING, done, ini, planned, root_only, touched, write

GENERAL = "[general]\nenabled = yes\nbindaddr = 127.0.0.1\n\n"


def test_a_user_in_capital_letters_is_the_same_user(tmp_path: Path) -> None:
    """To Asterisk a second section is the same user, with the secret and the rights of that one."""
    root = planted("asterisk", tmp_path)
    write(root, "manager.conf", f"{GENERAL}[Humbug]\nsecret = chosen\nread = system\n")
    plan = done(root)
    assert (root / "etc/asterisk/manager.conf").read_text() == (
        f"{GENERAL}[Humbug]\nsecret = chosen\nread = cdr,system\n"
    )
    assert (root / "etc/humbug-agent/ami-secret").read_text() == "chosen\n"
    (shown,) = [proof.pattern for proof in plan.proofs if "manager show user humbug" in proof.command]
    assert re.search(f"^{shown}$", "       username: Humbug\n", re.MULTILINE)
    assert planned(root, NOTHING).empty


def test_a_user_whom_agent_ini_names_in_other_letters_is_found(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    write(root, "manager.conf", f"{GENERAL}[watch]\nsecret = w\nread = cdr\n")
    ini(root).parent.mkdir()
    ini(root).write_text(
        "[source pbx]\ntype = asterisk_ami\nusername = Watch\nsecret = w\n[destination d]\ntype = humbug\napi_key = k\n"
    )
    assert "asterisk/manager.conf" not in touched(done(root, NOTHING), root)


@pytest.mark.parametrize(
    "text",
    [
        "[readers](!)\nread = system\n\n[boss](readers)\nsecret = b\n\n[humbug](readers)\nsecret = h\n",
        # Any section can be another's template.
        "[humbug]\nread = system\nsecret = h\n\n[boss](humbug)\nsecret = b\n",
    ],
)
def test_a_right_that_others_have_by_the_same_line_is_given_to_the_user_alone(tmp_path: Path, text: str) -> None:
    root = planted("asterisk", tmp_path)
    write(root, "manager.conf", GENERAL + text)
    done(root)
    assert (root / "etc/asterisk/manager.conf").read_text() == f"{GENERAL}{text}\n[humbug](+)\nread = cdr,system\n"
    users = Asterisk(root).ami().users
    assert [users[one].read for one in ("humbug", "boss")] == [{"cdr", "system"}, {"system"}]
    assert planned(root, NOTHING).empty


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("cdr.conf", "[general]\nenable = yes\n;-- old\n[csv]\nloguniqueid = yes\n", 3),
        ("cdr_manager.conf", "[general]\n;-- a\n;-- b --;\nmore\n", 2),
        ("manager.conf", f"{GENERAL};--\n", 5),
        ("modules.conf", "[modules]\nload = app_dial.so\n;-- rest\n", 3),
    ],
)
def test_nothing_is_added_to_a_comment_that_does_not_end(tmp_path: Path, name: str, text: str, line: int) -> None:
    root = planted("asterisk", tmp_path)
    write(root, name, text)
    for plan in (done(root), done(root, NOTHING)):
        assert (root / "etc/asterisk" / name).read_text() == text
        said = [one for one in plan.left if f"line {line} begins a comment that nothing ends" in one]
        assert said, plan.left
        assert all(str(root / "etc/asterisk" / name) in one for one in said)


def test_what_asterisk_would_not_go_by_is_not_written(tmp_path: Path) -> None:
    """Of two users by one name the last counts, and an addition goes to the first."""
    root = planted("asterisk", tmp_path)
    text = f"{GENERAL}[humbug]\nsecret = a\n\n[humbug]\nsecret = a\n"
    write(root, "manager.conf", text)
    plan = done(root)
    assert (root / "etc/asterisk/manager.conf").read_text() == text
    assert [one for one in plan.left if "[humbug](+) can't be put there, for what stands there counts more" in one]


@root_only
def test_a_manager_conf_that_is_made_is_for_asterisk_alone(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    etc = root / "etc/asterisk"
    (etc / "manager.conf").unlink()
    logs = root / "var/log/asterisk"
    logs.mkdir(parents=True)
    os.chown(logs, 4711, 4712)
    done(root)
    made = owner_of(etc / "manager.conf")
    assert (made.uid, made.gid, made.mode) == (4711, 4712, 0o640)
    assert Asterisk(root).ami().enabled
    # Where even Asterisk's own files are its group's, that group has it.
    os.chown(etc / "modules.conf", 0, 4713)
    (etc / "manager.conf").unlink()
    done(root, NOTHING)
    made = owner_of(etc / "manager.conf")
    assert (made.uid, made.gid, made.mode) == (0, 4713, 0o640)
