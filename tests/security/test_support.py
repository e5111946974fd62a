"""What is mailed to whoever helps: no secret is in it, and no name or number of others unless it is asked for."""

import io
import os
import pty
import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.cli.main import main
from humbug_agent.cli.strangers import Strangers, own_words
from humbug_agent.cli.support import bundle, write
from humbug_agent.host.log import last_lines
from humbug_agent.outbox import queries
from humbug_agent.outbox.outbox import Outbox
from tests.kit.host import API_KEY, PROGRAM, Host, wait_until
from tests.kit.ports import free_port
from tests.security.test_secrets import SECRETS, everybody, found_in

NAMES = ("Xaverine", "Quillfeather", "Żółkiewska", "xq-phone")
"""Of callers, and of what is called after them."""

NUMBERS = ("+41795550123", "079 555 01 24", "(079) 555-01-25", "4711", "00417955501260")

PERSON = " ".join(NAMES)

CONFIGURED = {**SECRETS, "token": quote(SECRETS["token"])}
"""The secrets as they stand in agent.ini."""


def others_in(text: str) -> list[str]:
    """Which of the names and numbers, in whatever groups a number is written."""
    joined = re.sub(r"(?<=\d)[ ()./-]+(?=\d)", "", text)
    digits = [re.sub(r"\D", "", number) for number in NUMBERS]
    return [name for name in NAMES if name.lower() in text.lower()] + [
        number for number in digits if re.search(rf"(?<!\d){number.removeprefix('41')}|{number}", joined)
    ]


def row(number: int, src: str, dst: str) -> str:
    """A line of Master.csv in which every column that others choose names somebody."""
    at = f"2026-11-20 16:58:{number:02}"
    columns = (
        "4711", src, dst, "xq-phone", f'""{PERSON}"" <{src}>', f"SIP/xq-phone-{number:08x}", "SIP/4711-00000001",
        "Dial", f"SIP/xq-phone,{dst}", at, at, at,
    )  # fmt: skip
    quoted = ",".join(f'"{column}"' for column in columns)
    return f'{quoted},10,7,"ANSWERED","DOCUMENTATION","1795193882.{number}","{PERSON} {dst}"\n'


def planted(folder: Path) -> None:
    """Names and numbers, and secrets where they don't belong, in all that the agent reads."""
    secrets = " ".join(CONFIGURED.values()).replace(chr(34), chr(34) * 2)
    with open(folder / "Master.csv", "w", encoding="utf-8") as master:
        for number, (src, dst) in enumerate(pairwise(NUMBERS)):
            master.write(row(number, src, dst))
        master.write(f'"{PERSON}","{NUMBERS[0]}","{NUMBERS[1]}","{secrets}"\n')
        master.write(row(9, NUMBERS[0], NUMBERS[1]).replace("ANSWERED", f"{PERSON} {NUMBERS[2]}"))
    ini = folder / "agent.ini"
    text = ini.read_text("utf-8").replace("[source csv]", f"# {PERSON} {NUMBERS[0]}\n[source xq-phone]")
    text = text.replace("type = while1", f"type = while1\ntelephone = {NUMBERS[0]}\nsource = {PERSON}\nuser_id = 4711")
    text = text.replace("username = humbug", "username = Quillfeather").replace("me@pbx", "Xaverine@pbx")
    ini.write_text(text.replace("timezone = UTC", "timezone = Europe/Zurich"), "utf-8")


@pytest.mark.slow
def test_planted_secrets_never_and_names_and_numbers_only_with_calls(tmp_path: Path) -> None:
    with everybody(tmp_path, free_port()) as there, open(tmp_path / "log", "wb") as log:
        planted(tmp_path)
        command: list[str | Path] = [PROGRAM, "--config", tmp_path / "agent.ini"]
        daemon = subprocess.Popen([*command, "run"], stderr=log, stdout=log)
        try:
            wait_until(lambda: len(there["receiver"].heard) >= 12 and len(there["api"].heard) >= 3)
            wait_until(lambda: settled(tmp_path))
            for secret in CONFIGURED.values():
                log.write(f"ERROR {PERSON} called {', '.join(NUMBERS)} with {secret}\n".encode())
            log.flush()
            both = [
                subprocess.Popen([*command, "support", "--output", tmp_path / name, *more], stdout=subprocess.DEVNULL)
                for name, more in (("without", []), ("with", ["--with-calls"]))
            ]
            assert [one.wait(110) for one in both] == [0, 0]
        finally:
            daemon.kill()
            daemon.wait()
    without, with_calls = (tmp_path / "without").read_text(), (tmp_path / "with").read_text()
    assert not found_in(without)
    assert not found_in(with_calls)
    assert not others_in(without)
    # They were all there to be found.
    assert len(others_in(with_calls)) == len(NAMES) + len(NUMBERS)
    for text in (without, with_calls):
        for part in (
            "versions", "agent.ini", "files", "status", "check", "doctor", "deliveries that wait or are dead",
            "rejects", "log", "metrics",
        ):  # fmt: skip
            assert f"\n== {part}\n" in text
        assert "can't be told" not in text
        assert "answered 400" in text
        assert "\nHA-0021 error  " in text
        assert re.search(r"\nhumbug_deliveries\{destination=\"plain\",state=\"dead\"\}  \d+  \d+  [+-]\d+\n", text)
        assert re.search(r"\nprocess_cpu_seconds  ", text)
    assert "timezone = Europe/Zurich" in without
    for name in ("without", "with"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def settled(folder: Path) -> bool:
    """Whether all is read, and each call was refused by the one who answers with 400."""
    with Outbox(folder / "outbox.db") as outbox:
        found = queries.totals(outbox)
        return found.rejects.get("xq-phone") == 2 and found.deliveries["plain"]["dead"] == len(NUMBERS) - 1


def made(host: Host, *, with_calls: bool = False) -> str:
    return bundle(host.ini, with_calls=with_calls, wait=lambda _: None)


MISTAKES = {
    "a key that is misspelt": (f"api_key = {API_KEY}", "api_keey = Planted-word", "api_keey"),
    "a secret where its file should be named": (f"api_key = {API_KEY}", "api_key_file = Planted-word", "api_key_file"),
    "a section of which nothing is known": ("[destination humbug]", "[destinatoin x]\nkey = Planted-word\n[z]", "key"),
    "a type of which nothing is known": ("type = humbug", "type = humbugg\nkey = Planted-word", "key"),
    "no setting at all": (f"api_key = {API_KEY}", "Planted-word", ""),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_where_agent_ini_has_mistakes_they_are_told_and_no_secret_is(host: Host, name: str) -> None:
    right, wrong, key = MISTAKES[name]
    host.ini.write_text(host.ini.read_text().replace(right, wrong))
    for with_calls in (False, True):
        text = made(host, with_calls=with_calls)
        assert "Planted" not in text
        # A key that nobody knows may be a secret itself.
        assert re.search(rf"\n({key}|<\d+>) = \*\*\*\n", text) or not key
        assert re.search("is not known|is not KEY = VALUE|can't be read|is not one of", text)
        assert "\n== versions\nhumbug-agent " in text


def test_no_calls_where_nobody_knows_what_is_secret(host: Host) -> None:
    host.write()
    host.run("run", "--once")
    assert "\n== calls\n" in made(host, with_calls=True)
    host.ini.write_text(host.ini.read_text() + "\nPlanted-word = something\n")
    text = made(host, with_calls=True)
    assert "\n== calls\n" not in text
    assert "planted" not in text.lower()
    assert "has mistakes: no calls are in it" in text


def test_it_makes_no_outbox_and_says_that_there_is_none(host: Host) -> None:
    text = made(host)
    assert not (host.folder / "outbox.db").exists()
    assert re.search(r"\n== rejects\ncan't be told: .*: No such file or directory\n", text)


def test_a_secret_that_is_a_word_of_ours_is_none_of_the_text(host: Host) -> None:
    assert "waiting" in made(host)
    host.configure(destination="encryption_key = waiting")
    assert "waiting" not in made(host)


def test_it_is_its_owners_alone_whatever_was_there_before(tmp_path: Path) -> None:
    file = tmp_path / "old"
    file.write_text("old")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        write("new", file)
    finally:
        os.umask(before)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o600)
    assert [one.name for one in tmp_path.iterdir()] == ["old"]


def test_where_it_cant_be_written_that_is_said(host: Host) -> None:
    before = list(host.folder.iterdir())
    done = CliRunner().invoke(
        main, ["--config", str(host.ini), "support", "--output", str(host.folder / "no" / "file")]
    )
    assert done.exit_code == 1
    assert f"{host.folder}/no/file: No such file or directory" in done.output
    assert list(host.folder.iterdir()) == before


@pytest.mark.slow
def test_on_a_terminal_one_sees_how_the_time_passes(host: Host) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [PROGRAM, "--config", host.ini, "support", "--output", "-"], stdout=subprocess.PIPE, stderr=theirs
    ) as command:
        os.close(theirs)
        shown = io.BytesIO()
        with suppress(OSError):
            while said := os.read(ours, 4096):
                shown.write(said)
        assert command.stdout
        assert command.stdout.read().startswith(b"humbug-agent ")
    os.close(ours)
    assert b"Watching the metrics" in shown.getvalue()
    assert len(set(re.findall(rb"\d+%", shown.getvalue()))) > 5


JOURNAL = """\
{"__REALTIME_TIMESTAMP":"1795194393000000","PRIORITY":"4","MESSAGE":"source ami: Xaverine","_HOSTNAME":"xq-phone"}
{"__REALTIME_TIMESTAMP":"1795194394000000","PRIORITY":"6","MESSAGE":[99,97,108,108,27,91,109],"_PID":"12"}
"""
"""As journalctl --output=json has it; the second message is no text for it, and comes as its bytes."""


def test_the_journal_is_read_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journalctl = tmp_path / "journalctl"
    journalctl.write_text(f"#!/bin/sh\necho \"$*\" > {tmp_path}/asked\ncat <<'E'\n{JOURNAL}E\n")
    journalctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("TZ", "UTC")
    found = last_lines(None, 400)
    assert found.where == "the journal of humbug-agent.service"
    assert [line.split(" ", 2)[2] for line in found.lines] == ["WARNING source ami: Xaverine", "INFO call\x1b[m"]
    assert (tmp_path / "asked").read_text().split()[:4] == ["--unit", "humbug-agent.service", "--lines", "400"]
    monkeypatch.setenv("PATH", "/nowhere")
    assert last_lines(None, 400).where == "this host has no journalctl"


def words(text: str) -> Iterator[str]:
    yield from re.findall(r"\w+", re.sub(r"<\d+>", "", text))


@given(st.text() | st.from_regex(r"([+]?[0-9]{1,6}[ ./()-]?){1,6}") | st.from_regex(r"\w+( \w+)*"))
def test_of_any_text_only_our_own_words_and_short_numbers_are_left(text: str) -> None:
    shown = Strangers()(text.replace("<", "").replace(">", ""))
    times = r"(?<!\d)\d{4}-\d\d-\d\d(?!\d)|\d\d:\d\d:\d\d([.,]\d{3})?|[1-9]\d{0,2}(,\d{3})+|[+-]\d\d:?\d\d"
    for word in words(re.sub(times, "", shown)):
        assert word in own_words() or (word.isdecimal() and len(word) <= 3), shown


@pytest.mark.parametrize("number", ["+41 79 555 01 23", "079 555 01 24", "(079) 555-01-25", "41.79.555.01.26"])
def test_of_a_number_in_groups_nothing_is_left(number: str) -> None:
    assert re.fullmatch(r"called \(?<1>\.", Strangers()(f"called {number}."))


def test_the_same_word_has_the_same_name_and_another_one_another() -> None:
    strangers = Strangers(["5038", "Europe/Zurich"])
    assert strangers("Quillfeather failed at 4711") == "<1> failed at <2>"
    assert strangers("4711, Xaverine: Europe/Zurich 127.0.0.1:5038") == "<2>, <3>: Europe/Zurich 127.0.0.1:5038"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20 17:01:25+01:00 WARNING", "2026-11-20 17:01:25,123 ERROR", "2026-11-20T17:01:25Z", "1,204 calls",
        "answered 503 after 0.4 s", "127.0.0.1", "Connection refused",
    ],
)  # fmt: skip
def test_what_can_be_nobodys_stays(text: str) -> None:
    assert Strangers()(text) == text


@pytest.mark.parametrize("name", ["Georgia", "Jordan", "Mark", "Page", "Grace", "Smith", "Müller", "李"])
def test_names_are_none_of_our_words(name: str) -> None:
    assert name not in own_words()
