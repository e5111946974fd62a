"""Whatever bytes come, every parser keeps its contract, and ends within its time. The long form of this is fuzz.py."""

import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humbug_agent.destinations.contract import DeliveryError
from humbug_agent.numbers.settings import NumbersSettings
from tests.fuzz import fuzz_pbx, fuzz_web
from tests.fuzz.fuzz_all import TARGETS
from tests.fuzz.fuzz_web import answering, settings_of
from tests.kit.sending import Sending

pytestmark = pytest.mark.slow

CORPUS = Path(__file__).parent / "corpus"
FILES = {target: sorted((CORPUS / target).iterdir()) for target in TARGETS}

SECONDS, MANY_SECONDS = 1.0, 3.0
"""Of this process's own time, for an input as it is and for one that is GROWN; the usual is a thousandth of it."""
GROWN = 16 * 1024

NASTY = (
    b"\r\n", b"\n", b"\r\n\r\n", b"\n\n", b'"', b'""', b",", b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80",
    b"\xef\xbb\xbf", b"%", b"%00", b"&", b"=", b"<", b"<!--", b"<!DOCTYPE x [", b"&#0;", b"&#xD800;", b"{", b"[",
    b"\\ud800", b"\\", b"-1", b"9" * 30, b"1e999", b"Event: ", b"Response: ", b"Content-Length: ",
    b"9999-12-31 23:59:59", b"0000-00-00 00:00:00", b"NaN", b"null",
)  # fmt: skip
"""What means something to one parser or another."""


@pytest.fixture(scope="module", autouse=True)
def receiver_of_answers() -> Iterator[None]:
    """It stays for all of these tests."""
    server = answering()
    yield
    server.close()
    answering.cache_clear()


def test_each_target_has_a_corpus_and_each_corpus_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert all(FILES.values())


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_in_the_corpus_breaks_nothing(target: str) -> None:
    for path in FILES[target]:
        _tried(target, path.read_bytes(), SECONDS, path.name)


@pytest.mark.parametrize("target", [target for target in TARGETS if target != "http_answer"])
def test_what_is_long_takes_no_longer_than_it_should(target: str) -> None:
    for path in FILES[target][:: max(1, len(FILES[target]) // 6)]:
        data = path.read_bytes()
        _tried(target, (data * (GROWN // max(1, len(data)) + 1))[:GROWN], MANY_SECONDS, path.name)


@pytest.mark.parametrize("target", TARGETS)
def test_whatever_becomes_of_it_breaks_nothing(target: str) -> None:
    seeds = [data for path in FILES[target] if len(data := path.read_bytes()) < 3000]

    @settings(max_examples=EXAMPLES.get(target, 40), derandomize=True, database=None)
    @given(st.sampled_from(seeds), st.lists(CHANGES, min_size=1, max_size=4))
    def each(data: bytes, changes: list[tuple[float, int, bytes]]) -> None:
        for where, gone, put in changes:
            at = int(where * len(data))
            data = data[:at] + put + data[at + gone :]
        _tried(target, data, SECONDS, "an example")

    each()


CHANGES = st.tuples(
    st.floats(0, 1), st.sampled_from([0, 0, 1, 2, 10, 100]), st.sampled_from(NASTY) | st.binary(max_size=6)
)
EXAMPLES = {"http_answer": 15}
"""Those that take more time for each."""


def _tried(target: str, data: bytes, seconds: float, name: str) -> None:
    began = time.process_time()
    TARGETS[target](data)
    took = time.process_time() - began
    assert took < seconds, f"{target}, {name}: {took:.1f} s for {len(data)} bytes"


def test_the_seeds_come_to_where_they_should() -> None:
    """A target that refuses everything at its door breaks nothing, too."""

    def calls(kind: str, target: str, seed: str) -> int:
        source = fuzz_pbx.a_source(kind, "legs = ab" if kind.startswith("freeswitch") else "")
        return len(source.parse((CORPUS / target / seed).read_bytes()).records)

    assert calls("asterisk_csv", "asterisk_csv", "full") == 3
    assert calls("freeswitch_csv", "freeswitch_csv", "asterisk") > 0
    assert calls("freeswitch_json", "freeswitch_document", "small.xml") == 1
    assert calls("freeswitch_esl", "esl_event", "channel_hangup_complete") == 1
    assert calls("asterisk_ami", "ami", "cdr") == 1
    assert len(fuzz_pbx.frames([(CORPUS / "esl" / "lists").read_bytes()])) == 6
    server = answering()
    for seed, status in (("ok", 200), ("chunked", 200), ("early", 400), ("later", 503)):
        server.answer = (CORPUS / "http_answer" / seed).read_bytes()
        destination = Sending(settings_of(server.port), UTC, NumbersSettings(None, 9, ""))
        try:
            answer = destination.send(fuzz_web.receiving_call())
        except DeliveryError as error:
            answer = error.answer
        finally:
            destination.close()
        assert answer.status == status
