"""Asks /api/cdr page by page, each request signed, and judges whether the pages can be all there is."""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any

from humbug_agent.cdr import digest
from humbug_agent.http_client.client import Response
from humbug_agent.http_server.php import Value, http_build_query
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.polling.client import Asker
from humbug_agent.sources.polling.rows import ApiRow
from humbug_agent.sources.while1.row import row_id
from humbug_agent.sources.while1.settings import While1Settings

log = logging.getLogger(__name__)

USUAL_SIZE = 100
"""Rows of a page, as the description has it."""

_ORDER = (
    "date_between", "project_id", "user_id", "inbound_route_id", "direction", "call_status", "telephone_like",
    "telephone", "source", "destination", "hour_between", "from_id", "uniqueid", "linkedid", "has_transcription",
    "has_monitor_file", "has_recording_file", "external_id",
)  # fmt: skip
"""The description's: what a server makes of the parameters is signed alike then, however it goes about it."""

_YES, _NO = (True, "1", "true"), (None, False, "0", "", "false")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of /api/cdr.

    ``rows`` as JSON has them, ``ids`` of those that have one, in their order. Counts are 0 where none is given.
    """

    number: int
    rows: list[Any]
    ids: list[int]
    row_count: int
    page_size: int
    max_page: int

    @property
    def is_last(self) -> bool:
        """As far as it says. The counts of the description's own sample are all 0."""
        return not self.rows or (self.number >= self.max_page and len(self.rows) < (self.page_size or USUAL_SIZE))


class _Passed:
    """The pages of one way through them. ``count`` is how many calls the first one said there are."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.count = 0
        self.pages = 0
        self._latest = 0
        self._shrank = False

    def add(self, page: Page) -> None:
        self.pages += 1
        if self.pages == 1:
            self.count = page.row_count
        self._shrank |= page.row_count < self._latest
        self._latest = page.row_count
        self.seen.update(_key(row) for row in page.rows)

    def has_new(self, page: Page) -> bool:
        return any(_key(row) not in self.seen for row in page.rows)

    @property
    def is_complete(self) -> bool:
        """As far as it can be told."""
        return not self._shrank and len(self.seen) >= self.count


class Pages:
    """The pages of /api/cdr, asked for one by one.

    ``asker`` is asked for the pages that ``settings`` allow to be seen.
    """

    def __init__(self, settings: While1Settings, asker: Asker) -> None:
        self._settings = settings
        self._asker = asker
        self._miscounts = False

    def page(self, number: int, filters: Mapping[str, Value], stop: Event) -> Page:
        """``filters`` come to those of the settings. Raises SourceError, Stopped."""
        known: dict[str, Value] = {**self._settings.filters, **filters}
        ordered: dict[str, Value] = {name: known[name] for name in _ORDER if name in known}
        form, body = signed(
            {"page": number, "filters": ordered}, self._settings.api_key.reveal(), self._settings.format
        )
        headers = {"Authorization": f"Bearer {self._settings.token.reveal()}", "Content-Type": form}
        headers["Accept"] = "application/json"
        response = self._asker.ask("POST", self._settings.api.url, stop, body=body, headers=headers)
        return self._page(number, response)

    def ends(self, filters: Mapping[str, Value], stop: Event) -> tuple[Page, Page]:
        """The first and the last page, one of which has the newest call. Raises SourceError, Stopped."""
        first = self.page(1, filters, stop)
        return first, self.page(first.max_page, filters, stop) if first.max_page > 1 else first

    def all(self, filters: Mapping[str, Value], stop: Event) -> Iterator[Page]:
        """Every page, the last one without rows maybe. Raises SourceError, Stopped.

        Calls that are written meanwhile may make others come twice. Calls that are deleted meanwhile may hide others
        at a page's edge: then all pages come once more.
        """
        for _ in range(2):
            passed = _Passed()
            yield from self._through(filters, stop, passed)
            if passed.pages == 1:
                # Nothing moves over its edge.
                return
            if passed.is_complete:
                self._miscounts = False
                return
            if self._miscounts:
                return
        self._miscounts = True
        log.warning(
            "source %s: %s has fewer calls on its pages than it counts, %d of %d, also when asked again; if this comes "
            "often, calls are deleted from it while it is read",
            self._settings.name,
            self._asker.where,
            len(passed.seen),
            passed.count,
        )

    def _through(self, filters: Mapping[str, Value], stop: Event, passed: "_Passed") -> Iterator[Page]:
        page = self.page(1, filters, stop)
        while True:
            passed.add(page)
            yield page
            if page.is_last:
                return
            page = self.page(page.number + 1, filters, stop)
            if page.rows and not passed.has_new(page):
                if page.number > page.max_page:
                    # Beyond its last page it says the last one again.
                    return
                if page.row_count - passed.count < len(page.rows):
                    raise SourceError(
                        f"{self._asker.where}: repeats itself: page {page.number} of {page.max_page} has only calls "
                        "that stood on the pages before it"
                    )

    def _page(self, number: int, response: Response) -> Page:
        found = self._found(response)
        rows = found.get("results")
        if not isinstance(rows, list):
            raise self._asker.wrong(response, "answered with no list of results; check url")
        told = found.get("pagination") or {}
        if not isinstance(told, dict):
            raise self._asker.wrong(response, "answered with a pagination that is none")
        counts = {}
        for name in ("row_count", "page_size", "max_page"):
            try:
                counts[name] = ApiRow(told).whole(name) if name in ApiRow(told) else 0
            except ValueError as error:
                raise self._asker.wrong(response, f"answered with a pagination that is none: {error}") from None
        return Page(number, rows, [one for row in rows if (one := _id(row))], **counts)

    def _found(self, response: Response) -> dict[str, Any]:
        """Whether there was an error, the answer itself says, and why: HTTP's status does not."""
        try:
            found = self._asker.json(response)
        except SourceError:
            if response.status in range(200, 300):
                raise
            found = {}
        failed = found.get("has_error") if isinstance(found, dict) else None
        if failed in _YES:
            hint = "; check token and api_key" if response.status in (401, 403) else ""
            raise self._asker.wrong(response, f"says there is an error: {_joined(found.get('messages'))}{hint}")
        if response.status not in range(200, 300):
            # Says what is wrong in its own words.
            self._asker.document(response, "token and api_key")
        if not isinstance(found, dict):
            raise self._asker.wrong(response, "answered with JSON that is no object; check url")
        if failed not in _NO:
            raise self._asker.wrong(response, "answered with a has_error that is neither true nor false")
        return found


def signed(parameters: dict[str, Value], api_key: str, form: str) -> tuple[str, bytes]:
    """The content type and body of these parameters, ``form`` or ``json``, and of the hash that signs them."""
    query = http_build_query(parameters)
    api_hash = hashlib.md5((query + api_key).encode(), usedforsecurity=False).hexdigest()
    if form == "json":
        return "application/json", json.dumps(parameters | {"api_hash": api_hash}).encode()
    return "application/x-www-form-urlencoded", f"{query}&api_hash={api_hash}".encode()


def _id(values: Any) -> int | None:
    try:
        return row_id(ApiRow(values))
    except ValueError:
        return None


def _key(values: Any) -> bytes:
    return digest(str(_id(values) or json.dumps(values)))


def _joined(messages: Any) -> str:
    said = messages if isinstance(messages, list) else [messages] if messages else []
    return "; ".join(one if isinstance(one, str) else json.dumps(one) for one in said) or "it does not say which"
