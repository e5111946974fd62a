"""The outbox as a store that an API asks."""

from array import array
from collections.abc import Sequence
from pathlib import Path

from humbug_agent.call_store.contract import Dropped, Page, Token, Wanted
from humbug_agent.call_store.pages import Stand, Views
from humbug_agent.flat import Flat
from humbug_agent.outbox import api_queries, tokens
from humbug_agent.outbox.outbox import Outbox


class OutboxStore:
    """A `Store`, and the `Finder` of its pages. ``views`` are those of all threads that ask this outbox."""

    def __init__(self, path: Path, views: Views) -> None:
        self._outbox = Outbox(path)
        self._views = views

    def page(self, who: str, wanted: Wanted, from_id: int, number: int, size: int) -> Page:
        return self._views.page(self, who, wanted, from_id, number, size)

    def stand(self, wanted: Wanted, begin: int | None) -> Stand:
        return api_queries.stand(self._outbox, wanted, begin)

    def found(self, wanted: Wanted, begin: int, last: int) -> "array[int]":
        return api_queries.found(self._outbox, wanted, begin, last)

    def read(self, ids: Sequence[int]) -> Sequence[tuple[int, Flat]]:
        return api_queries.read(self._outbox, ids)

    def after(self, wanted: Wanted, last: tuple[int, Flat] | None, most: int) -> Sequence[tuple[int, Flat]]:
        return api_queries.after(self._outbox, wanted, last, most)

    def dropped(self) -> Dropped | None:
        return api_queries.dropped(self._outbox)

    def token(self, number: int) -> Token | None:
        return tokens.token(self._outbox, number)

    def use_token(self, number: int) -> None:
        tokens.use(self._outbox, number)

    def add_token(self, account: str, digest: bytes) -> int:
        return tokens.add(self._outbox, account, digest)

    def drop_tokens(self, account: str) -> int:
        return tokens.drop_all(self._outbox, account)

    def close(self) -> None:
        self._outbox.close()
