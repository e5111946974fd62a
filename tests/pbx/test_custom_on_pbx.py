"""What real Asterisks write with cdr_custom, and twice for an account called Master: the same calls as cdr_csv's."""

from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.cdr import CDR, Batch
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from tests.pbx.pbx_host import CSV, Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.pbx_ports import until
from tests.pbx.phones import hundred_calls

Start = Callable[..., Pbx]
KOLKATA = ZoneInfo("Asia/Kolkata")
COLUMNS = ["clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata", "start", "answer", "end"]
COLUMNS += ["duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield"]
OLD = ",".join("${CSV_QUOTE(${CDR(" + name + ")})}" for name in COLUMNS)
STOCK = OLD + ",${CDR(sequence)}"
SAMPLES = {
    "Master.csv": STOCK,
    "resolution.csv": STOCK.replace("duration)", "duration,f)").replace("billsec)", "billsec,f)"),
    "old.csv": OLD,
    "flags.csv": STOCK.replace("amaflags)", "amaflags,u)"),
}
"""As configs/samples have it today, with high resolution, and in Asterisk 1.6; and with numbers for words."""


def read(path: Path, zone: tzinfo = KOLKATA, *, utc: bool = False) -> Batch:
    settings = AsteriskCsvSettings(name="master", path=path, start="beginning", utc=utc)
    batches = list(AsteriskCsv(settings, zone).read(None, Event(), follow=False))
    records = [record for batch in batches for record in batch.records]
    return Batch(records, [reject for batch in batches for reject in batch.rejects], None)


def said(batch: Batch) -> dict[bytes, CDR]:
    return {record.identity: record for record in batch.records if isinstance(record, CDR)}


def test_a_hundred_calls_of_every_kind_are_the_same_calls(pbx: Start) -> None:
    mappings = "\n".join(f"{name} => {mapping}" for name, mapping in SAMPLES.items())
    host = pbx(csv="new", custom=mappings, timezone="Asia/Kolkata", gmt=True)
    hundred_calls(host)
    master = read(host.master_csv, utc=True)
    assert not master.rejects
    assert len(said(master)) == len(master.records) > 100
    for name in SAMPLES:
        # Whoever says `utc = yes` for cdr_custom's file, too, is not believed.
        custom = said(read(host.custom / name, utc=True))
        assert said(master).keys() <= custom.keys(), name
        for identity, call in said(master).items():
            other = custom[identity]
            assert (other.uniqueid, other.userfield, other.start) == (call.uniqueid, call.userfield, call.start)
            assert other.extra.get("sequence", call.extra["sequence"]) == call.extra["sequence"]


@pytest.mark.parametrize("accountlogs", ["yes", "no"])
def test_calls_of_an_account_called_master_are_told_once(
    pbx: Start, monkeypatch: pytest.MonkeyPatch, accountlogs: str
) -> None:
    monkeypatch.setitem(CSV, "account", f"loguniqueid = yes\naccountlogs = {accountlogs}")
    host = pbx(csv="account")
    with Manager(host.ami_port) as lab, Manager(host.ami_port, "humbug", "humbug-secret", events=True) as listener:
        # 526 has two records that are equal to the byte.
        for number in ("1000@load", "526@from-internal", "1001@load"):
            call = {"Channel": f"Local/{number}/n", "Application": "Wait", "Data": "3", "Account": "Master"}
            assert lab.action("Originate", **call)["Response"] == "Success"
        until(lambda: "0 active channels" in host.cli("core show channels count"), "the calls' ends")
        told = 0
        listener.send("Ping")
        while "Response" not in (found := listener.message()):
            told += found.get("Event") == "Cdr" and found["AccountCode"] == "Master"
    lines = host.master_csv.read_bytes().splitlines()
    assert len(lines) == (2 * told if accountlogs == "yes" else told)
    assert len(set(lines)) < told, "no two of these calls are equal to the byte"
    batch = read(host.master_csv)
    assert len(said(batch)) == len(batch.records) == told
