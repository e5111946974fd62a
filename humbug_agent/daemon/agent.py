"""Wires it together: a thread for each source and each destination, the lock, and house-keeping.

A call's way: source -> pump -> outbox -> delivery -> destination. Nobody goes back to tell another one anything but
"there may be something new".
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from enum import Enum, auto
from functools import partial
from queue import Empty, SimpleQueue

from humbug_agent.config import Config, load
from humbug_agent.daemon.housekeeping import begins_empty, keep_house_always, look_through, max_bytes, prepare
from humbug_agent.daemon.kept import Kept
from humbug_agent.daemon.life import Stop, spare_what_stays
from humbug_agent.daemon.served import Served
from humbug_agent.daemon.served import parts as served_parts
from humbug_agent.daemon.supervisor import Brought, Supervisor, pump
from humbug_agent.daemon.telling import in_one_line
from humbug_agent.delivery.delivery import Delivery
from humbug_agent.host.pbx_first import Flood
from humbug_agent.host.systemd import notify, notify_reloading
from humbug_agent.ini import ConfigError
from humbug_agent.outbox import schema
from humbug_agent.outbox.lock import AgentError, Held, locked
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxDamaged, OutboxError
from humbug_agent.repeats import Sayings, to
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.readable import in_words
from humbug_agent.status import taken
from humbug_agent.status.coverage import Gaps

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
TICK_SECONDS = 1.0
STOP_SECONDS = 12.0
LIVE_SECONDS = 30.0
DAMAGES_AN_HOUR = 3
"""More of them are none that a new outbox mends."""


class Ask(Enum):
    """What a signal, or another thread, asks of the daemon."""

    STOP = auto()
    RELOAD = auto()
    LOOK = auto()
    """One of the Agent's threads has ended or found damage: see which. To an Agent after it, it says nothing."""


def run_daemon(config: Config, asked: SimpleQueue[Ask], read_again: Callable[[Config], None]) -> None:
    """One Agent after the other, until it is asked to stop; ``read_again`` hears of each agent.ini but the first.

    The outbox is this process's from the first to the last, also between two of them. Raises AgentError, OutboxError.
    """
    held, kept = ExitStack(), Kept()
    lock = held.enter_context(locked(config.agent.outbox, config.path))
    damages: list[float] = []
    damage, trouble, first, doubted = "", "", True, False
    try:
        while True:
            try:
                if first:
                    prepare(config, briefly=True)
                elif not _prepared(config, asked, damage, trouble, doubted=doubted):
                    return
                damage, doubted = "", False
                agent = Agent(config, asked, kept)
                after = agent.run()
                trouble, first = "", False
            except OutboxDamaged as error:
                after, damage, trouble, first, doubted = config, error.found, "", False, True
                damages = [at for at in damages if time.monotonic() - at < 3600] + [time.monotonic()]
                if len(damages) > DAMAGES_AN_HOUR:
                    raise AgentError(
                        f"{error}, for the {len(damages)}th time within an hour: is its disk sound?"
                    ) from None
                if len(damages) < DAMAGES_AN_HOUR:
                    # SQLite says the same where the disk could not read for a moment. What is there comes again.
                    log.error(
                        "outbox %s: what was read of it makes no sense (%s); it is looked at again",
                        config.agent.outbox,
                        error.found,
                    )
                    damage = ""
            except OutboxError as error:
                if first or agent.has_begun:
                    raise
                after, trouble = config, str(error)
            if after is None:
                return
            if after.agent.outbox != config.agent.outbox or not lock.is_there():
                new = ExitStack()
                lock = new.enter_context(locked(after.agent.outbox, after.path))
                held.close()
                held = new
            if after is not config:
                config = after
                read_again(config)
    finally:
        kept.close(config.agent.outbox)
        held.close()


def _prepared(config: Config, asked: SimpleQueue[Ask], damage: str, trouble: str, *, doubted: bool) -> bool:
    """The outbox for the next Agent, as soon as its disk lets it be. False: asked to stop before that.

    ``trouble`` is why the last one could not begin. The first Agent needn't wait: systemd tries it again. To end later
    would cut what is connected. Raises OutboxDamaged.
    """
    said, reload = "", False
    while True:
        if trouble:
            if trouble != said:
                said = trouble
                log.error("%s. Trying again", trouble)
            notify("WATCHDOG=1")
            asks = next_asked(asked)
            if Ask.STOP in asks:
                return False
            reload = reload or Ask.RELOAD in asks
        try:
            prepare(config, damage, briefly=not doubted, doubted=doubted)
        except OutboxDamaged:
            raise
        except OutboxError as error:
            trouble = str(error)
        else:
            if reload:
                asked.put(Ask.RELOAD)
            return True


def next_asked(asked: SimpleQueue[Ask]) -> set[Ask]:
    """All that was asked by now; if nothing was, what is within a tick."""
    found: set[Ask] = set()
    try:
        found.add(asked.get(timeout=TICK_SECONDS))
        while True:
            found.add(asked.get_nowait())
    except Empty:
        return found


def put_back(held: Outbox) -> None:
    """Write an outbox that was taken away while in use back to its place.

    Raises OutboxError; AgentError where another daemon has its place by now.
    """
    path = held.path
    try:
        if path.exists():
            Held(path, path).close()
    except PermissionError:
        # Another user's file, put there while this daemon ran: none of our daemons can work on it.
        log.warning("%s: belongs to another user, and is moved aside", path)
    except AgentError as error:
        left = schema.named_now(path, "left")
        schema.put_back(held.db.conn, left)
        raise AgentError(f"{error}; this one's outbox was taken away while in use, what it held is {left}") from None
    found = schema.put_back(held.db.conn, path)
    log.critical(
        "outbox %s: it was deleted or replaced while in use; what it held is in its place again%s",
        path,
        f", what was found there is {found}" if found else "",
    )


class Agent:
    """The daemon, for one reading of agent.ini; whoever runs it has the outbox locked, and prepared.

    ``asked`` outlives it: what is asked between two agents is for the next one. So does what is ``kept``. Until it
    ``has_begun`` it has taken nothing of that, and another one may try.
    """

    def __init__(self, config: Config, asked: SimpleQueue[Ask], kept: Kept) -> None:
        self.has_begun = False
        self._config = config
        self._asked = asked
        self._kept = kept
        self._is_to_stop = self._is_to_reload = False
        self._stops: dict[str, Stop] = {}
        self._hanging: list[str] = []
        self._broken: list[str] = []
        self._damages: list[OutboxDamaged] = []
        self._missed = ""
        self._untold = False
        self._gaps = Gaps(config)
        self._taken = taken.taken_now(config, os.getpid(), max_bytes(config))

    def run(self) -> Config | None:
        """Until it is asked to stop; or until another Agent is to go on, with the agent.ini that is returned.

        That is after a reload, when agent.ini has changed for good, and with the same one when the outbox was taken
        away and has been put back. Raises AgentError, OutboxError; OutboxDamaged where another Agent can mend it.
        """
        path = self._config.agent.outbox
        # What the others have written is not lost with the file's name as long as a connection of ours is open.
        with closing(Held(path, path)) as file, Outbox(path) as held:
            try:
                after = self._work(file)
                if after and after.agent.outbox != path:
                    # What this Agent said in it is not how things are any more. Nothing depends on that.
                    with suppress(OutboxError):
                        held.forget_health()
            finally:
                if not file.is_there():
                    put_back(held)
        if self._broken:
            raise AgentError(self._broken[0])
        if self._damages and not self._is_to_stop:
            if self._is_to_reload:
                self._asked.put(Ask.RELOAD)
            raise self._damages[0]
        return after

    def _work(self, file: Held) -> Config | None:
        """Runs a thread for each part until it is asked to stop, and ends them all. Returns what `run` does."""
        path, after = self._config.agent.outbox, None
        self._write_down()
        self.has_begun = True
        deliveries, connect = make_deliveries(self._config), partial(Outbox, path)
        takers = self._config.takers()
        flood = Flood()

        def wake(brought: Brought) -> None:
            # What ended long ago is read late: the PBX is not busy with it now.
            live = time.time() - brought.latest < LIVE_SECONDS
            held = flood.hold(brought.new if live else 0, time.monotonic())
            for delivery in deliveries:
                delivery.wake(held)

        threads = [self._thread(f"destination {d.name}", partial(d.run, connect)) for d in deliveries]
        sources = self._config.make_sources()
        self._kept.hand_on(sources)
        for source in sources:
            supervisor = Supervisor(source, path, max_bytes(self._config), wake, self._gaps.outage)
            threads.append(self._thread(f"source {source.name}", partial(supervisor.run, takers)))
        threads.append(self._thread("look through the outbox", partial(look_through, path)))
        threads.append(self._thread("house-keeping", partial(keep_house_always, self._config)))
        served = Served(self._config, sources, deliveries, self._kept)
        # Before the first of them says something.
        log.info("%s", self._doing())
        for thread in threads:
            thread.start()
        spare_what_stays()
        notify(f"STATUS={self._doing()}")
        notify("READY=1")
        try:
            after = self._watch_over(file)
        finally:
            notify_reloading() if after else notify("STOPPING=1")
            another = after or (self._config if self._damages else None)
            self._kept.stay(sources, self._config, another, lambda name: self._lacks(name, served))
            for stop in self._stops.values():
                stop.set()
            for delivery in deliveries:
                delivery.wake()
            served.stop(another)
            deadline = time.monotonic() + STOP_SECONDS
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
                if thread.is_alive():
                    # Beside a new one it would send things twice: this process must end.
                    self._broken.append(f"{thread.name}: does not end")
            self._kept.end_others(sources, path)
        return after

    def _lacks(self, source: str, served: Served) -> bool:
        """True where the PBX let the source log in without a right that its board needs.

        What was granted since takes a new login.
        """
        return self._gaps.deaf(source) or served.lacks_right(source)

    def _write_down(self) -> None:
        """What is read and delivered to from now on, for whoever asks. Raises OutboxError."""
        destinations, sources = self._config.destinations, self._config.sources
        parts = [*(f"destination {one.name}" for one in destinations), *(f"source {one.name}" for one in sources)]
        with Outbox(self._config.agent.outbox) as outbox:
            for part in [*parts, *served_parts(self._config)]:
                outbox.report(part, "starting")
            taken.write_down(outbox, self._taken)

    def _thread(self, name: str, work: Callable[[Stop], None]) -> threading.Thread:
        stop = self._stops[name] = Stop()

        def run() -> None:
            try:
                work(stop)
            except OutboxDamaged as error:
                self._damages.append(error)
                self._asked.put(Ask.LOOK)
            except Exception as error:
                log.exception("%s: stopped by a fault of this program", name)
                self._fail(f"{name}: {type(error).__name__}: {error}")

        return threading.Thread(target=run, name=name, daemon=True)

    def _fail(self, reason: str) -> None:
        self._broken.append(reason)
        self._asked.put(Ask.LOOK)

    def _watch_over(self, file: Held) -> Config | None:
        """Tells systemd that all is alive, and looks after the outbox, until it is asked to stop.

        Returns what `run` does.
        """
        next_look = time.monotonic() + LOOK_SECONDS
        sayings = Sayings(to(log))
        while Ask.STOP not in (asked := next_asked(self._asked)):
            self._is_to_reload = Ask.RELOAD in asked
            if self._damages or self._broken:
                return None
            if not self._something_hangs():
                notify("WATCHDOG=1")
            if self._is_to_reload:
                notify_reloading()
                if config := self._read_again(file):
                    return config
                notify("READY=1")
            if not file.is_there() and self._may_be_put_back():
                return self._config
            sayings.tick()
            if time.monotonic() < next_look:
                continue
            # Before that is tried: it is tried again no sooner.
            next_look = time.monotonic() + LOOK_SECONDS
            try:
                with Outbox(self._config.agent.outbox) as outbox:
                    self._gaps.look(outbox)
                    notify(f"STATUS={in_one_line(outbox)}")
                    if self._untold:
                        self._tell_refused(outbox)
            except OutboxDamaged as error:
                self._damages.append(error)
                return None
            except OutboxError as error:
                # Ending now would forget which calls were sent and could not be marked.
                sayings.say("outbox", logging.ERROR, str(error), kind=str(error))
        self._is_to_stop = True
        return None

    def _something_hangs(self) -> bool:
        """Says which threads show no life. Returns whether any: then systemd's watchdog is to restart this process."""
        before, self._hanging = self._hanging, [name for name, stop in self._stops.items() if stop.hangs()]
        for name in self._hanging:
            if name not in before:
                log.critical("%s: hangs; systemd starts the agent again in a few minutes, unless it goes on", name)
        return bool(self._hanging)

    def _may_be_put_back(self) -> bool:
        """Whether the outbox can be written to its place again, now that it is no longer there."""
        try:
            schema.room_for(self._config.agent.outbox)
            return True
        except OutboxError as error:
            if str(error) != self._missed:
                self._missed = str(error)
                log.critical("%s. The outbox was taken away while in use: it is lost when this process ends", error)
            return False

    def _read_again(self, file: Held) -> Config | None:
        """agent.ini as it is now; None where that can't be used: then all goes on as before, without a break."""
        try:
            config = load(self._config.path)
            if config.agent.outbox == self._config.agent.outbox:
                # With one that can't be written the next Agent could not begin. A damaged one it mends.
                if file.is_there():
                    with suppress(OutboxDamaged), Outbox(config.agent.outbox) as outbox:
                        taken.write_down(outbox, self._taken)
            else:
                empty = begins_empty(config.agent.outbox, self._config.agent.outbox)
                with locked(config.agent.outbox, config.path):
                    pass
                if empty:
                    log.warning("%s", empty)
            return config
        except ConfigError as error:
            mistakes = error.mistakes
        except (AgentError, OutboxError) as error:
            mistakes = [str(error)]
        except Exception as error:
            log.exception("agent.ini %s: a fault of this program", self._config.path)
            mistakes = [f"a fault of this program: {error!r}"]
        log.error("not reloaded, going on as before: %s", "; ".join(mistakes))
        log.info("%s, as before", self._doing())
        self._taken = self._taken.but_refused(mistakes)
        self._untold = True
        # `reload` waits for it.
        with suppress(OutboxError), Outbox(self._config.agent.outbox) as outbox:
            self._tell_refused(outbox)
        return None

    def _tell_refused(self, outbox: Outbox) -> None:
        taken.write_down(outbox, self._taken)
        self._untold = False

    def _doing(self) -> str:
        return f"reading {_names(self._config.sources)}, delivering to {_names(self._config.destinations)}"


def read_once(config: Config, outbox: Outbox, stop: threading.Event, progress: Callable[[int], None]) -> int:
    """Read what is there now, source by source; ``progress`` hears how much was read. Returns how many calls were new.

    One that fails does not keep the others from being read: an ExceptionGroup of SourceErrors is raised when they have
    been. OutboxError is raised at once. What was read until then is in the outbox.
    """
    takers = config.takers()
    new = 0
    failed: list[SourceError] = []
    sayings = Sayings(to(log))
    for source in config.make_sources():
        try:
            for brought in pump(source, outbox, takers, stop, sayings, follow=False):
                new += brought.new
                progress(brought.size)
        except (SourceError, OSError) as error:
            failed.append(SourceError(f"source {source.name}: {in_words(error)}"))
        finally:
            sayings.end()
    if failed:
        raise ExceptionGroup("not all sources could be read", failed)
    return new


def deliver_once(config: Config, outbox: Outbox, stop: threading.Event, progress: Callable[[int], None]) -> int:
    """Deliver until nothing is due; ``progress`` hears how many calls were dealt with. Returns how many were sent."""
    deliveries = make_deliveries(config)
    for delivery in deliveries:
        delivery.run_until_idle(outbox, stop, progress)
    return sum(delivery.tally.delivered for delivery in deliveries)


def make_deliveries(config: Config) -> list[Delivery]:
    """One for each destination, in their order."""
    only = config.takers().only
    return [Delivery(destination, only=only.get(destination.name)) for destination in config.make_destinations()]


def _names(settings: Sequence[object]) -> str:
    return ", ".join(getattr(one, "name", "") for one in settings)
