"""The webhook: what goes over the wire, judged by others' verifier and by the schema that is published."""

import base64
import json
import logging
import ssl
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import trustme
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from humbug_agent.cdr import Notice, Record
from humbug_agent.destinations.contract import Answer, DeliveryError, Later, Misconfigured, Outcome, Refused
from humbug_agent.destinations.events import FIELDS
from humbug_agent.destinations.webhook.destination import Webhook
from humbug_agent.destinations.webhook.settings import WebhookSettings
from humbug_agent.flat import TEST, Flat, flatten
from humbug_agent.ini import Secret, Section
from humbug_agent.numbers.settings import NumbersSettings
from tests.kit.calls import call
from tests.kit.paths import TOP
from tests.kit.rude import Act, Rude, until

KEY = b"the-key-that-signs-all-of-it"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
SCHEMA = json.loads((TOP / "docs/destinations/webhook.schema.json").read_text())
NOTICE = Notice(identity=b"n" * 16, event="Alarm", at=datetime(2026, 11, 20, tzinfo=UTC), fields={"Channel": "1"})

Make = Callable[..., Webhook]


def read(url: str, **settings: str) -> tuple[WebhookSettings, list[str]]:
    """The settings, and what is wrong with them."""
    mistakes: list[str] = []
    section = Section("destination webhook", {"url": url, **settings}, mistakes)
    return WebhookSettings.read("webhook", section), mistakes


@pytest.fixture
def webhook() -> Iterator[Make]:
    made: list[Webhook] = []

    def make(url: str, **settings: str) -> Webhook:
        found, mistakes = read(url, **settings)
        assert not mistakes
        made.append(Webhook(found, UTC, NumbersSettings(None, 9, "")))
        return made[-1]

    yield make
    for each in made:
        each.close()


def sent(destination: Webhook, *flats: Flat) -> list[Outcome]:
    """What becomes of these, sent in one request."""
    destination.begin([list(enumerate(flats))])
    found: dict[int, Outcome] = {}

    def come() -> bool:
        found.update(destination.collect(0.1))
        return len(found) == len(flats)

    until(come, 20, "all outcomes")
    return [found[number] for number in range(len(flats))]


def failed(destination: Webhook) -> DeliveryError:
    (outcome,) = sent(destination, flatten(call(1)))
    assert isinstance(outcome, DeliveryError)
    return outcome


def valid(body: bytes) -> Any:
    """What it says, if the schema takes it."""
    said = json.loads(body)
    jsonschema.validate(said, SCHEMA, format_checker=jsonschema.FormatChecker())
    return said


@pytest.mark.parametrize("batch", ["1", "5"])
def test_others_verifier_takes_each_request_over_new_and_kept_connections(webhook: Make, batch: str) -> None:
    with Rude() as server:
        destination = webhook(server.url, secret=SECRET, batch=batch)
        for number in range(3):
            assert isinstance(sent(destination, flatten(call(number)))[0], Answer)
        assert len(server.requests) == 3
        for request in server.requests:
            assert Verifier(KEY).verify(request.body, request.headers) == valid(request.body)
            with pytest.raises(WebhookVerificationError):
                Verifier(KEY).verify(request.body + b" ", request.headers)
        assert len({request.headers["webhook-id"] for request in server.requests}) == 3


def test_a_repeat_has_the_same_id_and_the_same_body(webhook: Make) -> None:
    with Rude() as server:
        destination = webhook(server.url, secret=SECRET, batch="5")
        for flats in ([1], [1, 2], [1], [1, 2], [2, 1]):
            sent(destination, *(flatten(call(number)) for number in flats))
        one, both, again, both_again, other_way = server.requests
        assert (one.headers["webhook-id"], one.body) == (again.headers["webhook-id"], again.body)
        assert (both.headers["webhook-id"], both.body) == (both_again.headers["webhook-id"], both_again.body)
        assert len({each.headers["webhook-id"] for each in (one, both, other_way)}) == 3
        assert one.headers["webhook-id"] == call(1).identity.hex() == json.loads(one.body)[0]["id"]


@pytest.mark.parametrize(
    ("changed", "kind"),
    [({}, "call.ended"), ({"src": "Zoë ☎", "extra": {}}, "call.ended"), ({"clid": '"\\"\n\t\x7f'}, "call.ended")],
)
def test_the_body_is_what_the_schema_says(webhook: Make, changed: dict[str, Any], kind: str) -> None:
    said = valid(webhook("http://127.0.0.1:9/").body([flatten(call(1, **changed))]))
    assert said["type"] == kind
    assert list(said["data"]) == list(FIELDS) == list(SCHEMA["$defs"]["call"]["properties"])
    record = call(1, **changed)
    for name in ("src", "clid", "duration", "uniqueid", "extra", "disposition"):
        assert said["data"][name] == getattr(record, name)
    for name in ("start", "answer", "end"):
        assert datetime.fromisoformat(said["data"][name]) == getattr(record, name)
    assert said["timestamp"] == said["data"]["end"]


def test_a_notice_and_a_test_call_are_told_from_a_call(webhook: Make) -> None:
    destination = webhook("http://127.0.0.1:9/", batch="2", fields="src")
    said = valid(destination.body([flatten(NOTICE), flatten(call(2))._replace(event=TEST)]))
    assert [event["type"] for event in said] == ["pbx.notice", "call.test"]
    assert said[0]["data"] == {"event": "Alarm", "fields": {"Channel": "1"}}
    assert said[1]["data"] == {"src": call(2).src}


def test_only_the_fields_that_were_chosen_are_sent(webhook: Make) -> None:
    said = valid(webhook("http://127.0.0.1:9/", fields="dst, src,start").body([flatten(call(1))]))
    assert list(said["data"]) == ["src", "dst", "start"]


def test_a_time_shows_what_the_clock_of_the_pbx_showed(webhook: Make) -> None:
    flat = flatten(call(1))._replace(start=0.0, start_offset=3600)
    said = valid(webhook("http://127.0.0.1:9/").body([flat]))
    assert said["data"]["start"] == "1970-01-01T01:00:00+01:00"


def test_one_that_can_not_be_said_is_dead_and_the_others_of_its_batch_go(webhook: Make) -> None:
    with Rude() as server:
        flats = [flatten(call(number)) for number in range(3)]
        outcomes = sent(webhook(server.url, batch="3"), flats[0], flats[1]._replace(extra="[]"), flats[2])
        assert [type(one).__name__ for one in outcomes] == ["Answer", "Unsendable", "Answer"]
        assert [event["id"] for event in valid(server.requests[0].body)] == [flats[n].identity.hex() for n in (0, 2)]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (202, Answer), (207, Answer), (400, Refused), (413, Refused), (422, Refused), (408, Later), (425, Later),
        (429, Later), (500, Later), (503, Later), (301, Misconfigured), (401, Misconfigured), (403, Misconfigured),
        (404, Misconfigured), (410, Misconfigured),
    ],
)  # fmt: skip
def test_what_an_answer_means(webhook: Make, status: int, kind: type[Outcome]) -> None:
    with Rude([Act(status=status)]) as server:
        (outcome,) = sent(webhook(server.url), flatten(call(1)))
    assert type(outcome) is kind


def test_own_headers_go_with_each_request_and_are_shown_nowhere(
    webhook: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Rude(lambda _: Act(status=400, body=f"no Bearer s3cr3t-word, {SECRET}".encode())) as server:
        headers = "Authorization: Bearer s3cr3t-word\n  X-Site: 12 Elm\n Content-Type: application/x-own+json"
        destination = webhook(server.url, secret=SECRET, headers=headers)
        failures = [failed(destination) for _ in range(2)]
        preview = destination.preview(call(1))
    section = Section("destination webhook", {"url": server.url, "headers": headers}, [])
    WebhookSettings.read("webhook", section)
    # What packs for support goes by.
    assert section.told()["headers"] is None
    assert Secret("Bearer s3cr3t-word") in section.kept()
    for request in server.requests:
        assert request.headers["authorization"] == "Bearer s3cr3t-word"
        assert request.headers["x-site"] == "12 Elm"
        assert request.headers["content-type"] == "application/x-own+json"
    assert preview.parameters["Authorization"] == preview.parameters["webhook-signature"] == "***"
    shown = f"{preview}{[(one.reason, one.answer) for one in failures]}{destination.where}{caplog.text}"
    assert "s3cr3t-word" not in shown
    assert SECRET not in shown
    assert SECRET.removeprefix("whsec_") not in shown


def test_the_preview_is_what_goes_over_the_wire(webhook: Make) -> None:
    with Rude() as server:
        destination = webhook(server.url, secret=SECRET)
        records: Sequence[Record] = [call(1), NOTICE]
        for record in records:
            sent(destination, flatten(record))
        assert [destination.preview(record).body.encode() for record in records] == [r.body for r in server.requests]


@pytest.fixture
def strict_server(authority: trustme.CA) -> ssl.SSLContext:
    """It wants a certificate of our authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest.fixture(params=["one file", "two files"])
def certificate(request: pytest.FixtureRequest, authority: trustme.CA, tmp_path: Path) -> dict[str, str]:
    issued = authority.issue_cert("agent.example.org")
    both, cert, key = tmp_path / "both.pem", tmp_path / "cert.pem", tmp_path / "key.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(both))
    issued.cert_chain_pems[0].write_to_path(str(cert))
    issued.private_key_pem.write_to_path(str(key))
    return {"client_cert": str(both)} if request.param == "one file" else {
        "client_cert": str(cert), "client_key": str(key),
    }  # fmt: skip


def test_a_client_certificate_is_shown_to_a_server_that_wants_one(
    webhook: Make, strict_server: ssl.SSLContext, ca_file: Path, certificate: dict[str, str]
) -> None:
    with Rude(tls=strict_server) as server:
        destination = webhook(server.url, ca_file=str(ca_file), **certificate)
        for number in range(3):
            assert isinstance(sent(destination, flatten(call(number)))[0], Answer)
        assert "answers (200" in destination.check()


def test_without_a_client_certificate_such_a_server_takes_nothing_and_the_reason_says_why(
    webhook: Make, strict_server: ssl.SSLContext, ca_file: Path
) -> None:
    with Rude(tls=strict_server) as server:
        destination = webhook(server.url, ca_file=str(ca_file), timeout="5")
        # A connection that is cut while the request leaves may be all that is seen of it once.
        errors: list[DeliveryError] = []

        def told() -> bool:
            errors.append(failed(destination))
            return "client_cert" in errors[-1].reason

        until(told, 10, "it says why")
        assert isinstance(errors[-1], Misconfigured)
        assert not server.requests


def test_what_a_get_is_answered_says_whether_somebody_is_there(webhook: Make, free_port: int) -> None:
    with Rude([Act(status=404), Act(status=401), Act(status=503)]) as server:
        destination = webhook(server.url, secret=SECRET)
        assert "answers (404 to a GET, which is no POST), calls go signed" in destination.check()
        with pytest.raises(Misconfigured, match="check secret, headers and client_cert"):
            destination.check()
        with pytest.raises(Later):
            destination.check()
    with pytest.raises(Later):
        webhook(f"http://127.0.0.1:{free_port}/").check()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"secret": "c2VjcmV0"}, "it needs whsec_ before its base64"),
        ({"secret": "whsec_!!!"}, "is not base64"),
        ({"secret": "whsec_c2hvcnQ="}, "its key is not of 24 to 64 bytes"),
        ({"fields": "src, dts"}, "'dts' is not one of"),
        ({"headers": "Authorization Bearer x"}, "line 1 is not NAME: VALUE"),
        ({"headers": "A: b\nHost: x"}, "line 2: Host is the agent's own"),
        ({"headers": "A: b\nWebhook-Id: x"}, "line 2: Webhook-Id is the agent's own"),
        ({"headers": "A: b\na: c"}, "line 2: a stands there twice"),
        ({"client_key": __file__}, "needs client_cert beside it"),
        ({"batch": "0"}, "'0' is not a whole number from 1 to 1000"),
    ],
)
def test_a_mistake_is_named_and_no_secret_quoted(settings: dict[str, str], said: str) -> None:
    _, mistakes = read("https://example.org/", **settings)
    assert len(mistakes) == 1
    assert said in mistakes[0]
    assert "c2VjcmV0" not in mistakes[0]


def test_a_url_is_needed_and_http_is_warned_of() -> None:
    assert read("")[1] == ["[destination webhook] url: is missing; it is where the calls are sent"]
    assert "unencrypted" in read("http://crm.example.org/")[0].warnings()[0]
    assert read("https://crm.example.org/")[0].warnings() == []
