"""What agent.ini leaves out is no riddle: explain and a replay of rejects say which settings do."""

import json

import pytest

from tests.kit.host import API_KEY, Host
from tests.kit.mod_cdr_csv import call, row
from tests.kit.paths import DATA

pytestmark = pytest.mark.slow

DOCUMENTS = DATA / "freeswitch" / "docs" / "answered_callee"
B_LEG = row("safe", call(2, originating_leg_uuid=call(1)["uuid"]))
DOUBLE = row("asterisk", call(3, channel_name=b"loopback/9664-b"))


def configure(host: Host, source: str) -> None:
    host.ini.write_text(
        f"[agent]\noutbox = {host.folder}/outbox.db\ntimezone = UTC\n[source cdr]\n{source}\n"
        f"[destination humbug]\ntype = humbug\nurl = {host.receiver.url}\napi_key = {API_KEY}\n"
    )


def documents(kind: str) -> tuple[bytes, bytes]:
    """The caller's leg and the other."""
    (a_leg,), (b_leg,) = DOCUMENTS.glob(f"a_*.{kind}"), DOCUMENTS.glob(f"[!a]*.{kind}")
    return a_leg.read_bytes(), b_leg.read_bytes()


@pytest.mark.parametrize(
    ("source", "wanted", "unwanted"),
    [
        ("type = freeswitch_csv\npath = {}/Master.csv", row("safe", call(1)), B_LEG),
        ("type = freeswitch_csv\npath = {}/Master.csv", row("asterisk", call(1)), DOUBLE),
        ("type = freeswitch_json\npath = {}", *documents("json")),
        ("type = freeswitch_json\npath = {}", *documents("xml")),
        ("type = freeswitch_http\nlisten = 127.0.0.1:1", *documents("json")),
    ],
    ids=["csv", "csv-double", "json", "xml", "http"],
)
def test_explain_says_what_leaves_a_leg_out(host: Host, source: str, wanted: bytes, unwanted: bytes) -> None:
    configure(host, source.format(host.folder))
    host.run("explain", "-", stdin=wanted)
    host.run("explain", "-", stdin=unwanted, code=1)
    assert host.errors == "Not a call: legs = a and drop_doubles = yes of [source cdr] leave this leg out\n"
    said = json.loads(host.run("explain", "-", "--json", stdin=unwanted, code=1))
    assert said == {"calls": [], "rejects": []}
    configure(host, source.format(host.folder) + "\nlegs = ab\ndrop_doubles = no")
    host.run("explain", "-", stdin=unwanted)


def test_nothing_is_not_left_out(host: Host) -> None:
    configure(host, f"type = freeswitch_csv\npath = {host.master}")
    host.run("explain", "-", code=1)
    assert host.errors == "Not a call: nothing was given\n"


def test_a_reject_that_is_left_out_now_says_so_when_it_is_replayed(host: Host) -> None:
    host.master.write_bytes(B_LEG + b"\n" * 30)
    configure(host, f"type = freeswitch_csv\npath = {host.master}\ntemplate = example")
    host.run("run", "--once")
    (reject,) = host.json("outbox", "list", "--state", "rejected")
    configure(host, f"type = freeswitch_csv\npath = {host.master}")
    host.run("outbox", "replay", str(reject["id"]), code=None)
    assert "still no call: legs = a and drop_doubles = yes of [source cdr] leave this leg out" in host.errors
