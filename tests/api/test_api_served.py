"""[api] as a section of agent.ini: the daemon serves it, a reload changes it, and who has none pays nothing."""

import json
import signal
import sqlite3
import time
from contextlib import closing, nullcontext
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from humbug_agent.call_store.contract import Wanted
from humbug_agent.call_store.pages import Views
from humbug_agent.cdr import Batch
from humbug_agent.config import Config, load
from humbug_agent.ini import ConfigError, Secret
from humbug_agent.outbox import api_queries
from humbug_agent.outbox.api_store import OutboxStore
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.while1.pages import signed
from tests.kit.agent_ini import config_of
from tests.kit.api_served import KEY, TOKEN, ServedApi, account, call
from tests.kit.host import Host, wait_until
from tests.kit.many_calls import fill
from tests.kit.ports import free_port
from tests.kit.served import running

ACCOUNT = f"[api billing]\ntenants = *\ntoken = {TOKEN}\napi_key = {KEY}\n"
BILLING = "[api billing]\ntenants = *\nemail = a@b.example\npassword = secret\n"


def read(folder: Path, more: str) -> Config:
    return config_of(folder, more=more)


def test_it_is_off_unless_it_is_there(tmp_path: Path) -> None:
    assert read(tmp_path, "").api is None
    found = read(tmp_path, f"[api]\ncdr = yes\n{ACCOUNT}").api
    assert found is not None
    assert (found.where, found.cdr, found.by_tenant) == ("127.0.0.1:6496", True, False)
    assert TOKEN not in repr(found)
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("[api]\ncdr = yes\n", "[api] cdr: is on, and nobody may ask: at least one [api NAME] has token and api_key"),
        (
            f"[api]\ngetcdr = yes\n{ACCOUNT}",
            "[api] getcdr: is on, and nobody may ask: at least one [api NAME] has username",
        ),
        (f"[api]\n{ACCOUNT}email = a@b.example\n", "[api billing] password: is missing; email is of no use alone"),
        (f"[api]\n{ACCOUNT.replace('*', 'a, =b')}", "[api billing] tenants: '=b' is neither a tenant nor NAME=TENANT"),
        (
            f"[api]\ncall_range = yes\n{BILLING}{BILLING.replace('billing', 'other')}",
            "[api] call_range: can't tell who asks: two of the [api NAME] have email = a@b.example",
        ),
        (ACCOUNT, "[api billing]: stands there without [api]"),
        ("[api]\n[api x]\n", "[api x] tenants: is missing"),
        (
            "[api]\n[api x]\ntenants = *\n",
            "[api] cdr, getcdr, call_range: [api x] has the keys of none of them; give it token and api_key, or",
        ),
        (f"[api]\n{ACCOUNT.replace('*', '*, a')}", "[api billing] tenants: has *, which is all calls, beside others"),
        (f"[api]\nrequire_tls = yes\n{ACCOUNT}", "[api] certificate: is missing; require_tls needs one"),
        (f"[api]\ncrd = yes\n{ACCOUNT}", "[api] crd: is not known here; did you mean cdr?"),
        (f"[api]\n{ACCOUNT}{ACCOUNT.replace('[api ', '[api  ')}", "[api billing] name: stands there twice"),
    ],
)
def test_mistakes(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, more)
    assert said in str(raised.value)


def test_a_tenant_may_be_asked_for_by_another_name(tmp_path: Path) -> None:
    more = f"[api]\n{ACCOUNT.replace('*', 'VOICE-1=a, VOICE-1 = b.example, c')}"
    found = read(tmp_path, more).api
    assert found
    account = found.accounts["billing"]
    assert account.tenants == {"VOICE-1": ("a", "b.example"), "c": ("c",)}
    assert account.seen == ("a", "b.example", "c")
    assert [account.of(one) for one in ("VOICE-1", "a", "c", "")] == [("a", "b.example"), (), ("c",), ()]
    every = read(tmp_path, f"[api]\n{ACCOUNT}").api
    assert every
    assert (every.accounts["billing"].seen, every.accounts["billing"].of("a")) == (None, ("a",))


class Served:
    """A host whose daemon has [api]."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.port = free_port()
        self.more()

    def more(self, accounts: str = ACCOUNT, api: str = "cdr = yes") -> None:
        self.host.configure(agent=f"[api]\nlisten = 127.0.0.1:{self.port}\n{api}\n{accounts}")

    def ask(self, token: str = TOKEN, **filters: Any) -> requests.Response:
        kind, body = signed({"page": 1, "filters": filters}, KEY, "form")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        return requests.post(f"http://127.0.0.1:{self.port}/api/cdr", data=body, headers=headers, timeout=10)

    def count(self) -> int:
        """-1 where nobody answers, or not so."""
        try:
            return int(self.ask().json()["pagination"]["row_count"])
        except (requests.RequestException, TypeError):
            return -1


def indexes(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as conn:
        return {
            name
            for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND name LIKE 'api_%'")
        }


def test_the_daemon_serves_it_and_a_reload_changes_who_may_ask(host: Host) -> None:
    api = Served(host)
    host.write("Master-full.csv")
    with running(host) as daemon:
        wait_until(lambda: api.count() > 100)
        found = api.ask().json()
        assert found["results"][0]["id"] == "1"
        wait_until(lambda: indexes(host.folder / "outbox.db") == api_queries.BY_NUMBER)
        wait_until(lambda: host.status()["api"]["state"] == "ok")
        checked = {one["part"]: one for one in host.json("check", code=None)}
        assert checked["api"]["message"] == f"HTTP on 127.0.0.1:{api.port}, with keys"
        # One that sees a tenant's calls alone takes indexes.
        api.more(ACCOUNT.replace("*", "nobody"))
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: api.count() == 0)
        wait_until(lambda: indexes(host.folder / "outbox.db") == api_queries.BY_NUMBER | api_queries.BY_START)
        api.more(api="cdr = no")
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: api.ask().status_code == 404)
        host.configure()
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: api.count() == -1)
        wait_until(lambda: indexes(host.folder / "outbox.db") == set())
    assert host.status()["api"] is None
    assert TOKEN not in host.errors
    assert KEY not in host.errors


def test_tokens_are_made_listed_and_revoked_while_the_daemon_runs(host: Host) -> None:
    api = Served(host)
    api.more(BILLING, "call_range = yes")
    host.write("Master-full.csv")
    where = f"http://127.0.0.1:{api.port}/api/calls"

    def status(token: str) -> int:
        return requests.get(
            where, {"domain_name": "x"}, headers={"Authorization": f"Bearer {token}"}, timeout=10
        ).status_code

    with running(host):
        wait_until(lambda: host.status()["deliveries"]["sent"] > 100)
        host.run("api", "tokens", "add", "other", code=2)
        assert "those that have are billing" in host.errors
        wait_until(lambda: indexes(host.folder / "outbox.db") == api_queries.BY_END)
        token = host.run("api", "tokens", "add", "billing").strip()
        other = host.json("api", "tokens", "add", "billing")["token"]
        assert (status(token), status(other)) == (200, 200)
        listed = host.json("api", "tokens", "list")
        assert [(one["id"], one["account"]) for one in listed] == [(1, "billing"), (2, "billing")]
        assert all(one["used"] for one in listed)
        for secret in (token, other):
            assert secret.partition("|")[2] not in host.run("api", "tokens", "list") + host.errors
        host.run("api", "tokens", "revoke", "1")
        assert (status(token), status(other)) == (401, 200)
        host.run("api", "tokens", "revoke", "1", code=1)
        host.run("api", "tokens", "revoke", "--account", "billing")
        assert status(other) == 401
        assert host.json("api", "tokens", "list") == []


def test_a_port_that_is_taken_is_told_and_calls_are_delivered_meanwhile(host: Host) -> None:
    import socket

    api = Served(host)
    with socket.create_server(("127.0.0.1", api.port)):
        assert "another program has that port" in host.run("check", code=1)
        host.write("Master-full.csv")
        with running(host):
            wait_until(lambda: host.status()["deliveries"]["sent"] > 100)
            found = host.status()["api"]
            assert found["state"] == "failing"
            assert "another program has that port" in found["message"]


MANY = 100_000


def test_a_page_costs_the_same_wherever_it_stands(tmp_path: Path) -> None:
    fill(tmp_path / "outbox.db", MANY)
    with Outbox(tmp_path / "outbox.db") as outbox, closing(OutboxStore(outbox.path, Views())) as asking:
        api_queries.prepare(outbox, api_queries.INDEXES)
        told = {number: asking.page("x", Wanted(), 0, number, 100) for number in (1, 500, 1000)}
        assert [page.calls[0][0] for page in told.values()] == [1, 49_901, 99_901]
        assert {page.count for page in told.values()} == {MANY}
        # And one call more is not looked for among all of them.
        outbox.accept("made", Batch([call(1)], [], None), [])
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        # Nobody else sets one while this is asked.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(api_queries, "in_time", lambda outbox: nullcontext())
            asking._outbox.db.conn.set_progress_handler(step, 100)
            page = asking.page("x", Wanted(), 0, 1001, 100)
        assert ([number for number, _ in page.calls], page.count) == ([MANY + 1], MANY + 1)
        assert steps < 200, "of a hundred instructions each"


@pytest.mark.slow
def test_fifty_clients_page_through_while_calls_are_brought(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    fill(path, MANY)
    seen: list[list[int]] = []
    took: list[float] = []
    with ServedApi(path, account()) as served:

        def go() -> None:
            ids: list[int] = []
            with requests.Session() as session:
                for page in range(1, 41):
                    kind, body = signed({"page": page, "filters": {"from_id": 90_001}}, KEY, "json")
                    began = time.monotonic()
                    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
                    answer = session.post(served.url, data=body, headers=headers, timeout=60)
                    took.append(time.monotonic() - began)
                    ids += [int(row["id"]) for row in json.loads(answer.content)["results"]]
            seen.append(ids)

        clients = [Thread(target=go) for _ in range(50)]
        for client in clients:
            client.start()
        slowest = 0.0
        with Outbox(path, durable=True) as outbox:
            number = 0
            while any(client.is_alive() for client in clients):
                began = time.monotonic()
                outbox.accept("made", Batch([call(number := number + 1)], [], None), ["humbug"])
                slowest = max(slowest, time.monotonic() - began)
        for client in clients:
            client.join()
    print(f"{len(took)} pages, {sorted(took)[len(took) // 2]:.3f} s in the middle, {max(took):.3f} s at most")
    print(f"{number} calls brought meanwhile, {slowest:.3f} s at most")
    assert seen == [list(range(90_001, 94_001))] * 50
    assert number > 10
    assert slowest < 5


def test_the_sections_of_the_keys_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    more = ACCOUNT.replace(f"token = {TOKEN}", f"token_file = {tmp_path}/token")
    config_of(tmp_path, more=f"[api]\ncdr = yes\n{more}")
    found = load(tmp_path / "agent.ini").api
    assert found is not None
    assert found.accounts["billing"].token == Secret("from-a-file")
