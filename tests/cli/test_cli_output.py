"""Where the output can't be written: a line and exit code 1; where nobody reads any more, not even a line."""

import os
import re
import resource
import stat
import subprocess

import pytest

from humbug_agent.cdr import Batch
from humbug_agent.cli import exporting
from humbug_agent.outbox.outbox import Mark, Outbox
from tests.kit.calls import batch, call, reject
from tests.kit.host import PROGRAM, RECORDED, Host

pytestmark = pytest.mark.slow

RECORD = (RECORDED / "Master-full.csv").read_text("latin-1").splitlines()[6]
SAYING = [
    ["--help"],
    ["--version"],
    ["outbox", "purge", "--help"],
    ["run", "--once"],
    ["check"],
    ["check", "--json"],
    ["doctor"],
    ["doctor", "--json"],
    ["status"],
    ["status", "--json"],
    ["explain", RECORD],
    ["explain", RECORD, "--json"],
    ["outbox", "list"],
    ["outbox", "list", "--json"],
    ["outbox", "list", "--state", "rejected"],
    ["outbox", "list", "--state", "rejected", "--json"],
    ["outbox", "show", "1"],
    ["outbox", "show", "r1", "--json"],
    ["outbox", "replay", "--dry-run"],
    ["outbox", "replay", "--json"],
    ["outbox", "purge", "--state", "sent", "--yes"],
    ["outbox", "export"],
    ["outbox", "export", "--format", "json"],
    ["receiver", "--listen", "127.0.0.1:0"],
    ["demo"],
]
every_command = pytest.mark.parametrize("words", SAYING, ids=lambda words: " ".join(words)[:40])


def started(host: Host, words: list[str], stdout: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, *([] if words[0].startswith("-") else ["--config", str(host.ini)]), *words],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        cwd=host.folder,
        # As on a host: what is written stays in Python's buffer for a while.
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )


def test_nagios_gets_unknown_where_the_line_can_not_be_written(host: Host) -> None:
    with open("/dev/full", "wb") as nowhere, started(host, ["status", "--nagios"], nowhere.fileno()) as process:
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (3, "Error: the output: No space left on device\n")


@pytest.fixture
def full(host: Host) -> Host:
    """Two thousand calls, more than a pipe holds, one sent, the others dead; and a reject."""
    with Outbox(host.folder / "outbox.db") as outbox:
        outbox.accept("master-csv", Batch(batch(*range(2000)).records, [reject(b"what")], ""), ["humbug"])
        outbox.mark("humbug", [Mark(1, "sent", 1.0), *(Mark(n, "dead", 1.0) for n in range(2, 2001))])
    return host


@every_command
def test_a_full_disk_is_a_line(full: Host, words: list[str]) -> None:
    with open("/dev/full", "w") as nowhere, started(full, words, nowhere.fileno()) as process:
        _, errors = process.communicate(timeout=60)
    said = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert said == ["Error: the output: No space left on device"], errors
    assert "Traceback" not in errors
    assert "Exception" not in errors
    assert process.returncode == 1


@every_command
def test_a_reader_that_goes_away_is_no_news(full: Host, words: list[str]) -> None:
    theirs, ours = os.pipe()
    os.close(theirs)
    with started(full, words, ours) as process:
        os.close(ours)
        _, errors = process.communicate(timeout=60)
    assert not re.search("Error|Traceback|Exception|Broken pipe", errors), errors
    assert process.returncode in (1, -13)


@pytest.mark.parametrize("words", [["outbox", "list", "--json"], ["outbox", "export"]], ids=" ".join)
def test_head_gets_its_lines(full: Host, words: list[str]) -> None:
    with started(full, words, subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() in ("[\n", process.args and _header(full))
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == ""


def _header(host: Host) -> str:
    return host.run("outbox", "export").splitlines(keepends=True)[0]


def test_an_export_to_a_full_disk_names_it_and_is_no_success(full: Host) -> None:
    full.run("outbox", "export", "--output", "/dev/full", code=1)
    assert full.errors == "Error: /dev/full: No space left on device\n"
    there = full.folder / "none" / "calls.csv"
    full.run("outbox", "export", "--output", str(there), code=1)
    assert full.errors == f"Error: {there}: No such file or directory\n"
    there = full.folder / "calls.csv"
    full.run("outbox", "export", "--output", str(there))
    assert there.read_text() == full.run("outbox", "export")
    full.run("outbox", "export", "--output", str(there), "--state", "waiting")
    assert there.read_text() == ""


def test_an_export_is_its_owners_alone(full: Host) -> None:
    there = full.folder / "calls.csv"
    before = os.umask(0)
    try:
        full.run("outbox", "export", "--output", str(there))
    finally:
        os.umask(before)
    assert stat.S_IMODE(there.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "cell", ["=1+1", "@SUM(1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "\r=1", "+4179 123", "+", "-"]
)
def test_what_a_spreadsheet_would_run_is_text_for_it(cell: str) -> None:
    assert exporting._harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["+41791234567", "-5", "", "a=b", "'=1", "SIP/4003-00000001", "1+1"])
def test_what_it_would_not_run_stays_as_it_is(cell: str) -> None:
    assert exporting._harmless(cell) == cell


def test_an_export_that_grows_too_large_is_no_success(full: Host) -> None:
    there = full.folder / "calls.csv"
    done = subprocess.run(
        [PROGRAM, "--config", str(full.ini), "outbox", "export", "--output", str(there)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**17, 2**17)),
    )
    assert done.returncode == 1
    assert done.stderr == f"Error: {there}: File too large\n"


def test_what_was_done_is_done_where_it_can_not_be_said(full: Host) -> None:
    for words in (["outbox", "replay", "2"], ["outbox", "purge", "3", "--yes"]):
        with open("/dev/full", "w") as nowhere, started(full, words, nowhere.fileno()) as process:
            process.communicate(timeout=60)
    assert full.status()["deliveries"] == {"waiting": 1, "sent": 1, "dead": 1997}


def test_a_closed_standard_output_is_a_line_too(full: Host) -> None:
    for words in (["status"], ["outbox", "export"], ["outbox", "list", "--json"], ["run", "--once"]):
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", PROGRAM, "--config", str(full.ini), *words],
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        assert (done.stderr.splitlines()[-1], done.returncode) == ("Error: the output: Bad file descriptor", 1)
        assert "Traceback" not in done.stderr


def test_a_closed_standard_error_is_no_fault(host: Host) -> None:
    host.write()
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", PROGRAM, "--config", str(host.ini), "run", "--once"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.stdout, done.returncode) == ("126 sent, 0 waiting, 0 dead, 0 rejects\n", 0)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        *((["reconcile", "--since", said], 0) for said in ("0001-01-01", "999999999h", "999999999d")),
        (["reconcile", "--since", "9999-12-31T23:59:59-14:00"], 0),
        *((["outbox", "list", "--since", said], 0) for said in ("0001-01-01", "999999999h", "9999-12-31")),
        (["outbox", "list", "--limit", "9" * 20], 2),
        (["api", "tokens", "revoke", "9" * 20], 2),
        (["outbox", "list", "--number", "\udcff"], 2),
        (["outbox", "list", "--uniqueid", "\udcff"], 2),
        (["outbox", "show", "--journey", "\udcff"], 2),
        (["outbox", "export", "--output", ""], 1),
        (["receiver", "--keep-days", "800000"], 2),
        (["receiver", "--store", "/"], 1),
        (["receiver", "--certificate", "/dev/zero"], 1),
        (["receiver", "--keys-file", "/dev/zero"], 1),
    ],
)
def test_what_is_absurd_is_a_line_and_no_traceback(host: Host, words: list[str], code: int) -> None:
    host.write()
    host.run("run", "--once")
    assert host.run(*words, code=None) is not None
    done = host.run(*words, code=code)
    assert done or host.errors


@pytest.mark.parametrize("charset", ["latin-1", "ascii"])
def test_what_a_terminal_can_not_show_is_told_by_its_code(
    host: Host, charset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a table, or half a JSON list, helps nobody."""
    host.write()
    host.run("run", "--once")
    whole = host.json("outbox", "list", "--json")
    monkeypatch.setenv("PYTHONIOENCODING", charset)
    with Outbox(host.folder / "outbox.db") as outbox:
        outbox.accept("pbx", Batch([call(1, src="\u20ac1")], [], None), ["humbug"])
    found = host.json("outbox", "list", "--json")
    assert len(found) == len(whole) + 1
    assert "\u20ac1" in {one["src"] for one in found}
    # What says that it is ASCII mostly can more: click writes UTF-8 there.
    assert ("\u20ac1" if charset == "ascii" else "\\u20ac1") in host.run("outbox", "list")
