"""What is NATS's own among destinations: its stream, its subjects, its refusals and its TLS, at a real server."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import trustme
from nats.js.api import StreamConfig

from humbug_agent.cdr import CDR, Direction, Notice, digest
from humbug_agent.destinations import make_destination, settings_of
from humbug_agent.destinations.contract import (
    Answer,
    DeliveryError,
    Destination,
    Later,
    Misconfigured,
    Outcome,
    Refused,
    Unsendable,
)
from humbug_agent.flat import flatten
from humbug_agent.ini import Section
from humbug_agent.numbers.settings import NumbersSettings
from tests.kit.calls import START, call
from tests.kit.nats_server import PASSWORD, USER, NatsServer
from tests.kit.paths import TOP
from tests.kit.threads import no_thread

pytestmark = pytest.mark.slow

SCHEMA = json.loads((TOP / "docs" / "destinations" / "webhook.schema.json").read_text())


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer() as made:
        yield made


def made(server: NatsServer, **changes: str) -> Destination:
    values = {"url": f"nats://127.0.0.1:{server.port}", "user": USER, "password": PASSWORD, "pbx": "here"}
    found: list[str] = []
    section = Section("destination there", values | {"timeout": "3"} | changes, found)
    settings = settings_of("nats").read("there", section)
    assert not found
    return make_destination(settings, UTC, NumbersSettings(None, 9, ""), Path("not-asked-for"))


def sent(destination: Destination, record: CDR | Notice) -> Outcome:
    destination.begin([[(7, flatten(record))]])
    while not (came := destination.collect(1.0)):
        pass
    ((number, outcome),) = came
    assert number == 7
    return outcome


def only(server: NatsServer, record: CDR | Notice, **changes: str) -> Outcome:
    with closing(made(server, **changes)) as destination:
        return sent(destination, record)


def failed(server: NatsServer, kind: type[DeliveryError], *record: CDR, **changes: str) -> str:
    outcome = only(server, record[0] if record else call(1), **changes)
    assert type(outcome) is kind
    assert PASSWORD not in outcome.reason
    assert "\n" not in outcome.reason
    return outcome.reason


def give(server: NatsServer, **config: Any) -> None:
    """A stream that somebody else has made."""

    async def add() -> None:
        client = await server.connect()
        await client.jetstream().add_stream(StreamConfig(**{"name": "CDR", "subjects": ["cdr.>"]} | config))
        await client.close()

    asyncio.run(add())


def subjects(server: NatsServer) -> list[str]:
    async def look() -> list[str]:
        client = await server.connect()
        info = await client.jetstream().stream_info("CDR", subjects_filter=">")
        await client.close()
        return list(info.state.subjects or {})

    return asyncio.run(look())


def test_a_call_is_one_event_under_its_own_subject(server: NatsServer) -> None:
    one = call(1, direction=Direction.INBOUND, extra={"Zoë": "☎"})
    assert only(server, one) == Answer(None, "stored")
    (event,) = server.events()
    jsonschema.validate(event, SCHEMA)
    assert (event["type"], event["version"], event["id"]) == ("call.ended", 1, one.identity.hex())
    assert event["data"]["extra"] == {"Zoë": "☎"}
    assert event["data"]["start"] == one.start.isoformat()
    assert event["data"]["answer"]
    assert subjects(server) == [f"cdr.here.inbound.{one.identity.hex()}"]


def test_where_the_host_gives_no_thread_it_is_later_and_tried_again(server: NatsServer) -> None:
    with closing(made(server)) as destination:
        with no_thread("there"):
            assert isinstance(sent(destination, call(1)), Later)
        assert isinstance(sent(destination, call(1)), Answer)


def test_a_notice_says_its_event(server: NatsServer) -> None:
    notice = Notice(identity=digest("notice"), event="Shutdown", at=START, fields={"Restart": "False"})
    assert isinstance(only(server, notice, subject="cdr.{pbx}.{event}.{id}"), Answer)
    (event,) = server.events()
    jsonschema.validate(event, SCHEMA)
    assert event["data"] == {"event": "Shutdown", "fields": {"Restart": "False"}}
    assert subjects(server) == [f"cdr.here.Shutdown.{notice.identity.hex()}"]


def test_whatever_stands_in_a_subject_stays_one_word_of_it(server: NatsServer) -> None:
    odd = call(1, accountcode="a.b *>\r\nPUB x 0\u2028ü" + "z" * 100)
    assert isinstance(only(server, odd, subject="cdr.{accountcode}.{id}", pbx="pbx.example.org"), Answer)
    (subject,) = subjects(server)
    assert subject.count(".") == 2
    assert subject.startswith("cdr.a_b_____PUB_x_0__zz")
    assert len(subject.split(".")[1]) == 64


@pytest.mark.parametrize("given", [False, True])
def test_a_call_that_comes_again_after_the_window_was_there_already(server: NatsServer, given: bool) -> None:
    if given:
        # As somebody makes one who knows of nothing: it looks back for a tenth of a second.
        give(server, duplicate_window=0.1)
    with closing(made(server)) as destination:
        assert sent(destination, call(1)) == Answer(None, "stored")
        assert sent(destination, call(2)) == Answer(None, "stored")
    if not given:
        shorten(server)
    server.kill()
    server.start()
    with closing(made(server)) as destination:
        assert sent(destination, call(1)) == Answer(None, "was there already")
    assert len(server.events()) == 2


def shorten(server: NatsServer) -> None:
    """The window of the agent's own stream, which is two minutes."""

    async def update() -> None:
        client = await server.connect()
        jetstream = client.jetstream()
        config = (await jetstream.stream_info("CDR")).config
        assert (config.max_msgs_per_subject, config.discard_new_per_subject) == (1, True)
        config.duplicate_window = 0.1
        await jetstream.update_stream(config)
        await client.close()

    asyncio.run(update())


def test_the_same_call_of_two_pbxs_is_two_messages(server: NatsServer) -> None:
    for pbx in ("one", "two", "one"):
        assert isinstance(only(server, call(1), pbx=pbx), Answer)
    assert len(server.events()) == 2


def test_without_a_stream_and_without_leave_to_make_one_it_pauses(server: NatsServer) -> None:
    assert "there is no stream CDR" in failed(server, Misconfigured, create="no")
    give(server)
    assert isinstance(only(server, call(1), create="no"), Answer)


def test_a_stream_that_does_not_listen_to_the_subject_is_named(server: NatsServer) -> None:
    give(server, subjects=["else.>"])
    assert "no stream took cdr.here" in failed(server, Later)


def test_a_call_does_not_go_into_another_stream(server: NatsServer) -> None:
    give(server, name="OTHER")
    give(server, subjects=["else.>"])
    assert "another stream has the subject" in failed(server, Misconfigured)
    assert server.events("OTHER") == []


def test_a_full_stream_is_waited_for(server: NatsServer) -> None:
    give(server, max_msgs=1, discard="new")
    assert isinstance(only(server, call(1)), Answer)
    assert "maximum messages exceeded" in failed(server, Later, call(2))


def test_a_message_that_is_too_large_is_dead_alone(server: NatsServer) -> None:
    give(server, max_msg_size=2000)
    assert "maximum" in failed(server, Refused, call(1, lastdata="x" * 3000))
    outcome = only(server, call(2, lastdata="x" * 2_000_000))
    assert isinstance(outcome, Unsendable)
    assert isinstance(only(server, call(3)), Answer)


@pytest.mark.parametrize(
    "changes",
    [{"password": "wrong-one"}, {"user": "", "password": ""}, {"user": "", "password": "", "token": "a-token"}],
)
def test_what_lets_nobody_in_pauses(server: NatsServer, changes: dict[str, str]) -> None:
    assert "check user and password" in failed(server, Misconfigured, **changes)


def test_a_right_that_is_missing_pauses(server: NatsServer) -> None:
    server.kill()
    server.configure("", permissions=', permissions: {publish: ["$JS.API.>"], subscribe: "_INBOX.>"}')
    server.start()
    assert "permissions violation" in failed(server, Misconfigured).lower()


def test_a_server_without_jetstream_pauses(server: NatsServer) -> None:
    server.kill()
    server.configure("", jetstream=False)
    server.start()
    assert "JetStream" in failed(server, Misconfigured)


def test_where_nobody_listens_it_is_tried_again(server: NatsServer) -> None:
    assert "refused" in failed(server, Later, url="nats://127.0.0.1:9")
    assert isinstance(only(server, call(1), url=f"nats://127.0.0.1:9, nats://127.0.0.1:{server.port}"), Answer)


def test_check_makes_nothing(server: NatsServer) -> None:
    with closing(made(server)) as destination:
        assert "stream CDR is made with the first call" in destination.check()
        assert destination.preview(call(1)).parameters["subject"].startswith("cdr.here.unknown.")
        assert isinstance(sent(destination, call(1)), Answer)
        assert "stream CDR has 1 message" in destination.check()


def test_a_connection_that_the_server_ended_meanwhile_is_made_anew(server: NatsServer) -> None:
    with closing(made(server)) as destination:
        assert isinstance(sent(destination, call(1)), Answer)
        server.kill()
        server.start()
        assert isinstance(sent(destination, call(2)), Answer)


def test_over_tls_the_server_must_be_who_it_says(server: NatsServer, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    issued.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    secure = {"url": f"tls://localhost:{server.port}", "ca_file": str(tmp_path / "ca.pem")}
    assert "speaks no TLS" in failed(server, Misconfigured, **secure)
    server.kill()
    server.configure(f'tls {{ cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.key" }}')
    server.start()
    assert isinstance(only(server, call(1), **secure), Answer)
    assert "certificate verify failed" in failed(server, Misconfigured, url=secure["url"])


def test_of_another_host_the_way_and_a_subject_without_id_are_warned_about() -> None:
    def warned(**values: str) -> list[str]:
        return settings_of("nats").read("there", Section("destination there", values, [])).warnings()

    assert warned() == warned(url="tls://nats.example.org") == []
    assert "unencrypted" in warned(url="nats://nats.example.org")[0]
    assert "duplicate window" in warned(subject="cdr.{pbx}")[0]


@pytest.mark.parametrize("subject", ["cdr.>", "cdr..{id}", "cdr.{nobody}", "cdr.{id", "cdr {id}", "cdr.{id!r}", "*"])
def test_a_subject_that_is_none_is_a_mistake(subject: str) -> None:
    mistakes: list[str] = []
    settings_of("nats").read("there", Section("destination there", {"subject": subject}, mistakes))
    assert "subject" in mistakes[0]


def test_without_nats_py_it_pauses_and_says_what_to_install(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nats", None)
    assert "pip install 'humbug-agent[nats]'" in failed(server, Misconfigured)
