"""What is erased stands in no byte of what is kept, is not read in again, and takes nothing else with it."""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from humbug_agent.cdr import CDR, Batch, Damaged, Form, Reject, digest
from humbug_agent.numbers.outside import Sought
from humbug_agent.outbox import erasing, queries, schema, spill
from humbug_agent.outbox.outbox import Mark, Outbox
from humbug_agent.outbox.queries import Filter
from humbug_agent.outbox.takers import Takers
from tests.kit.calls import call

TO = ["humbug", "webhook"]
PERSON = Sought("+49 30 1234567", "DE")
WIDE, ARABIC = ({ord("0") + digit: chr(ord(zero) + digit) for digit in range(10)} for zero in "０٠")
DIGITS = (
    *(b"49301234567", b"0301234567", b"301234567", b"1234567", b"123 45 67"),
    *("1234567".translate(script).encode() for script in (WIDE, ARABIC)),
)
OTHERS = 300


def theirs() -> list[CDR]:
    """Calls of the person: the number stands in each in another form, and in another field."""
    said: Sequence[dict[str, object]] = (
        {"src": "+49301234567"},
        {"src": "+49301234567".translate(WIDE)},
        {"clid": '"Anna" <\u202a+49301234567\u202c>'.translate(ARABIC)},
        {"userfield": "030\u00a0/\u00a0123\u00a045\u00a067"},
        {"src": "0049301234567"},
        {"src": "0301234567"},
        {"dst": "90049301234567"},
        {"dst": "00301234567"},
        {"clid": '"Anna" <49301234567>'},
        {"clid": '"030 / 123 45 67" <101>'},
        {"channel": "SIP/0301234567-0000000e"},
        {"dstchannel": "PJSIP/+49301234567-0000000e"},
        {"lastdata": "SIP/trunk/0049301234567,30,tr&SIP/101"},
        {"userfield": "call back +49 (30) 1234567"},
        {"accountcode": "0301234567"},
        {"extra": {"callee_id_number": "0301234567"}},
        {"uniqueid": "x-49301234567"},
        {"lastapp": "a\0 0301234567"},
        {"extra": {"+49301234567": "é\t"}},
        {"userfield": "\n".join(["0301234567"] * 2000)},
    )
    return [call(100_000 + number, **changed) for number, changed in enumerate(said)]


NEAR = ["+390301234567", "+493012345678", "03012345678", "+43301234567"]


def others(*, near: bool) -> list[CDR]:
    """Calls of nobody's concern, ``near``: some of them with numbers that hold the person's digits."""
    numbers = NEAR if near else []
    return [call(number, dst=numbers[number] if number < len(numbers) else "101") for number in range(OTHERS)]


@dataclass
class State:
    """A daemon's directory, in which all that an outbox can hold of somebody is."""

    folder: Path
    near: bool = True
    people: list[CDR] = field(default_factory=theirs)

    def __post_init__(self) -> None:
        self.others = others(near=self.near)

    @property
    def path(self) -> Path:
        return self.folder / "outbox.db"

    def fill(self, outbox: Outbox) -> None:
        mixed = [one for pair in zip(self.people, self.others, strict=False) for one in pair]
        outbox.accept("csv", Batch([*mixed, *self.others[len(self.people) :]], self.rejects(), "1"), TO)
        outbox.accept("mysql", Batch([call(90_000, src="0301234567")], [], None, told=Form.ROW), TO)
        for destination in TO:
            self.sent(outbox, destination)
        # What is written over, or dropped, by those who don't write over what they leave behind.
        outbox.mark("humbug", [Mark(1, "dead", 1.0, error="x")])
        outbox.report("clock csv", "doubtful", "of the call from 0301234567 it is not known")
        queries.purge(outbox, Filter(ids=(2, 4)))

    def sent(self, outbox: Outbox, destination: str) -> None:
        """All of them, but what is quoted in answers: of calls of others, too."""
        ids = [due.id for due in outbox.take(destination, 10_000, time.time())]
        failed = [
            Mark(number, "waiting", 1.0, 0.0, 500, "0301234567 is busy", "answered 500: 0301234567")
            for number in ids[:60]
        ]
        outbox.mark(destination, failed)
        queries.replay(outbox, Filter(ids=ids[40:60]))
        outbox.mark(
            destination, [Mark(number, "sent", 2.0, reply="ok, +49301234567" * (number % 7 == 0)) for number in ids]
        )

    def rejects(self) -> list[Reject]:
        texts = [
            b'"acct","+49301234567"',
            b"\0number=0301234567&\xff",
            b'{"from": "tel:0049301234567"}',
            b"another's: 101",
        ]
        return [Reject(digest("r", repr(text)), text, "has 2 columns", "Master.csv, byte 0") for text in texts]

    def spill(self) -> list[Path]:
        return [
            spill.write(self.path, "ami", Batch([call(80_000, dst="0301234567"), call(500)], self.rejects()[:1], None)),
            spill.write(self.path, "ami", Batch([call(80_001, clid="<+49301234567>")], [], None)),
        ]

    def still_in(self) -> list[tuple[str, bytes]]:
        """Which files hold which of the digits, but for those that only look like it."""
        found = []
        for path in self.folder.iterdir():
            raw = path.read_bytes()
            for near in NEAR:
                raw = raw.replace(near.removeprefix("+").encode(), b"")
            found += [(path.name, digits) for digits in DIGITS if digits in raw]
        return found


@pytest.fixture
def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
    return State(tmp_path, near=getattr(request, "param", True))


@pytest.fixture
def outbox(state: State) -> Iterator[Outbox]:
    with Outbox(state.path) as opened:
        carelessly(opened)
        state.fill(opened)
        yield opened


def carelessly(outbox: Outbox) -> None:
    """What is deleted from now on is not written over: some systems' SQLite does that by itself, others' does not."""
    outbox.select("PRAGMA secure_delete = OFF")


def void(_: int) -> None:
    pass


def identities(outbox: Outbox) -> set[bytes]:
    found = [entry.record for entry in queries.entries(outbox, Filter())]
    assert not [one for one in found if isinstance(one, Damaged)]
    return {one.identity for one in found if not isinstance(one, Damaged)}


@pytest.mark.parametrize("state", [True, False], indirect=True, ids=["near", "far"])
def test_it_is_in_no_byte_of_any_file_while_others_go_on_writing(state: State, outbox: Outbox) -> None:
    state.spill()
    assert state.still_in()
    kept = identities(outbox) & {one.identity for one in state.others}
    stop = threading.Event()
    written: list[bytes] = []

    def write() -> None:
        with Outbox(state.path, durable=True) as daemon:
            carelessly(daemon)
            number = 1000
            while not stop.is_set() or not written:
                daemon.accept("csv", Batch([call(number, dst="101")], [], None), TO)
                written.append(call(number).identity)
                number += 1
                time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        found = erasing.look(outbox, PERSON.stands_in)
        gone = erasing.erase(outbox, PERSON.stands_in, unsent=True, progress=void)
        # Where they are a part of others' numbers, the digits are left.
        assert erasing.wipe(outbox, PERSON.forms) is not state.near
    finally:
        stop.set()
        writer.join(30)
    assert len(gone.calls) == len(found.calls) == len(state.people) + 1 - len({2, 4} & {1, 3})
    assert (len(gone.rejects), gone.spilled) == (3, 3)
    assert gone.texts
    assert not state.still_in()
    with closing(sqlite3.connect(state.path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA auto_vacuum").fetchone() == (schema.INCREMENTAL,)
    assert kept | set(written) <= identities(outbox)
    assert not identities(outbox) & {one.identity for one in state.people}
    assert erasing.look(outbox, PERSON.stands_in) == erasing.Found()


def test_the_daemon_brings_in_what_is_left_of_a_spilled_file(state: State, outbox: Outbox) -> None:
    state.spill()
    erasing.erase(outbox, PERSON.stands_in, unsent=True, progress=void)
    (left,) = spill.waiting(state.path)
    assert left.stat().st_mode & 0o777 == 0o600
    spill.bring_in(state.path, TO, 1 << 30)
    assert {call(500).identity} == identities(outbox) - {one.identity for one in state.others}
    assert [one.text for one in queries.rejects(outbox)] == [b"another's: 101"]
    # One that the daemon had read before the look, and brings in after it.
    with Outbox(state.path) as daemon:
        assert daemon.accept("ami", Batch([call(80_001, clid="<+49301234567>")], [], None), TO) == 0


def test_nothing_of_it_is_read_in_again(state: State, outbox: Outbox) -> None:
    erasing.erase(outbox, PERSON.stands_in, unsent=True, progress=void)
    again = Batch([*state.people, *state.others], state.rejects(), "1")
    assert outbox.accept("csv", again, TO) == 0
    assert outbox.accept("mysql", Batch([call(90_000, src="0301234567")], [], None, told=Form.ROW), TO) == 0
    assert erasing.look(outbox, PERSON.stands_in) == erasing.Found()


def test_what_a_destination_does_not_have_stays_unless_it_is_said(state: State, outbox: Outbox) -> None:
    state.spill()
    waits, dead = call(70_000, src="0301234567"), call(70_001, dst="+49301234567")
    outbox.accept("csv", Batch([waits, dead], [], None), TO)
    number = queries.newest(outbox, Filter(), 1)[0].id
    for destination in TO:
        outbox.mark(destination, [Mark(number, "dead", 1.0, error="refused")])
    outbox.mark("humbug", [Mark(number - 1, "sent", 1.0)])
    found = erasing.look(outbox, PERSON.stands_in)
    assert (found.unsent, found.spilled) == ([number - 1, number], 3)
    gone = erasing.erase(outbox, PERSON.stands_in, unsent=False, progress=void)
    assert (gone.unsent, gone.kept, gone.spilled) == ([], 2, 0)
    assert {waits.identity, dead.identity} == identities(outbox) - {one.identity for one in state.others}
    assert len(spill.waiting(state.path)) == 2
    gone = erasing.erase(outbox, PERSON.stands_in, unsent=True, progress=void)
    assert (gone.unsent, gone.kept, gone.spilled) == ([number - 1, number], 0, 3)
    assert queries.by_state(outbox)["webhook"]["waiting"] == 0


def test_a_call_that_no_destination_takes_goes_like_a_delivered_one(state: State, outbox: Outbox) -> None:
    nobody = Takers(TO, dict.fromkeys(TO, lambda _: False))
    outbox.accept("csv", Batch([call(70_000, src="0301234567")], [], None), nobody)
    found = erasing.look(outbox, PERSON.stands_in)
    assert found.unsent == []
    gone = erasing.erase(outbox, PERSON.stands_in, unsent=False, progress=void)
    assert (gone.calls, gone.kept) == (found.calls, 0)
    assert outbox.accept("csv", Batch([call(70_000, src="0301234567")], [], None), TO) == 0
    assert not erasing.look(outbox, PERSON.stands_in).calls


def test_a_look_changes_nothing(state: State, outbox: Outbox) -> None:
    state.spill()
    before = (
        list(queries.entries(outbox, Filter())),
        queries.rejects(outbox),
        outbox.health(),
        spill.waiting(state.path),
    )
    assert erasing.look(outbox, PERSON.stands_in).calls
    after = (
        list(queries.entries(outbox, Filter())),
        queries.rejects(outbox),
        outbox.health(),
        spill.waiting(state.path),
    )
    assert before == after


def test_a_reader_that_does_not_end_is_said(state: State, outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "PATIENCE_SECONDS", 0.1)
    outbox.select("PRAGMA busy_timeout = 50")
    with closing(sqlite3.connect(state.path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM calls").fetchone()
        erasing.erase(outbox, PERSON.stands_in, unsent=True, progress=void)
        with pytest.raises(schema.OutboxError, match="has been reading in it for over"):
            erasing.wipe(outbox, PERSON.forms)
    erasing.wipe(outbox, PERSON.forms)
    assert not state.still_in()


@pytest.mark.parametrize(
    "written",
    ["+49301234567", "030 / 123 45 67", "030\u00a0123\u00a04567", "+٤٩٣٠١٢٣٤٥٦٧", "０３０－１２３４５６７"],
)
def test_in_a_file_it_is_found_in_whatever_digits(tmp_path: Path, written: str) -> None:
    path = tmp_path / "outbox.db.corrupt"
    # Also where it is read in two pieces.
    path.write_bytes(b"\xff" * (2**20 - 7) + written.encode() + b"\xff" * 1000)
    assert erasing.stands_in_file(path, PERSON.forms)
    path.write_bytes(f"{written[:-1]} x 301234567".encode())
    assert not erasing.stands_in_file(path, PERSON.forms)
