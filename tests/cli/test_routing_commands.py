"""The commands, over destinations that take only some of the calls: who is told what of those that nobody takes."""

import subprocess

import pytest

from tests.kit.cdr_csv import call as columns
from tests.kit.cdr_csv import line
from tests.kit.host import API_KEY, RECORDED, Host, wait_until

pytestmark = pytest.mark.slow

RECORDS = (RECORDED / "Master-full.csv").read_bytes().splitlines(keepends=True)
NOBODY = "only = accountcode is nobodys"


def test_what_nobody_takes_is_shown_and_replayed_by_every_command(host: Host) -> None:
    host.configure(destination=NOBODY)
    host.master.write_bytes(b"".join(RECORDS[:3]))
    assert host.run("run", "--once") == "0 sent, 0 waiting, 0 dead, 0 rejects\n"
    assert "3 taken by no destination: humbug-agent outbox list --state untaken shows why" in host.errors
    assert "untaken     3 calls that no destination takes, the last is 3: outbox list --state untaken" in host.run(
        "status", code=None
    )
    status = host.status()
    assert (status["untaken"], status["last_untaken"]) == (3, 3)
    listed = host.json("outbox", "list", "--state", "untaken")
    assert [(one["id"], one["state"], one["last_error"]) for one in listed] == [
        (number, "untaken", "no destination takes it") for number in (1, 2, 3)
    ]
    assert host.run("outbox", "export", "--state", "untaken").count("untaken") == 3
    (left_out,) = host.json("outbox", "show", "1")["left_out"]
    assert left_out["destination"] == "humbug"
    assert left_out["why"].startswith("only = accountcode is nobodys; it has accountcode ")
    assert "left out" in host.run("outbox", "show", "1")
    assert "not to destination humbug" in host.run("explain", RECORDS[0].decode())
    host.run("outbox", "list", "--state", "untaken", "--destination", "humbug", code=2)

    assert host.run("outbox", "replay", "--state", "untaken", "--dry-run") == "0 would be sent again\n"
    host.configure()
    dry = host.json("outbox", "replay", "1", "--dry-run")
    assert (dry["count"], [one["id"] for one in dry["bodies"]]) == (1, ["1"])
    assert host.run("outbox", "replay", "1") == "1 waits to be sent again\n"
    assert host.run("outbox", "purge", "2", "--yes") == "1 dropped\n"
    assert host.run("outbox", "replay", "--state", "untaken") == "1 waits to be sent again\n"
    assert host.run("run", "--once") == "2 sent, 0 waiting, 0 dead, 0 rejects\n"
    assert host.store.count() == 2
    assert host.status()["untaken"] == 0


def test_a_test_call_tries_the_key_of_one_account_whatever_only_says(host: Host) -> None:
    keys = host.folder / "keys"
    keys.touch(0o600)
    keys.write_text(f"acme.example.org = {API_KEY}\nbeta.example.org = another-key\n")
    host.configure(destination=f"api_keys_file = {keys}\napi_keys_by = domain\n{NOBODY}")
    host.ini.write_text(host.ini.read_text().replace(f"api_key = {API_KEY}\n", ""))
    assert "by 2 keys of" in host.run("check", code=None)
    host.run("test-call", code=2)
    assert "say by --account VALUE whose is tried" in host.errors
    said = host.json("test-call", "--account", "acme.example.org")
    assert said["taken"]
    assert said["parameters"]["gateway"] == "*** of acme.example.org"
    assert host.json("test-call", "--account", "beta.example.org", code=1)["status"] in (401, 403)
    assert "no key in" in host.json("test-call", "--account", "gamma.example.org", code=1)["reason"]
    host.configure(destination=f"api_keys_file = {keys}\napi_keys_by = domain")
    host.ini.write_text(host.ini.read_text().replace(f"api_key = {API_KEY}\n", ""))
    assert f"nothing is sent: no key in {keys} takes domain ''" in host.run("explain", RECORDS[0].decode())
    host.configure()
    host.run("test-call", "--account", "acme.example.org", code=2)


def test_a_reload_reads_the_keys_again(host: Host) -> None:
    keys = host.folder / "keys"
    keys.touch(0o600)
    keys.write_text(f"somebody = {API_KEY}\n")
    host.configure(destination=f"api_keys_file = {keys}")
    host.ini.write_text(host.ini.read_text().replace(f"api_key = {API_KEY}\n", ""))
    host.master.write_bytes(line(columns(accountcode=b"acme")))
    agent = host.daemon(subprocess.DEVNULL)
    try:
        wait_until(lambda: host.status()["deliveries"]["dead"] == 1, every=0.2)
        keys.write_text("= no-value\n")
        host.run("reload", code=2)
        assert f"{keys}, line 1: its value is empty" in host.errors
        keys.write_text(f"acme = {API_KEY}\n")
        host.run("reload")
        host.run("outbox", "replay")
        wait_until(lambda: host.store.count() == 1)
    finally:
        agent.terminate()
        agent.wait(30)
