"""What call_range's rows become, how it is asked, and what is done with tokens."""

import json
import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from humbug_agent import backoff
from humbug_agent.cdr import Direction, Disposition, digest
from humbug_agent.sources.contract import CursorError, SourceError
from humbug_agent.sources.fusionpbx import source as fusionpbx_module
from tests.kit.calls import cdrs
from tests.kit.fusionpbx_server import DOMAIN, EMAIL, PASSWORD, SAMPLE, FusionpbxServer, a_row
from tests.kit.pull_server import Reply, as_json
from tests.kit.windowed_sources import first, fusionpbx, once

pytestmark = pytest.mark.usefixtures("no_pause")


def lately(count: int = 3) -> list[dict[str, object]]:
    now = time.time()
    return [a_row(number, now - 60 * number) for number in range(1, count + 1)]


def test_the_rows_of_the_description_are_calls_with_every_value_right() -> None:
    with FusionpbxServer() as server:
        server.domains[DOMAIN] = json.loads(SAMPLE.read_text())
        missed, call = first(fusionpbx(server, since=datetime(2024, 4, 30, tzinfo=UTC)), 2).records
    assert call.identity == digest("freeswitch", "0b1f9c1e-7f3a-4b0e-9a44-2f5c1d3e4a5b")
    assert call.uniqueid == "0b1f9c1e-7f3a-4b0e-9a44-2f5c1d3e4a5b"
    assert (call.src, call.dst, call.clid) == ("0312285000", "0700000000", '"John Doe" <0312285000>')
    assert (call.dcontext, call.accountcode) == ("acme.pbx.example.org", "acme")
    assert (call.channel, call.dstchannel, call.userfield, call.linkedid) == ("", "", "", "")
    assert (call.lastapp, call.lastdata) == ("bridge", "sofia/gateway/trunk/0700000000")
    assert call.start == datetime(2024, 4, 30, 3, 46, 4, tzinfo=UTC)
    assert call.answer == datetime(2024, 4, 30, 3, 46, 9, tzinfo=UTC)
    assert call.end == datetime(2024, 4, 30, 3, 46, 14, tzinfo=UTC)
    # The API's duration is billsec.
    assert (call.duration, call.billsec) == (10, 5)
    assert (call.disposition, call.direction) == (Disposition.ANSWERED, Direction.OUTBOUND)
    assert call.extra == {
        "domain_uuid": "5c5f9a5e-12c4-4d0f-b1fa-0a8f2a1c7d10",
        "extension_uuid": "8d1b0f2a-3f4e-4f8e-9b0a-5a6b7c8d9e0f",
        "sip_call_id": "3c26700c1adb-9ax0ffq0l8fw@snom",
        "domain_name": "acme.pbx.example.org",
        "direction": "outbound",
        "default_language": "en",
        "caller_destination": "0700000000",
        "source_number": "201",
        "mduration": "9980",
        "billmsec": "5020",
        "bridge_uuid": "5a0f9d0e-0b1c-4d2e-8f3a-4b5c6d7e8f90",
        "read_codec": "PCMA",
        "read_rate": "8000",
        "write_codec": "PCMA",
        "write_rate": "8000",
        "remote_media_ip": "192.0.2.10",
        "network_addr": "192.0.2.10",
        "record_path": "/var/lib/freeswitch/recordings/acme.pbx.example.org/archive/2024/Apr/30",
        "record_name": "0b1f9c1e-7f3a-4b0e-9a44-2f5c1d3e4a5b.mp3",
        "leg": "a",
        "pdd_ms": "1200",
        "rtp_audio_in_mos": "4.5",
        "voicemail_message": "0",
        "missed_call": "0",
        "waitsec": "5",
        "hangup_cause": "NORMAL_CLEARING",
        "hangup_cause_q850": "16",
        "sip_hangup_disposition": "send_bye",
    }
    assert missed.answer is None
    assert (missed.start, missed.end) == (
        datetime(2024, 4, 30, 3, 46, 40, tzinfo=UTC),
        datetime(2024, 4, 30, 3, 47, 10, tzinfo=UTC),
    )
    assert (missed.duration, missed.billsec) == (30, 0)
    assert (missed.disposition, missed.direction) == (Disposition.CANCEL, Direction.INBOUND)
    assert missed.clid == '"+41312285000" <+41312285000>'
    assert missed.extra["hangup_cause"] == "ORIGINATOR_CANCEL"


HIDDEN: dict[str, tuple[set[str], dict[str, object]]] = {
    "epochs": ({"start_epoch", "answer_epoch", "end_epoch"}, {}),
    "stamps": ({"start_stamp", "answer_stamp", "end_stamp"}, {}),
    "billsec": ({"billsec", "duration"}, {}),
    "numbers": (set(), {"start_epoch": 1714448764, "end_epoch": 1714448774.0, "billsec": 5}),
    "ISO": (
        {"start_epoch", "answer_epoch", "end_epoch"},
        {
            "start_stamp": "2024-04-30T03:46:04.000000Z",
            "answer_stamp": "2024-04-30T13:46:09+10:00",
            "end_stamp": "2024-04-30 05:46:14",
        },
    ),
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_what_is_hidden_or_told_in_another_way_changes_nothing(hidden: str) -> None:
    names, other = HIDDEN[hidden]
    row = json.loads(SAMPLE.read_text())[0]
    changed = {name: value for name, value in row.items() if name not in names} | other
    with FusionpbxServer() as server:
        source = fusionpbx(server, timezone=ZoneInfo("Europe/Zurich"))
        (whole,), (partly,) = (source.parse(json.dumps(one).encode()).records for one in (row, changed))
    assert partly == whole


@pytest.mark.parametrize(
    "answer", [{"answer_epoch": None, "answer_stamp": "1970-01-01 10:00:00+10"}, {"answer_epoch": "0"}, {}]
)
def test_nobody_answered_in_1970(answer: dict[str, object]) -> None:
    row = {name: value for name, value in json.loads(SAMPLE.read_text())[1].items() if not name.startswith("answer")}
    with FusionpbxServer() as server:
        (call,) = cdrs(fusionpbx(server).parse(json.dumps(row | answer).encode()).records)
    assert (call.answer, call.billsec, call.disposition) == (None, 0, Disposition.CANCEL)


def test_without_a_cause_an_unanswered_call_is_one_that_nobody_answered() -> None:
    row = json.loads(SAMPLE.read_text())[1] | {"hangup_cause": None}
    with FusionpbxServer() as server:
        (call,) = cdrs(fusionpbx(server).parse(json.dumps(row).encode()).records)
    assert call.disposition is Disposition.NO_ANSWER
    assert "hangup_cause" not in call.extra


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"xml_cdr_uuid": None}, "has no xml_cdr_uuid"),
        ({"start_epoch": "0"}, "has no time of its start"),
        ({"end_epoch": "soon"}, "end_epoch 'soon' is not a whole number"),
        ({"end_epoch": None, "end_stamp": "soon"}, "end_stamp 'soon' is not a time"),
        ({"billsec": "-3"}, "billsec '-3' is not a whole number"),
        ({"caller_id_name": ["a"]}, "caller_id_name is a list, not text"),
    ],
)
def test_a_row_that_is_no_call_is_kept_and_the_others_pass(change: dict[str, object], reason: str) -> None:
    rows = lately()
    rows[1] |= change
    with FusionpbxServer() as server:
        server.spoil = lambda asked, reply: as_json(rows) if asked.path == "/api/call_range" else reply
        source = fusionpbx(server)
        came = once(source)
    assert came.error is None
    assert [record.uniqueid for record in came.records] == [rows[0]["xml_cdr_uuid"], rows[2]["xml_cdr_uuid"]]
    (reject,) = came.rejects
    assert reject.reason == reason
    assert json.loads(reject.text)["caller_id_number"] == "0310000002"
    assert [one.key for one in source.parse(reject.text).rejects] == [reject.key]


def test_a_request_says_its_times_with_their_offset_and_asks_for_json() -> None:
    with FusionpbxServer() as server:
        assert once(fusionpbx(server, url=f"{server.url}/")).error is None
        login, asked = server.asked[:2]
        assert len(server.windows) == len(server.asked) - 1
    assert json.loads(login.body) == {"email": EMAIL, "password": PASSWORD}
    assert (login.headers["content-type"], login.headers["accept"]) == ("application/json", "application/json")
    assert asked.headers["accept"] == "application/json"
    assert asked.query["domain_name"] == DOMAIN
    assert asked.query["from"].endswith("+00:00")
    # A plus sign as it is would be a blank.
    assert "%2B00%3A00" in asked.target


def test_one_login_is_for_all_domains_and_for_ever() -> None:
    with FusionpbxServer() as server:
        server.domains = {"a.example.org": lately(1), "b.example.org": []}
        source = fusionpbx(server, domains=("a.example.org", "b.example.org"))
        came = once(source)
        again = once(source, came.cursor)
        # Another process, later.
        later = once(fusionpbx(server, domains=("a.example.org", "b.example.org")), again.cursor)
    assert (came.error, again.error, later.error) == (None, None, None)
    assert (server.logins, server.logouts) == (1, 0)
    assert later.marks()["token"] == server.tokens[0]


def test_the_token_is_on_disk_before_anything_is_asked_with_it() -> None:
    with FusionpbxServer() as server:
        server.spoil = lambda asked, reply: reply.but(status=500) if asked.path == "/api/call_range" else reply
        came = once(fusionpbx(server))
        assert "answered 500" in str(came.error)
        assert came.marks()["token"] == server.tokens[0]
        server.spoil = None
        assert once(fusionpbx(server), came.cursor).error is None
    assert server.logins == 1


@pytest.mark.parametrize("at", [1, 5])
def test_a_token_that_is_revoked_in_the_middle_of_a_backfill_costs_one_login(at: int) -> None:
    now = time.time()
    rows = [a_row(number, now - 1000 * number) for number in range(1, 200)]
    with FusionpbxServer() as server:
        server.domains[DOMAIN] = rows

        def revoke(_: object, reply: Reply) -> Reply:
            if len(server.windows) == at and server.logins == 1:
                server.tokens.clear()
            return reply

        server.spoil = revoke
        came = once(fusionpbx(server, since=datetime.fromtimestamp(now - 300000, UTC)))
    assert came.error is None
    assert sorted(record.uniqueid for record in came.records) == sorted(row["xml_cdr_uuid"] for row in rows)
    assert (server.logins, server.logouts) == (2, 0)
    assert came.marks()["token"] == server.tokens[0]


def test_a_token_that_never_helps_is_no_reason_to_log_in_again_and_again() -> None:
    with FusionpbxServer() as server:
        server.spoil = lambda asked, reply: (
            as_json({"message": "Unauthenticated."}, 401) if asked.path == "/api/call_range" else reply
        )
        came = once(fusionpbx(server))
        assert server.logins == 1
        assert "the login gave a token, and then it was not taken (401)" in str(came.error)
        assert came.wait() == fusionpbx_module.LOCKED_OUT
        with pytest.raises(SourceError, match="was not taken"):
            fusionpbx(server).check()


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [
        (EMAIL, "wrong-password", "Invalid credentials."),
        ("", PASSWORD, "The given data was invalid.; The email field is required."),
    ],
)
def test_a_login_that_is_refused_says_what_to_look_at(email: str, password: str, said: str) -> None:
    with FusionpbxServer() as server:
        came = once(fusionpbx(server, email=email, password=password))
        assert len(server.asked) == 1
    assert str(came.error) == f"{server.url}: the login was refused: {said}; check email and password"
    assert came.wait() == fusionpbx_module.LOCKED_OUT


@pytest.mark.parametrize("reply", [as_json(["token"], 201), as_json({"token": 7.5, "user": {}}, 201),
                                   as_json({"token": "a\r\nX: b"}, 201), as_json({"success": True}, 200)])  # fmt: skip
def test_a_login_without_a_token_is_an_error(reply: Reply) -> None:
    with FusionpbxServer() as server:
        server.spoil = lambda asked, good: reply if asked.path == "/api/login" else good
        came = once(fusionpbx(server))
    if b"7.5" in reply.body:
        # Whatever it is, it can be sent back as it came.
        assert server.asked[1].headers["authorization"] == "Bearer 7.5"
        return
    assert "answered" in str(came.error)
    assert "to the login without a token; check url" in str(came.error)


def test_another_account_or_server_begins_anew() -> None:
    with FusionpbxServer() as server:
        server.domains[DOMAIN] = lately(1)
        came = once(fusionpbx(server))
        other = fusionpbx(server, email="other@example.org")
        assert "Invalid credentials" in str(once(other, came.cursor).error)
        assert server.asked[-1].path == "/api/login"
        assert other.unread(came.cursor) in range(86390, 86410)
        assert once(fusionpbx(server, url=f"{server.url}/another"), came.cursor).records == []
        assert server.asked[-1].path == "/another/api/login"
        assert fusionpbx(server).unread(came.cursor) == 0
        # One that no source of ours has made is damage, of which the supervisor makes a first start.
        assert isinstance(once(fusionpbx(server), "12:not this source's").error, CursorError)


def test_an_unknown_domain_does_not_hold_up_the_others() -> None:
    with FusionpbxServer() as server:
        server.domains = {"b.example.org": lately(1)}
        came = once(fusionpbx(server, domains=("a.example.org", "b.example.org")))
    assert len(came.records) == 1
    assert str(came.error) == (
        f"a.example.org: {server.url}: refused: The given data was invalid.; The selected domain name is invalid.; "
        "check domains"
    )


def test_a_limit_of_requests_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's minute is two seconds long, and it takes five requests in it."""
    monkeypatch.setattr(backoff, "API", backoff.Growth(0.05, 90.0))
    now = time.time()
    rows = [a_row(number, now - 1000 * number) for number in range(1, 100)]
    with FusionpbxServer() as server:
        server.domains[DOMAIN] = rows
        server.limit, server.minute = 5, 1.0
        came = once(fusionpbx(server, since=datetime.fromtimestamp(now - 110000, UTC)))
        refused = len(server.asked) - len(server.windows) - server.logins
    assert came.error is None
    assert len(came.records) == len(rows)
    assert refused >= 1
    assert refused <= len(server.asked) / 5


def test_check_logs_in_and_shows_the_newest_call() -> None:
    end = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=3)
    with FusionpbxServer() as server:
        server.domains[DOMAIN] = [a_row(1, end.timestamp(), 20), a_row(2, end.timestamp() - 5000)]
        said = fusionpbx(server, timezone=UTC).check()
    began = (end - timedelta(seconds=20)).isoformat(" ", "seconds")
    assert said == (
        f"{server.url}: logged in, 2 calls in the last day; the newest: {began} "
        "0310000001 -> 0700000001, outbound, ANSWERED, 15 s"
    )
    assert server.logins == 1
