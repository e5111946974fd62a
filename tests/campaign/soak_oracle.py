"""A receiver that knows which calls there are, and shares no code with the program under test.

Call number N of a soak is wholly made from N. The oracle checks each body against that, counts how often it has
accepted each call, and now and then answers badly: always the same calls, so that it can tell afterwards what had to
come of each of them.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs

EPOCH = 1_700_000_000
NAMES = ("Front Desk", "Dana Levi", 'Bob "Buzz" Ray', "O'Neil, Pat", "Zoë Müller", "", "יעל כהן")

BUSY, CUT, REFUSED = 997, 4999, 1249
"""Every so many-th call is answered with 503 the first time; its connection cut when it was read; refused for good."""

MOST_FAULTS = 20
"""So many faults are told."""


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def record(number: int) -> bytes:
    """The call as Asterisk's cdr_csv writes it."""
    said = expected(number)
    return (
        ",".join(
            [
                *map(quoted, ("", said["Source"], said["Destination"], said["DestinationContext"], said["CallerID"])),
                *map(quoted, (said["Channel"], said["DestinationChannel"], "Dial", said["LastData"])),
                *map(quoted, (said["StartTime"], said["AnswerTime"], said["EndTime"])),
                *(said["Duration"], said["BillableSeconds"]),
                *map(quoted, (said["Disposition"], "DOCUMENTATION", said["UniqueID"], said["UserField"])),
            ]
        )
        + "\n"
    ).encode()


def expected(number: int) -> dict[str, str]:
    """What the receiver must be told of it."""
    source, destination, talk = str(100 + number % 800), f"0{20_000_000 + number}", number % 7 * 20
    start = EPOCH + number // 3
    name = NAMES[number % len(NAMES)]
    return {
        "Source": source,
        "Destination": destination,
        "DestinationContext": "from-internal",
        "CallerID": f'"{name}" <{source}>',
        "Channel": f"PJSIP/{source}-{number:08x}",
        "DestinationChannel": f"PJSIP/trunk{number % 4}-{number:08x}",
        "LastApplication": "Dial",
        "LastData": f"PJSIP/{destination}@trunk,60,tT",
        "StartTime": _clock(start),
        "AnswerTime": _clock(start + 9) if talk else "",
        "EndTime": _clock(start + 9 + talk),
        "Duration": str(9 + talk),
        "BillableSeconds": str(talk),
        "Disposition": "ANSWERED" if talk else "NO ANSWER",
        "UniqueID": f"{start}.{number}",
        "UserField": "campaign=7, with comma" if number % 3 else "note",
    }


def _clock(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))


@dataclass
class Oracle:
    """What it has seen of ``calls`` calls, numbered from 0."""

    calls: int
    accepted: bytearray = field(init=False)
    """How often each was read to its end and not refused, whether or not the answer was sent."""
    distinct: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    url: str = ""
    _met: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.accepted = bytearray(self.calls)

    async def listen(self) -> asyncio.Server:
        server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/receiver.php"
        return server

    def told(self, body: bytes) -> int:
        """A whole request has come. Returns the status to answer it with; 0: none, cut the connection."""
        said = {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        number = int(said["UniqueID"].partition(".")[2])
        if wrong := [name for name, value in expected(number).items() if said.get(name) != value]:
            self._fault(f"call {number} came with another {', '.join(wrong)}")
        first = number not in self._met
        if number % REFUSED == REFUSED - 1:
            return 400
        if first and (number % BUSY == 0 or number % CUT == 0):
            self._met.add(number)
            if number % CUT:
                return 503
        self.distinct += not self.accepted[number]
        self.accepted[number] = min(self.accepted[number] + 1, 255)
        return 0 if first and number % CUT == 0 else 200

    def refused(self, upto: int) -> int:
        """How many of the first so many calls are refused for good."""
        return upto // REFUSED

    def judge(self) -> list[str]:
        """What is wrong, now that all is over."""
        found = [f"{text} ({times} times)" for text, times in self.faults.most_common(MOST_FAULTS)]
        missing, repeated = [], []
        for number, times in enumerate(self.accepted):
            if number % REFUSED == REFUSED - 1:
                continue
            if not times:
                missing.append(number)
            elif times != (2 if number % CUT == 0 else 1):
                repeated.append(number)
        if missing:
            found.append(f"{len(missing):,} calls are missing: {missing[:MOST_FAULTS]}")
        if repeated:
            found.append(f"{len(repeated):,} calls came another number of times than they had to: {repeated[:20]}")
        return found

    def _fault(self, text: str) -> None:
        if text in self.faults or len(self.faults) < MOST_FAULTS:
            self.faults[text] += 1


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as far as a sender of forms needs it: POSTs with a Content-Length, one after the other."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = self._got[:end].lower()
            _, _, rest = head.partition(b"content-length:")
            length = int(rest.split(b"\r\n", 1)[0])
            whole = end + 4 + length
            if len(self._got) < whole:
                return
            body, self._got = self._got[end + 4 : whole], self._got[whole:]
            status = self._oracle.told(body)
            if not status:
                self._transport.abort()
                return
            self._transport.write(b"HTTP/1.1 %d said\r\nContent-Length: 2\r\n\r\nok" % status)
