"""Messages that do not end as they should: no Cdr event is lost by them without a word, and none is made up."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from humbug_agent.cdr import CDR, Batch
from humbug_agent.listening.ami.protocol import Protocol
from tests.kit.ami_calls import HEADERS, call, event, events
from tests.kit.ami_daemon import AmiHost, Daemon
from tests.kit.ami_feed import Wire, blocks, heard, source, understood
from tests.kit.ami_server import BANNER, AmiServer
from tests.kit.calls import cdrs
from tests.kit.host import RECORDED, wait_until
from tests.kit.paths import DATA
from tests.kit.pbx_server import pieces

pytestmark = pytest.mark.slow

CASES = DATA / "ami-bad-ends"
ENTER = b"Event: BridgeEnter\r\nPrivilege: call,all\r\nChannel: SIP/T-1\r\nUniqueid: 14.1\r\n"
PONG = b"Response: Success\r\nPing: Pong\r\nTimestamp: 1.2\r\n\r\n"
HEAD = b"Event: Cdr\r\nPrivilege: cdr,all\r\n"


def batch(*parts: bytes, banner: bytes = BANNER) -> Batch:
    """What becomes of it, and of the answer to the ping behind it."""
    return source()._batch(heard(blocks([banner, *parts, PONG])))


def dialled(found: Batch) -> list[str]:
    return [record.dst for record in cdrs(found.records)]


@pytest.mark.parametrize("case", ["761.txt", "no-end.txt"])
def test_the_cases_are_calls(case: str) -> None:
    data = (CASES / case).read_bytes()
    found = batch(data)
    (record,) = found.records
    assert isinstance(record, CDR)
    assert not found.rejects
    assert (record.src, record.dst, record.duration, record.billsec) == (
        "0441234567", {"761.txt": "9001", "no-end.txt": "9002"}[case], 10, 8,
    )  # fmt: skip
    assert (record.uniqueid, record.userfield, record.clid) == ("1795190793.12", "", '"Anna" <0441234567>')
    assert source().parse(data).records == [record]
    assert batch(*pieces(data, (1,))) == found


BEFORE = {
    "a-whole-one": ENTER + b"\r\n",
    "cr-lf-lf": ENTER + b"\n",
    "nothing": ENTER,
    "two-blank-lines": ENTER + b"\r\n\r\n",
    "lf-cr-lf": ENTER[:-2] + b"\n\r\n",
    "lf-lf": ENTER[:-2] + b"\n\n",
    "many-lf": ENTER + b"\n\n\n",
    "torn-in-a-line": ENTER[:-4],
    "torn-in-a-name": ENTER[:-12],
    "torn-in-its-first-line": ENTER[:12],
    "lf-only": ENTER.replace(b"\r\n", b"\n") + b"\n",
    "lf-only-and-nothing": ENTER.replace(b"\r\n", b"\n"),
    "a-list-that-ends": b"Event: CoreShowChannelMapComplete\r\nEventList: Complete\r\nListItems: 1\r\n\n",
    "an-answer": b"Response: Success\r\nMessage: Events On\r\n",
    "an-answer-and-lf": b"Response: Success\r\nMessage: Events On\r\n\n",
    "the-rest-of-something": b"ame: CID:0441\r\nAccountCode:\r\nUniqueid: 14.1\r\n\r\n",
    "the-rest-of-something-and-nothing": b"ame: CID:0441\r\nAccountCode:\r\nUniqueid: 14.1\r\n",
    "a-call": event(call(7)),
    "a-call-and-lf": event(call(7)).removesuffix(b"\r\n") + b"\n",
    "a-call-and-nothing": event(call(7)).removesuffix(b"\r\n"),
    "a-call-with-mappings-and-nothing": event(call(7), after=b"linkedid: 1.1\r\n").removesuffix(b"\r\n"),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_however_the_message_before_it_ends_the_call_is_there(kind: str) -> None:
    for lf in (False, True):
        told = BEFORE[kind] + events(1, 2)
        found = batch(ENTER + b"\r\n" + (told.replace(b"\r\n", b"\n") if lf else told))
        assert dialled(found) == [*(["7"] if "a-call" in kind else []), "1", "2"]
        assert not found.rejects


@pytest.mark.parametrize("ending", [b"\r\n", b"\n", b""])
@pytest.mark.parametrize("behind", [b"", ENTER, ENTER + b"\r\n", b"Event: Hangup\r\nUniqueid: 1.1\r\n\n"])
def test_however_the_call_itself_ends_it_is_there(ending: bytes, behind: bytes) -> None:
    whole = event(call(1, userfield=b"x"), after=b"rate: 0.02\r\n").removesuffix(b"\r\n")
    (record,) = batch(whole + ending + behind).records
    assert isinstance(record, CDR)
    assert (record.userfield, record.extra["rate"]) == ("x", "0.02")


@given(
    st.lists(st.sampled_from([*BEFORE]), max_size=8),
    st.lists(st.one_of(st.integers(1, 40), st.integers(1, 3000)), min_size=1, max_size=20),
    st.sampled_from([BANNER, BANNER.replace(b"\r\n", b"\n")]),
)
@settings(max_examples=150, deadline=None)
def test_cut_anywhere_it_is_the_same(kinds: list[str], sizes: list[int], banner: bytes) -> None:
    told = b"".join(BEFORE[kind] + events(number) for number, kind in enumerate(kinds, 100))
    found = batch(told)
    assert [number for number in dialled(found) if number != "7"] == [str(100 + at) for at in range(len(kinds))]
    assert not found.rejects
    assert source()._batch(heard(blocks(pieces(banner + told + PONG, sizes)))) == found


def test_where_every_line_ends_in_lf_nothing_else_is_needed() -> None:
    told = (ENTER + b"\r\n" + events(1, 2)).replace(b"\r\n", b"\n")
    found = blocks([BANNER.replace(b"\r\n", b"\n") + told])
    assert found[0] == ENTER.removesuffix(b"\r\n")
    assert dialled(source()._batch(heard(found))) == ["1", "2"]


def test_a_capture_with_lf_alone_has_the_same_calls() -> None:
    recording = (RECORDED / "ami" / "ami-full.rx").read_bytes()
    told = source()._batch(heard(blocks([recording])))
    other = source()._batch(heard(blocks([recording.replace(b"\r\n", b"\n")])))
    assert {record.identity for record in told.records} == {record.identity for record in other.records}
    assert not other.rejects


def test_a_flood_of_bad_ends_loses_nothing() -> None:
    told = b"".join(ENTER * 9 + event(call(number)).removesuffix(b"\r\n") + b"\n" for number in range(5000))
    found = batch(*pieces(told, (70_000,)))
    assert dialled(found) == [str(number) for number in range(5000)]
    assert not found.rejects


@pytest.mark.parametrize("before", [b"", b"\n", b"  \r\n"])
def test_what_is_pasted_may_have_any_line_ends(before: bytes) -> None:
    whole = event(call(1, userfield=b"x"), after=b"rate: 0.02\r\n")
    (record,) = understood(whole).records
    for told in (whole, whole.strip(), whole.replace(b"\r\n", b"\n"), whole.replace(b"\r\n", b"\n").strip()):
        assert source().parse(before + told).records == [record]


# What can't be read without doubt.


@pytest.mark.parametrize("tear", [12, 30, 50, 100, 200, 300, 400])
@pytest.mark.parametrize("between", [b"", b"\r\n", b"\r\n\r\n", b"\r\n\n"])
def test_a_torn_call_is_a_reject_and_the_next_one_no_secret(tear: int, between: bytes) -> None:
    torn = event(call(1))[:tear]
    found = batch(torn + between + events(2, 3))
    assert found.rejects
    assert torn in found.rejects[0].text + b"\r\n"
    assert dialled(found)[-1:] == ["3"]
    assert "1" not in dialled(found)
    assert dialled(found)[:-1] == ["2"] or b"Destination: 2\r\n" in found.rejects[0].text


@given(st.integers(1, len(event(call(1))) - 3), st.integers(0, 100))
@settings(max_examples=200, deadline=None)
def test_what_is_left_of_a_call_without_its_beginning_is_a_reject(cut: int, of: int) -> None:
    whole = event(call(1))
    rest = whole[cut:]
    assume(not (ENTER[:of] + rest).startswith(b"Event: Cdr\r\n"))
    found = batch(ENTER[:of] + rest + events(2))
    assert dialled(found) == ["2"]
    if b"\nUserField:" in b"\n" * (of == 0) + rest:
        (reject,) = found.rejects
        assert rest.strip() in reject.text + b" "
        assert source().parse(reject.text).rejects


@given(st.integers(0, len(event(call(2)))))
@settings(max_examples=100, deadline=None)
def test_a_connection_that_is_lost_within_a_call_is_no_secret(cut: int) -> None:
    told = events(1) + event(call(2), after=b"rate: 0.02\r\n")[:cut]
    found = source()._batch(heard(lost(BANNER + told)))
    assert dialled(found)[:1] == ["1"]
    if dialled(found)[1:]:
        assert b"\r\nUserField: \r\n" in told[len(events(1)) :]
    else:
        assert len(found.rejects) == (cut >= len("Event: Cdr\r\n"))


def lost(told: bytes) -> Sequence[bytes]:
    """The events that a connection hands over on which this comes, and nothing more."""
    found: list[bytes] = []

    async def feed() -> None:
        connection = Protocol("AMI", found.extend)
        connection.connection_made(Wire())
        connection.data_received(told)
        connection.connection_lost(None)

    asyncio.run(feed())
    return found


# What a value makes up.

FORGED_CALL = event(call(666)).removesuffix(b"\r\n\r\n")


@pytest.mark.parametrize("glue", [b"\r\n", b"\r\n\r\n", b"\r\n\n", b"\n", b"\n\n"])
@pytest.mark.parametrize("cut", range(1, len(HEADERS)))
def test_a_part_of_a_call_in_a_userfield_makes_none(glue: bytes, cut: int) -> None:
    lines = FORGED_CALL.split(b"\r\n")[: 2 + cut]
    for forged in (b"\r\n".join(lines), b"\r\n".join(lines[1:]), b"\r\n".join(lines[:1] + lines[2:])):
        for more in (b"", b"linkedid: 1.1\r\n", b"UniqueID: 1795194393.1\r\n"):
            found = batch(event(call(1, userfield=b"x" + glue + forged), after=more) + events(2))
            assert dialled(found) == ["1", "2"]
            record = found.records[0]
            assert isinstance(record, CDR)
            assert (record.src, record.uniqueid, record.duration) == ("101", "1795194393.1", 10)


@pytest.mark.parametrize("column", ["accountcode", "src", "dcontext", "clid", "channel", "dstchannel", "lastdata"])
def test_a_head_or_a_tail_in_another_value_makes_no_call_of_a_stranger(column: str) -> None:
    lines = FORGED_CALL.split(b"\r\n")
    at = 2 + [*HEADERS.values()].index(column)
    for forged in (b"\r\n".join([*lines[: at + 1]]), b"\r\n".join(lines[at + 1 :]), b"\r\n".join(lines)):
        for end in (b"", b"\r\nEvent: Hangup", b"\r\n" + HEAD[:-2]):
            found = batch(event(call(1, **{column: b"x\r\n" + forged + end})) + events(2))
            assert dialled(found) == ["2"]
            assert found.rejects


@given(
    st.sampled_from([column for column in HEADERS.values() if column not in ("userfield", "uniqueid")]),
    st.lists(st.sampled_from([b"Event: Cdr", b"Event: Hangup", b"Privilege: cdr,all", b"Response: Success",
                              *(f"{header}: 1".encode() for header in HEADERS)]), max_size=22),
)  # fmt: skip
@example("lastdata", [b"Event: Cdr", *(f"{header}: 1".encode() for header in HEADERS)])
@settings(max_examples=300, deadline=None)
def test_lines_in_a_value_without_a_blank_one_change_no_call(column: str, lines: list[bytes]) -> None:
    honest = call(1, answer=b"")
    value = b"\r\n".join([honest[column], *lines])
    for record in batch(event({**honest, column: value})).records:
        assert isinstance(record, CDR)
        said = understood(event(honest)).records[0]
        assert isinstance(said, CDR)
        assert (record.src, record.dst, record.uniqueid, record.duration) == (
            said.src if column != "src" else value.decode(),
            said.dst if column != "dst" else value.decode(),
            said.uniqueid,
            said.duration,
        )


def test_a_whole_event_in_a_userfield_is_what_it_was() -> None:
    for glue in (b"\r\n", b"\r\n\r\n"):
        found = batch(event(call(1, userfield=b"x" + glue + FORGED_CALL)))
        assert dialled(found) == ["1", "666"]


# Greetings.


@pytest.mark.parametrize(
    "banner", [b"Asterisk Call Manager/11.0.0\n", b"Asterisk Call Manager/11.0.0", b"Asterisk Call Manager/1.1"]
)
def test_a_greeting_without_a_proper_end_is_one(ami: AmiServer, pbx: AmiHost, banner: bytes) -> None:
    ami.banner = banner
    with Daemon(pbx):
        wait_until(lambda: ami.listeners)
        ami.play(events(1))
        wait_until(lambda: pbx.dialled() == ["1"])
        assert ami.connections == 1


def test_an_event_may_be_glued_to_the_greeting() -> None:
    assert dialled(source()._batch(heard(blocks([b"Asterisk Call Manager/11.0.0" + events(1)])))) == ["1"]


@pytest.mark.parametrize("kind", ["cr-lf-lf", "nothing", "torn-in-a-line", "lf-only"])
def test_the_daemon_delivers_it(ami: AmiServer, pbx: AmiHost, kind: str) -> None:
    with Daemon(pbx):
        wait_until(lambda: ami.listeners)
        ami.play(BEFORE[kind] + events(1) + BEFORE[kind] + event(call(2)).removesuffix(b"\r\n") + b"\n", (3, 50, 1))
        # What comes next is the answer to a ping.
        wait_until(lambda: pbx.dialled() == ["1", "2"])
        assert ami.connections == 1
