"""/api/cdr: the page's samples, its filters and errors, who may see what, and the agent's own client."""

import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from humbug_agent.api.exchange import revealed
from humbug_agent.cdr import Direction, Disposition
from humbug_agent.http_server.php import http_build_query, parse_str
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.queries import Filter, purge
from humbug_agent.sources.polling.rows import ApiRow
from humbug_agent.sources.while1.row import call as of_row
from tests.kit.api_served import KEY, TOKEN, ZONE, ServedApi, account, call, store
from tests.kit.php import php
from tests.kit.while1_server import SAMPLE

CALLS = 240

ASKED_BY = (
    "date_between", "project_id", "user_id", "inbound_route_id", "direction", "call_status", "telephone_like",
    "telephone", "source", "destination", "hour_between", "from_id", "uniqueid", "linkedid", "external_id",
    "has_transcription", "has_monitor_file", "has_recording_file",
)  # fmt: skip
"""The filters of the page."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    path = tmp_path_factory.mktemp("api") / "outbox.db"
    store(path, [call(number) for number in range(1, CALLS + 1)])
    with ServedApi(path, account(), account("one", "t1"), account("two", "t2", "acme.example")) as served:
        yield served


def test_the_row_of_the_page_comes_out_as_it_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with Outbox(path) as outbox, outbox.transaction() as conn:
        conn.execute("INSERT INTO sqlite_sequence VALUES ('calls', 29055)")
    texts = {name: str(value) if value is not None else None for name, value in SAMPLE.items()}
    store(path, [of_row(ApiRow(texts), "pbx.example", ZONE)])
    with ServedApi(path) as served:
        answer = served.ask({})
    assert answer == {
        "has_error": False,
        "messages": [],
        "pagination": {"row_count": 1, "page_size": 100, "current_page": 1, "max_page": 1},
        "results": [SAMPLE],
    }
    assert list(answer["results"][0]) == list(SAMPLE), "in the order of the page"


PARAMETERS = """
$params = array(
    'page' => 1,
    'filters' => array(
        'date_between' => array('2026-03-14 00:00:00', '2026-03-15 23:59:59'), // array(from, to)
        'project_id' => null,
        'user_id' => null, // Users IDs
        'inbound_route_id' => null, // array(1,2,3,4) Inbound Routes IDs
        'direction' => null, // IN, OUT
        'call_status' => null, // NO ANSWER, CONGESTION, FAILED, BUSY, ANSWERED
        'telephone_like' => null, // Wildcard search for source OR destination
        'telephone' => null, // Exact search for source OR destination
        'source' => null, // Wildcard search for source
        'destination' => null, // Wildcard search for destination
        'hour_between' => null, // array(from, to)
        'from_id' => null, // >= id
        'uniqueid' => null,
        'linkedid' => null,
        'has_transcription' => null,
        'has_monitor_file' => null,
        'has_recording_file' => null,
        'external_id' => null,
    )
);
$params['api_hash'] = md5(http_build_query($params) . 'your_api_key'); // make hash
$token = 'your_api_token';
"""
"""The page's own, but for the dates."""

CURL_POST = """
function curlPost($url, $data, $headers) {
    $http = array('method' => 'POST', 'content' => $data, 'header' => array_merge(
        $headers, array('Content-Type: application/x-www-form-urlencoded')));
    return file_get_contents($url, false, stream_context_create(array('http' => $http)));
}
"""
"""What the page calls and does not show."""


def test_the_php_of_the_page(filled: ServedApi) -> None:
    send = """echo curlPost($url, http_build_query($params), array("Authorization: Bearer {$token}"));"""
    answer = json.loads(php(f"{CURL_POST}$url = '{filled.url}';{PARAMETERS}{send}"))
    assert (answer["has_error"], len(answer["results"])) == (False, 100)
    assert answer["pagination"] == {"row_count": CALLS, "page_size": 100, "current_page": 1, "max_page": 3}
    get = """echo file_get_contents($url . '?' . http_build_query($params), false, stream_context_create(
        array('http' => array('header' => "Authorization: Bearer {$token}"))));"""
    assert json.loads(php(f"$url = '{filled.url}';{PARAMETERS}{get}")) == answer


@pytest.mark.parametrize("kind", ["text/xml", "application/json", "application/x-www-form-urlencoded"])
def test_the_json_of_the_page_over_curl_whatever_its_type_is_said_to_be(filled: ServedApi, kind: str) -> None:
    """The hash is the page's own: over the parameters as they stand there."""
    nulls = [name for name in ASKED_BY if name != "date_between"]
    body = {
        "page": 1,
        "filters": {
            "date_between": ["2024-01-01 00:00:00", "2024-01-15 23:59:59"],
            **dict.fromkeys(nulls),
        },
        "api_hash": "ff9a6b157cb1f79db73e7507635f878a",
    }
    head = ["-H", f"Content-Type: {kind}", "-H", f"Authorization: Bearer {TOKEN}"]
    command = ["curl", "-s", *head, "--data-binary", json.dumps(body, indent=2), filled.url]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    pagination = {"row_count": 0, "page_size": 100, "current_page": 1, "max_page": 0}
    assert answer == {"has_error": False, "messages": [], "pagination": pagination, "results": []}


@pytest.mark.parametrize(
    ("filters", "named"),
    [
        ({"from_idxx": 1}, "from_idxx"),
        ({"from_idxx": None}, "from_idxx"),
        ({"from_id": "x"}, "from_id"),
        ({"from_id": [1, 2]}, "from_id"),
        ({"date_between": ["2026-01-01 00:00:00"]}, "date_between"),
        ({"date_between": ["2026-01-01", "soon"]}, "date_between"),
        ({"date_between": ["0001-01-01", "9999-12-31"]}, "date_between"),
        ({"hour_between": ["8", "24"]}, "hour_between"),
        ({"direction": "UP"}, "direction"),
        ({"call_status": "GONE"}, "call_status"),
        ({"has_transcription": "maybe"}, "has_transcription"),
        ({"source": {"a": {"b": "c"}}}, "source"),
        ({"source": "1" * 201}, "source"),
    ],
)
def test_a_wrong_filter_is_named_as_the_page_does(filled: ServedApi, filters: dict[str, Any], named: str) -> None:
    answer = filled.ask(filters)
    assert answer == {"has_error": True, "messages": [f"Invalid filter: {named}"], "pagination": [], "results": []}


@pytest.mark.parametrize("page", [0, -1, "x", 10**10, True, [1]])
def test_a_page_that_can_not_be(filled: ServedApi, page: Any) -> None:
    assert filled.ask({}, page)["messages"] == ["Invalid page"]


@pytest.mark.parametrize(
    ("token", "key"), [("", KEY), ("wrong", KEY), (TOKEN, "wrong"), (f"one-{TOKEN}", KEY), (TOKEN, f"one-{KEY}")]
)
def test_both_keys_must_be_right_and_of_one_account(filled: ServedApi, impatient: None, token: str, key: str) -> None:
    query = http_build_query({"page": 1})
    api_hash = hashlib.md5((query + key).encode(), usedforsecurity=False).hexdigest()
    answer = filled.post(f"{query}&api_hash={api_hash}", token)
    assert answer.status_code == 401
    assert answer.json()["has_error"] is True
    assert "token and api_hash" in answer.json()["messages"][0]


def test_what_is_signed_can_not_be_changed(filled: ServedApi, impatient: None) -> None:
    query = http_build_query({"filters": {"from_id": 200}})
    api_hash = hashlib.md5((query + KEY).encode(), usedforsecurity=False).hexdigest()
    assert filled.post(f"{query}&api_hash={api_hash}").status_code == 200
    assert filled.post(f"{query.replace('200', '100')}&api_hash={api_hash}").status_code == 401
    assert filled.post(f"{query}&page=2&api_hash={api_hash}").status_code == 401


def numbers(**wanted: Any) -> list[int]:
    return [
        number
        for number in range(1, CALLS + 1)
        if all(getattr(call(number), name) in values for name, values in wanted.items())
    ]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, range(1, CALLS + 1)),
        ({"from_id": 200}, range(200, CALLS + 1)),
        ({"from_id": 10**17}, ()),
        # 09:00:00 UTC is 11:00:00 in Bucharest; both ends are included.
        ({"date_between": ["2026-03-14 11:01:00", "2026-03-14 11:02:00"]}, range(60, 121)),
        ({"date_between": ["2026-03-14", "2026-03-15"]}, range(1, CALLS + 1)),
        ({"date_between": ["2026-03-14T09:01:00+00:00", "2026-03-14T09:02:00+00:00"]}, range(60, 121)),
        ({"hour_between": ["11:01", "11:02:00"]}, range(60, 121)),
        ({"hour_between": [11, 11]}, range(1, CALLS + 1)),
        ({"hour_between": ["12", "10"]}, ()),
        ({"hour_between": ["11:03", "11:00:30"]}, [*range(1, 31), *range(180, CALLS + 1)]),
        ({"direction": "IN"}, numbers(direction=[Direction.INBOUND])),
        ({"direction": ["IN", "OUT"]}, range(1, CALLS + 1)),
        ({"call_status": "ANSWERED"}, numbers(disposition=[Disposition.ANSWERED])),
        ({"call_status": ["BUSY", "NO ANSWER"]}, numbers(disposition=[Disposition.NO_ANSWER])),
        ({"telephone": "0312000007"}, [7]),
        ({"telephone": "0700000007"}, [7]),
        ({"telephone": "000007"}, ()),
        ({"telephone_like": "*00023"}, [23, *range(230, 240)]),
        ({"source": "0312000023"}, [23]),
        ({"destination": "0312000023"}, ()),
        ({"destination": "%000023"}, [23, *range(230, 240)]),
        ({"uniqueid": call(9).uniqueid}, [9]),
        ({"uniqueid": [call(9).uniqueid, call(11).uniqueid]}, [9, 11]),
        ({"linkedid": call(8).linkedid}, [8]),
        ({"external_id": "e"}, ()),
        ({"has_recording_file": 0}, range(1, CALLS + 1)),
        ({"has_recording_file": True}, ()),
        ({"project_id": ["", None]}, range(1, CALLS + 1)),
        ({"direction": "OUT", "from_id": "230", "call_status": "ANSWERED"}, [230, 232, 236, 238]),
    ],
)
@pytest.mark.parametrize("form", ["json", "form"])
def test_filters(filled: ServedApi, filters: dict[str, Any], expected: Any, form: str) -> None:
    assert filled.ids(filters) == list(expected)
    assert filled.ask(filters, form=form)["pagination"]["row_count"] == len(list(expected))


def test_what_else_the_pbx_said_can_be_asked_for(tmp_path: Path) -> None:
    said: tuple[dict[str, str], ...] = (
        {},
        {"external_id": "e1", "recording_file": "a.wav"},
        {"external_id": "e2", "transcription_id": "7"},
    )
    store(tmp_path / "outbox.db", [call(number, extra=extra) for number, extra in enumerate(said, 1)])
    with ServedApi(tmp_path / "outbox.db") as served:
        assert served.ids({"external_id": ["e1", "e2"]}) == [2, 3]
        assert served.ids({"has_recording_file": "yes"}) == [2]
        assert served.ids({"has_transcription": "1"}) == [3]
        assert served.ids({"has_transcription": "false"}) == [1, 2]
        assert [row["recording_file"] for row in served.ask({})["results"]] == [None, "a.wav", None]


def test_a_tenant_sees_its_own_calls_by_accountcode_and_by_domain(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    domain = {"domain_name": "acme.example"}
    store(path, [call(1), call(2), call(3, accountcode="x", extra=domain), call(4, accountcode="x"), call(6)])
    with ServedApi(path, account(), account("two", "t2", "acme.example"), account("none", "t")) as served:
        assert served.ids({}, "two") == [2, 3, 5]
        assert served.ids({"from_id": 3}, "two") == [3, 5]
        assert served.ids({"uniqueid": call(1).uniqueid}, "two") == []
        assert served.ids({}, "none") == []
        assert served.ids({}) == [1, 2, 3, 4, 5]


def test_pages_do_not_move_while_calls_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store(path, [call(number) for number in range(1, 251)])
    with ServedApi(path) as served, Outbox(path) as outbox:
        first = [int(row["id"]) for row in served.ask({})["results"]]
        assert first == list(range(1, 101))
        purge(outbox, Filter(ids=list(range(1, 51))))
        store(path, [call(number) for number in range(251, 260)])
        rest = [int(row["id"]) for page in (2, 3) for row in served.ask({}, page)["results"]]
        assert rest == list(range(101, 260))
        # And who begins anew is told what is gone.
        again = served.ask({})
        assert again["results"][0]["id"] == "51"
        assert again["pagination"]["row_count"] == 209
        assert again["messages"] == [
            "Calls with ids up to 50 were dropped (keep_days = 90); they began up to 2026-03-14 11:00:50"
        ]
        assert served.ask({"from_id": 51})["messages"] == []
        assert served.ask({"date_between": ["2026-03-14 11:02:00", "2026-03-15 00:00:00"]})["messages"] == []


def test_an_hour_that_the_clock_skips_or_shows_twice_hides_no_call(tmp_path: Path) -> None:
    """In Bucharest 04:00 follows 02:59:59 on 29 March, and 03:00 comes twice on 25 October."""
    spring, autumn = datetime(2026, 3, 29, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    began = [one + timedelta(minutes=15 * quarter) for one in (spring, autumn) for quarter in range(5)]
    calls = [call(n, start=at.astimezone(ZONE), answer=None, end=at.astimezone(ZONE)) for n, at in enumerate(began)]
    store(tmp_path / "outbox.db", calls)
    with ServedApi(tmp_path / "outbox.db") as served:
        for day, expected in (("2026-03-29", range(1, 6)), ("2026-10-25", range(6, 11))):
            for edge in ("03:00:00", "03:20:00", "03:30:00", "03:59:59"):
                before = served.ids({"date_between": [f"{day} 00:00:00", f"{day} {edge}"]})
                behind = served.ids({"date_between": [f"{day} {edge}", f"{day} 23:59:59"]})
                assert {*before, *behind} == {*expected}, edge


def test_a_damaged_call_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    store(path, [call(1), call(2), call(3)])
    with sqlite3.connect(path) as conn:
        conn.execute("UPDATE calls SET start = 'soon' WHERE id = 2")
    conn.close()
    with ServedApi(path) as served:
        answer = served.ask({})
    assert [row["id"] for row in answer["results"]] == ["1", "3"]
    assert answer["messages"] == ["Call 2 is damaged in the store and left out"]


def test_other_paths_and_methods(filled: ServedApi) -> None:
    assert requests.get(filled.url.removesuffix("cdr"), timeout=10).status_code == 404
    assert requests.put(filled.url, timeout=10).status_code == 405
    assert filled.post(b"x" * (1 << 17)).status_code == 413
    assert filled.post(b"{").status_code == 400


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["t1", "t2", "2026-03-14 11:00:00", "*", "%", "' OR 1=1 --", "\0", "IN", "12:00", "9" * 30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from([*ASKED_BY, "tenants", "accountcode"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(filters=st.dictionaries(NAMES, VALUES, max_size=4) | VALUES, page=st.just(1) | VALUES, more=VALUES)
def test_no_question_makes_it_fail_or_shows_another_tenants_call(
    filled: ServedApi, filters: Any, page: Any, more: Any
) -> None:
    parameters = json.loads(json.dumps({"page": page, "filters": filters, "more": more}), parse_float=str)
    try:
        query = http_build_query(parameters)
    except UnicodeEncodeError:
        query = ""
    who = account("one")
    signature = hashlib.md5((query + revealed(who.api_key)).encode(), usedforsecurity=False).hexdigest()
    body = json.dumps({"page": page, "filters": filters, "more": more, "api_hash": signature})
    answer = filled.post(body.encode(), revealed(who.token))
    assert answer.status_code in (200, 400), answer.text
    found = answer.json()
    assert found["has_error"] == bool(found["pagination"] == [])
    assert all(int(row["id"]) % 4 == 1 for row in found["results"])


@pytest.mark.parametrize(
    "query",
    [
        "a=1&b[]=2&b[]=3&b[x]=4&c[d][e]=5&f=&g&=h&i%5Bj%5D=%20k+l",
        "filters[date_between][0]=2024-01-01 00:00:00&filters[date_between][1]=x&page=1",
        "a.b=1&c d=2&e[.]=3&[f]=4&g[h=5&a=1&a=2&i[1]=x&i[]=y&j[k]x=6&l.m[n o.p=7&q[r][s=8&t[[u]]=3",
        "&&a=%C3%A9&b=%&c=%zz&+d=1",
    ],
)
def test_forms_are_read_as_php_reads_them(query: str) -> None:
    script = "parse_str($argv[1], $found); echo http_build_query($found);"
    assert http_build_query(parse_str(query)) == php(script, "--", query)
