"""What stands behind a command: --config, times, names of destinations, and what is said where they are wrong."""

import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.cdr import Batch
from humbug_agent.cli.filters import TIMES, moment
from humbug_agent.cli.main import main
from humbug_agent.config import DEFAULT_PATH
from humbug_agent.outbox.outbox import Mark, Outbox
from tests.kit.calls import batch, call, reject
from tests.kit.host import PROGRAM, Host

pytestmark = pytest.mark.slow

BERLIN, KOLKATA, SANTIAGO = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("America/Santiago")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
"""Its summer time is half an hour."""

READING = [
    ["run", "--once"],
    ["check"],
    ["doctor"],
    ["status"],
    ["explain", "x"],
    ["outbox", "list"],
    ["outbox", "show", "1"],
    ["outbox", "replay"],
    ["outbox", "purge", "1"],
    ["outbox", "export"],
    ["outbox", "erase", "+41441234567"],
    ["api", "tokens", "list"],
    ["api", "tokens", "add", "x"],
    ["api", "tokens", "revoke", "1"],
    ["reconcile"],
    ["test-call"],
    ["support"],
]
"""Every command that reads agent.ini."""


def done(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


# --config.


def leaves(group: click.Group, way: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*way, name), command
        if isinstance(command, click.Group):
            yield from leaves(command, (*way, name))


def test_every_command_that_reads_agent_ini_takes_config_and_no_other() -> None:
    taking = {way for way, command in leaves(main) if "--config" in {o for p in command.params for o in p.opts}}
    reading = {tuple(word for word in words if word[0].isalpha() and word != "x") for words in READING}
    # `reload` finds the daemon by it, `init` makes it.
    assert taking == {*reading, ("outbox",), ("api",), ("reload",), ("init",)}


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_config_may_stand_before_behind_and_in_between(tmp_path: Path, words: list[str]) -> None:
    right, wrong, third = (tmp_path / f"{name}.ini" for name in ("right", "wrong", "third"))

    def named(*arguments: object, **environment: str) -> Path:
        """The file that it looked for: none of them is there."""
        found = done(*arguments, **environment)
        assert found.returncode == 2
        (one,) = [path for path in (right, wrong, third, DEFAULT_PATH) if f"{path}: No such file" in found.stderr]
        assert found.stdout == ""
        return one

    assert named("--config", right, *words) == right
    assert named(*words, "--config", right) == right
    assert named(*words, f"--config={right}", HUMBUG_AGENT_CONFIG=str(wrong)) == right
    assert named(words[0], "--config", right, *words[1:]) == right
    assert named(*words, HUMBUG_AGENT_CONFIG=str(right)) == right
    # The last one counts, as of every option that is said twice.
    assert named("--config", wrong, *words, "--config", right) == right
    assert named("--config", third, words[0], "--config", wrong, *words[1:], "--config", right) == right
    assert "--config" in done(*words, "--help").stdout


@pytest.mark.parametrize("command", ["demo", "receiver"])
def test_what_reads_no_agent_ini_takes_none(command: str, tmp_path: Path) -> None:
    found = done(command, "--config", tmp_path / "agent.ini")
    assert found.returncode == 2
    assert "No such option" in found.stderr


# Times.


def at(text: str, zone: ZoneInfo, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def shown(seconds: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


NOW = at("2026-11-20 17:30:10", BERLIN)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("30m", "2026-11-20 17:00:10"),
        ("30min", "2026-11-20 17:00:10"),
        ("90 min", "2026-11-20 16:00:10"),
        ("2h", "2026-11-20 15:30:10"),
        ("3d", "2026-11-17 17:30:10"),
        ("1w", "2026-11-13 17:30:10"),
        ("0d", "2026-11-20 17:30:10"),
        (" 2H ", "2026-11-20 15:30:10"),
        ("today", "2026-11-20 00:00:00"),
        ("Yesterday", "2026-11-19 00:00:00"),
        ("2026-11-20", "2026-11-20 00:00:00"),
        ("2026-11-20 17:00", "2026-11-20 17:00:00"),
        ("2026-11-20T17:00:59", "2026-11-20 17:00:59"),
        ("2026-11-20T17:00:59+00:00", "2026-11-20 18:00:59"),
        ("2026-11-20T17:00:59Z", "2026-11-20 18:00:59"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_time_is_the_pbxs(said: str, expected: str, last: bool) -> None:
    assert shown(moment(said, BERLIN, NOW, last=last), BERLIN) == expected


@pytest.mark.parametrize(
    ("zone", "now", "said", "last", "expected"),
    [
        # Summer time ends in the night: the day has 25 hours, and hours are hours.
        (BERLIN, at("2026-10-25 12:00", BERLIN), "today", False, at("2026-10-25 12:00", BERLIN) - 13 * 3600),
        (BERLIN, at("2026-10-25 12:00", BERLIN), "1d", False, at("2026-10-25 12:00", BERLIN) - 25 * 3600),
        (BERLIN, at("2026-10-25 12:00", BERLIN), "24h", False, at("2026-10-24 13:00", BERLIN)),
        (BERLIN, at("2026-10-26 09:00", BERLIN), "yesterday", False, at("2026-10-25 00:00", BERLIN)),
        (BERLIN, at("2026-10-26 09:00", BERLIN), "1w", False, at("2026-10-19 09:00", BERLIN)),
        # 02:30 is there twice: since the first, until the second.
        (BERLIN, NOW, "2026-10-25 02:30", False, at("2026-10-25 02:30", BERLIN, 0)),
        (BERLIN, NOW, "2026-10-25 02:30", True, at("2026-10-25 02:30", BERLIN, 1)),
        (BERLIN, NOW, "2026-10-25 02:30+01:00", False, at("2026-10-25 02:30", BERLIN, 1)),
        # It begins: 02:30 is never there, the clock jumps from 02:00 to 03:00.
        (BERLIN, NOW, "2026-03-29 02:30", False, at("2026-03-29 03:00", BERLIN)),
        (BERLIN, NOW, "2026-03-29 02:30", True, at("2026-03-29 03:00", BERLIN)),
        (BERLIN, NOW, "2026-03-29 02:00", False, at("2026-03-29 03:00", BERLIN)),
        (BERLIN, NOW, "2026-03-29 02:59:59", True, at("2026-03-29 03:00", BERLIN)),
        (BERLIN, at("2026-03-30 02:30", BERLIN), "1d", False, at("2026-03-29 03:00", BERLIN)),
        (LORD_HOWE, NOW, "2026-10-04 02:10", False, at("2026-10-04 02:30", LORD_HOWE)),
        (LORD_HOWE, NOW, "2026-04-05 01:45", True, at("2026-04-05 01:45", LORD_HOWE, 1)),
        # There the clock jumps at midnight: the day begins at one.
        (SANTIAGO, at("2026-09-06 12:00", SANTIAGO), "today", False, at("2026-09-06 01:00", SANTIAGO)),
        (SANTIAGO, at("2026-09-07 12:00", SANTIAGO), "yesterday", True, at("2026-09-06 01:00", SANTIAGO)),
        (KOLKATA, at("2026-11-20 03:00", KOLKATA), "yesterday", False, at("2026-11-18 18:30", ZoneInfo("UTC"))),
    ],
)
def test_over_an_edge_of_summer_time(zone: ZoneInfo, now: float, said: str, last: bool, expected: float) -> None:
    assert moment(said, zone, now, last=last) == expected


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),
    st.sampled_from([BERLIN, KOLKATA, SANTIAGO, LORD_HOWE, ZoneInfo("UTC"), ZoneInfo("Pacific/Apia")]),
)
def test_whatever_the_clock_showed_lies_between_its_first_and_its_last_time(said: datetime, zone: ZoneInfo) -> None:
    said = said.replace(microsecond=0)
    first, last = (moment(str(said), zone, NOW, last=last) for last in (False, True))
    assert first <= last
    for instant in (first, last):
        here = datetime.fromtimestamp(instant, UTC).astimezone(zone).replace(tzinfo=None)
        # Or it was left out, and this is when the clock jumped.
        assert here == said or (here > said and shown(instant - 1, zone) < str(said))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(0, 400))
def test_days_ago_it_was_as_late(now: datetime, days: int) -> None:
    then = moment(f"{days}d", KOLKATA, now.replace(tzinfo=KOLKATA).timestamp(), last=False)
    assert abs(datetime.fromtimestamp(then, KOLKATA).replace(tzinfo=None) - (now - timedelta(days=days))) < timedelta(
        milliseconds=1
    )


@pytest.mark.parametrize("said", ["99999999d", "999999999w", "999999999m", "999999999h", "0001-01-01"])
def test_long_ago_is_before_every_call(said: str) -> None:
    for zone in (BERLIN, KOLKATA, SANTIAGO):
        assert moment(said, zone, NOW, last=False) < at("1970-01-02", BERLIN)


WRONG = [
    *("", " ", "x", "m", "h2", "-2h", "2", "2y", "1.5h", "2 hours", "2h ago", "tomorrow", "17:00", "20.11.2026"),
    *("2026-13-01", "2026-02-30", "2026-11-20 25:00", "9999999999h", "9" * 5000 + "d", "٣h"),
]


@pytest.mark.parametrize("said", WRONG)
def test_what_is_no_time_is_none(said: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid isoformat|must be in|out of range"):
        moment(said, BERLIN, NOW, last=False)


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_wrong_time_is_a_mistake_that_lists_the_forms(host: Host, option: str) -> None:
    for said in ("", "tomorrow", "٣h"):
        host.run("outbox", "list", option, said, code=2)
        assert f"Invalid value for {option}: {said!r} is no time; known are {TIMES}" in " ".join(host.errors.split())


@pytest.mark.parametrize("command", [["list"], ["replay"], ["replay", "7"], ["purge", "--yes"], ["export"]])
def test_wrong_times_and_names_are_mistakes_of_every_command(host: Host, command: list[str]) -> None:
    host.write()
    host.run("run", "--once")
    for options in (["--since", "soon"], ["--until", "soon"], ["--destination", "nobody"]):
        host.run("outbox", *command, *options, code=2)
        assert "is no time" in host.errors or "is not known; there are humbug" in host.errors
    host.run("outbox", *command, "--destination", "", code=2)
    assert len(host.json("outbox", "list")) == 126


def test_since_and_until_choose_the_calls(host: Host) -> None:
    now = time.time()
    begun = [datetime.fromtimestamp(now - ago, UTC) for ago in (60, 3 * 3600, 5 * 86400)]
    with Outbox(host.folder / "outbox.db") as outbox:
        calls = [call(number, start=start) for number, start in enumerate(begun)]
        outbox.accept("csv", Batch(calls, [], ""), ["humbug"])

    def listed(*options: str) -> list[int]:
        return [one["id"] for one in host.json("outbox", "list", *options)]

    assert listed("--since", "30m") == [1]
    assert listed("--since", "4h") == [1, 2]
    assert listed("--until", "4h") == [3]
    assert listed("--since", "1w", "--until", "30m") == [2, 3]
    assert listed("--since", "6d") == [1, 2, 3]
    assert listed("--since", "4d") == [1, 2]


# Names of destinations.


def test_known_are_the_destinations_of_agent_ini_and_those_of_the_outbox(host: Host) -> None:
    host.run("outbox", "list", "--destination", "humbgu", code=2)
    assert "'humbgu' is not known; there are humbug" in host.errors
    with Outbox(host.folder / "outbox.db") as outbox:
        outbox.accept("master-csv", batch(1, 2), ["humbug", "former", "other"])
        outbox.mark("other", [Mark(1, "dead", 1.0), Mark(2, "sent", 1.0)])
    for command in (["list"], ["replay", "--dry-run"], ["purge", "--yes"], ["export"]):
        host.run("outbox", *command, "--destination", "humbgu", code=2)
        assert "'humbgu' is not known; there are humbug, former, other" in host.errors
    assert len(host.json("outbox", "list", "--destination", "former")) == 2
    assert len(host.json("outbox", "list", "--destination", "other", "--state", "dead")) == 1
    assert host.run("outbox", "purge", "--destination", "former", "--yes") == "2 dropped\n"
    host.run("outbox", "list", "--destination", "former", code=2)


def test_choices_beside_a_rejects_id_are_refused_and_drop_nothing(host: Host) -> None:
    with Outbox(host.folder / "outbox.db") as outbox:
        outbox.accept("master-csv", Batch(batch(1).records, [reject(b"what")], ""), ["humbug"])
    for options in (["--number", "1"], ["--since", "2h"], ["--destination", "humbug"], ["--state", "waiting"]):
        for command in (["replay"], ["purge", "--yes"]):
            host.run("outbox", *command, "r1", *options, code=2)
            assert "r1 is a reject" in host.errors
    assert host.status()["rejects"] == 1
    assert host.run("outbox", "purge", "r1", "--state", "rejected", "--yes") == "1 dropped\n"
