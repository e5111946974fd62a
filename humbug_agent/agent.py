"""Wires it together: a thread for each source and each destination, signals, the lock, and house-keeping.

A call's way: source -> pump -> outbox -> delivery -> destination. Nobody goes back to tell another one anything but
"there may be something new".
"""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum, auto

from humbug_agent.config import Config
from humbug_agent.delivery import Delivery
from humbug_agent.destinations import DESTINATIONS
from humbug_agent.destinations.contract import Destination
from humbug_agent.gaps import Gaps
from humbug_agent.lock import AgentError, locked
from humbug_agent.outbox import Outbox
from humbug_agent.pace import growing, jittered
from humbug_agent.schema import OutboxDamaged, OutboxError
from humbug_agent.sources import SOURCES
from humbug_agent.sources.contract import Source, SourceError
from humbug_agent.systemd import notify
from humbug_agent.upkeep import keep_house, max_bytes, prepare

log = logging.getLogger(__name__)

KEEP_HOUSE_SECONDS = 60.0
LOOK_SECONDS = 10.0
TICK_SECONDS = 1.0
STOP_SECONDS = 12.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds from a source's failure to the next try."""

CALM_SECONDS = 60.0
"""A source that fails again within so long, by the same, comes and goes: that is not said each time."""


class Ended(Enum):
    STOPPED = auto()
    RELOAD = auto()


def make_sources(config: Config) -> list[Source]:
    return [SOURCES[settings.type](settings, config.agent.timezone) for settings in config.sources]


def make_destinations(config: Config) -> list[Destination]:
    zone, numbers = config.agent.timezone, config.numbers
    return [DESTINATIONS[settings.type](settings, zone, numbers) for settings in config.destinations]


def pump(
    source: Source, outbox: Outbox, destinations: Sequence[str], stop: threading.Event, *, follow: bool
) -> Iterator[tuple[int, int]]:
    """Bring what the source reads into the outbox; yields batch by batch how many calls were new, and its bytes."""
    for batch in source.read(outbox.cursor(source.name), stop, follow=follow):
        if batch.records or batch.rejects or batch.cursor:
            yield outbox.accept(source.name, batch, destinations), batch.size
            if batch.rejects:
                first = batch.rejects[0]
                log.warning(
                    "source %s: %d records kept as rejects, the first at %s: %s; see humbug-agent outbox list "
                    "--state rejected",
                    source.name,
                    len(batch.rejects),
                    first.where,
                    first.reason,
                )
        else:
            yield 0, 0


class Agent:
    """The daemon, for one reading of agent.ini."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._stop = threading.Event()
        self._woken = threading.Event()
        self._reload = False
        self._broken: list[str] = []
        self._gaps = Gaps(config)

    def run(self) -> Ended:
        """Until SIGTERM, SIGINT or SIGHUP. Raises AgentError, OutboxError."""
        path = self._config.agent.outbox
        with locked(path), self._signals():
            prepare(self._config)
            deliveries = [Delivery(destination) for destination in make_destinations(self._config)]
            names = [delivery.name for delivery in deliveries]

            def wake() -> None:
                for delivery in deliveries:
                    delivery.wake()

            threads = [self._thread(f"destination {d.name}", self._deliver, d) for d in deliveries]
            threads += [
                self._thread(f"source {s.name}", self._supervise, s, names, wake) for s in make_sources(self._config)
            ]
            for thread in threads:
                thread.start()
            notify("READY=1")
            log.info("reading %s, delivering to %s", _names(self._config.sources), _names(self._config.destinations))
            try:
                self._watch_over()
            finally:
                notify("RELOADING=1" if self._reload else "STOPPING=1")
                self._stop.set()
                for delivery in deliveries:
                    delivery.wake()
                deadline = time.monotonic() + STOP_SECONDS
                for thread in threads:
                    thread.join(max(0.0, deadline - time.monotonic()))
                    if thread.is_alive():
                        # Beside a new one it would send things twice: this process must end.
                        self._broken.append(f"{thread.name}: does not end")
        if self._broken:
            raise AgentError(self._broken[0])
        return Ended.RELOAD if self._reload else Ended.STOPPED

    def stop(self) -> None:
        """End `run` soon. Any thread may call it."""
        self._woken.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def reload(*_: object) -> None:
            self._reload = True
            self._woken.set()

        handlers = {
            signal.SIGTERM: lambda *_: self.stop(),
            signal.SIGINT: lambda *_: self.stop(),
            signal.SIGHUP: reload,
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _thread(self, name: str, work: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                work(*arguments)
            except OutboxDamaged as error:
                self._fail(str(error))
            except Exception as error:
                log.exception("%s: stopped by a fault of this program", name)
                self._fail(f"{name}: {type(error).__name__}: {error}")

        return threading.Thread(target=run, name=name, daemon=True)

    def _fail(self, reason: str) -> None:
        self._broken.append(reason)
        self._woken.set()

    def _deliver(self, delivery: Delivery) -> None:
        trouble = ""
        while not self._stop.is_set():
            try:
                with Outbox(self._config.agent.outbox) as outbox:
                    delivery.run(outbox, self._stop)
            except OutboxDamaged:
                raise
            except OutboxError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    log.error("%s; nothing is sent to %s meanwhile", trouble, delivery.name)
                self._stop.wait(LONGEST_WAIT)

    def _supervise(self, source: Source, destinations: Sequence[str], wake: Callable[[], None]) -> None:
        """Run the source for ever: after a failure again, from the cursor, with growing patience."""
        failures = 0
        failed, calm = 0.0, float("-inf")
        said, logged, quiet = "", "", False
        stopping = False
        while not stopping:
            # After a failure the last try comes when it is to stop: what the source still has in hand is handed over.
            stopping = self._stop.is_set()
            try:
                with Outbox(self._config.agent.outbox, durable=True, max_bytes=max_bytes(self._config)) as outbox:
                    for new, _ in pump(source, outbox, destinations, self._stop, follow=True):
                        if failures or not said:
                            outbox.report(f"source {source.name}", "ok")
                            if failures:
                                if not quiet:
                                    log.info("source %s: reading again", source.name)
                                calm = time.monotonic()
                                self._gaps.outage(source.name, failed, time.time())
                            failures, said = 0, "ok"
                        if new:
                            wake()
                stopping = True
            except OutboxDamaged:
                raise
            except (SourceError, OSError, OutboxError) as error:
                failures += 1
                failed = failed if failures > 1 else time.time()
                if str(error) != said:
                    said = str(error)
                    quiet = said == logged and time.monotonic() - calm < CALM_SECONDS
                    logged = said
                    if not quiet:
                        log.error("source %s: %s. Trying again", source.name, said)
                    self._report(f"source {source.name}", said)
                own = error.wait if isinstance(error, SourceError) else None
                self._stop.wait(jittered(growing(failures, FIRST_WAIT, LONGEST_WAIT)) if own is None else own)

    def _report(self, part: str, message: str) -> None:
        try:
            with Outbox(self._config.agent.outbox) as outbox:
                outbox.report(part, "failing", message)
        except OutboxError as error:
            log.error("%s", error)

    def _watch_over(self) -> None:
        next_look, next_house = time.monotonic() + LOOK_SECONDS, 0.0
        while not self._woken.wait(TICK_SECONDS):
            notify("WATCHDOG=1")
            now = time.monotonic()
            if now < min(next_look, next_house):
                continue
            try:
                with Outbox(self._config.agent.outbox) as outbox:
                    if now >= next_house:
                        next_house = now + KEEP_HOUSE_SECONDS
                        keep_house(outbox, self._config, self._woken)
                    if now >= next_look:
                        next_look = now + LOOK_SECONDS
                        self._gaps.look(outbox)
            except OutboxDamaged as error:
                self._fail(str(error))
            except OutboxError as error:
                # Ending now would forget which calls were sent and could not be marked.
                log.error("%s", error)


def read_once(config: Config, outbox: Outbox, stop: threading.Event, progress: Callable[[int], None]) -> int:
    """Read what is there now, source by source; ``progress`` hears of bytes read. Returns how many calls were new.

    Raises SourceError, OSError, OutboxError; what was read until then is in the outbox.
    """
    names = [destination.name for destination in config.destinations]
    new = 0
    for source in make_sources(config):
        for count, size in pump(source, outbox, names, stop, follow=False):
            new += count
            progress(size)
    return new


def deliver_once(config: Config, outbox: Outbox, stop: threading.Event, progress: Callable[[int], None]) -> None:
    """Deliver until nothing is due; ``progress`` hears how many calls were dealt with."""
    for destination in make_destinations(config):
        Delivery(destination).run_until_idle(outbox, stop, progress)


def _names(settings: Sequence[object]) -> str:
    return ", ".join(getattr(one, "name", "") for one in settings)
