"""Collectors as processes: started wrongly, told to read again, killed. What was answered with 200 is there once."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from humbug_agent.receiver.store import opened
from humbug_agent.sources.while1.pages import signed
from tests.kit.forms import CALL, FORM, plain, post
from tests.kit.host import PROGRAM
from tests.kit.ports import free_port
from tests.kit.postgresql_server import DATABASE, PASSWORD, USER, PostgresqlServer
from tests.kit.rude import until

pytestmark = pytest.mark.slow

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"
SECONDS = 30


@dataclass
class Collector:
    """A process; ``url`` is where it takes calls, ``log`` what it has written."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: Path


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch(0o600)
    path.write_text(f"office {KEY}\n")
    return path


@contextmanager
def collector(folder: Path, store: str, keys: Path, *options: str) -> Iterator[Collector]:
    """Killed at the end, if not before."""
    log = folder / f"log-{os.urandom(4).hex()}"
    command = [PROGRAM, "receiver", "--listen", "127.0.0.1:0", "--keys-file", str(keys), *options]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | {"HUMBUG_STORE": store})
    try:
        until(lambda: "taking calls on" in log.read_text() or process.poll() is not None, SECONDS, "it takes calls")
        yield Collector(process, log.read_text().partition("taking calls on ")[2].partition(",")[0], log)
    finally:
        process.kill()
        process.wait()


@dataclass
class Agent:
    """Sends numbered calls to one of the collectors after the other, each until somebody has answered it with 200."""

    urls: list[str]
    first: int
    taken: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with requests.Session() as session:
            number = self.first
            while not self.stop.is_set():
                body = urlencode(CALL | {"gateway": KEY, "UniqueID": str(number)})
                try:
                    url = self.urls[number % len(self.urls)]
                    answer = session.post(url, body, headers=FORM | {"Idempotency-Key": str(number)}, timeout=20)
                except requests.RequestException:
                    number += 10_000
                    continue
                if answer.status_code == 200:
                    self.taken.append(str(number))
                number += 1


@contextmanager
def sending(urls: list[str], number: int = 4) -> Iterator[list[Agent]]:
    agents = [Agent(urls, first * 1_000_000) for first in range(number)]
    threads = [threading.Thread(target=agent.run) for agent in agents]
    for thread in threads:
        thread.start()
    try:
        yield agents
    finally:
        for agent in agents:
            agent.stop.set()
        for thread in threads:
            thread.join()


def taken(agents: list[Agent]) -> list[str]:
    return [one for agent in agents for one in agent.taken]


def _until_taken(agents: list[Agent], number: int) -> None:
    """So many more than there are now."""
    before = len(taken(agents))
    until(lambda: len(taken(agents)) > before + number, SECONDS, f"{number} calls are taken")


def test_what_was_answered_is_on_disk_when_it_is_killed(tmp_path: Path, keys: Path) -> None:
    where = str(tmp_path / "calls.db")
    answered: list[str] = []
    for _ in range(2):
        with collector(tmp_path, where, keys) as running, sending([running.url]) as agents:
            _until_taken(agents, 100)
            running.process.kill()
            running.process.wait()
        answered += taken(agents)
        assert KEY not in running.log.read_text()
    with closing(opened(where)) as store:
        there = [row["UniqueID"] for row in store.rows()]
    assert len(there) == len({*there})
    assert {*answered} <= {*there}


def test_several_on_one_database_are_killed_and_it_is_too(tmp_path: Path, keys: Path) -> None:
    with PostgresqlServer() as server, ExitStack() as stack:
        where = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{server.port}/{DATABASE}"
        first, second = (stack.enter_context(collector(tmp_path, where, keys)) for _ in range(2))
        with sending([first.url, second.url]) as agents:
            _until_taken(agents, 100)
            first.process.kill()
            first.process.wait()
            third = stack.enter_context(collector(tmp_path, where, keys))
            for agent in agents:
                agent.urls[0] = third.url
            _until_taken(agents, 100)
            server.kill()
            server.start()
            _until_taken(agents, 100)
        answered = taken(agents)
        with closing(opened(where)) as store:
            there = [row["UniqueID"] for row in store.rows()]
            repeats = sum(one.repeats for one in store.totals())
        assert len(there) == len({*there})
        assert {*answered} <= {*there}
        assert repeats == 0
        for one in (first, second, third):
            said = one.log.read_text()
            assert PASSWORD not in said
            assert KEY not in said
        assert "the store can't be used, calls are refused: PostgreSQL at" in second.log.read_text()


def test_keys_are_read_again_and_mistakes_change_nothing(tmp_path: Path, keys: Path) -> None:
    with collector(tmp_path, str(tmp_path / "calls.db"), keys) as running:
        keys.write_text(f"shop {OTHER}\n")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: post(running.url, plain(gateway=OTHER)).status_code == 200, SECONDS, "the new key is taken")
        assert post(running.url, plain(gateway=KEY)).status_code == 401
        keys.write_text("shop secret-word\nand-another-secret\n")
        running.process.send_signal(signal.SIGHUP)
        expected = f"ERROR the keys of before stay: keys file {keys}, line 2: is not NAME KEY"
        until(lambda: expected in running.log.read_text(), SECONDS, "the mistake is said")
        assert "secret" not in running.log.read_text()
        assert post(running.url, plain(gateway=OTHER)).status_code == 200
        running.process.terminate()
        assert running.process.wait(SECONDS) == 0
        assert "a call has come of PBX shop (one more within 1 min)" in running.log.read_text()


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (
            ["--listen", "0.0.0.0:0"],
            2,
            "--listen 0.0.0.0:0: other hosts could send and ask; give --keys-file or --api-key",
        ),
        (["--keys-file", "absent"], 1, "keys file absent: No such file or directory"),
        (["--keys-file", "absent", "--api-key", "x"], 2, "--keys-file and --api-key: keep one of them"),
        (["list"], 1, "calls.db: does not exist yet; humbug-agent receiver makes it"),
    ],
)
def test_what_it_does_not_start_with(tmp_path: Path, words: list[str], code: int, expected: str) -> None:
    command = [PROGRAM, "receiver", "--store", str(tmp_path / "calls.db"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, expected in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "calls.db").exists() or code == 1


def test_what_it_has_can_be_asked_for_as_the_file_says(tmp_path: Path, keys: Path) -> None:
    file = tmp_path / "api.ini"
    file.touch(0o600)
    port = free_port()
    accounts = "[api crm]\ntenants = office\ntoken = a-token\napi_key = a-key\n"
    file.write_text(f"[api]\nlisten = 127.0.0.1:{port}\ncdr = yes\n{accounts}")
    with collector(tmp_path, str(tmp_path / "calls.db"), keys, "--api-file", str(file)) as running:
        post(running.url, plain(gateway=KEY))
        kind, body = signed({"page": 1, "filters": {}}, "a-key", "json")
        headers = {"Content-Type": kind, "Authorization": "Bearer a-token"}
        found = requests.post(f"http://127.0.0.1:{port}/api/cdr", body, headers=headers, timeout=SECONDS).json()
        assert [(row["uniqueid"], row["accounting_code"]) for row in found["results"]] == [(CALL["UniqueID"], "office")]
        assert "humbug_call" not in found["results"][0]
    file.chmod(0o644)
    file.write_text(f"[api]\ncdr = yes\nnonsense = 1\n[status]\n{accounts}")
    command = [PROGRAM, "receiver", "--store", str(tmp_path / "calls.db"), "--api-file", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 2
    for expected in ("[status]: is not known here", "nonsense: is not known", f"chmod 600 {file}"):
        assert expected in done.stderr
    assert "a-key" not in done.stderr
