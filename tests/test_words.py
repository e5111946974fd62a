"""How counts, times and errors stand in sentences, and which command is advised to whom."""

import os
import pwd
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.cdr import Batch
from humbug_agent.cli.main import main
from humbug_agent.config import load
from humbug_agent.destinations.contract import Refused
from humbug_agent.destinations.http import judge
from humbug_agent.host.daemon_user import User, acting_as
from humbug_agent.http_server.settings import StatusSettings
from humbug_agent.http_server.sockets import WebError, tls_context
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.status import taken
from humbug_agent.status.overview import compared
from humbug_agent.words import clock, count, said
from tests.kit.calls import START, call, reject


def test_one_is_one_and_all_others_are_many() -> None:
    assert [count(number, "call") for number in (0, 1, 2, 31207)] == ["0 calls", "1 call", "2 calls", "31,207 calls"]
    assert count(1, "dead delivery", "dead deliveries") == "1 dead delivery"
    assert count(0, "call waits", "calls wait") == "0 calls wait"


@given(st.integers(0, 10**9))
def test_a_count_reads_back(number: int) -> None:
    shown, noun = count(number, "reject").split()
    assert (int(shown.replace(",", "")), noun == "reject") == (number, number == 1)


@pytest.mark.parametrize("path", [Path("/nowhere/Master.csv"), "/nowhere/Master.csv"])
def test_what_the_system_says_stands_behind_the_plain_path(path: Path | str) -> None:
    with pytest.raises(OSError, match="No such file") as raised, open(path):
        pass
    assert said(raised.value) == "/nowhere/Master.csv: No such file or directory"
    assert said(OSError(28, os.strerror(28))) == "No space left on device"
    assert said(ValueError("as it is")) == "as it is"
    assert said(OSError("timed out")) == "timed out"


def test_a_time_in_a_sentence_is_one_instant() -> None:
    assert clock(1793491200, UTC) == "2026-11-01 00:00:00+00:00"
    # The same hour by that clock, before and after it was put back.
    shown = [clock(at, ZoneInfo("Europe/Zurich")) for at in (1792888200, 1792891800)]
    assert shown == ["2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00"]


def test_an_answer_without_a_word_has_no_brackets() -> None:
    for text, reason in (("", "answered 400"), (" \n", "answered 400"), ("no gateway", "answered 400 (no gateway)")):
        with pytest.raises(Refused) as raised:
            judge(400, text, None, "http://receiver/")
        assert raised.value.reason == f"http://receiver/: {reason}"


INI = "[agent]\noutbox = {}/outbox.db\n[source a]\ntype = asterisk_csv\n[destination b]\ntype = humbug\napi_key = k\n"


@pytest.mark.parametrize("unit", ["humbug-agent", ""])
def test_a_reload_is_asked_of_systemd_only_where_it_runs_the_daemon(
    unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if unit:
        monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    else:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    path = tmp_path / "agent.ini"
    path.write_text(INI.format(tmp_path))
    went = taken.taken_now(load(path), 1, 1)
    path.write_text(INI.format(tmp_path) + "connections = 2\n")
    state, words = compared(path, load(path), (), went, UTC)
    assert state == "changed"
    command = "systemctl reload humbug-agent" if unit else f"humbug-agent --config {path} reload"
    assert words.endswith(f"; reload to take it: {command}")


def test_a_refused_reload_tells_since_when_before_what_a_long_line_cuts(tmp_path: Path) -> None:
    path = tmp_path / ("a-long-name-" * 8) / "agent.ini"
    path.parent.mkdir()
    path.write_text(INI.format(tmp_path))
    went = taken.taken_now(load(path), 1, 1).but_refused([f"{path}: [agent] {'x' * 99}: is not known here"])
    state, words = compared(path, None, went.mistakes, went, UTC)
    assert state == "refused"
    assert words.count(str(path)) == 1
    times = [clock(at, UTC) for at in (path.stat().st_mtime, went.refused, went.read)]
    assert words.startswith(
        "{} changed at {} and was refused at {}; going on with the one read at {}: [agent] x".format(path, *times)
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user")
def test_a_user_is_called_by_name() -> None:
    nobody = pwd.getpwnam("nobody")
    with TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        certificate = Path(folder) / "certificate.pem"
        certificate.touch(0o600)
        settings = StatusSettings(
            host="127.0.0.1", port=1, username="", password=None, require_tls=False, certificate=certificate,
            private_key=None,
        )  # fmt: skip
        with acting_as(User("nobody", nobody.pw_uid, nobody.pw_gid, ())), pytest.raises(WebError) as raised:
            tls_context(settings)
    assert str(raised.value) == f"can't read certificate {certificate}: Permission denied (as user nobody)"


def test_the_head_of_a_column_of_times_names_their_zone_and_a_call_from_another_has_its_offset(tmp_path: Path) -> None:
    (tmp_path / "agent.ini").write_text(INI.format(tmp_path).replace("[source", "timezone = Europe/Zurich\n[source"))
    elsewhere = START.astimezone(ZoneInfo("Europe/Athens"))
    with Outbox(tmp_path / "outbox.db") as outbox:
        outbox.accept("a", Batch([call(0), call(1, start=elsewhere)], [reject(b"no call")], None), ["b"])
    runner, options = CliRunner(), ["--config", str(tmp_path / "agent.ini")]
    head, one, other = runner.invoke(main, ["outbox", "list", *options]).stdout.splitlines()
    assert head.split()[:3] == ["ID", "START", "(Europe/Zurich)"]
    assert "  2026-11-20 17:58:02  " in one
    assert "  2026-11-20 18:58:02+02:00  " in other
    rejects = runner.invoke(main, ["outbox", "list", "--state", "rejected", *options])
    assert rejects.stdout.split()[:3] == ["ID", "READ", "(Europe/Zurich)"]
