"""What can go wrong around the agent, by its name: each fault begins while the agent runs, or between two lives."""

import errno
import random
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import trustme

from tests.campaign.battle import Field
from tests.campaign.mortal import API_KEY, Mortal, humbug
from tests.campaign.oracle import Oracle
from tests.campaign.power import Supply
from tests.campaign.rude_receiver import KIND, RESETTING, RudeReceiver
from tests.campaign.shim import Shim
from tests.campaign.writer import Master

HOUR, DAY = 3600, 86400
EDGES = [datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
"""When Zurich's clocks are put forward, and back."""

ERRORS = {
    "open": (errno.EIO, errno.EMFILE, errno.ENOMEM, errno.EINTR),
    "read": (errno.EIO, errno.EINTR, errno.ENOMEM),
    "write": (errno.EIO, errno.ENOSPC, errno.EINTR),
    "sync": (errno.EIO, errno.ENOSPC),
    "truncate": (errno.EIO, errno.ENOSPC, errno.EINTR),
    "rename": (errno.EIO, errno.ENOSPC, errno.ENOMEM),
    "unlink": (errno.EIO, errno.ENOMEM),
    "stat": (errno.EIO, errno.ENOMEM, errno.EACCES),
    "list": (errno.EIO, errno.EMFILE, errno.ENOMEM),
    "connect": (errno.ECONNREFUSED, errno.EINTR, errno.ENETUNREACH, errno.ETIMEDOUT),
    "send": (errno.EIO, errno.EPIPE, errno.ECONNRESET, errno.EINTR, errno.ENOMEM),
    "receive": (errno.EIO, errno.ECONNRESET, errno.EINTR, errno.ENOMEM),
}
"""What each call may fail with that doesn't say that somebody did wrong."""

CALLS_OF = {
    "outbox": ("open", "read", "write", "sync", "truncate", "rename", "unlink", "stat"),
    "pbx": ("open", "read", "stat", "list"),
    "socket": ("open", "connect", "send", "receive"),
}


def let_fail(shim: Shim, rng: random.Random) -> None:
    """Some calls, with some errors and at some rates."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        of = rng.choice(tuple(CALLS_OF))
        call = rng.choice(CALLS_OF[of])
        error = rng.choice((errno.EMFILE, errno.ENOMEM) if (of, call) == ("socket", "open") else ERRORS[call])
        # EINTR for ever is what no program gets over, and none ever got.
        rates = (1_000, 10_000, 100_000, 300_000) + ((1_000_000,) if error != errno.EINTR else ())
        shim.let_fail(of, call, error, rng.choice(rates))


class Fault(Protocol):
    """One that is begun may be begun anew; one that is not may be ended."""

    def begin(self) -> None: ...

    def end(self) -> None: ...


class FullDisk:
    """Of the outbox."""

    def __init__(self, front: "Front") -> None:
        self._shim = front.shim

    def begin(self) -> None:
        self._shim.be_full("outbox")

    def end(self) -> None:
        self._shim.heal()


class PbxFull:
    """The PBX's own disk: its records are torn, the next one follows on the same line."""

    def __init__(self, front: "Front") -> None:
        self._master = front.field.master

    def begin(self) -> None:
        self._master.full = True

    def end(self) -> None:
        self._master.full = False


class ReadOnly:
    """The outbox can't be written, or the PBX's files can't be read."""

    def __init__(self, front: "Front") -> None:
        self._shim, self._rng = front.shim, front.rng

    def begin(self) -> None:
        self._rng.choice((lambda: self._shim.be_read_only("outbox"), lambda: self._shim.be_unreadable("pbx")))()

    def end(self) -> None:
        self._shim.heal()


class FailingCalls:
    """Some system calls fail now and then, or always."""

    def __init__(self, front: "Front") -> None:
        self._shim, self._rng = front.shim, front.rng

    def begin(self) -> None:
        let_fail(self._shim, self._rng)

    def end(self) -> None:
        self._shim.heal()


class Tls:
    """The receiver's certificate is a wrong one, or what answers there isn't TLS, or breaks off."""

    def __init__(self, front: "Front") -> None:
        self._receiver, self._rng = front.field.receiver, front.rng
        self._good, wrong = contexts(front.field.agent.ini.parent)
        self._ways: list[ssl.SSLContext | str] = [*wrong, "plain", "cut", "reset"]
        self.end()

    def begin(self) -> None:
        way = self._rng.choice(self._ways)
        if way == "reset":
            self._receiver.be(RESETTING)
        else:
            self._receiver.speak(way)

    def end(self) -> None:
        self._receiver.be(KIND)
        self._receiver.speak(self._good)


class Clock:
    """The time of day of agent and PBX is set, by hours or days or over an edge of summer time, and often set right."""

    def __init__(self, front: "Front") -> None:
        self._shim, self._rng, self._edge = front.shim, front.rng, front.edge
        self._right = self._now = front.ahead
        self._set(self._right)

    def begin(self) -> None:
        rng = self._rng
        by = rng.choice((HOUR, -HOUR, rng.uniform(-2, 2), rng.uniform(-40, 40) * DAY, rng.uniform(-3, 3) * HOUR))
        self._set(rng.choice((self._now + by, self._to_edge(rng.uniform(-2, 1)), self._to_edge(-rng.uniform(0, 0.5)))))

    def end(self) -> None:
        if self._rng.random() < 0.7:
            self._set(self._right)

    def _to_edge(self, seconds: float) -> float:
        """Where the agent's clock shows so long after the edge now."""
        return self._edge.timestamp() + seconds - datetime.now(UTC).timestamp()

    def _set(self, ahead: float) -> None:
        self._now = ahead
        self._shim.set_clock(ahead)


POWER_CUT = "power cut"
"""Ends a life, and is no Fault in the midst of one."""

FAULTS: Mapping[str, type[FullDisk | PbxFull | ReadOnly | FailingCalls | Tls | Clock]] = {
    "full disk": FullDisk,
    "PBX's disk full": PbxFull,
    "read-only": ReadOnly,
    "failing calls": FailingCalls,
    "TLS": Tls,
    "clock": Clock,
}


@dataclass(frozen=True, slots=True)
class Front:
    """A field with a shim and a power supply. ``ahead``: so many seconds is the agent's clock of this host's."""

    field: Field
    shim: Shim
    supply: Supply
    edge: datetime
    ahead: float

    @property
    def rng(self) -> random.Random:
        return self.field.rng


@contextmanager
def front(home: Path, seed: int, names: list[str]) -> Iterator[Front]:
    """Where these faults are fought; with "clock" by a clock that is near an edge of summer time."""
    rng = random.Random(seed)
    edge = rng.choice(EDGES)
    ahead = 0.0
    if "clock" in names:
        ahead = edge.timestamp() - datetime.now(UTC).timestamp() - rng.uniform(-30, 30)
    with ExitStack() as stack:
        receiver = stack.enter_context(RudeReceiver(Oracle(API_KEY, ""), rng.randrange(2**32)))
        path = home / "cdr-csv" / "Master.csv"
        path.parent.mkdir()
        shim = Shim(home, home / "outbox.db", path, rng.randrange(2**64))
        stack.callback(shim.close)
        clock = shim.now if "clock" in names else None
        master = Master(path, random.Random(rng.randrange(2**32)), threading.Event(), clock)
        trusted = f"ca_file = {home / 'ca.pem'}\n" if "TLS" in names else ""

        def sections(life: int) -> str:
            source = f"[source master-csv]\ntype = asterisk_csv\npath = {master.path}\n"
            return source + humbug("humbug", receiver.url(life), encoded=False) + trusted

        agent = stack.enter_context(Mortal(home, sections, shim=shim))
        supply = Supply(agent.outbox, shim.record)
        yield Front(Field(rng, receiver, agent, master), shim, supply, edge, ahead)


def contexts(home: Path) -> tuple[ssl.SSLContext, list[ssl.SSLContext]]:
    """A server's with a good certificate, whose authority is in ca.pem; and those of other ones."""
    ours, other = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(home / "ca.pem")
    bad = [
        ours.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)),
        ours.issue_cert("example.org"),
        other.issue_cert("127.0.0.1"),
    ]
    return _context(ours.issue_cert("127.0.0.1")), [_context(one) for one in bad]


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
