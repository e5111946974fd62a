"""The examples of the pages about destinations, as they stand there but for hosts and paths, against real servers."""

import asyncio
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import validate
from nats.js.api import StreamConfig

from tests.kit.cdr_csv import numbered
from tests.kit.host import PROGRAM
from tests.kit.nats_server import NatsServer
from tests.kit.paths import TOP
from tests.kit.postgresql_server import PostgresqlServer
from tests.kit.rude import Rude

PAGES = TOP / "docs/destinations"


def block(page: Path, kind: str, number: int = 0) -> str:
    """The ``number``-th example of a kind."""
    found: list[str] = re.findall(rf"^```{kind}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return found[number]


def replaced(text: str, others: Mapping[str, object]) -> str:
    for one, other in others.items():
        assert one in text, one
        text = text.replace(one, str(other))
    return text


def agent(folder: Path, destination: str) -> Path:
    """An agent.ini with this example; its source has three calls."""
    (folder / "Master.csv").write_bytes(numbered(1, 2, 3))
    ini = folder / "agent.ini"
    ini.touch(0o600)
    ini.write_text(
        f"[agent]\noutbox = {folder}/outbox.db\ntimezone = Europe/Zurich\n"
        f"[source csv]\ntype = asterisk_csv\npath = {folder}/Master.csv\n{destination}"
    )
    return ini


def run(ini: Path, *arguments: str) -> str:
    done = subprocess.run(
        [PROGRAM, "--config", ini, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_webhook_of_the_page(tmp_path: Path) -> None:
    page, secret = PAGES / "webhook.md", tmp_path / "webhook-secret"
    making = replaced(block(page, "sh"), {"/etc/humbug-agent/webhook-secret": secret})
    subprocess.run(["sh", "-c", making], check=True)
    secret.chmod(0o600)
    with Rude() as server:
        here = {"https://crm.example.org/hooks/calls": server.url, "/etc/humbug-agent/webhook-secret": secret}
        ini = agent(tmp_path, replaced(block(page, "ini"), here))
        assert "calls go signed" in run(ini, "check")
        run(ini, "run", "--once")
        calls = [request for request in server.requests if request.body]
    shown = json.loads(block(page, "json"))
    assert len(calls) == 3
    for request in calls:
        found: dict[str, Any] = {
            "secret": secret.read_text().strip(),
            "body": request.body,
            "headers": dict(request.headers),
        }
        exec(block(page, "python"), found)
        event = found["event"]
        validate(event, json.loads((PAGES / "webhook.schema.json").read_text()))
        assert list(event) == list(shown)
        assert list(event["data"]) == list(shown["data"])
        assert {type(value) for value in event.values()} == {type(value) for value in shown.values()}
        headers = {name.lower(): value for name, value in dict(request.headers).items()}
        assert headers["x-site"] == "Zurich"
        assert headers["authorization"].startswith("Bearer ")


def test_the_postgresql_of_the_page(tmp_path: Path) -> None:
    page, password = PAGES / "postgresql.md", tmp_path / "password"
    making, table = block(page, "sql"), block(page, "sql", 1)
    password.write_text(re.findall("PASSWORD '(.*)'", making)[0])
    password.chmod(0o600)
    server = PostgresqlServer()
    server.start()
    try:
        for one in making.strip().split("\n"):
            server.ask(one, database="postgres")
        here = {
            "host = db.example.org": f"host = 127.0.0.1\nport = {server.port}",
            "/etc/humbug-agent/postgresql-password": password,
        }
        example = replaced(block(page, "ini"), here)
        run(agent(tmp_path, example), "run", "--once")
        made = columns(server)
        rows = "SELECT pbx, event, encode(identity, 'hex') FROM cdr"
        assert {(pbx, event) for pbx, event, _ in server.ask(rows)} == {("zurich-1", "Cdr")}
        assert {len(identity) for _, _, identity in server.ask(rows)} == {32}
        # The same goes into the table of one's own, by a user who may make nothing.
        server.ask("DROP TABLE cdr")
        server.ask(table)
        assert columns(server) == made
        server.ask(re.findall("`(GRANT .*?)`", page.read_text())[0])
        ini = agent(tmp_path, f"{example}create = no\n")
        assert "reports" in run(ini, "check")
        (tmp_path / "outbox.db").unlink()
        run(ini, "run", "--once")
        assert len(server.ask(rows)) == 3
    finally:
        server.__exit__()


def columns(server: PostgresqlServer) -> list[tuple[Any, ...]]:
    """The table's, with their types, and its key."""
    return [
        *server.ask(
            "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns "
            "WHERE table_name = 'cdr' ORDER BY ordinal_position"
        ),
        *server.ask("SELECT indexdef FROM pg_indexes WHERE tablename = 'cdr'"),
    ]


def test_the_nats_of_the_page(tmp_path: Path) -> None:
    page, password = PAGES / "nats.md", tmp_path / "password"
    with NatsServer() as server:
        configured = replaced(block(page, ""), {"/var/lib/nats": server.folder / "of-the-page"})
        word = re.findall('password: "(.*?)"', configured)[0]
        # Somebody has to look.
        configured = configured.replace("users: [{", "users: [{user: admin, password: admin}, {")
        server.kill()
        (server.folder / "nats.conf").write_text(f"listen: 127.0.0.1:{server.port}\n{configured}")
        server.start()
        password.write_text(word)
        password.chmod(0o600)
        here = {
            "tls://nats-1.example.org:4222, tls://nats-2.example.org:4222": f"nats://127.0.0.1:{server.port}",
            "/etc/humbug-agent/nats-password": password,
        }
        ini = agent(tmp_path, replaced(block(page, "ini"), here))
        run(ini, "run", "--once")
        assert "fleet" in run(ini, "check")
        assert len(server.events()) == 3
        made = asyncio.run(stream(server)).as_dict()
    told = re.search(r"nats stream add CDR --subjects '(.*?)' (.*) \\\n *(.*) --defaults", page.read_text())
    assert told
    assert made["subjects"] == [told[1]]
    names = {"replicas": "num_replicas", "max-msgs-per-subject": "max_msgs_per_subject"}
    for name, value in re.findall(r"--(\S+) (\w+)", f"{told[2]} {told[3]}"):
        assert str(made[names.get(name, name)]) == value
    assert made["discard_new_per_subject"] is ("--discard-per-subject" in told[3])


async def stream(server: NatsServer) -> StreamConfig:
    client = await server.connect()
    try:
        return (await client.jetstream().stream_info("CDR")).config
    finally:
        await client.close()


def test_a_rule_keys_and_a_mask_of_the_page(tmp_path: Path) -> None:
    page, keys = TOP / "docs/destinations.md", tmp_path / "api-keys"
    first, rule, tenants, masked = (block(page, "ini", number) for number in range(4))
    keys.write_text("".join(re.findall(r"```\n(# /etc/humbug-agent/api-keys.*?)```", page.read_text(), re.DOTALL)))
    keys.chmod(0o600)
    with Rude() as server:
        there = {"type = humbug": f"type = humbug\nurl = {server.url}"}
        ini = agent(tmp_path, replaced(tenants, {"/etc/humbug-agent/api-keys": keys, **there}) + rule)
        run(ini, "check")
        run(ini, "test-call", "--account", "beta.example.org")
        assert [request.form["gateway"] for request in server.requests if request.body] == ["77aa02c4d1e8"]
        keys.write_text("a-key")
        for one in (first, masked):
            (tmp_path / "outbox.db").unlink(missing_ok=True)
            run(agent(tmp_path, replaced(one, {"/etc/humbug-agent/api-key": keys, **there})), "run", "--once")
        assert [request.form["gateway"] for request in server.requests if request.body][1:] == ["a-key"] * 6
