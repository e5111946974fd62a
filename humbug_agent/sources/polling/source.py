"""What all sources share that ask a hosted PBX for its calls; and those more that ask window by window."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from datetime import tzinfo
from functools import partial
from threading import Event
from typing import Any

from humbug_agent.cdr import CDR, Batch
from humbug_agent.ini import Secret
from humbug_agent.sources.contract import Anew
from humbug_agent.sources.polling.client import Asker
from humbug_agent.sources.polling.pace import left_out, poll
from humbug_agent.sources.polling.progress import Progress, account, anew, remembered
from humbug_agent.sources.polling.rows import ApiRow, ApiRows, parsed
from humbug_agent.sources.polling.settings import HostedSettings
from humbug_agent.sources.polling.windowed import Windowed


class HostedSource(ABC):
    """A source that asks an API for rows, each of which is a call.

    ``zone`` is the agent's, for settings that name none; ``pause`` how many seconds lie between two requests at least.
    """

    unread_in = "seconds"

    def __init__(self, settings: HostedSettings, zone: tzinfo, secrets: Sequence[Secret], pause: float) -> None:
        self.name = settings.name
        self.leaves_out = left_out(settings.api.since)
        self.api = settings.api
        self.zone = settings.api.timezone or zone
        self.asker = Asker(settings.api, secrets, pause)
        self.rows = ApiRows(settings.name, self.call)

    @abstractmethod
    def call(self, row: ApiRow) -> CDR:
        """The call that a row is. Raises ValueError."""

    def parse(self, text: bytes) -> Batch:
        return parsed(text, ApiRows(self.name, self.call))

    def trouble(self) -> str:
        return ""

    def doubt(self) -> str:
        return self.rows.doubt()


class WindowedSource(HostedSource):
    """A HostedSource that asks for ``tenants``, which may be called domains, window after window, as ``user``."""

    def __init__(
        self, settings: HostedSettings, zone: tzinfo, secret: Secret, pause: float, tenants: Sequence[str], user: str
    ) -> None:
        super().__init__(settings, zone, [secret], pause)
        self.windowed = Windowed(tenants, settings.api.since, self.zone, self.asker, self.rows, self.ask)
        self._of = account(settings.api.url, user)

    @abstractmethod
    def ask(self, tenant: str, begin: float, end: float, stop: Event) -> list[Any]:
        """The rows of a tenant between two times, in seconds since the epoch. Raises SourceError, Stopped."""

    def begin(self, progress: Progress) -> None:
        """Take up what the cursor remembers beside how far it has come."""

    def round(self, progress: Progress, stop: Event, *, follow: bool) -> Iterator[Batch]:
        """All there is until now."""
        yield from self.windowed.round(progress, self.api.poll_seconds, stop, follow=follow)

    def read(self, cursor: str | None, stop: Event, *, follow: bool) -> Generator[Batch]:
        progress = remembered(cursor, self._of)
        self.begin(progress)
        yield from self.windowed.begin(progress)
        try:
            rounds = partial(self.round, progress, stop, follow=follow)
            yield from poll(rounds, self.api.poll_seconds, stop, follow=follow)
        finally:
            self.asker.close()

    def again(self, cursor: str) -> str | None:
        return anew(cursor, self._of)

    def again_from(self, cursor: str | None, moment: float) -> Anew:
        return Anew(self.windowed.again_from(remembered(cursor, self._of), moment))

    def unread(self, cursor: str | None) -> int:
        return self.windowed.unread(remembered(cursor, self._of))
