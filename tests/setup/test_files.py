"""Files of a host, changed whole or not at all, and shown without secrets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from humbug_agent.setup.files import Files, Owner, SetupError, hidden, owner_of

ME = Owner(os.geteuid(), os.getegid(), 0o640)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")


def changed(path: Path, text: str) -> Files:
    files = Files()
    files.put(path, text, ME)
    return files


def test_a_new_file_has_the_owner_and_mode_that_were_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    (change,) = changed(path, "x\n").changes()
    assert change.make("copy") is None
    assert path.read_text() == "x\n"
    assert owner_of(path) == ME
    assert list(tmp_path.iterdir()) == [path]


@root_only
def test_a_changed_file_keeps_owner_and_mode_and_so_does_its_copy(tmp_path: Path) -> None:
    path = tmp_path / "manager.conf"
    path.write_bytes(b"[general]\r\n; \xe4\r\n")
    path.chmod(0o604)
    os.chown(path, 4711, 4712)
    files = Files()
    files.put(path, files.with_last(path, "[humbug]\n"), ME)
    (change,) = files.changes()
    copy = change.make("as-it-was")
    assert copy == tmp_path / "manager.conf.as-it-was"
    assert copy.read_bytes() == b"[general]\r\n; \xe4\r\n"
    assert path.read_bytes() == b"[general]\r\n; \xe4\r\n\n[humbug]\n"
    assert owner_of(path) == owner_of(copy) == Owner(4711, 4712, 0o604)


def test_what_somebody_changed_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "cdr.conf"
    path.write_text("a = 1\n")
    (change,) = changed(path, "a = 2\n").changes()
    path.write_text("a = 3\n")
    with pytest.raises(SetupError, match="was changed meanwhile"):
        change.make("copy")
    assert path.read_text() == "a = 3\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_leads_to_the_file_that_is_changed(tmp_path: Path) -> None:
    path, link = tmp_path / "real" / "cdr.conf", tmp_path / "cdr.conf"
    path.parent.mkdir()
    path.write_text("a = 1\n")
    link.symlink_to(path)
    (change,) = changed(link, "a = 2\n").changes()
    change.make("copy")
    assert link.is_symlink()
    assert path.read_text() == "a = 2\n"


@root_only
@pytest.mark.parametrize("folder", [False, True])
def test_a_link_that_another_user_made_to_roots_file_is_left_alone(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "roots" / "shadow"
    path.parent.mkdir()
    path.write_text("root:x\n")
    link = tmp_path / "manager.d" if folder else tmp_path / "manager_custom.conf"
    link.symlink_to(path.parent if folder else path)
    os.chown(link, 4711, 4711, follow_symlinks=False)
    (change,) = changed(link / "humbug-agent.conf" if folder else link, "[humbug]\n").changes()
    with pytest.raises(SetupError, match="another user's link to"):
        change.make("copy")
    assert path.read_text() == "root:x\n"
    assert list(path.parent.iterdir()) == [path]


LIMITED = """
import resource
import signal
import sys
from pathlib import Path
from humbug_agent.setup.files import Files, Owner, SetupError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
path = Path(sys.argv[1])
files = Files()
files.put(path, "b" * 150, Owner(0, 0, 0o644))
try:
    files.changes()[0].make("copy")
except SetupError as error:
    print(error)
"""


def test_a_file_that_there_is_no_room_for_stays_as_it_was(tmp_path: Path) -> None:
    # The limit stands for a full disk: both fail in the midst of writing.
    path = tmp_path / "cdr.conf"
    path.write_text("a" * 90)
    done = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=True, timeout=30)
    assert f"{path}: File too large" in done.stdout
    assert path.read_text() == "a" * 90
    assert sorted(one.name for one in tmp_path.iterdir()) == ["cdr.conf", "cdr.conf.copy"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("+secret = x y", "+secret = ********"),
        ("-Secret=>x ; comment", "-Secret=>********"),
        (" ;secret = old", " ;secret = ********"),
        ("+md5secret=x", "+md5secret=********"),
        ("secret += x", "secret += ********"),
        ("+api_key = x", "+api_key = ********"),
        ("+dbpasswd = x", "+dbpasswd = ********"),
        ('+    <param name="password" value="ClueCon"/>', '+    <param name="password" value="********"/>'),
        ("+secret_file = /etc/x", "+secret_file = /etc/x"),
        ("+secret =", "+secret ="),
        ("+read = cdr", "+read = cdr"),
        ("+url = https://me:word@pbx.example.org/a@b", "+url = https://********@pbx.example.org/a@b"),
        ("+url = https://word@pbx.example.org", "+url = https://********@pbx.example.org"),
        ("+url = https://pbx.example.org/a@b", "+url = https://pbx.example.org/a@b"),
        ("+headers = Authorization: Bearer word", "+headers = ********"),
    ],
)
def test_no_line_shows_a_secret(line: str, shown: str) -> None:
    assert hidden(line) == shown


def test_a_file_that_is_a_secret_shows_nothing_of_itself(tmp_path: Path) -> None:
    files = Files()
    files.put(tmp_path / "ami-secret", "hush\n", ME, secret=True)
    assert "hush" not in "\n".join(files.changes()[0].diff())


def test_a_secret_that_goes_on_in_indented_lines_is_hidden_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "agent.ini"
    path.write_text("[destination x]\napi_key =\n  word1\n\n# said\n\tword2\n")
    files = Files()
    files.put(path, files.with_last(path, "[source y]\npassword =\n   word3\nurl =\n   https://a\n"), ME)
    (change,) = files.changes()
    shown = list(change.diff())
    assert not [line for line in shown if "word" in line and "password" not in line]
    assert {" \t********", "+   ********", "+   https://a"} <= {*shown}


def test_a_secret_is_hidden_whole_whatever_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "manager.conf"
    path.write_text("[a]\nsecret = begin\x0cend\u2028last\n")
    files = Files()
    files.put(path, files.with_last(path, "[humbug]\n"), ME)
    (change,) = files.changes()
    shown = "\n".join(change.diff())
    assert "end" not in shown
    assert "last" not in shown
