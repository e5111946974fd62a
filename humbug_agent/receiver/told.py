"""What the receiver tells of itself: lines in the log, few however many calls come, and numbers for Prometheus."""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from prometheus_client.metrics_core import Metric
from starlette.types import Scope

from humbug_agent import __version__
from humbug_agent.http_server.prometheus import counter, exposition, gauge
from humbug_agent.http_server.refusals import WrongGuesses
from humbug_agent.receiver.store.contract import StoreError, Total
from humbug_agent.repeats import Sayings, to

LOOK_SECONDS = 5.0
"""How often it is looked whether something that was only counted is to be said."""

REASONS = ("body", "faults", "key", "store")
"""Why a call was not taken: its body did not come whole, breaks the protocol, has no key, or could not be kept."""

log = logging.getLogger(__name__)


class Told:
    """For the thread of the web server, but for ``end``, which comes after it."""

    def __init__(self, label: str) -> None:
        self._sayings = Sayings(to(log))
        self._wrong = WrongGuesses(label)
        self._refused = Counter(dict.fromkeys(REASONS, 0))
        self._looking = False

    def came(self, pbx: str) -> None:
        self._look_later()
        self._sayings.say(f"came {pbx}", logging.INFO, f"a call has come{_of(pbx)}")

    def faulty(self, pbx: str, address: str, faults: Sequence[str]) -> None:
        self._refused["faults"] += 1
        self._look_later()
        said = "; ".join(faults)
        text = f"a call{_of(pbx)} at {address} was refused: {said}"
        self._sayings.say(f"refused {pbx}", logging.WARNING, text, kind=said)

    def wrong_key(self, scope: Scope) -> None:
        self._refused["key"] += 1
        self._wrong.count(scope)

    def not_whole(self) -> None:
        self._refused["body"] += 1

    def not_kept(self, error: StoreError) -> None:
        self._refused["store"] += 1
        self.away(error)

    def away(self, error: StoreError) -> None:
        self._look_later()
        text = f"the store can't be used, calls are refused: {error}"
        self._sayings.say("store", logging.ERROR, text, kind=str(error))

    def end(self) -> None:
        self._sayings.end()

    def metrics(self, totals: Sequence[Total] | None, well: bool) -> tuple[bytes, str]:
        """The body and its content type.

        ``totals`` are None where the store can't be asked; ``well`` says whether calls can be kept.
        """
        return exposition([*self._of_receiver(well), *_of_pbxs(totals or ())])

    def _of_receiver(self, up: bool) -> list[Metric]:
        refused = [((reason,), number) for reason, number in sorted(self._refused.items())]
        return [
            gauge("humbug_receiver_info", "The receiver's version.", ["version"], [((__version__,), 1)]),
            gauge("humbug_receiver_store_up", "1 while the store can be used, else 0.", [], [((), up)]),
            counter(
                "humbug_receiver_refused_total",
                "Calls that were not taken since the receiver's start: the body did not come whole or is too large, it "
                "breaks the protocol, the key is wrong, or the store can't be used.",
                ["reason"],
                refused,
            ),
        ]

    def _look_later(self) -> None:
        """What is only counted is said in time, once there is something to say."""
        if not self._looking:
            self._looking = True
            asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looking = False
        self._sayings.tick()
        self._look_later()


def _of(pbx: str) -> str:
    return f" of PBX {pbx}" if pbx else ""


def _of_pbxs(totals: Sequence[Total]) -> list[Metric]:
    last = [((one.pbx,), datetime.fromisoformat(one.received).timestamp()) for one in totals]
    return [
        counter(
            "humbug_receiver_calls_total",
            "Calls of this PBX since the store was made, each counted once.",
            ["pbx"],
            [((one.pbx,), one.calls) for one in totals],
        ),
        counter(
            "humbug_receiver_repeats_total",
            "How often the PBX has sent a call that was there already.",
            ["pbx"],
            [((one.pbx,), one.repeats) for one in totals],
        ),
        gauge(
            "humbug_receiver_last_call_timestamp_seconds",
            "When the last call of this PBX came, in seconds since 1970.",
            ["pbx"],
            last,
        ),
    ]
