"""What of `doctor`'s findings may come up while the daemon runs, told in the outbox for whoever asks for the status.

What the parts of the daemon notice themselves, such as a receiver that can't be reached, is not looked for again.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

from humbug_agent.config import Config
from humbug_agent.destinations.contract import DeliveryError
from humbug_agent.doctor import calls, host
from humbug_agent.doctor.clock import clock_off
from humbug_agent.doctor.table import Finding
from humbug_agent.host import threads
from humbug_agent.host.codes import Code
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.status.gather import FOUND

WATCHED = (Code.CLOCK, Code.DISK, Code.CERTIFICATE, Code.DISAGREE)

SELDOM_SECONDS = 3600.0
"""How often others are asked: receivers for their clock and certificate, the outbox for a day's calls."""


class Watch:
    """Looks whenever it is asked to, which costs little; what costs more it looks at seldom. For one thread."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._next = time.monotonic() + SELDOM_SECONDS
        self._told: dict[Code, str] = {}
        self._seldom: list[Finding] = []
        self._answered: list[Finding] = []

    def look(self, outbox: Outbox) -> None:
        """Raises OutboxError."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + SELDOM_SECONDS
            self._seldom = list(calls.of_numbers(outbox, self._config))
            # A receiver may take its time, and a stop must not wait for it: nobody does.
            with suppress(OSError):
                threads.start(threading.Thread(target=self._ask, name="doctor", daemon=True))
        found: defaultdict[Code, list[str]] = defaultdict(list)
        for one in (*host.of_disks(self._config), *host.of_files(self._config), *self._seldom, *self._answered):
            found[one.code].append(one.said)
        for code in WATCHED:
            said = "; ".join(found[code])
            if said != self._told.get(code, ""):
                outbox.report(f"finding {code}", FOUND if said else "ok", said)
                self._told[code] = said

    def _ask(self) -> None:
        self._answered = [*host.of_servers(self._config), *_of_clocks(self._config)]


def _of_clocks(config: Config) -> Iterator[Finding]:
    for destination in config.make_destinations():
        # That it can't be reached the delivery says itself; and a refusal tells the time, too.
        with suppress(DeliveryError):
            destination.check()
        if off := clock_off(destination):
            yield Finding(code=Code.CLOCK, said=f"destination {destination.name}: {off}")
        destination.close()
