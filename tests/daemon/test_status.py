"""`status`: its exit code, what it says of page and board, and the line for Nagios."""

import os
import re
import shutil
import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from humbug_agent.cli.main import main
from humbug_agent.config import load
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.receiver import Misbehaviour
from humbug_agent.status.overview import overview
from humbug_agent.words import clock
from tests.kit.ami_server import AmiServer
from tests.kit.calls import batch
from tests.kit.host import PROGRAM, Host, wait_until
from tests.kit.ports import free_port
from tests.kit.served import Page, running

pytestmark = pytest.mark.slow


def exit_code(host: Host) -> int:
    return subprocess.run([PROGRAM, "--config", host.ini, "status"], capture_output=True, check=False).returncode


def nagios(host: Host, code: int) -> tuple[str, dict[str, str]]:
    """The words of the line, and its numbers by their labels."""
    (line,) = host.run("status", "--nagios", code=code).splitlines()
    words, _, numbers = line.partition(" | ")
    assert "|" not in numbers
    assert words.partition(" ")[0] == ("OK", "WARNING", "CRITICAL", "UNKNOWN")[code]
    return words, dict(number.split("=", 1) for number in numbers.split())


def unwell(host: Host) -> dict[str, str]:
    """What is neither well nor begins, with its state."""
    found = host.status()
    parts = {**found["sources"], **found["destinations"], **found["boards"]}
    if found["page"]:
        parts["page"] = found["page"]
    return {name: one["state"] for name, one in parts.items() if one["state"] != "ok"}


def test_a_daemon_that_is_well_and_one_that_is_down(host: Host, page: Page) -> None:
    host.write()
    with running(host):
        wait_until(lambda: host.store.count() == 126, 30)
        wait_until(lambda: not unwell(host), 20)
        assert exit_code(host) == 0
        words, numbers = nagios(host, 0)
        assert words == "OK - 126 calls, 0 waiting"
        assert numbers["waiting"] == "0;;;0"
        assert numbers["dead"] == numbers["rejects"] == "0;0;;0"
        assert numbers["oldest_waiting_seconds"] == "0s;;;0"
        assert re.fullmatch(r"\d+B;1932735283;2147483648;0;2147483648", numbers["outbox_bytes"])
        assert host.status()["page"] | {"since": ""} == {
            "where": f"127.0.0.1:{page.port}",
            "state": "ok",
            "message": "",
            "since": "",
            "code": "",
        }
    assert exit_code(host) == 1
    words, numbers = nagios(host, 2)
    assert words == "CRITICAL - the agent is not running"
    assert numbers["calls"] == "126;;;0"
    assert host.status()["page"]["state"] == "stopped"


def test_a_destination_that_is_paused_and_a_source_that_fails(host: Host) -> None:
    host.receiver.receiver.misbehaviour = Misbehaviour(status=403)
    host.master.mkdir()
    with running(host):
        wait_until(lambda: unwell(host) == {"master-csv": "failing"}, 20)
        assert exit_code(host) == 1
        assert nagios(host, 2)[0].startswith("CRITICAL - source master-csv is failing: ")
        host.master.rmdir()
        host.write()
        wait_until(lambda: unwell(host) == {"humbug": "paused"}, 30)
        assert exit_code(host) == 1
        words, numbers = nagios(host, 2)
        assert words.startswith("CRITICAL - destination humbug is paused: ")
        assert numbers["waiting"] == "126;;;0"
        host.receiver.receiver.misbehaviour = Misbehaviour(status=503)
        wait_until(lambda: unwell(host) == {"humbug": "failing"}, 60)
        assert exit_code(host) == 1
        nagios(host, 2)


def test_dead_letters_and_rejects_are_a_warning_and_no_failure(host: Host) -> None:
    host.receiver.receiver.misbehaviour = Misbehaviour(status=400, every=23)
    host.write("Master-diskfull.csv")
    with running(host):
        wait_until(lambda: host.status()["deliveries"] == {"waiting": 0, "sent": 22, "dead": 1}, 30)
        assert exit_code(host) == 0
        words, numbers = nagios(host, 1)
        assert "1 dead delivery: humbug-agent outbox list --state dead" in words
        assert "1 reject: humbug-agent outbox list --state rejected" in words
        assert (numbers["dead"], numbers["rejects"]) == ("1;0;;0", "1;0;;0")


def test_a_source_with_a_word_of_warning_is_shown_with_it(host: Host) -> None:
    host.write()
    with running(host):
        wait_until(lambda: host.store.count() == 126, 30)
        wait_until(lambda: not unwell(host), 20)
        with closing(Outbox(host.folder / "outbox.db")) as outbox:
            outbox.report("clock master-csv", "doubtful", "its times are 1 h ahead | of the uniqueids")
            outbox.report("source master-csv", "ok", "is deaf: of the last 20 calls it told 0")
        said = "is deaf: of the last 20 calls it told 0; its times are 1 h ahead | of the uniqueids"
        found = host.status()["sources"]["master-csv"]
        assert (found["state"], found["message"]) == ("ok", said)
        assert f"source master-csv: {said}" in host.run("status")
        assert nagios(host, 1)[0] == f"WARNING - HA-0027 source master-csv: {said.replace('|', '/')}"


def test_a_page_that_can_not_listen(host: Host, page: Page, tmp_path: Path) -> None:
    host.write()
    with socket.create_server(("127.0.0.1", page.port)) as other, running(host):
        wait_until(lambda: unwell(host) == {"page": "failing"}, 20)
        said = f"can't listen on 127.0.0.1:{page.port}"
        assert said in host.status()["page"]["message"]
        assert f"page: {said}" in host.run("status", code=1)
        assert nagios(host, 1)[0].startswith(f"WARNING - page is failing: {said}")
        other.close()
        wait_until(lambda: not unwell(host), 20)
        assert exit_code(host) == 0


def test_a_certificate_that_is_none(host: Host, page: Page, tmp_path: Path) -> None:
    (tmp_path / "certificate.pem").write_text("none at all\n")
    page.more(f"certificate = {tmp_path}/certificate.pem\n")
    with running(host):
        wait_until(lambda: unwell(host).get("page") == "failing", 20)
        assert "has no certificate in PEM format" in host.run("status", code=1)


def test_a_board_that_lacks_a_right(host: Host, page: Page) -> None:
    host.write()
    with AmiServer() as ami:
        ami.refused = {"CoreShowChannels": "Permission denied"}
        page.more("", ami.port)
        with running(host):
            wait_until(lambda: host.status()["boards"].get("ami", {}).get("state") == "failing", 30)
            assert "write must have reporting" in host.status()["boards"]["ami"]["message"]
            assert host.status()["sources"]["ami"]["state"] == "ok"
            assert re.search(r"^board ami: its user humbug may not list channels", host.run("status", code=1), re.M)
            assert nagios(host, 1)[0].startswith("WARNING - board ami is failing: its user humbug may not list")


@pytest.mark.parametrize("refused", [{}, {"CoreShowChannels": "Permission denied"}], ids=["away", "a right"])
def test_the_log_says_of_a_board_what_its_source_does_not(host: Host, page: Page, refused: dict[str, str]) -> None:
    with AmiServer() as ami:
        ami.refused = refused
        page.more("", ami.port if refused else free_port())
        with running(host):
            wait_until(lambda: host.status()["boards"].get("ami", {}).get("state") == "failing", 30)
    assert host.errors.count(" board ami: its user humbug may not list channels") == len(refused)
    assert host.errors.count(" board ami: ") == len(refused)


def test_an_outbox_that_is_nearly_full(host: Host) -> None:
    host.configure(agent="max_size_mb = 1")
    host.receiver.receiver.misbehaviour = Misbehaviour(status=503)
    record = host.master
    host.write()
    line = record.read_bytes().splitlines(keepends=True)[6]
    record.write_bytes(b"".join(line.replace(b"101-00000000", b"101-%08x" % number) for number in range(4000)))
    with running(host):
        wait_until(lambda: unwell(host).get("master-csv") == "failing", 60)
        assert "max_size_mb" in nagios(host, 2)[0]


@pytest.mark.parametrize("said", ["[agent]\nnonsense = 1\n", "no section\n", "[agent\n", "\udcff", None])
def test_nothing_that_stands_in_agent_ini_hides_the_daemon(host: Host, said: str | None) -> None:
    host.write()
    with running(host) as daemon:
        wait_until(lambda: host.status()["deliveries"]["sent"] == 126, 30)
        if said is None:
            host.ini.unlink()
        else:
            host.ini.write_bytes(said.encode(errors="surrogateescape"))
        found = host.status()
        assert (found["running"], found["pid"], found["calls"]) == (True, daemon.pid, 126)
        assert found["sources"]["master-csv"]["state"] == found["destinations"]["humbug"]["state"] == "ok"
        assert found["outbox"]["max_bytes"] == 2048 * 2**20
        assert found["agent_ini"]["state"] == "mistakes"
        assert found["agent_ini"]["mistakes"]
        shown = host.run("status", code=2)
        mistake = found["agent_ini"]["mistakes"][0]
        assert mistake.removeprefix(f"{host.ini}: ") in shown.replace("\\n", "\n")
        assert mistake in host.errors
        assert "going on with the one read at" in shown
        assert "has mistakes" in nagios(host, 1)[0]
    # There is none, as far as agent.ini tells.
    assert nagios(host, 3 if said is None else 2)[0]


def test_a_daemon_is_found_whatever_outbox_agent_ini_names_by_now(host: Host) -> None:
    host.write()
    with running(host) as daemon:
        wait_until(lambda: host.status()["deliveries"]["sent"] == 126, 30)
        host.ini.write_text(host.ini.read_text().replace("outbox.db", "another.db"))
        found = host.status()
        assert (found["pid"], found["calls"]) == (daemon.pid, 126)
        assert found["outbox"]["path"] == f"{host.folder}/outbox.db"
        assert found["agent_ini"]["state"] == "changed"
        assert not (host.folder / "another.db").exists()


def test_what_the_daemon_has_not_taken_is_not_shown_as_read(host: Host) -> None:
    port = free_port()
    with running(host):
        wait_until(lambda: unwell(host) == {}, 20)
        source = f"[source more]\ntype = asterisk_csv\npath = {host.folder}/More.csv\n"
        host.ini.write_text(f"{source}[status]\nlisten = 127.0.0.1:{port}\n{host.ini.read_text()}")
        assert host.status()["sources"]["more"]["state"] == "not taken"
        assert host.status()["page"] == {
            "where": f"127.0.0.1:{port}",
            "state": "not taken",
            "message": "",
            "since": None,
            "code": "",
        }
        assert "changed since it was read at" in nagios(host, 1)[0]


def test_a_destination_that_is_gone_is_no_failure_unless_calls_wait_for_it(host: Host) -> None:
    host.receiver.receiver.misbehaviour = Misbehaviour(status=503)
    host.write("Master-diskfull.csv")
    host.run("run", "--once", code=1)
    host.ini.write_text(host.ini.read_text().replace("[destination humbug]", "[destination another]"))
    with running(host):
        wait_until(lambda: unwell(host) == {"humbug": "removed"}, 20)
        assert exit_code(host) == 0
        assert "23 calls wait for destination humbug, which is not in agent.ini" in nagios(host, 1)[0]


def test_nagios_gets_unknown_where_nothing_can_be_told(host: Host) -> None:
    host.run("run", "--once")
    outbox = host.folder / "outbox.db"
    outbox.write_bytes(b"no database at all" * 1000)
    assert nagios(host, 3)[0].startswith("UNKNOWN - outbox ")


def test_nagios_gets_unknown_where_agent_ini_is_a_directory(host: Host) -> None:
    done = CliRunner().invoke(main, ["status", "--nagios", "--config", str(host.folder)])
    assert (done.exit_code, done.stdout) == (
        3,
        f"UNKNOWN - {host.folder}: Is a directory; agent.ini.example shows what belongs into it\n",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")
def test_nagios_gets_unknown_in_plain_words_where_the_outbox_is_another_users(host: Host) -> None:
    folder = Path("/var/tmp") / f"humbug-nagios-{os.getpid()}"
    folder.mkdir(mode=0o755)
    try:
        ini, closed = folder / "agent.ini", folder / "lib"
        closed.mkdir(mode=0o700)
        ini.write_text(host.ini.read_text().replace(f"{host.folder}/outbox.db", f"{closed}/outbox.db"))
        ini.chmod(0o644)
        # Root sees it; and has loaded all that another user may not be able to read.
        assert CliRunner().invoke(main, ["status", "--nagios", "--config", str(ini)]).exit_code == 2
        os.setresuid(65534, 65534, 0)
        try:
            done = CliRunner().invoke(main, ["status", "--nagios", "--config", str(ini)])
        finally:
            os.setresuid(0, 0, 0)
    finally:
        shutil.rmtree(folder)
    assert done.exit_code == 3
    assert done.stdout.startswith(f"UNKNOWN - {closed}/outbox.db")
    assert "Permission denied; run it as root or as the user that the daemon runs as" in done.stdout
    assert "Errno" not in done.stdout


@pytest.mark.parametrize("age", [-60, 60])
def test_an_error_from_before_agent_ini_was_changed_is_told_as_that(host: Host, age: int) -> None:
    changed = host.ini.stat().st_mtime
    with Outbox(host.folder / "outbox.db") as outbox:
        outbox.accept("master-csv", batch(1, cursor=None), ["humbug"])
        outbox.mark("humbug", [Mark(1, "dead", changed + age, status=400, error="http://old/: answered 400")])
    stands = overview(host.ini).status.destinations["humbug"]
    assert (stands.last_error, stands.last_error_outdated) == ("http://old/: answered 400", age < 0)
    done = CliRunner().invoke(main, ["status", "--config", str(host.ini)])
    (line,) = [line for line in done.stdout.splitlines() if "last error" in line]
    before = ", before agent.ini was changed" if age < 0 else ""
    at = clock(int(changed + age), load(host.ini).agent.timezone)
    assert line == f"destination humbug, last error, {at}{before}: http://old/: answered 400"


def test_nagios_gets_unknown_where_agent_ini_may_not_be_read(host: Host) -> None:
    """In this process, since another user may not be able to read the program of a test either."""
    host.ini.chmod(0o600)
    os.setresuid(65534, 65534, 0)
    try:
        done = CliRunner().invoke(main, ["status", "--nagios", "--config", str(host.ini)])
    finally:
        os.setresuid(0, 0, 0)
    assert done.exit_code == 3
    assert done.stdout.startswith("UNKNOWN - ")
    assert "Permission denied" in done.stdout


def test_status_says_that_nothing_runs_also_where_agent_ini_has_mistakes(host: Host) -> None:
    with host.ini.open("a") as ini:
        ini.write("[agentt]\n")
    assert host.run("status", code=2).split() == ["agent", "not", "running"]
    assert "[agentt]: is not known" in host.errors
