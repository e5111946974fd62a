"""What a receiver answers, or a caller calls himself, is shown by no way out as what a terminal would obey."""

import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from humbug_agent.cdr import Batch, Notice, Reject
from humbug_agent.cli.log import set_up_logging
from humbug_agent.cli.main import main
from humbug_agent.cli.support import bundle
from humbug_agent.config import Config, load
from humbug_agent.daemon import agent, housekeeping
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.contract import SourceError
from tests.kit.agent_ini import config_of
from tests.kit.calls import call
from tests.kit.rude import Act, Rude

EVIL = "\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2066\r<3>forged\u2028\x7f\U000e0041"
"""Escapes in two ways, text turned around, lines that are none, and tags that nobody sees."""


def obeyed(shown: str) -> list[str]:
    return [c for c in shown if not c.isprintable() and c != "\n"]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the program logs, as it sets it up itself."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    written = io.StringIO()
    set_up_logging("debug")
    for handler in root.handlers:
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(written)
    yield written
    root.handlers[:] = before
    root.setLevel(level)


@pytest.fixture
def kept(config: Config, log: io.StringIO) -> Config:
    """Calls, a notice and a reject, refused by a receiver that answers so."""
    calls = [call(n, src=EVIL, clid=EVIL, uniqueid=f"1.{n}{EVIL}", extra={EVIL: EVIL}) for n in (1, 2)]
    notice = Notice(identity=b"n" * 16, event="Alarm", at=calls[0].start, fields={"Alarm": EVIL})
    reject = Reject(b"r" * 16, EVIL.encode(), f"is {EVIL}", f"file {EVIL}")
    housekeeping.prepare(config)
    with Outbox(config.agent.outbox) as outbox:
        outbox.accept("csv", Batch([*calls, notice], [reject], "{}"), ["humbug"])
        with Rude(lambda request: Act(status=400, body=EVIL.encode())) as server:
            config.path.write_text(config.path.read_text().replace("http://127.0.0.1:9/", server.url))
            agent.deliver_once(load(config.path), outbox, threading.Event(), lambda _: None)
        outbox.report("source csv", "failing", EVIL)
    return config


def test_the_log_is_a_line_for_each_message(kept: Config, log: io.StringIO) -> None:
    shown = log.getvalue()
    assert "answered 400" in shown
    assert not obeyed(shown)
    try:
        raise SourceError(EVIL)
    except SourceError:
        logging.getLogger("humbug_agent").exception("%s", EVIL)
    assert "Traceback" in log.getvalue()
    assert not obeyed(log.getvalue())
    assert "\n<3>" not in log.getvalue()


def test_no_command_shows_what_a_terminal_obeys(kept: Config) -> None:
    for words in (
        ["outbox", "list"], ["outbox", "list", "--state", "rejected"], ["outbox", "show", "1"], ["outbox", "show", "3"],
        ["outbox", "show", "r1"], ["outbox", "replay", "--dry-run"],
        ["status"], ["status", "--nagios"], ["check"], ["doctor"], ["explain", EVIL],
    ):  # fmt: skip
        found = CliRunner().invoke(main, ["--config", str(kept.path), *words])
        assert "owned" in found.output or words in (["check"], ["doctor"], ["status", "--nagios"]), words
        assert not obeyed(found.output), words


def test_what_is_answered_to_a_test_call_is_shown_escaped(kept: Config) -> None:
    with Rude(lambda request: Act(status=400, body=EVIL.encode())) as server:
        gone = load(kept.path).make_destinations()[0].where
        kept.path.write_text(kept.path.read_text().replace(gone, server.url))
        for words in (["test-call"], ["test-call", "--json"]):
            found = CliRunner().invoke(main, ["--config", str(kept.path), *words])
            assert "owned" in found.output, found.output
            assert not obeyed(found.output), words


def test_what_is_mailed_with_calls_has_them_escaped(kept: Config) -> None:
    text = bundle(kept.path, with_calls=True, wait=lambda _: None)
    assert text.count("owned") > 10
    assert not obeyed(text)


def test_json_holds_the_same_data_escaped(kept: Config) -> None:
    for words in (["outbox", "list"], ["outbox", "show", "1"], ["status"], ["explain", EVIL]):
        found = CliRunner().invoke(main, ["--config", str(kept.path), *words, "--json"])
        assert not obeyed(found.output), words
        json.loads(found.stdout)
    lines = CliRunner().invoke(main, ["--config", str(kept.path), "outbox", "export", "--format", "json"]).stdout
    assert not obeyed(lines)
    first = json.loads(lines.splitlines()[0])
    assert (first["src"], first["extra"]) == (EVIL, {EVIL: EVIL})
    assert "\\udb40\\udc41" in lines


def test_an_export_is_exact_in_a_file_and_harmless_on_a_terminal(kept: Config) -> None:
    runner = CliRunner()
    there = kept.path.with_name("calls.csv")
    assert runner.invoke(main, ["--config", str(kept.path), "outbox", "export", "--output", str(there)]).exit_code == 0
    with there.open(newline="", encoding="utf-8") as file:
        assert EVIL in file.read()
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb") as screen, os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        words = ["outbox", "export", "--uniqueid", f"1.1{EVIL}", "--output", os.ttyname(terminal.fileno())]
        assert runner.invoke(main, ["--config", str(kept.path), *words]).exit_code == 0
        shown = b""
        while shown.count(b"\n") < 2:
            shown += os.read(screen.fileno(), 65536)
    assert b"\\x1b" in shown
    assert not obeyed(shown.decode().replace("\r\n", "\n"))


def test_what_a_command_ends_with_is_harmless(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise SourceError(EVIL)

    monkeypatch.setattr(Config, "make_sources", fails)
    found = CliRunner().invoke(main, ["--config", str(config.path), "explain", "x"])
    assert found.exit_code == 1
    assert "owned" in found.output
    assert not obeyed(found.output)


def test_check_shows_harmlessly_what_it_is_answered(config: Config) -> None:
    with Rude(lambda request: Act(status=400, body=EVIL.encode())) as server:
        config.path.write_text(config.path.read_text().replace("http://127.0.0.1:9/", server.url))
        found = CliRunner().invoke(main, ["--config", str(config.path), "check"])
    assert "answered 400" in found.output
    assert "owned" in found.output
    assert not obeyed(found.output)
