"""Bytes of an event socket, cut anywhere, are the same frames; and what is none is said."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humbug_agent.listening.esl.frames import MOST_BODY, MOST_HEADERS, Frame, FrameError, Frames
from tests.kit.esl_server import GREETING, RECORDED, Recording, answer, event, reply

NAMES = sorted(path.name.partition(".")[0] for path in RECORDED.glob("*.server.raw"))


def fed(parts: list[bytes]) -> list[Frame]:
    frames = Frames()
    found = [frame for part in parts for frame in frames.feed(part)]
    assert not frames.unfinished
    return found


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = [0, *sorted({place % (len(data) + 1) for place in at}), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


@pytest.mark.parametrize("name", NAMES)
def test_every_recording_is_taken_apart_as_it_should_be(name: str) -> None:
    recording = Recording(name)
    assert [(frame.kind, frame.body) for frame in fed([recording.data])] == recording.bodies()
    assert fed([bytes([byte]) for byte in recording.data[:20000]] + [recording.data[20000:]]) == fed([recording.data])


bodies = st.binary(max_size=40) | st.sampled_from([b"", b"\n\n", b"Content-Length: 5\n\n", b"\n", "é\n\n".encode()])
some = st.lists(
    st.builds(event, bodies, st.sampled_from(["json", "plain"])) | st.builds(answer, bodies) | st.just(reply("+OK é")),
    max_size=8,
)


@given(some, st.lists(st.integers(0, 2**20), max_size=30))
def test_any_chunking_gives_the_same_frames(frames: list[bytes], at: list[int]) -> None:
    data = b"".join([GREETING, *frames])
    found = fed(cut(data, at))
    assert found == fed([data])
    assert len(found) == len(frames) + 1


@given(st.sampled_from(NAMES), st.lists(st.integers(0, 2**20), max_size=12))
def test_any_chunking_of_a_recording_gives_the_same_frames(name: str, at: list[int]) -> None:
    data = Recording(name).data
    assert fed(cut(data, at)) == fed([data])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no event socket: it begins with 'SSH-2.0-OpenSSH_9.2"),
        (b"Asterisk Call Manager/11.0.0\r\n", "is no event socket: it begins with 'Asterisk"),
        (b"Con", ""),
        (b"\x16\x03\x01", "is no event socket"),
        (b"Content-Type: auth/request\n" + b"x" * MOST_HEADERS, "sends what is no event socket's"),
        (GREETING + b"y" * MOST_HEADERS * 2, "sends what is no event socket's"),
        (b"Content-Type: api/response\nContent-Length: -5\n\n", "whose Content-Length is '-5'"),
        (b"Content-Type: api/response\nContent-Length: many\n\n", "whose Content-Length is 'many'"),
        (b"Content-Type: api/response\nContent-Length: 1099511627776\n\n", "a message of 1099511627776 bytes"),
        (b"Content-Type: api/response\nContent-Length: " + b"9" * 5000 + b"\n\n", "a message of 9999"),
        (b"Content-Type: api/response\nContent-Length: %d\n\n" % (MOST_BODY + 1), "is more than any real one"),
    ],
)
def test_what_is_no_event_socket_is_said(data: bytes, words: str) -> None:
    frames = Frames()
    if words:
        with pytest.raises(FrameError, match=words.replace(".", r"\.")):
            list(frames.feed(data))
    else:
        assert list(frames.feed(data)) == []


def test_it_is_said_as_soon_as_it_is_seen() -> None:
    frames = Frames()
    with pytest.raises(FrameError, match="it begins with 'S'"):
        list(frames.feed(b"S"))


def test_a_frame_without_a_length_has_no_body() -> None:
    assert fed([b"Content-Type: text/disconnect-notice\n\n" + reply("+OK")]) == [
        Frame("text/disconnect-notice", "", b""),
        Frame("command/reply", "+OK", b""),
    ]
