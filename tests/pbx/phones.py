"""Real calls on a real Asterisk: SIP phones on both sides (sipp), and Local channels that AMI makes."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.pbx_ports import until

SCENARIOS = Path(__file__).parent / "sipp"


def call(who: str, to: str, name: bytes = b"", how: str = "call") -> tuple[str, bytes]:
    """``name`` is what the INVITE says, escaped as SIP wants it."""
    return how, b";".join([who.encode(), b'"' + name + b'"' if name else b"", to.encode()])


def local(to: str, caller: bytes = b'"Web Caller" <900>', **more: str) -> dict[str, str | bytes]:
    return {"Channel": f"Local/{to}@from-internal", "CallerID": caller, **more}


ONE_LEG = [call("101", str(number)) for number in range(500, 509)] + [call("101", str(n)) for n in range(510, 528)]
PHONES = [
    *[call("102", number) for number in ("201", "203", "210", "211", "212", "213", "214", "530", "531", "532", "533")],
    call("103", "211", how="cancel"),
    call("103", "203", how="refer"),
    # There is no such extension, and no record.
    call("103", "888"),
    call("104", "94930555123"),
    *[call(who, to) for who in ("104", "105", "106") for to in ("201", "202", "203", "204", "205")],
]
NAMES = [
    call("107", "204", rb"Bob \"Bobby\" O'Neil, Jr."),
    call("107", "500", "Zoë Жанна 山田 😀 مرحبا".encode()),
    call("107", "500", "Müller ß".encode("latin-1")),
    call("107", "500", b"bad \xff\xfe \xc3"),
    call("107", "500", rb"back\\slash and , comma"),
    call("107", "500", b"x" * 120),
    call("107", "500", b"Latin, then nothing: \xe9"),
    call("107", "500"),
    call("+4930987654", "+4930204", b"ACME, Inc."),
    call("anonymous", "0049204", b"Anonymous"),
    call("0401234", "+4930210"),
    call("0401235", "+4930211", how="cancel"),
]
TOGETHER = [
    *[call(who, "534") for who in ("101", "102", "103")],
    call("+491510001", "+4930541", b"Queue Caller 1"),
    call("+491510002", "+4930541", b"Queue Caller 2"),
    call("+491510003", "+4930542", b"Unanswered until an agent"),
    call("+491510004", "+4930543", b"Times Out"),
    call("+491510005", "+4930544", b"Gives Up"),
    call("+491510006", "+4930545", b"Nobody There"),
    call("101", "535"),
    call("102", "509"),
]
LOCAL: list[dict[str, str | bytes]] = [
    *[local(number) for number in ("500", "501", "503", "504", "505", "511", "517", "526", "518", "201")],
    local("500", "Latin Müller <901>".encode("latin-1")),
    local("500", rb'"Quoted \"Q\" , comma" <902>', Account="web-acct", Variable="CDR(userfield)=from originate"),
    local("500", "😀 नमस्ते <904>".encode()),
    local("500", b"x" * 300 + b" <905>"),
    local("500", b"=1+2"),
    local("514"),
    local("515"),
    local("523"),
    local("500", '"\u202eright to left\u200b" <903>'.encode()),
    local("94930555999", b"Click To Call <4930111>", Account="click"),
    local("533", b""),
    # Both legs are phones.
    {"Channel": "PJSIP/205", "Exten": "500", "Context": "from-internal", "Priority": "1", "Account": "c2c"},
    {"Channel": "PJSIP/210", "Exten": "500", "Context": "from-internal", "Priority": "1", "CallerID": '"C2C" <205>'},
]


class Line:
    """An AMI session that outlives the Asterisk it talks to."""

    def __init__(self, pbx: Pbx, seconds: float) -> None:
        self._pbx, self._deadline = pbx, time.monotonic() + seconds
        self._manager: Manager | None = None

    def _ask(self, what: Callable[[Manager], int]) -> int:
        while True:
            try:
                self._manager = self._manager or Manager(self._pbx.ami_port)
                return what(self._manager)
            except (OSError, KeyError, ValueError) as error:
                self.close()
                if time.monotonic() > self._deadline:
                    raise TimeoutError("Asterisk does not answer") from error
                time.sleep(0.05)

    def channels(self) -> int:
        return self._ask(Manager.channels)

    def originate(self, headers: dict[str, str | bytes]) -> None:
        application = {} if "Exten" in headers else {"Application": "Wait", "Data": "1"}

        def ask(manager: Manager) -> int:
            manager.action("Originate", Async="true", Timeout="15000", **application, **headers)
            return 0

        self._ask(ask)

    def wait_until_idle(self) -> None:
        until(lambda: not self.channels(), "all calls to end", max(0.0, self._deadline - time.monotonic()), 0.1)

    def close(self) -> None:
        if self._manager:
            self._manager.close()
            self._manager = None


class Sipp:
    """The phones: one process that answers for all of them, and one for each lot of callers."""

    def __init__(self, pbx: Pbx) -> None:
        self._pbx, self._folder = pbx, pbx.home / "phones"
        for scenario in SCENARIOS.glob("*.xml"):
            (self._folder / scenario.name).write_bytes(scenario.read_bytes())
        calls = (SCENARIOS / "call.xml").read_text()
        # Whoever stays hangs up when the test ends, or is hung up.
        (self._folder / "stay.xml").write_text(calls.replace('timeout="2000"', 'timeout="60000"'))
        self._port = pbx.ports.phones
        self._answering = self._start("answer")
        self._lots: list[list[subprocess.Popen[bytes]]] = []

    def _start(self, scenario: str, *more: str) -> subprocess.Popen[bytes]:
        folder = "/" + str(self._folder.relative_to(self._pbx.root))
        port, self._port = self._port, self._port + 1
        number = port - self._pbx.ports.phones
        command = ["chroot", str(self._pbx.root), "sipp", "-sf", f"{folder}/{scenario}.xml", "-nostdin", "-aa"]
        command += ["-i", "127.0.0.1", "-p", str(port), "-cp", str(port + 90)]
        command += ["-mp", str(self._pbx.ports.media + number * 10), *more]
        with (self._folder / "output").open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                env={"PATH": os.environ["PATH"], "TERM": "dumb"},
            )

    def call(self, calls: list[tuple[str, bytes]]) -> None:
        self._lots.append([])
        for how in sorted({how for how, _ in calls}):
            fields = [fields for kind, fields in calls if kind == how]
            callers = self._folder / f"callers{self._port}.csv"
            callers.write_bytes(b"SEQUENTIAL\n" + b"".join(line + b"\n" for line in fields))
            inside = "/" + str(callers.relative_to(self._pbx.root))
            more = ["-m", str(len(fields)), "-inf", inside, "-r", "20", "-timeout", "20" if how != "stay" else "70"]
            self._lots[-1].append(self._start(how, *more, f"127.0.0.1:{self._pbx.sip_port}"))

    def wait(self, left: int = 0) -> None:
        """Until no more than ``left`` lots of callers are at it."""

        def few() -> bool:
            return sum(any(caller.poll() is None for caller in lot) for lot in self._lots) <= left

        until(few, "the callers to end", 40, 0.1)
        if self._answering.poll() is not None:
            raise RuntimeError(f"no phone answers: {(self._folder / 'output').read_text(errors='replace')}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in [self._answering, *(caller for lot in self._lots for caller in lot)]:
            process.kill()
            process.wait()


def hundred_calls(pbx: Pbx, progress: Callable[[int], None] | None = None, seconds: float = 110) -> None:
    """A hundred calls of every kind; returns when all are over. Asterisk may be restarted meanwhile.

    ``progress`` is told from time to time how many were begun. Some of them go on while it runs.
    """
    begun = 0
    with Sipp(pbx) as phones, contextlib.closing(Line(pbx, seconds)) as line:
        for sip, originated in _lots():
            phones.wait(left=2)
            phones.call(sip)
            for headers in originated:
                line.originate(headers)
            begun += len(sip) + len(originated)
            if progress:
                progress(begun)
        phones.wait()
        line.wait_until_idle()


def _lots(size: int = 12) -> Iterator[tuple[list[tuple[str, bytes]], list[dict[str, str | bytes]]]]:
    """Those that meet one another come in one lot."""
    alone = [*PHONES, *NAMES, *ONE_LEG]
    yield TOGETHER, []
    originated = LOCAL
    for start in range(0, len(alone), size):
        now, originated = originated[:5], originated[5:]
        yield alone[start : start + size], now
    yield [], originated


def burst(pbx: Pbx, count: int, seconds: float = 60) -> float:
    """``count`` short calls as fast as Asterisk makes them, two records each. Returns how many it wrote a second."""
    expected = pbx.lines() + 2 * count
    with Manager(pbx.ami_port) as manager:
        began = time.time_ns()
        for number in range(count):
            manager.send(
                "Originate",
                Channel=f"Local/{10_000 + number}@load/n",
                Application="NoOp",
                CallerID=f'"Load {number}" <{number}>',
                Async="true",
            )
            # Its answers are read now and then, for it would stop listening otherwise.
            if number % 50 == 49:
                for _ in range(50):
                    manager.message()
        for _ in range(count % 50):
            manager.message()
        until(lambda: manager.channels() == 0, "the calls of a burst to end", seconds, 0.05)
    until(lambda: pbx.lines() >= expected, f"{expected} records", seconds, 0.05)
    assert pbx.lines() == expected
    ended = max(file.stat().st_mtime_ns for file in pbx.written())
    return 2 * count / ((ended - began) / 1e9)
