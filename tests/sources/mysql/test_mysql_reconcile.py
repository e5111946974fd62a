"""`reconcile` of a database beside a Master.csv that tells the same calls."""

import time
from typing import Any

import pytest

from tests.kit.ami_calls import call as columns
from tests.kit.ami_calls import line
from tests.kit.host import Host
from tests.kit.mariadb import MariaDb, cdr_row

pytestmark = pytest.mark.slow


def written(row: dict[str, Any]) -> bytes:
    """The row's line of Master.csv: it was answered after its ringing, and its uniqueid stands there, too."""
    began, ringing, duration = row["calldate"], row["duration"] - row["billsec"], row["duration"]
    stamps = {
        name: time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(int(row["uniqueid"].partition(".")[0]) + more)).encode()
        for name, more in (("start", 0), ("answer", ringing), ("end", duration))
    }
    assert stamps["start"].decode() == began
    same = ("src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "accountcode", "disposition")
    texts = {name: str(row[name]).encode() for name in (*same, "duration", "billsec", "uniqueid")}
    return line(columns(1, **texts, **stamps))


def total(found: dict[str, Any]) -> dict[str, int]:
    counted = found["sources"]["database"]["total"]
    return {name: counted[name] for name in ("pbx", "outbox", "missing", "brought", "not_told") if counted[name]}


def test_what_master_csv_told_is_missing_in_no_database_that_nobody_has_read(host: Host, database: MariaDb) -> None:
    now = time.time() - 3000
    one, two = (cdr_row(number, now + number) for number in (1, 2))
    host.master.write_bytes(written(one) + written(two) + written(two))
    host.run("run", "--once")
    # A call that is in the table alone, and looks like two others.
    database.insert(one, two, two, two)
    with host.ini.open("a") as ini:
        ini.write(f"[source database]\ntype = mysql\n{database.ini()}\n")
    calls = host.status()["sources"]["master-csv"]["calls"]
    assert calls == 3
    found = host.json("reconcile", "--since", "1d", code=1)
    assert total(found) == {"pbx": 4, "outbox": 3, "missing": 1}
    assert total(host.json("reconcile", "--since", "1d", code=1)) == total(found)
    found = host.json("reconcile", "--since", "1d", "--send")
    assert total(found) == {"pbx": 4, "outbox": 4, "brought": 1}
    assert [one["brought_in"] for one in found["differing"]] == [True]
    found = host.json("reconcile", "--since", "1d")
    assert total(found) == {"pbx": 4, "outbox": 4}
    host.run("run", "--once")
    assert host.store.count() == 4
