"""/api/login, /api/calls and /api/call_range: the page's fields and errors, tokens, rights, the agent's own client."""

import hashlib
import json
import re
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from humbug_agent.api.xml_cdr import PAGE
from humbug_agent.outbox import tokens
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.freeswitch.xml_cdr_row import of_row
from humbug_agent.sources.polling.rows import ApiRow, read_json
from tests.kit.api_asked import get, leg, login
from tests.kit.api_served import EMAIL, PASSWORD, ZONE, ServedApi, account, call, store
from tests.kit.fusionpbx_server import SAMPLE
from tests.kit.php import php

CALLS = 240


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    path = tmp_path_factory.mktemp("api") / "outbox.db"
    store(path, [leg(number) for number in range(1, CALLS + 1)])
    with ServedApi(path, account(), account("one", "d1.example"), account("two", "t2", "acme.example")) as served:
        yield served


def uniqueids(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["xml_cdr_uuid"] for one in answer.json()]


def of(*numbers: int) -> list[str]:
    return [str(uuid.UUID(int=number)) for number in numbers]


def test_a_login_is_answered_as_the_page_has_it_and_the_secret_is_nowhere_kept(filled: ServedApi) -> None:
    said = {"email": EMAIL, "password": PASSWORD}
    for body in (json.dumps(said), urlencode(said)):
        answer = requests.post(f"{filled.where}/api/login", data=body, timeout=30)
        assert answer.status_code == 201
        found = answer.json()
        assert list(found) == ["user", "token", "success"]
        assert list(found["user"]) == ["id", "name", "email", "email_verified_at", "created_at", "updated_at"]
        assert (found["user"]["name"], found["user"]["email"], found["success"]) == ("all", EMAIL, True)
        number, _, secret = found["token"].partition("|")
        assert re.fullmatch(r"[A-Za-z0-9]{40}", secret)
        with Outbox(filled.path) as outbox:
            kept = tokens.token(outbox, int(number))
        assert kept
        assert (kept.account, kept.digest, kept.used) == ("all", hashlib.sha256(secret.encode()).digest(), None)
        assert secret.encode() not in filled.path.read_bytes() + Path(f"{filled.path}-wal").read_bytes()


@pytest.mark.parametrize(
    ("said", "status", "message"),
    [
        ({"email": EMAIL, "password": "wrong"}, 200, "Invalid credentials."),
        ({"email": f"one-{EMAIL}", "password": PASSWORD}, 200, "Invalid credentials."),
        ({"email": EMAIL}, 422, "The given data was invalid."),
        ({"email": ["x"], "password": {"a": 1}}, 422, "The given data was invalid."),
        ({}, 422, "The given data was invalid."),
    ],
)
def test_a_login_that_is_wrong(filled: ServedApi, impatient: None, said: Any, status: int, message: str) -> None:
    answer = requests.post(f"{filled.where}/api/login", json=said, timeout=30)
    found = answer.json()
    assert (answer.status_code, found["message"], found["success"]) == (status, message, False)
    if status == 422:
        assert json.loads(found["data"]) == found["errors"]
        assert found["errors"].keys() <= {"email", "password"}


ONE = {"name": "x", "email": f"one-{EMAIL}", "password": f"one-{PASSWORD}", "password_confirmation": f"one-{PASSWORD}"}


def register(served: ServedApi, **changes: Any) -> requests.Response:
    return requests.post(f"{served.where}/api/register", json=ONE | changes, timeout=30)


def test_who_may_ask_can_register_and_sees_what_a_login_of_the_same_user_sees(filled: ServedApi) -> None:
    answer = register(filled)
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert list(found) == ["user", "token", "success"]
    assert list(found["user"]) == ["id", "name", "email", "email_verified_at", "created_at", "updated_at"]
    assert (found["user"]["name"], found["user"]["email"]) == ("one", ONE["email"])
    number, _, secret = found["token"].partition("|")
    with Outbox(filled.path) as outbox:
        assert (kept := tokens.token(outbox, int(number)))
    assert (kept.account, kept.digest) == ("one", hashlib.sha256(secret.encode()).digest())
    assert len(uniqueids(get(filled, found["token"], "calls", domain_name="d1.example"))) == CALLS // 4
    assert get(filled, found["token"], "calls", domain_name="d2.example").status_code == 422


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"name": "", "email": None}, {"name": "The name field is required.", "email": "The email field is required."}),
        ({"name": [1]}, {"name": "The name must be a string."}),
        ({"password_confirmation": PASSWORD}, {"password": "The password confirmation does not match."}),
        ({"email": "x@example.org"}, {"email": "The email and password are nobody's who may register."}),
        ({"email": EMAIL}, {"email": "The email and password are nobody's who may register."}),
    ],
)
def test_nobody_else_can_register(
    filled: ServedApi, impatient: None, changes: dict[str, Any], errors: dict[str, str]
) -> None:
    answer = register(filled, **changes)
    found = {name: [error] for name, error in errors.items()}
    assert (answer.status_code, answer.json()["errors"]) == (422, found)


def test_nobody_can_register_where_that_is_not_allowed(tmp_path: Path) -> None:
    store(tmp_path / "outbox.db", [])
    with ServedApi(tmp_path / "outbox.db", account("one", "d1.example"), register=False) as served:
        answer = register(served)
    assert (answer.status_code, answer.json()["success"]) == (403, False)


def test_a_logout_ends_all_tokens_of_that_user_and_no_others(tmp_path: Path, impatient: None) -> None:
    store(tmp_path / "outbox.db", [leg(1)])
    with ServedApi(tmp_path / "outbox.db", account(), account("one", "d1.example")) as served:
        first, second, others = login(served), login(served), login(served, "one")
        assert uniqueids(get(served, second, "calls", domain_name="d1.example")) == of(1)
        headers = {"Authorization": f"Bearer {first}"}
        answer = requests.post(f"{served.where}/api/logout", headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["message"]) == (200, "Logged out successfully.")
        for token in (first, second):
            answer = get(served, token, "calls", domain_name="d1.example")
            assert (answer.status_code, answer.json()["message"]) == (401, "Unauthenticated.")
        assert uniqueids(get(served, others, "calls", domain_name="d1.example")) == of(1)


def test_only_the_right_token_is_taken_and_its_use_is_written_down(filled: ServedApi, impatient: None) -> None:
    token = login(filled)
    number, _, secret = token.partition("|")
    for wrong in ("", secret, f"{number}|", f"{int(number) + 1000}|{secret}", f"{token}x", token[:-1], "9" * 40 + "|x"):
        assert get(filled, wrong, "calls", domain_name="d1.example").status_code == 401
    with Outbox(filled.path) as outbox:
        assert (found := tokens.token(outbox, int(number)))
        assert found.used is None
        assert get(filled, token, "calls", domain_name="d1.example").status_code == 200
        assert (found := tokens.token(outbox, int(number)))
        assert found.used


def test_the_oldest_tokens_go_where_there_are_very_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MOST", 3)
    with Outbox(tmp_path / "outbox.db") as outbox:
        made = [tokens.add(outbox, "a", bytes(32)) for _ in range(5)]
        other = tokens.add(outbox, "b", bytes(32))
        assert [one.id for one in tokens.tokens(outbox)] == [*made[2:], other]


@pytest.mark.parametrize(
    ("path", "asked", "errors"),
    [
        ("calls", {}, {"domain_name": ["The domain name field is required."]}),
        ("calls", {"domain_name": "acme.example"}, {"domain_name": ["The selected domain name is invalid."]}),
        ("calls", {"domain_name[]": "d1.example"}, {"domain_name": ["The selected domain name is invalid."]}),
        (
            "call_range",
            {"domain_name": "d1.example"},
            {"from": ["The from field is required."], "to": ["The to field is required."]},
        ),
        (
            "call_range",
            {"domain_name": "d1.example", "from": "soon", "to": "9999-12-31"},
            {"from": ["The from is not a valid date."], "to": ["The to is not a valid date."]},
        ),
    ],
)
def test_what_is_wrong_is_said_as_the_program_and_the_page_say_it(
    filled: ServedApi, path: str, asked: dict[str, str], errors: dict[str, list[str]]
) -> None:
    answer = get(filled, login(filled, "one"), path, **asked)
    found = answer.json()
    assert (answer.status_code, found["errors"], json.loads(found["data"])) == (422, errors, errors)
    assert (found["message"], found["success"]) == ("The given data was invalid.", False)


def test_methods(filled: ServedApi) -> None:
    for method, path in (("GET", "login"), ("GET", "register"), ("GET", "logout"), ("POST", "call_range")):
        answer = requests.request(method, f"{filled.where}/api/{path}", timeout=30)
        assert answer.status_code == 405
        assert answer.headers["allow"] in ("GET", "POST")
        assert answer.json()["success"] is False


def test_a_domain_and_a_range_of_ends_both_included(filled: ServedApi) -> None:
    token = login(filled)
    every = sorted(range(1, CALLS + 1), key=lambda number: leg(number).end)
    assert uniqueids(get(filled, token, "calls", domain_name="d1.example")) == of(*[n for n in every if n % 4 == 1])
    first, last = leg(61).end, leg(101).end
    expected = [n for n in every if n % 4 == 1 and first <= leg(n).end <= last]
    assert {61, 101} < set(expected)
    for zone in (UTC, ZONE):
        ends = [end.astimezone(zone).isoformat(" ") for end in (first, last)]
        if zone is ZONE:
            # By the PBX's clock, where nothing else is said.
            ends = [end[:19] for end in ends]
        asked = {"domain_name": "d1.example", "from": ends[0], "to": ends[1]}
        assert uniqueids(get(filled, token, "call_range", **asked)) == of(*expected)
    day = {"from": "2026-03-14", "to": "2026-03-15"}
    assert len(uniqueids(get(filled, token, "call_range", domain_name="d1.example", **day))) == CALLS // 4
    assert get(filled, token, "calls", domain_name="nobody").content == b"[]"
    # A tenant's accountcode is as good.
    assert uniqueids(get(filled, login(filled, "two"), "calls", domain_name="t2"))[0] == of(2)[0]


def test_a_tenant_sees_its_own_calls(filled: ServedApi, impatient: None) -> None:
    token = login(filled, "one")
    assert len(uniqueids(get(filled, token, "calls", domain_name="d1.example"))) == CALLS // 4
    for domain in ("d2.example", "t1", "*"):
        assert get(filled, token, "calls", domain_name=domain).status_code == 422
    assert get(filled, f"{token.partition('|')[0]}|{login(filled).partition('|')[2]}", "calls").status_code == 401


def test_all_fields_of_the_page_come_out_as_they_went_in(tmp_path: Path) -> None:
    rows = json.loads(SAMPLE.read_text())
    calls = [of_row(ApiRow(row), ZONE) for row in read_json(SAMPLE.read_bytes())]
    store(tmp_path / "outbox.db", calls)
    domain = rows[0]["domain_name"]
    with ServedApi(tmp_path / "outbox.db") as served:
        token = login(served)
        command = [
            "curl",
            "-s",
            "-H",
            f"Authorization: Bearer {token}",
            f"{served.where}/api/calls?domain_name={domain}",
        ]
        said = subprocess.run(command, capture_output=True, check=True).stdout
    found = {row["xml_cdr_uuid"]: row for row in json.loads(said)}
    assert len(found) == len(rows)
    for row in rows:
        shown = found[row["xml_cdr_uuid"]]
        assert list(shown) == list(PAGE)
        for name in row.keys() & shown.keys() - {"xml", "duration", "hangup_cause"}:
            value = row[name]
            if name.endswith("_stamp"):
                pair = [one and datetime.fromisoformat(one) for one in (shown[name], value)]
                assert pair[0] == pair[1] or (pair[0] is None and str(value).startswith("1970")), name
            else:
                assert shown[name] == value or (shown[name] is None and value == "") or str(value) == str(shown[name])
        assert shown["xml"] is None
    full = rows[0]
    assert {name: found[full["xml_cdr_uuid"]][name] for name in ("mduration", "rtp_audio_in_mos", "missed_call")} == {
        "mduration": 9980,
        "rtp_audio_in_mos": 4.5,
        "missed_call": False,
    }


def test_the_fields_are_those_of_the_page_and_null_is_what_the_pbx_did_not_say(tmp_path: Path) -> None:
    store(tmp_path / "outbox.db", [call(1, clid="", uniqueid="1.1", dcontext=""), call(5, extra={"mduration": "x"})])
    with ServedApi(tmp_path / "outbox.db") as served:
        first, second = get(served, login(served), "calls", domain_name="t1").json()
    said = {name: value for name, value in first.items() if value is not None}
    assert said == {
        "xml_cdr_uuid": str(uuid.UUID(bytes=call(1).identity)),
        "accountcode": "t1",
        "direction": "outbound",
        "caller_id_number": "0312000001",
        "destination_number": "0700000001",
        "start_epoch": str(int(call(1).start.timestamp())),
        "start_stamp": "2026-03-14 11:00:01+02",
        "answer_epoch": "0",
        "end_epoch": str(int(call(1).end.timestamp())),
        "end_stamp": "2026-03-14 11:00:13+02",
        "duration": 12,
        "billsec": 0,
        "originating_leg_uuid": call(1).linkedid,
        "hangup_cause": "NO_ANSWER",
    }
    assert (second["mduration"], second["caller_id_name"]) == ("x", "Desk 5")


@pytest.mark.parametrize(
    ("hours", "said"), [(5.75, "+05:45"), (-3.5, "-03:30"), (0, "+00"), (-11, "-11"), (None, "+02")]
)
def test_stamps_have_the_offset_of_the_pbxs_clock(tmp_path: Path, hours: float | None, said: str) -> None:
    from datetime import timezone

    zone = UTC if hours is None else timezone(timedelta(hours=hours), "there")
    one = call(1)
    store(tmp_path / "outbox.db", [replace(one, start=one.start.astimezone(zone), end=one.end.astimezone(zone))])
    with ServedApi(tmp_path / "outbox.db") as served:
        (row,) = get(served, login(served), "calls", domain_name="t1").json()
    assert row["start_stamp"].endswith(said)
    assert datetime.fromisoformat(row["start_stamp"]) == one.start


def test_a_damaged_call_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store(tmp_path / "outbox.db", [leg(number) for number in range(1, 41)])
    with ServedApi(tmp_path / "outbox.db") as served:
        with sqlite3.connect(tmp_path / "outbox.db") as conn:
            conn.execute("UPDATE calls SET end = 'soon' WHERE id = 25")
        conn.close()
        assert of(25)[0] not in uniqueids(get(served, login(served), "calls", domain_name="d1.example"))
    assert "left out of an answer: call 25, which is damaged in the store" in caplog.text


PROGRAM = r"""
function ask($method, $path, $body, $headers) {
    $headers = array_merge($headers, array('Content-Type: application/json', 'Accept: application/json'));
    $http = array('method' => $method, 'content' => $body, 'header' => $headers);
    $context = stream_context_create(array('http' => $http));
    return json_decode(file_get_contents($GLOBALS['url'] . $path, false, $context), true);
}
$login = array('email' => 'your@mail.com', 'password' => 'Pass/word 1&2');
$found = ask('POST', '/api/login', json_encode($login), array());
$headers = array("Authorization: Bearer {$found['token']}");
$asked = http_build_query(array('domain_name' => 'd1.example', 'from' => '2026-03-14', 'to' => '2026-03-15'));
echo json_encode(ask('GET', "/api/call_range?$asked", '', $headers));
"""
"""The page shows no program: this does what it says."""


def test_php_logs_in_and_asks(filled: ServedApi) -> None:
    assert len(json.loads(php(f"$url = '{filled.where}';{PROGRAM}"))) == CALLS // 4


VALUES = st.text(max_size=20) | st.sampled_from(
    ["d1.example", "d2.example", "t2", "*", "2026-03-14", "2026-03-14 11:00:00+02", "' OR 1=1 --", "\0", "9" * 30]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    asked=st.dictionaries(
        st.sampled_from(["domain_name", "from", "to", "domain_name[]", "tenants"]), VALUES, max_size=4
    ),
    path=st.sampled_from(["calls", "call_range"]),
    token=st.just("") | st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=20),
)
def test_no_question_makes_it_fail_or_shows_another_tenants_call(
    filled: ServedApi, impatient: None, asked: dict[str, str], path: str, token: str
) -> None:
    right = token or _token(filled)
    answer = requests.get(
        f"{filled.where}/api/{path}",
        params={name: value.encode("utf-8", "surrogatepass") for name, value in asked.items()},
        headers={"Authorization": f"Bearer {right}".encode("latin-1")},
        timeout=30,
    )
    assert answer.status_code in ((401,) if token else (200, 422)), answer.text
    if answer.status_code == 200:
        assert {row["domain_name"] for row in answer.json()} <= {"d1.example"}


_TOKENS: dict[str, str] = {}


def _token(served: ServedApi) -> str:
    """One for all examples."""
    if served.where not in _TOKENS:
        _TOKENS[served.where] = login(served, "one")
    return _TOKENS[served.where]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=60)
    | st.recursive(st.none() | st.text(max_size=5) | st.integers(), st.lists).map(json.dumps)
)
def test_no_login_makes_it_fail(filled: ServedApi, impatient: None, body: str | bytes) -> None:
    answer = requests.post(f"{filled.where}/api/login", data=body, timeout=30)
    assert (answer.status_code, answer.json()["success"]) == (422, False)
