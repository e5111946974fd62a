"""agent.ini's sections of the hosted PBXs: what need not be said, and every mistake."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.config import load
from humbug_agent.ini import ConfigError, Secret

WHILE1 = "type = while1\nurl = https://pbx.example.org/api/cdr\ntoken = tok-1\napi_key = key-1\n"
BOXIS = "type = boxis\nusername = me\nuser_key = key-2\ntenants = acme, 7\n"
FUSIONPBX = "type = fusionpbx\nurl = https://pbx.example.org/fusionapi\nemail = me@example.org\npassword = pass-3\n"
FUSIONPBX += "domains = a.example.org , b.example.org\n"
ALL = pytest.mark.parametrize("section", [WHILE1, BOXIS, FUSIONPBX], ids=["while1", "boxis", "fusionpbx"])


def read(tmp_path: Path, section: str) -> Any:
    path = tmp_path / "agent.ini"
    path.touch(0o600)
    path.write_text(f"[source pbx]\n{section}\n[destination humbug]\ntype = humbug\napi_key = k\n", "utf-8")
    return load(path).sources[0]


def mistakes(tmp_path: Path, section: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, section)
    said = "\n".join(caught.value.mistakes)
    assert not any(secret in said for secret in ("tok-1", "key-1", "key-2", "pass-3"))
    return said


def without(section: str, key: str) -> str:
    return "\n".join(line for line in section.splitlines() if not line.startswith(f"{key} "))


@ALL
def test_what_need_not_be_said(tmp_path: Path, section: str) -> None:
    api = read(tmp_path, section).api
    assert (api.poll_seconds, api.timeout, api.since, api.timezone, api.ca_file, api.proxy) == (60, 60, *[None] * 4)
    assert api.url == "https://api.boxis.net/" if section is BOXIS else "https://pbx.example.org/" in api.url


@ALL
def test_what_all_have(tmp_path: Path, section: str) -> None:
    (tmp_path / "ca.pem").touch()
    more = f"poll_seconds = 5\nsince = 2026-01-31 18:00\ntimezone = Europe/Zurich\nca_file = {tmp_path}/ca.pem\n"
    api = read(tmp_path, section + more + "timeout = 9\nproxy = http://me:sesame@proxy:3128\n").api
    assert (api.poll_seconds, api.timeout, api.ca_file) == (5, 9, tmp_path / "ca.pem")
    assert (api.since, api.timezone) == (datetime(2026, 1, 31, 18), ZoneInfo("Europe/Zurich"))
    assert api.proxy == Secret("http://me:sesame@proxy:3128")
    assert "sesame" not in repr(api)
    aware = read(tmp_path, section + "since = 2026-01-31T18:00:00+01:00\n").api.since
    assert aware.utcoffset() == timedelta(hours=1)


def test_the_settings_of_each(tmp_path: Path) -> None:
    while1 = read(tmp_path, WHILE1)
    assert (while1.token, while1.api_key, while1.format) == (Secret("tok-1"), Secret("key-1"), "form")
    assert while1.filters == {}
    boxis = read(tmp_path, BOXIS)
    assert (boxis.username, boxis.user_key, boxis.tenants) == ("me", Secret("key-2"), ("acme", "7"))
    fusionpbx = read(tmp_path, FUSIONPBX)
    assert (fusionpbx.email, fusionpbx.password) == ("me@example.org", Secret("pass-3"))
    assert fusionpbx.domains == ("a.example.org", "b.example.org")
    for settings in (while1, boxis, fusionpbx):
        assert not any(secret in repr(settings) for secret in ("tok-1", "key-1", "key-2", "pass-3"))


def test_while1s_filters_are_those_of_its_page(tmp_path: Path) -> None:
    lines = {
        "project_id": "7", "user_id": "1, 2", "inbound_route_id": "3", "direction": "OUT",
        "call_status": "NO ANSWER, BUSY", "telephone_like": "0312", "telephone": "0312000000", "source": "s",
        "destination": "d", "hour_between": "08:00, 18:00", "uniqueid": "1.2", "linkedid": "1.1", "external_id": "x",
        "has_transcription": "yes", "has_monitor_file": "no", "has_recording_file": "yes",
    }  # fmt: skip
    found = read(tmp_path, WHILE1 + "format = json\n" + "\n".join(f"{key} = {value}" for key, value in lines.items()))
    assert found.format == "json"
    assert found.filters == lines | {
        "user_id": ["1", "2"],
        "call_status": ["NO ANSWER", "BUSY"],
        "hour_between": ["08:00", "18:00"],
        "has_transcription": True,
        "has_monitor_file": False,
        "has_recording_file": True,
    }


@pytest.mark.parametrize(
    ("section", "key"),
    [(WHILE1, "token"), (WHILE1, "api_key"), (BOXIS, "user_key"), (FUSIONPBX, "password")],
)
def test_secrets_may_be_in_files(tmp_path: Path, section: str, key: str) -> None:
    (tmp_path / "secret").write_text("from-a-file\n")
    found = read(tmp_path, without(section, key) + f"\n{key}_file = {tmp_path}/secret\n")
    assert getattr(found, key) == Secret("from-a-file")
    assert f"{key}: stands beside {key}_file" in mistakes(tmp_path, section + f"{key}_file = {tmp_path}/secret\n")
    assert f"{key}: is missing; give {key} or {key}_file" in mistakes(tmp_path, without(section, key))
    assert f"{key}_file: the file that is set can't be read: No such file" in mistakes(
        tmp_path, without(section, key) + f"\n{key}_file = {tmp_path}/none\n"
    )


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (WHILE1, "url"), (BOXIS, "username"), (BOXIS, "tenants"), (FUSIONPBX, "url"), (FUSIONPBX, "email"),
        (FUSIONPBX, "domains"),
    ],
)  # fmt: skip
def test_what_must_be_said(tmp_path: Path, section: str, key: str) -> None:
    assert f"[source pbx] {key}: is missing" in mistakes(tmp_path, without(section, key))
    assert f"[source pbx] {key}: is empty" in mistakes(tmp_path, without(section, key) + f"\n{key} =\n")


@ALL
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("pol_seconds = 5", "pol_seconds: is not known here; did you mean poll_seconds?"),
        ("from_id = 5", "from_id: is not known here"),
        ("poll_seconds = 0", "poll_seconds: '0' is not a whole number from 1 to 86400"),
        ("since = yesterday", "since: 'yesterday' is not a date such as 2026-01-31, or 2026-01-31 18:00"),
        ("since = 0001-01-01", "since: '0001-01-01' is not a date such as"),
        ("since = 9999-01-01", "no calls are from then"),
        ("timezone = Mars/Olympus", "timezone: 'Mars/Olympus' is not an IANA time zone"),
        ("ca_file = /does/not/exist.pem", "ca_file: '/does/not/exist.pem' is not a readable file"),
        ("proxy = proxy:3128", "proxy: what is set is not a proxy's URL"),
        ("timeout = 0", "timeout: '0' is not a whole number"),
    ],
)
def test_mistakes_of_all(tmp_path: Path, section: str, line: str, said: str) -> None:
    assert said in mistakes(tmp_path, f"{section}{line}\n")


@pytest.mark.parametrize("url", ["pbx.example.org", "ftp://pbx.example.org/", "https://", "https://pbx:99999/"])
@ALL
def test_mistakes_of_url(tmp_path: Path, section: str, url: str) -> None:
    said = mistakes(tmp_path, without(section, "url") + f"\nurl = {url}\n")
    assert said.count("\n") == 0
    assert "[source pbx] url: what is set is not a URL such as https://" in said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("format = xml", "format: 'xml' is not one of form, json"),
        ("direction = INTERNAL", "direction: 'INTERNAL' is not one of , IN, OUT"),
        ("has_transcription = perhaps", "has_transcription: 'perhaps' is neither yes nor no"),
        ("date_between = 2024-01-01, 2024-02-01", "date_between: is not known here"),
    ],
)
def test_mistakes_of_while1(tmp_path: Path, line: str, said: str) -> None:
    assert said in mistakes(tmp_path, f"{WHILE1}{line}\n")
