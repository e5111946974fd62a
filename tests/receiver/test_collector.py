"""A collector for many PBXs, over real sockets: names by keys, what it tells of itself, and what others may not see."""

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from humbug_agent.receiver import Background, Receiver, Store
from humbug_agent.receiver.keys import Keys
from humbug_agent.receiver.retention import Retention
from humbug_agent.receiver.store.contract import Arrival
from tests.kit.forms import CALL, KEY, encode, plain, post
from tests.kit.paths import TOP

OFFICE, SHOP, METRICS = "office-" * 4, "shop-" * 6, "metrics-" * 3
FIELDS = {name: value for name, value in CALL.items() if name not in ("gateway", "encoded", "event_time")}


def keys_of(**named: str) -> Keys:
    keys = Keys()
    for name, key in named.items():
        keys.add(key, name)
    return keys


@pytest.fixture
def collecting(store: Store) -> Iterator[Background]:
    receiver = Receiver(store, encryption_key=KEY)
    receiver.keys = keys_of(office=OFFICE, shop=SHOP, metrics=METRICS)
    with Background(receiver) as background:
        yield background


def ask(url: str, path: str, key: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return requests.get(url.replace("/receiver.php", path), headers=headers, timeout=20)


def test_the_name_of_its_pbx_stands_with_each_call(collecting: Background, store: Store) -> None:
    for body in (plain(gateway=OFFICE), plain(gateway=SHOP), encode(FIELDS, gateway=SHOP)):
        assert post(collecting.url, body, **{"Idempotency-Key": "1"}).status_code == 200
    assert [(row["pbx"], row["key"], row["repeats"]) for row in store.rows()] == [("office", "1", 0), ("shop", "1", 1)]


@pytest.mark.parametrize("key", ["guess", "", METRICS])
def test_nobody_else_is_let_in(collecting: Background, store: Store, key: str) -> None:
    assert post(collecting.url, plain(gateway=key)).status_code == 401
    assert store.number() == 0


def test_keys_are_replaced_while_it_runs(collecting: Background) -> None:
    assert post(collecting.url, plain(gateway="another-key-of-the-office")).status_code == 401
    collecting.receiver.keys = keys_of(office="another-key-of-the-office")
    assert post(collecting.url, plain(gateway="another-key-of-the-office")).status_code == 200
    assert post(collecting.url, plain(gateway=OFFICE)).status_code == 401


def test_the_log_has_a_line_for_what_came_and_for_what_was_refused(
    collecting: Background, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(5):
        post(collecting.url, plain(gateway=OFFICE, UniqueID=str(number)))
        post(collecting.url, plain(gateway=SHOP, StartTime="yesterday"))
        post(collecting.url, plain(gateway="a-guessed-key"))
    collecting.__exit__()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("humbug_agent")]
    assert said == [
        "a call has come of PBX office",
        "a call of PBX shop at 127.0.0.1 was refused: StartTime is not a date and time such as 2011-12-01 23:59:59",
        "receiver: wrong user, password or key from 127.0.0.1",
        "a call has come of PBX office (4 more within 1 min)",
        "a call of PBX shop at 127.0.0.1 was refused: StartTime is not a date and time such as 2011-12-01 23:59:59 "
        "(4 more within 1 min)",
    ]


def families(text: str) -> dict[str, dict[str, float]]:
    return {
        family.name: {",".join(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(text)
    }


def test_metrics_are_for_who_has_their_key(collecting: Background) -> None:
    for key in ("1", "1", "2"):
        post(collecting.url, plain(gateway=OFFICE), **{"Idempotency-Key": key})
    post(collecting.url, plain(gateway=SHOP, StartTime="yesterday"))
    post(collecting.url, plain(gateway="guess"))
    for key in ("", "guess", OFFICE):
        refused = ask(collecting.url, "/metrics", key)
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert "office" not in refused.text
    answer = ask(collecting.url, "/metrics", METRICS)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    told = families(answer.text)
    assert told["humbug_receiver_calls"] == {"office": 2}
    assert told["humbug_receiver_repeats"] == {"office": 1}
    assert told["humbug_receiver_last_call_timestamp_seconds"]["office"] > 1.79e9
    # Two of the four wrong keys were sent to ask for this.
    assert told["humbug_receiver_refused"] == {"body": 0, "faults": 1, "key": 3, "store": 0}
    assert told["humbug_receiver_store_up"] == {"": 1}


def test_the_page_has_every_metric(collecting: Background) -> None:
    post(collecting.url, plain(gateway=OFFICE))
    rows = []
    for family in text_string_to_metric_families(ask(collecting.url, "/metrics", METRICS).text):
        labels = ", ".join(f"`{label}`" for label in {label: 0 for one in family.samples for label in one.labels})
        name = family.name + "_total" * (family.type == "counter")
        rows.append(f"| `{name}` | {family.type} | {labels or 'none'} | {family.documentation} |")
    page = (TOP / "docs" / "collector.md").read_text()
    assert re.findall(r"^\| `humbug_receiver_.*", page, re.MULTILINE) == rows, "\n".join(rows)


def test_without_names_the_one_key_asks_for_metrics_and_without_a_key_everybody(
    running: Background, store: Store
) -> None:
    post(running.url, plain())
    assert ask(running.url, "/metrics").status_code == 401
    assert families(ask(running.url, "/metrics", CALL["gateway"]).text)["humbug_receiver_calls"] == {"": 1}
    with Background(Receiver(store)) as unguarded:
        assert ask(unguarded.url, "/metrics").status_code == 200


def test_health_is_whether_calls_can_be_kept(running: Background, store: Store) -> None:
    assert (ask(running.url, "/healthz").status_code, ask(running.url, "/healthz").text) == (200, "ok\n")
    with closing(sqlite3.connect(store.path)) as other:
        other.execute("ALTER TABLE calls RENAME TO elsewhere")
        assert post(running.url, plain()).status_code == 503
        answer = ask(running.url, "/healthz")
        assert (answer.status_code, answer.text) == (503, "the store can't be used now\n")
        told = families(ask(running.url, "/metrics", CALL["gateway"]).text)
        assert (told["humbug_receiver_store_up"], told["humbug_receiver_refused"]["store"]) == ({"": 0}, 1)
        other.execute("ALTER TABLE elsewhere RENAME TO calls")
    assert post(running.url, plain()).json() == {"stored": True}
    assert ask(running.url, "/healthz").status_code == 200


def test_a_key_of_any_length_is_no_poison_for_the_others(collecting: Background) -> None:
    answer = post(collecting.url, plain(gateway=OFFICE), **{"Idempotency-Key": "k" * 201})
    assert answer.status_code == 400
    assert answer.json() == {"faults": ["the header Idempotency-Key has more than 200 characters"]}


def test_retention_drops_bit_by_bit(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert Retention(store, None).drop() is None
    store.add([Arrival("", str(n), CALL, "2026-01-01T00:00:00.000+00:00") for n in range(6000)])
    retention = Retention(store, 30)
    assert [retention.drop() for _ in range(3)] == [0.2, 0.2, 3600]
    assert store.number() == 0
    assert "dropped 6,000 calls that came more than 30 days ago" in caplog.text
