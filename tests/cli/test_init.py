"""`init` as an admin runs it, on hosts of each kind. What a real Asterisk makes of it is in tests/pbx."""

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.kit.etc_host import DAEMON, EtcHost, why_not
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.host_trees import TREES
from tests.kit.paths import TOP

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be")

ASTERISK = """
case "$2" in
"cdr show status") echo cdr_manager; grep -q "load cdr_csv" {log} && echo "    csv" ;;
"manager show user humbug") grep -q "manager reload" {log} && echo "  username: humbug" ;;
*) echo "$2" >>{log} ;;
esac
exit 0
"""

FS_CLI = """echo "$*" >>{log}
case "$*" in *module_exists*) echo true ;; esac"""


@pytest.fixture
def of_kind(tmp_path: Path) -> Callable[..., EtcHost]:
    return lambda kind, **options: EtcHost(tmp_path / "there", TREES[kind], **options)


def answers(host: Host) -> dict[str, str]:
    return {"HUMBUG_API_KEY": API_KEY, "HUMBUG_COUNTRY": "CH", "HUMBUG_URL": host.receiver.url}


def test_a_host_without_a_pbx_is_told_what_only_its_admin_can_do(of_kind: Callable[..., EtcHost], host: Host) -> None:
    there = of_kind("hosted")
    before = there.snapshot()
    said = there.run("init", "--apply", code=1, **answers(host))
    assert "host       no PBX" in said
    assert "docs/hosts/hosted.md" in said
    assert there.snapshot() == before


def test_an_agent_ini_that_is_named_from_here_names_its_secret_from_the_root(
    of_kind: Callable[..., EtcHost], host: Host
) -> None:
    there = of_kind("asterisk")
    said = there.run("--config", "etc/agent.ini", "init", code=0, secrets=(), **answers(host))
    (named,) = [line for line in said.splitlines() if line.startswith("+secret_file")]
    assert named.partition(" = ")[2].startswith("/")


@pytest.mark.parametrize("example", [True, False])
def test_a_hosted_pbx_is_asked_once_its_source_is_there(
    of_kind: Callable[..., EtcHost], host: Host, example: bool
) -> None:
    there = of_kind("hosted")
    ini = there.etc / "humbug-agent" / "agent.ini"
    ini.parent.mkdir()
    cloud = "[source cloud]\ntype = while1\nurl = http://127.0.0.1:1/cdr\ntoken = t\napi_key = k\n"
    ini.write_text(((TOP / "agent.ini.example").read_text() if example else "") + cloud)
    said = there.run("init", "--apply", code=1, **answers(host))
    assert [line.split()[1:3] for line in said.splitlines() if line.startswith("FAIL")] == [["source", "cloud"]]
    assert "A test call reached the receiver" in said
    assert "Still missing: source cloud; see FAIL above." in said
    assert cloud in ini.read_text()
    assert "\n[source master-csv]" not in ini.read_text()
    assert "Nothing to change" in there.run("init", "--apply", code=1)


@pytest.mark.parametrize("kind", ["freeswitch", "fusionpbx"])
def test_a_freeswitch_posts_its_calls(of_kind: Callable[..., EtcHost], host: Host, tmp_path: Path, kind: str) -> None:
    there, log = of_kind(kind), tmp_path / "fs_cli.log"
    there.program("fs_cli", FS_CLI.format(log=log))
    said = there.run("init", "--apply", code=1, **answers(host))
    # Everything but the directory that FreeSWITCH itself makes when it loads the module.
    assert [line.split()[:3] for line in said.splitlines() if line.startswith("FAIL")] == [
        ["FAIL", "source", "documents"]
    ]
    assert "A test call reached the receiver" in said
    assert log.read_text().splitlines() == [
        # Before, where the PBX may not have taken what is there; and afterwards.
        "-x module_exists mod_json_cdr",
        "-x load mod_json_cdr",
        "-x reload mod_json_cdr",
        "-x module_exists mod_json_cdr",
    ]
    assert ("Left to you: FusionPBX writes modules.conf.xml itself" in said) == (kind == "fusionpbx")
    loads = 'module="mod_json_cdr"' in (there.etc / "freeswitch/autoload_configs/modules.conf.xml").read_text()
    assert loads == (kind == "freeswitch")


def test_a_fusionpbx_without_the_module_is_told_where_its_calls_are(
    of_kind: Callable[..., EtcHost], host: Host
) -> None:
    there = of_kind("fusionpbx")
    there.program("fs_cli", "echo false")
    said = there.run("init", "--apply", code=1, **answers(host))
    assert "FusionPBX's database has the calls (docs/sources/postgresql.md)" in said


def test_a_pbx_that_an_earlier_run_has_not_told_is_told(
    of_kind: Callable[..., EtcHost], host: Host, tmp_path: Path
) -> None:
    """It wrote the files, and was ended before it ran the commands."""
    there, log = of_kind("freepbx-17"), tmp_path / "asterisk.log"
    there.run("init", "--apply", code=1, **answers(host))
    # An Asterisk that goes by what it was told last.
    there.program("asterisk", ASTERISK.format(log=log))
    told = there.run("init", "--apply", code=1)
    for words in ("module load cdr_csv.so", "module reload cdr_csv.so", "manager reload"):
        assert f"ran      asterisk -rx '{words}'" in told
    assert "failed " not in told
    assert "Nothing to change" in there.run("init", "--apply", code=1)


def test_one_that_is_interrupted_is_gone_on_with_by_the_next(
    of_kind: Callable[..., EtcHost], host: Host, tmp_path: Path
) -> None:
    there, log, asked = of_kind("freepbx-17"), tmp_path / "asterisk.log", tmp_path / "asked"
    there.program("asterisk", f"touch {asked}; exec sleep 60")
    command = there.command("init", "--apply")
    process = subprocess.Popen(
        # A shell starts what is in the background deaf to Ctrl-C, and so are its children.
        ["env", "--default-signal=INT", *command],
        env={**there.environment, **answers(host)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # It asks what is so before it changes anything, and again afterwards.
    wait_until(asked.exists)
    refused = there.run("init", "--apply", code=1, **answers(host))
    assert "another humbug-agent init --apply is at work on this host: run this again once it has ended" in refused
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in errors
    there.program("asterisk", ASTERISK.format(log=log))
    assert "A test call reached the receiver" in there.run("init", "--apply", code=1, **answers(host))
    assert "Nothing to change" in there.run("init", "--apply", code=1)


def test_an_agent_ini_that_is_good_is_never_made_worse(of_kind: Callable[..., EtcHost]) -> None:
    there = of_kind("freepbx-17")
    ini = there.etc / "humbug-agent/agent.ini"
    ini.parent.mkdir()
    ini.write_text("[source calls]\ntype = asterisk_csv\n[destination d]\ntype = webhook\nurl = http://127.0.0.1:1/\n")
    before = there.snapshot()
    # A Humbug without a key.
    said = there.run("init", "--apply", "--url", "http://127.0.0.1:1/r.php", code=1)
    assert "agent.ini is good as it is, and with this it would not be; nothing was changed:" in said
    assert "[destination humbug] api_key: is missing" in said or "still the example's" in said
    assert there.snapshot() == before
    # What else there is to do needs no key.
    assert "made     " in there.run("init", "--apply", code=1)


def test_a_container_has_root_for_its_user(of_kind: Callable[..., EtcHost], host: Host) -> None:
    there = of_kind("asterisk", daemon=False)
    there.program("asterisk", "exit 0")
    there.run("init", "--apply", code=1, **answers(host))
    for name in ("agent.ini", "ami-secret"):
        status = (there.etc / "humbug-agent" / name).stat()
        assert (status.st_mode & 0o777, status.st_uid) == (0o600, 0)


def test_files_that_the_pbx_refuses_are_said_and_nothing_is_changed(
    of_kind: Callable[..., EtcHost], host: Host
) -> None:
    there = of_kind("freepbx-17")
    (there.etc / "asterisk/manager_custom.conf").unlink()
    before = there.snapshot()
    said = there.run("init", "--apply", code=1, **answers(host))
    assert "/etc/asterisk/manager.conf, line 21: there is no file manager_custom.conf" in said
    assert there.snapshot() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--api-key", " ", "--country", "CH"], "the API key is empty"),
        (["--api-key", "k", "--country", "UK"], "country: 'UK' is not a country's ISO code"),
        (["--api-key", "k", "--country", "CH", "--url", "receiver"], "--url: it needs http:// or https://"),
    ],
)
def test_wrong_answers_change_nothing(of_kind: Callable[..., EtcHost], options: list[str], said: str) -> None:
    there = of_kind("asterisk")
    before = there.snapshot()
    assert said in there.run("init", "--apply", *options, code=2)
    assert there.snapshot() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--apply"], "only root may do this: it changes files of the PBX"),
        ([], "/etc/asterisk/manager.conf: Permission denied; run it as root"),
    ],
)
def test_who_is_not_root_is_told(of_kind: Callable[..., EtcHost], options: list[str], said: str) -> None:
    there = of_kind("asterisk")
    (there.etc / "asterisk/manager.conf").chmod(0o640)
    command = there.command("init", *options)
    at = command.index("--") + 1
    command[at:at] = ["setpriv", f"--reuid={DAEMON}", f"--regid={DAEMON}", "--clear-groups"]
    done = subprocess.run(command, env=there.environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_key_that_is_typed_is_not_shown(of_kind: Callable[..., EtcHost], host: Host) -> None:
    there = of_kind("freepbx-17")
    there.program("asterisk", "exit 0")
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", *there.command("init", "--apply", "--url", host.receiver.url)]
    process = subprocess.Popen(command, env=there.environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    answered = 0
    # The end of a terminal whose last program ended is an error.
    with suppress(OSError):
        while more := os.read(ours, 4096):
            shown += more
            prompts = [(b"API key (not shown): ", API_KEY.encode()), (b"such as CH [none]: ", b"DE")]
            if answered < len(prompts) and prompts[answered][0] in shown:
                os.write(ours, prompts[answered][1] + b"\n")
                answered += 1
    os.close(ours)
    process.wait(60)
    assert answered == 2
    assert b"A test call reached the receiver" in shown
    assert API_KEY.encode() not in shown
    text = (there.etc / "humbug-agent/agent.ini").read_text()
    assert f"api_key = {API_KEY}\n" in text
    assert "country = DE\n" in text
