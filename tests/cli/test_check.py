"""`check`: what it tries, as whom, and what it calls things. Real files, ports and users; it sends no call."""

import errno
import fcntl
import grp
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

import pytest
import trustme

import humbug_agent
from humbug_agent.cli.checking import check
from humbug_agent.host.daemon_user import User, acting_as
from humbug_agent.http_client.client import HttpClient, NoAnswer
from humbug_agent.receiver import Background, Receiver, Store
from humbug_agent.sources.readable import in_words, what_helps
from tests.kit.host import API_KEY, Host, wait_until
from tests.kit.paths import DATA
from tests.kit.ports import free_port

pytestmark = pytest.mark.slow

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")


def found(host: Host, code: int | None = None) -> dict[str, dict[str, Any]]:
    return {one["part"]: one for one in host.json("check", code=code)}


def test_no_call_yet_is_a_warning_and_no_directory_is_a_mistake(host: Host) -> None:
    one = found(host, 0)["source master-csv"]
    assert (one["level"], one["ok"]) == ("warn", True)
    assert "does not exist; Asterisk makes it with the first call" in one["message"]
    assert [line.split()[1:3] for line in host.run("check").splitlines() if line.startswith("warn")] == [
        ["source", "master-csv"]
    ]
    # It was rotated just now.
    (host.folder / "Master.csv.1").write_bytes(b"")
    assert found(host, 0)["source master-csv"]["level"] == "warn"
    host.master = host.folder / "nowhere" / "Master.csv"
    host.configure()
    assert found(host, 1)["source master-csv"]["level"] == "fail"


def test_the_same_of_freeswitch(host: Host) -> None:
    host.ini.write_text(host.ini.read_text().replace("asterisk_csv", "freeswitch_csv"))
    assert found(host, 0)["source master-csv"]["level"] == "warn"


@as_root
def test_root_is_told_that_the_daemons_user_may_not_run_the_program(host: Host) -> None:
    program = Path("/var/tmp") / f"humbug-program-{os.getpid()}"
    try:
        shutil.copytree(Path(humbug_agent.__file__).parent, program / "humbug_agent")
        (program / "outbox").mkdir()
        shutil.chown(program / "outbox", "nobody")
        host.ini.write_text(host.ini.read_text().replace(f"{host.folder}/outbox.db", f"{program}/outbox/outbox.db"))
        command = [
            sys.executable,
            "-c",
            "from humbug_agent.cli.main import main; main()",
            "--config",
            str(host.ini),
            "check",
        ]
        for mode, closed in ((0o700, True), (0o755, False)):
            program.chmod(mode)
            # Python looks there first.
            done = subprocess.run(command, cwd=program, capture_output=True, text=True, check=False, timeout=60)
            said = f"{program}/humbug_agent: can't be read by user nobody; chmod -R a+rX {program}/humbug_agent"
            assert "destination humbug" in done.stdout, done.stderr
            assert (said in done.stdout) == closed
            # Nor may it get into the outbox's directory, which stands in there, too.
            assert (f"{program}/outbox: must be a directory" in done.stdout) == closed
    finally:
        shutil.rmtree(program)


@as_root
def test_root_is_told_what_the_daemons_user_may_read(host: Host) -> None:
    nobody = pwd.getpwnam("nobody")
    home = Path("/var/tmp") / f"humbug-check-{os.getpid()}"
    log, secret, etc = home / "log" / "Master.csv", home / "etc" / "key", home / "etc" / "agent.ini"
    try:
        for folder in (home / "log", home / "etc", home / "outbox"):
            folder.mkdir(parents=True, mode=0o755)
        shutil.chown(home / "outbox", nobody.pw_uid, nobody.pw_gid)
        shutil.copy(DATA / "asterisk22" / "Master-full.csv", log)
        secret.write_text("a-key\n")
        etc.write_text(
            f"[agent]\noutbox = {home}/outbox/outbox.db\n[source csv]\ntype = asterisk_csv\npath = {log}\n"
            f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key_file = {secret}\n"
        )
        host.ini = etc
        for file in (log, secret, etc):
            file.chmod(0o644)

        def fails() -> dict[str, str]:
            return {part: one["message"] for part, one in found(host).items() if not one["ok"]}

        assert not [part for part in fails() if not part.startswith("destination")]
        for file, part in ((log, "source csv"), (secret, "configuration"), (etc, "configuration")):
            file.chmod(0o600)
            assert str(file) in fails()[part]
            assert "ermission denied" in fails()[part]
            file.chmod(0o644)
        rotated = log.with_name("Master.csv.1")
        rotated.touch(0o600)
        assert str(rotated) in fails()["source csv"]
        rotated.unlink()
        for folder, part in ((log.parent, "source csv"), (etc.parent, "configuration")):
            folder.chmod(0o700)
            assert part in fails()
            folder.chmod(0o755)
        outbox = home / "outbox" / "outbox.db"
        outbox.write_text("something else, and long enough to be no header of SQLite's")
        outbox.chmod(0o600)
        shutil.chown(outbox, nobody.pw_uid, nobody.pw_gid)
        assert f"outbox {outbox}: what was read of it makes no sense (file is not a database)" in fails()["outbox"]
        outbox.unlink()
        outbox.touch(0o600)
        assert str(outbox) in fails()["outbox"]
        os.chown(outbox, nobody.pw_uid, nobody.pw_gid)
        assert "outbox" not in fails()
        # Who is neither root nor that user is told so, beside all the rest.
        shutil.chown(home / "outbox", 1, 1)
        (home / "outbox").chmod(0o700)
        # What Python loads late may stand where only root may read.
        check(etc)
        with acting_as(User("nobody", nobody.pw_uid, nobody.pw_gid, ())):
            tried = {one.part: one for one in check(etc)}
        assert "which nobody can't; run it as root or as the user" in tried["outbox"].message
        assert (tried["outbox"].level, tried["source csv"].level) == ("fail", "ok")
        # Whose it is says who the daemon's user is.
        shutil.chown(home / "outbox", 0, 0)
        log.chmod(0o600)
        assert "source csv" not in fails()
    finally:
        shutil.rmtree(home)


@as_root
def test_a_key_that_systemd_hands_to_the_daemon_may_be_roots_alone(host: Host) -> None:
    with TemporaryDirectory(prefix="humbug-credentials-", dir="/var/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        outbox, handed, key = home / "outbox", home / "handed", home / "etc" / "api-key"
        for one in (outbox, handed, key.parent):
            one.mkdir(mode=0o755)
        key.write_text(API_KEY)
        key.chmod(0o600)
        shutil.chown(outbox, "nobody")
        shutil.copy(key, handed / "api-key")
        shutil.chown(handed / "api-key", "nobody")
        log = home / "Master.csv"
        shutil.copy(DATA / "asterisk22" / "Master-full.csv", log)
        host.ini = home / "agent.ini"
        host.ini.write_text(
            f"[agent]\noutbox = {outbox}/outbox.db\n[source csv]\ntype = asterisk_csv\npath = {log}\n"
            f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key_file = {key}\n"
        )
        assert str(key) in found(host, 1)["configuration"]["message"]
        # Who has the outbox's lock is the daemon; its user may not get at this program here.
        lock = os.open(outbox / "outbox.db.lock", os.O_RDWR | os.O_CREAT, 0o666)
        shutil.chown(outbox / "outbox.db.lock", "nobody")
        fcntl.flock(lock, fcntl.LOCK_EX)
        environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(handed)}
        daemon = subprocess.Popen(
            ["sleep", "60"], user="nobody", group="nogroup", extra_groups=[], pass_fds=[lock], env=environment
        )
        try:
            os.write(lock, b"%d\n%s\n" % (daemon.pid, os.fsencode(host.ini)))
            os.close(lock)
            assert found(host, 0)["configuration"]["ok"]
            check(host.ini)
            assert "CREDENTIALS_DIRECTORY" not in os.environ
        finally:
            daemon.kill()
            daemon.wait()


@as_root
def test_the_advice_is_what_would_let_the_user_in() -> None:
    nobody, group = pwd.getpwnam("nobody"), grp.getgrnam("daemon")
    user = User("nobody", nobody.pw_uid, nobody.pw_gid, (nobody.pw_gid,))
    home = Path("/var/tmp") / f"humbug-advice-{os.getpid()}"
    log = home / "log" / "Master.csv"

    def advice(log_: tuple[int, int], folder: tuple[int, int], of: Path = log) -> str:
        """``log_`` and ``folder`` are their modes and groups; both are root's."""
        for path, (mode, gid) in ((log, log_), (log.parent, folder)):
            path.chmod(mode)
            os.chown(path, 0, gid)
        with acting_as(user):
            return what_helps(of)

    try:
        home.mkdir(mode=0o755)
        log.parent.mkdir()
        log.touch()
        open_ = (0o755, 0)
        joins = f"add nobody to group {group.gr_name}: usermod -aG {group.gr_name} nobody, and restart humbug-agent"
        assert advice((0o644, 0), open_) == ""
        assert advice((0o640, group.gr_gid), open_) == joins
        assert advice((0o644, 0), (0o750, group.gr_gid)) == joins
        # A group that lets nobody in, root's, and the user's own.
        for gid, name in ((group.gr_gid, group.gr_name), (0, "root")):
            said = advice((0o600, gid), open_)
            assert said == f"{log} is -rw------- root:{name}, where no group helps: setfacl -m u:nobody:r {log}"
        assert "no group helps" in advice((0o600, nobody.pw_gid), open_)
        assert advice((0o640, nobody.pw_gid), open_) == ""
        # A directory that may be listed and not entered; it counts before what is in it.
        assert advice((0o600, 0), (0o744, 0)).endswith(f"no group helps: setfacl -m u:nobody:x {log.parent}")
        assert advice((0o644, 0), (0o744, 0), of=log.parent).endswith(f"setfacl -m u:nobody:rx {log.parent}")
        assert advice((0o644, 0), (0o755, 0), of=log.with_name("none")) == ""
        log.chmod(0o600)
        helps = advice((0o600, 0), open_)
        with acting_as(user):
            with pytest.raises(PermissionError) as raised:
                log.read_bytes()
            assert in_words(raised.value) == f"{log}: Permission denied; {helps}"
    finally:
        shutil.rmtree(home)


def test_an_address_is_tried_while_the_daemon_runs_and_its_own_is_known(host: Host) -> None:
    host.write()
    mine = free_port()
    host.configure(agent=f"[status]\nlisten = 127.0.0.1:{mine}\n")
    with host.daemon() as daemon, socket.create_server(("127.0.0.1", 0)) as other:
        try:
            wait_until(lambda: (host.status()["page"] or {}).get("state") == "ok", 20)
            assert found(host, 0)["status"]["message"] == f"HTTP on 127.0.0.1:{mine}, without a password"
            for address, good in (
                (f"localhost:{mine}", True),
                (f"127.0.0.1:{other.getsockname()[1]}", False),
                (f"127.0.0.1:{free_port()}", True),
            ):
                host.configure(agent=f"[status]\nlisten = {address}\n")
                assert found(host)["status"]["ok"] is good, address
            host.configure(agent=f"[status]\nlisten = 0.0.0.0:{mine}\npassword = p\n")
            assert found(host)["status"]["ok"]
            host.configure(agent=f"[status]\nlisten = 0.0.0.0:{other.getsockname()[1]}\npassword = p\n")
            assert not found(host)["status"]["ok"]
            daemon.terminate()
            assert daemon.wait(10) == 0
        finally:
            daemon.kill()


def test_what_it_gives_to_copy_stands_on_lines_of_its_own(host: Host) -> None:
    host.ini.write_text(
        host.ini.read_text() + f"[source posted]\ntype = freeswitch_http\nlisten = 127.0.0.1:{free_port()}\n"
    )
    lines = host.run("check").splitlines()
    begin = lines.index('      <configuration name="json_cdr.conf" description="JSON CDR">')
    settings = ElementTree.fromstring("".join(lines[begin : lines.index("      </configuration>") + 1]))
    assert [one.get("value") for one in settings.iter("param") if one.get("name") == "log-b-leg"] == ["false"]


def test_a_port_that_another_program_has_is_not_the_daemons(host: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        host.configure(agent=f"[status]\nlisten = 127.0.0.1:{other.getsockname()[1]}\n")
        with host.daemon() as daemon:
            try:
                wait_until(lambda: (host.status()["page"] or {}).get("state") == "failing", 20)
                assert not found(host)["status"]["ok"]
                daemon.terminate()
                assert daemon.wait(10) == 0
            finally:
                daemon.kill()


@contextmanager
def answering(answer: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port that speaks first or waits, and says ``answer`` to whatever comes, then closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with closing(peer), suppress(OSError):
                    peer.settimeout(10)
                    if tls:
                        with tls.wrap_socket(peer, server_side=True) as secure:
                            secure.recv(65536)
                            secure.sendall(answer)
                    elif peer.recv(65536):
                        peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def said(url: str) -> str:
    client = HttpClient(timeout=3, user_agent="test")
    try:
        with pytest.raises(NoAnswer) as raised:
            client.send(client.prepare("GET", url), None, {}, 1000)
        assert raised.value.lasting or "speaks" not in str(raised.value)
        return str(raised.value)
    finally:
        client.close()


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"<html>what?</html>"],
)
def test_plain_http_behind_https_is_called_that(answer: bytes) -> None:
    with answering(answer) as port:
        plain = answer.startswith(b"HTTP")
        assert ("speaks plain HTTP and no TLS; write http://" in said(f"https://127.0.0.1:{port}/x")) is plain


def test_a_plain_server_that_only_closes_the_connection_is_asked_in_its_own_language() -> None:
    """As one does that waits for a line, and is sent none that it knows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with closing(peer):
                    if peer.recv(65536).startswith(b"HEAD"):
                        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert "speaks plain HTTP and no TLS" in said(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_plain_server_that_waits_for_the_end_of_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            kept = []
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    kept.append(peer)
                    if peer.recv(65536).startswith(b"HEAD"):
                        peer.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            for peer in kept:
                peer.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            assert "speaks plain HTTP and no TLS" in said(f"https://127.0.0.1:{listener.getsockname()[1]}/")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_tls_behind_http_is_called_that(tls: ssl.SSLContext) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", tls) as port:
        assert "this port speaks HTTPS; write https://" in said(f"http://127.0.0.1:{port}/x")
        # A certificate that nobody signed is another matter.
        assert "TLS: " in said(f"https://127.0.0.1:{port}/x")


@pytest.mark.parametrize(
    "text",
    [
        "<center>The plain HTTP request was sent to HTTPS port</center>",
        "Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
        "Client sent an HTTP request to an HTTPS server.\n",
        "Bad Request\nThis combination of host and port requires TLS.\n",
    ],
)
def test_a_server_that_says_so_in_plain_http(text: str) -> None:
    answer = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()
    with answering(answer) as port:
        assert "this port speaks HTTPS; write https://" in said(f"http://127.0.0.1:{port}/x")


def test_no_call_is_dead_because_of_a_wrong_scheme(host: Host, tls: ssl.SSLContext) -> None:
    host.write("Master-diskfull.csv")
    text = b"The plain HTTP request was sent to HTTPS port"
    with answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)) as port:
        host.ini.write_text(host.ini.read_text().replace(host.receiver.url, f"http://127.0.0.1:{port}/receiver.php"))
        host.run("run", "--once", code=1)
        assert host.status()["deliveries"] == {"waiting": 23, "sent": 0, "dead": 0}
        assert "speaks HTTPS" in found(host, 1)["destination humbug"]["message"]


def test_a_destination_and_a_hosted_pbx_behind_the_wrong_scheme(
    host: Host, tmp_path: Path, tls: ssl.SSLContext
) -> None:
    secure = host.receiver.url.replace("http://", "https://")
    api = "type = fusionpbx\nemail = admin@example.org\npassword = an-api-password\ndomains = d\nurl"
    with (
        closing(Store(tmp_path / "other.db")) as store,
        Background(Receiver(store)) as plain,
        answering(b"", tls) as port,
    ):
        plain_url = plain.url.replace("http://", "https://").removesuffix("/receiver.php")
        host.ini.write_text(
            f"[source plain]\n{api} = {plain_url}\n[source secure]\n{api} = http://127.0.0.1:{port}\n"
            + host.ini.read_text().replace(host.receiver.url, secure)
        )
        said = found(host, 1)
    assert "speaks plain HTTP and no TLS" in said["destination humbug"]["message"]
    assert "speaks plain HTTP and no TLS" in said["source plain"]["message"]
    assert "this port speaks HTTPS" in said["source secure"]["message"]


def test_what_looks_like_a_comment_behind_a_value_is_warned_about_without_it(host: Host) -> None:
    host.configure(destination="encryption_key = an-encryption-key ; the old one\naccept_pattern = ok\t# or so\n")
    warnings = [one["message"] for one in host.json("check", code=None) if one["part"] == "warning"]
    assert [one.partition(":")[0] for one in warnings] == [
        "[destination humbug] encryption_key",
        "[destination humbug] accept_pattern",
    ]
    assert not [one for one in warnings if "old" in one or "or so" in one]
    host.write()
    host.run("run", "--once", code=None)
    assert host.errors.count("give it a line of its own") == 2


def test_where_the_look_for_what_helps_fails_too_the_first_failure_is_said() -> None:
    """Such as where a disk or a server stopped answering; here it is a name that no file can have."""
    path = "/" + "x" * 300
    assert what_helps(Path(path)) == ""
    assert in_words(PermissionError(errno.EACCES, "Permission denied", path)) == f"{path}: Permission denied"
