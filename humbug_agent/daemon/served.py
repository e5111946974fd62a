"""What is served over HTTP beside the deliveries: [status] and [api], each where agent.ini has it."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from humbug_agent.config import Config
from humbug_agent.daemon.kept import Kept
from humbug_agent.delivery.delivery import Delivery
from humbug_agent.outbox import api_queries
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.sources.contract import Source

if TYPE_CHECKING:
    from humbug_agent.daemon.api_serving import ApiServing
    from humbug_agent.daemon.status_serving import Serving


class Served:
    """Both of them, for one Agent, from the beginning on. ``kept`` has the web servers of the one before it."""

    def __init__(self, config: Config, sources: Sequence[Source], deliveries: Sequence[Delivery], kept: Kept) -> None:
        self._kept = kept
        self._config = config
        self._status = _status(config, sources, deliveries, kept) if config.status else None
        self._api = _api(config, kept) if config.api else None
        for one in (self._status, self._api):
            if one:
                one.start()
        if not config.api:
            # What only [api] needs makes reading calls dearer. Where that can't be dropped now, it can the next time.
            with suppress(OutboxError), Outbox(config.agent.outbox) as outbox:
                api_queries.prepare(outbox, ())

    def lacks_right(self, source: str) -> bool:
        """Whether this source's connection may not tell what its board needs."""
        return bool(self._status and self._status.lacks_right(source))

    def stop(self, after: Config | None) -> None:
        """``after`` is what another Agent goes on with, None: none does."""
        if self._status:
            self._status.stop()
            self._kept.stay_page(self._status, self._config, after)
        if self._api:
            self._api.stop()
            self._kept.stay_api(self._api, self._config, after)


# A web server that most agents never need is imported by those that do.


def _status(config: Config, sources: Sequence[Source], deliveries: Sequence[Delivery], kept: Kept) -> "Serving":
    from humbug_agent.daemon.status_serving import Serving

    tallies = {delivery.name: delivery.tally for delivery in deliveries}
    return Serving(config, sources, config.make_sources(), tallies, kept)


def _api(config: Config, kept: Kept) -> "ApiServing":
    from humbug_agent.daemon.api_serving import ApiServing

    return ApiServing(config, kept.api)


def parts(config: Config) -> list[str]:
    """As `status` calls them."""
    return [*(["page"] if config.status else []), *(["api"] if config.api else [])]
