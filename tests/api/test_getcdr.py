"""getCDR: the page's sample and programs, its errors, who may see what, and the agent's own client."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from humbug_agent.api.getcdr import EXTRA, PATIENCE_SECONDS
from humbug_agent.cdr import CDR, Direction
from humbug_agent.ini import Secret
from humbug_agent.sources.boxis.settings import BoxisSettings
from humbug_agent.sources.boxis.source import Boxis
from humbug_agent.sources.polling.rows import ApiRow, read_json
from tests.kit.api_asked import form
from tests.kit.api_asked import getcdr as ask
from tests.kit.api_served import EMAIL, USER_KEY, ZONE, ServedApi, account, call, store
from tests.kit.boxis_server import SAMPLE
from tests.kit.php import php
from tests.kit.pull_server import api

CALLS = 240


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    path = tmp_path_factory.mktemp("api") / "outbox.db"
    store(path, [call(number) for number in range(1, CALLS + 1)])
    with ServedApi(path, account(), account("one", "t1"), account("two", "t2", "acme.example")) as served:
        yield served


def uniqueids(answer: dict[str, Any]) -> list[str]:
    assert answer["result"] == "1", answer
    return [one["uniqueid"] for one in answer["params"]["cdr"].values()] if answer["params"]["cdr"] else []


def of(*numbers: int) -> list[str]:
    return [call(number).uniqueid for number in numbers]


def sample() -> list[CDR]:
    """The calls of the page, as the agent's own source makes them."""
    rows = read_json(SAMPLE.read_bytes())["params"]["cdr"]
    settings = BoxisSettings("b", api("http://pbx.example"), "", Secret(""), ())
    return [Boxis(settings, ZONE).call(ApiRow(row)) for row in rows.values()]


def compact(said: str) -> str:
    """JSON without the blanks that mean nothing."""
    return re.sub(r'("(?:\\.|[^"\\])*")|\s+', lambda found: found[1] or "", said)


def test_the_sample_of_the_page_comes_out_byte_for_byte_over_its_own_request(tmp_path: Path) -> None:
    store(tmp_path / "outbox.db", sample())
    named = replace(account(), tenants={"VOICE-12001-1": ("BOXIS",)})
    with ServedApi(tmp_path / "outbox.db", named) as served:
        now = int(time.time())
        authcode = md5(f"{now}{USER_KEY}".encode()).hexdigest()
        said = (
            f"version=1.0&returntype=json&timestamp={now}&username={EMAIL}&authcode={authcode}&section=voice"
            "&action=getCDR&tenant=VOICE-12001-1&datefrom=2012-05-09 10:00:00&dateto=2012-05-09 11:00:00"
        )

        def curl(data: str) -> str:
            return subprocess.run(
                ["curl", "-s", "--data", data, f"{served.where}/"], capture_output=True, check=True, text=True
            ).stdout

        found = curl(said.replace("2012-05-09 1", "2018-02-06 2"))
        empty = json.loads(curl(said))
    expected = compact(SAMPLE.read_text())
    assert re.sub(r"[0-9]+}$", "1518091850}", found) == expected
    assert abs(json.loads(found)["timestamp"] - now) < 60
    assert empty == {"result": "1", "resulttxt": "success", "params": {"cdr": []}, "timestamp": empty["timestamp"]}


CONNECTION = r"""
class BoxisAPIConnection {
    public $email, $apikey;
    function __construct($email, $apikey) { $this->email = $email; $this->apikey = $apikey; }
    function call($apitype, $command, $params, ...$more) {
        $timestamp = end($more) ?: time();
        $params += array('version' => '1.0', 'timestamp' => $timestamp, 'username' => $this->email,
            'authcode' => md5($timestamp . $this->apikey), 'section' => $apitype, 'action' => $command);
        $said = file_get_contents($GLOBALS['url'], false, stream_context_create(array('http' => array(
            'method' => 'POST', 'content' => http_build_query($params),
            'header' => 'Content-Type: application/x-www-form-urlencoded'))));
        if ($params['returntype'] == 'json') return json_decode($said, true);
        preg_match_all('~<(timestamperror|timestamp)>([0-9]+)</~', $said, $found);
        return (object) (array_combine($found[1], $found[2]) + array('said' => $said, 'timestamperror' => 0));
    }
}
"""
"""What the page calls and does not show. PHP's SimpleXML, which it has in mind, is no part of PHP itself."""

DETAILS = r"""
/* API LOGIN DETAILS */
$email    = 'your@mail.com';    // your username
$apikey   = '1234567890';        // your apikey

/* API COMMAND DETAILS */
$apitype  = 'voip';
$command  = 'getCallsHistory';
$params   = array(
    'returntype' => 'xml',
    'line' => '4122XXXXXX1',
    'datefrom' => '2012-05-09 10:00:00',
    'dateto' => '2012-05-09 11:00:00'
);

/* PROCESS THE ACTION */
$boxisAPI = new BoxisAPIConnection($email, $apikey);
$return = $boxisAPI->call($apitype, $command, $params, $timestamp);
"""
SYNCHRONIZED_JSON = r"""
/* TIMESTAMP SYNCHRONIZATION (JSON EXAMPLE) */
if($return['timestamperror']) {
    $timestamp = $return['timestamp'];
    $return = $boxisAPI->call($apitype, $command, $params, 'json', $timestamp);
}
"""
SYNCHRONIZED_XML = r"""
/* TIMESTAMP SYNCHRONIZATION (XML EXAMPLE)*/
if($return->timestamperror) {
    $timestamp = $return->timestamp;
    $return = $boxisAPI->call($apitype, $command, $params, 'xml', $timestamp);
}
"""
"""The page's own."""


def test_the_php_of_the_page_is_told_the_time_and_asks_again(tmp_path: Path) -> None:
    calls = [replace(one, src="4122XXXXXX1") for one in sample()[:1]]
    store(tmp_path / "outbox.db", [*calls, call(1)])
    with ServedApi(tmp_path / "outbox.db") as served:
        details = f"$url = '{served.where}/'; $timestamp = '1337853467';{CONNECTION}{DETAILS}"
        details = details.replace("2012-05-09 1", "2018-02-06 2")
        in_xml = php(f"{details}{SYNCHRONIZED_XML}echo $return->said;")
        details = details.replace("'xml'", "'json'")
        in_json = json.loads(php(f"{details}{SYNCHRONIZED_JSON}echo json_encode($return);"))
    assert [one["uniqueid"] for one in in_json["params"]["cdr"].values()] == [calls[0].uniqueid]
    root = ElementTree.fromstring(in_xml)
    assert [one.tag for one in root] == ["result", "resulttxt", "params", "timestamp"]
    row = in_json["params"]["cdr"]["call_1"]
    (in_element,) = root.findall("params/cdr/call_1")
    assert {one.tag: one.text or "" for one in in_element} == {name: value or "" for name, value in row.items()}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "2.0"}, "version is 1.0"),
        ({"returntype": "csv"}, "returntype is json or xml"),
        ({"section": "fax"}, "unknown function: section is voice, and action is getCDR"),
        ({"action": "getSMS"}, "unknown function: section is voice, and action is getCDR"),
        ({"tenant": ""}, "tenant is missing"),
        ({"action": "getCallsHistory"}, "line is missing"),
        ({"datefrom": "soon"}, "datefrom is not a date such as 2012-05-09 10:00:00"),
        ({"dateto": "9999-12-31 00:00:00"}, "dateto is not a date such as 2012-05-09 10:00:00"),
        ({"dateto": "0001-01-01 00:00:00"}, "dateto is not a date such as 2012-05-09 10:00:00"),
    ],
)
@pytest.mark.parametrize("returntype", ["json", "xml"])
def test_errors_in_the_pages_form(filled: ServedApi, changes: dict[str, Any], said: str, returntype: str) -> None:
    if returntype == "json" or "returntype" in changes:
        answer = ask(filled, **changes)
        assert list(answer) == ["result", "resulttxt", "timestamp"]
    else:
        changes = {"returntype": "xml", **changes}
        root = ElementTree.fromstring(
            requests.post(f"{filled.where}/", data=form("all", **changes), timeout=30).content
        )
        answer = {one.tag: one.text for one in root}
    assert (answer["result"], answer["resulttxt"]) == ("0", f"Error: {said}")
    assert abs(int(answer["timestamp"]) - time.time()) < 60


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "other@mail.com"},
        {"username": f"one-{EMAIL}"},
        {"authcode": "0" * 32},
        {"authcode": ""},
        {"timestamp": str(int(time.time()) + PATIENCE_SECONDS // 2)},
    ],
)
def test_name_and_authcode_must_be_right_and_of_one_account(
    filled: ServedApi, impatient: None, changes: dict[str, str]
) -> None:
    assert ask(filled, **changes)["resulttxt"] == "Error: check username and authcode"


@pytest.mark.parametrize("wrong", [-PATIENCE_SECONDS - 60, PATIENCE_SECONDS + 60])
def test_a_clock_that_is_wrong_is_told_the_time_with_which_it_may_ask_again(filled: ServedApi, wrong: int) -> None:
    answer = ask(filled, at=time.time() + wrong)
    assert (answer["result"], answer["timestamperror"]) == ("0", "1")
    assert uniqueids(ask(filled, at=answer["timestamp"], tenant="t3"))[:1] == of(3)


@pytest.mark.parametrize("timestamp", ["", "soon", "-1", "9" * 30])
def test_what_is_no_timestamp(filled: ServedApi, timestamp: str) -> None:
    assert ask(filled, timestamp=timestamp)["timestamperror"] == "1"


def test_a_tenant_and_a_time(filled: ServedApi) -> None:
    every = [number for number in range(1, CALLS + 1) if number % 4 == 1]
    assert uniqueids(ask(filled)) == of(*every)
    # 09:00:00 UTC is 11:00:00 in Bucharest; both ends are included.
    minute = {"datefrom": "2026-03-14 11:01:01", "dateto": "2026-03-14 11:02:01"}
    assert uniqueids(ask(filled, **minute)) == of(*range(61, 122, 4))
    assert uniqueids(ask(filled, datefrom="2026-03-14 11:03:00")) == of(*range(181, CALLS + 1, 4))
    assert uniqueids(ask(filled, dateto="2026-03-14 11:00:05")) == of(1, 5)
    assert ask(filled, tenant="nobody")["params"]["cdr"] == []
    line = {"action": "getCallsHistory", "section": "voip", "line": "0312000007"}
    assert uniqueids(ask(filled, **line)) == of(7)
    assert uniqueids(ask(filled, "one", **line)) == []


def test_a_tenant_sees_its_own_calls_by_accountcode_by_domain_and_by_another_name(tmp_path: Path) -> None:
    domain = {"domain_name": "acme.example"}
    calls = [call(1), call(2), call(3, accountcode="x", extra=domain), call(4, accountcode="t2", extra=domain), call(6)]
    store(tmp_path / "outbox.db", calls)
    several = replace(account("two"), tenants={"VOICE-1": ("t2", "acme.example"), "t1": ("t1",)})
    with ServedApi(tmp_path / "outbox.db", account(), several) as served:
        assert uniqueids(ask(served, "two", tenant="VOICE-1")) == of(2, 3, 4, 6)
        assert uniqueids(ask(served, "two", tenant="t1")) == of(1)
        for tenant in ("t2", "acme.example", "x", "*", "VOICE-1,t1"):
            assert ask(served, "two", tenant=tenant)["resulttxt"] == "Error: unknown tenant"
        assert uniqueids(ask(served, tenant="acme.example")) == of(3, 4)


def test_what_the_pbx_did_not_say_and_what_no_page_can_show(tmp_path: Path) -> None:
    odd = call(1, uniqueid="", userfield="", clid="\x01 <&> \u20ac \x7f", direction=Direction.INTERNAL)
    store(tmp_path / "outbox.db", [odd, call(5, userfield="mine", direction=Direction.UNKNOWN)])
    with ServedApi(tmp_path / "outbox.db") as served:
        rows = list(ask(served)["params"]["cdr"].values())
        xml = requests.post(f"{served.where}/", data=form(returntype="xml"), timeout=30).content
    assert rows[0]["clid"] == odd.clid
    assert ElementTree.fromstring(xml).findtext("params/cdr/call_1/clid") == "\ufffd <&> \u20ac \x7f"
    assert (rows[0]["uniqueid"], rows[0]["sequence"]) == (odd.identity.hex(), "1")
    assert (rows[0]["userfield"], rows[0]["direction"]) == ("[internal]", "internal")
    assert rows[1]["userfield"] == "mine"
    assert "direction" not in rows[1]
    blank = {name: None if name in ("prevsequence", "cc_type_id") else "" for name in EXTRA}
    assert {name: rows[1][name] for name in EXTRA if name not in ("sequence", "linkedid")} == {
        name: value for name, value in blank.items() if name not in ("sequence", "linkedid")
    }


def test_other_methods_and_too_much(filled: ServedApi) -> None:
    answer = requests.get(f"{filled.where}/", timeout=10)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["result"] == "0"
    assert requests.post(f"{filled.where}/", data=b"x" * (1 << 17), timeout=10).json()["result"] == "0"


WORDS = st.text(max_size=20) | st.sampled_from(
    [
        "t1",
        "t2",
        "*",
        "getCallsHistory",
        "voip",
        "xml",
        "0700000001",
        "2026-03-14 11:00:00",
        "' OR 1=1 --",
        "\0",
        "9" * 30,
    ]
)
CHANGES = st.dictionaries(
    st.sampled_from([*form(), "line", "tenants", "accountcode", "tenant[]", "cdr"]) | st.text(max_size=8),
    WORDS,
    max_size=4,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_no_question_makes_it_fail_or_shows_another_tenants_call(
    filled: ServedApi, impatient: None, changes: dict[str, str]
) -> None:
    said = {name: value.encode("utf-8", "surrogatepass") for name, value in changes.items()}
    asked = {name.encode("utf-8", "surrogatepass"): value for name, value in {**form("one"), **said}.items()}
    answer = requests.post(f"{filled.where}/", data=asked, timeout=30)
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"].startswith("text/xml"):
        root = ElementTree.fromstring(answer.content)
        assert root.findtext("result") in ("0", "1")
        shown = [one.text for one in root.iter("accountcode")]
    else:
        found = json.loads(answer.content)
        assert found["result"] in ("0", "1")
        rows = found.get("params", {}).get("cdr") or {}
        shown = [one["accountcode"] for one in rows.values()]
    assert set(shown) <= {"t1"}
