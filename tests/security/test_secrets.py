"""Planted secrets, said back by everybody they are sent to, stand in nothing that the program writes or tells."""

import base64
import html
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import requests
from click.testing import CliRunner
from requests.auth import HTTPBasicAuth

from humbug_agent.cli.main import main
from tests.kit.host import PROGRAM, RECORDED, wait_until
from tests.kit.ports import free_port
from tests.security.parrot import AMI, ESL, HTTP, Parrot

pytestmark = pytest.mark.slow

SECRETS = {
    name: f'Planted-{name}/"<ü>+&%41'
    for name in ("api_key", "encryption_key", "ami", "esl", "token", "key", "user_key", "password", "page", "posting")
}
IN_URLS = ("url-word", "proxy-word")


def ways(secret: str) -> set[str]:
    """How it may be written."""
    raw = secret.encode()
    return {
        secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret),
        quote(secret), quote(secret, safe=""), quote_plus(secret), raw.hex(), raw.decode("latin-1"),
        base64.b64encode(raw).decode().rstrip("="), repr(secret)[1:-1], f"Planted-{secret.partition('/')[0][8:]}",
    }  # fmt: skip


def found_in(text: str) -> list[str]:
    return [name for name, secret in SECRETS.items() if any(way in text for way in ways(secret))] + [
        word for word in IN_URLS if word in text
    ]


@contextmanager
def everybody(folder: Path, port: int) -> Iterator[dict[str, Parrot]]:
    """An agent.ini with every secret that there can be, and who gets them."""
    with ExitStack() as stack:
        there = {name: stack.enter_context(Parrot(begins)) for name, begins in (("ami", AMI), ("esl", ESL))}
        there |= {name: stack.enter_context(Parrot(HTTP)) for name in ("receiver", "api")}
        at = {name: parrot.port for name, parrot in there.items()}
        api = f"url = http://me:url-word@127.0.0.1:{at['api']}/api/cdr\npoll_seconds = 1\n"
        ini = folder / "agent.ini"
        ini.touch(0o600)
        ini.write_text(
            f"""[agent]
outbox = {folder}/outbox.db
log_level = debug
timezone = UTC
[source csv]
type = asterisk_csv
path = {folder}/Master.csv
[source ami]
type = asterisk_ami
port = {at["ami"]}
username = humbug
secret = {SECRETS["ami"]}
[source esl]
type = freeswitch_esl
port = {at["esl"]}
password = {SECRETS["esl"]}
[source posted]
type = freeswitch_http
listen = 127.0.0.1:{free_port()}
username = fs
password = {SECRETS["posting"]}
[source while1]
type = while1
{api}token = {quote(SECRETS["token"])}
api_key = {SECRETS["key"]}
[source boxis]
type = boxis
{api}username = me
user_key = {SECRETS["user_key"]}
tenants = one
[source fusionpbx]
type = fusionpbx
{api}email = me@pbx.test
password = {SECRETS["password"]}
domains = one
[destination plain]
type = humbug
url = http://me:url-word@127.0.0.1:{at["receiver"]}/
api_key = {SECRETS["api_key"]}
[destination encoded]
type = humbug
url = http://127.0.0.1:{at["receiver"]}/
api_key = {SECRETS["api_key"]}
encryption_key = {SECRETS["encryption_key"]}
[destination proxied]
type = humbug
url = http://receiver.test/
proxy = http://me:proxy-word@127.0.0.1:{at["receiver"]}
api_key = {SECRETS["api_key"]}
[status]
listen = 127.0.0.1:{port}
username = admin
password = {SECRETS["page"]}
""",
            "utf-8",
        )
        yield there


def test_no_secret_is_in_anything_that_is_written_or_told(tmp_path: Path) -> None:
    port, told = free_port(), []
    (tmp_path / "Master.csv").write_bytes(b"".join((RECORDED / "Master-full.csv").read_bytes().splitlines(True)[:3]))
    with everybody(tmp_path, port) as there, open(tmp_path / "log", "wb") as log:
        daemon = subprocess.Popen([PROGRAM, "--config", tmp_path / "agent.ini", "run"], stderr=log, stdout=log)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: all(parrot.heard for parrot in there.values()) and page_answers(url))
            wait_until(lambda: len(there["receiver"].heard) >= 6 and len(there["api"].heard) >= 3)
            wait_until(lambda: (tmp_path / "log").read_text().count("refuses the") >= 2)
            for page in ("/status.json", "/metrics", "/healthz", "/", "/ipps/channelinfo.php?channel=SIP/a"):
                answer = requests.get(url + page, auth=HTTPBasicAuth("admin", SECRETS["page"].encode()), timeout=10)
                told.append(f"{answer.headers}{answer.text}")
            told.append(requests.get(url, auth=("admin", "wrong"), timeout=10).text)
            for words in (
                ["status"], ["status", "--json"], ["outbox", "list"],
                ["outbox", "show", "1"], ["outbox", "show", "1", "--json"], ["outbox", "export"],
                ["outbox", "replay", "1", "--dry-run"], ["explain", "x"], ["test-call"], ["reload"],
            ):  # fmt: skip
                told.append(said(tmp_path, words))
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(20) == 0
            commands = (
                ["check"], ["doctor"], ["doctor", "--json"], ["test-call", "--to", "encoded", "--json"],
                ["reconcile"], ["reconcile", "--json", "--send"],
            )  # fmt: skip
            told += [said(tmp_path, words) for words in commands]
        finally:
            daemon.kill()
            daemon.wait()
    everywhere = b"".join(b for parrot in there.values() for b in parrot.heard).decode("latin-1")
    assert "Planted-ami" in everywhere, "nothing was planted"
    written = [path for path in tmp_path.iterdir() if path.name not in ("agent.ini", "Master.csv")]
    assert {path.name for path in written} >= {"outbox.db", "outbox.db.lock", "log"}
    for path in written:
        for text in (path.read_bytes().decode("utf-8", "replace"), path.read_bytes().decode("latin-1")):
            assert not found_in(text), path
    for text in told:
        assert not found_in(text), text


def said(folder: Path, words: list[str]) -> str:
    """By a command, with whatever goes wrong."""
    done = CliRunner().invoke(main, ["--config", str(folder / "agent.ini"), *words])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return f"{words} {done.output}"


def page_answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code == 401
    except requests.ConnectionError:
        return False
