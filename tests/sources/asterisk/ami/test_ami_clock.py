"""Calls that AMI tells in local time and Master.csv in UTC, as a stock Asterisk writes it: each comes once."""

import pytest

from tests.kit.ami_calls import HEADERS, line
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_server import AmiServer
from tests.kit.host import wait_until
from tests.kit.paths import DATA

pytestmark = pytest.mark.slow

CASE = DATA / "cases" / "usegmtime-Master.csv"
COLUMNS = list(HEADERS.values())
TIMES = ("start", "answer", "end")
LOCAL = [f"2026-11-20 17:0{minute}:{second}" for minute, second in ((6, 33), (7, "03"), (7, 33), (8, "03"), (8, 33))]


def rows() -> list[dict[str, bytes]]:
    """What the file says, as cdr_csv wrote it in UTC."""
    found = []
    for text in CASE.read_bytes().splitlines():
        values = text.replace(b'"""Anna"" <0441234567>"', b'"Anna"').split(b",")
        said = [value.strip(b'"') for value in values]
        # lastdata has a comma.
        said[8:10] = [b"PJSIP/202,20"]
        found.append(dict(zip(COLUMNS, said, strict=True)) | {"clid": b'"Anna" <0441234567>'})
    return found


def events() -> bytes:
    """The same as AMI tells them, an hour later on the clock of Europe/Zurich."""
    told = b""
    for row in rows():
        local = row | {name: row[name].replace(b" 16:", b" 17:") for name in TIMES}
        headers = b"".join(b"%s: %s\r\n" % (name.encode(), local[column]) for name, column in HEADERS.items())
        told += b"Event: Cdr\r\nPrivilege: cdr,all\r\n" + headers + b"\r\n"
    return told


def without_uniqueid(row: dict[str, bytes]) -> bytes:
    """As cdr_csv writes it without loguniqueid and loguserfield."""
    return line(row).removesuffix(b',"%s",""\n' % row["uniqueid"]) + b"\n"


def started(pbx: AmiHost, ami: AmiServer, daemon: Daemon) -> None:
    daemon.says("reading")
    wait_until(lambda: ami.listeners)


def seen(pbx: AmiHost) -> list[dict[str, object]]:
    return list(pbx.status()["sightings"])


def judge(pbx: AmiHost) -> None:
    wait_until(lambda: seen(pbx) == [{"sources": ["ami", "master-csv"], "calls": 5}], 20)
    wait_until(lambda: pbx.store.count() == 5)
    assert sorted(str(row["StartTime"]) for row in pbx.store.rows()) == LOCAL
    assert pbx.store.repeats() == 0


@pytest.mark.parametrize("first", ["ami", "csv"])
def test_with_uniqueids_whichever_is_first(pbx: AmiHost, ami: AmiServer, first: str) -> None:
    assert b"".join(map(line, rows())) == CASE.read_bytes()
    pbx.listen_to(ami.port, csv=True, timezone="Europe/Zurich")
    with Daemon(pbx) as daemon:
        started(pbx, ami, daemon)
        if first == "ami":
            ami.play(events())
            wait_until(lambda: pbx.store.count() == 5)
        pbx.master.write_bytes(CASE.read_bytes())
        if first == "csv":
            wait_until(lambda: pbx.store.count() == 5)
            ami.play(events())
        judge(pbx)


@pytest.mark.parametrize("first", ["ami", "csv"])
def test_without_uniqueids_the_events_tell(pbx: AmiHost, ami: AmiServer, first: str) -> None:
    """The file is a week old by its times, and was written just now: nothing else tells whose clock they are of."""
    pbx.listen_to(ami.port, csv=True, timezone="Europe/Zurich")
    with Daemon(pbx) as daemon:
        started(pbx, ami, daemon)
        if first == "ami":
            ami.play(events())
            wait_until(lambda: pbx.store.count() == 5)
        pbx.master.write_bytes(b"".join(map(without_uniqueid, rows())))
        if first == "csv":
            ami.play(events())
        judge(pbx)
        assert "nothing tells" not in daemon.log
