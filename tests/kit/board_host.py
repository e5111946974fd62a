"""A source in this process, on a real connection, that feeds a board and hands over its calls."""

import threading
from types import TracebackType
from typing import Self

from humbug_agent.board.asterisk import CLASSES, AsteriskFeeder
from humbug_agent.board.model import Board, View
from humbug_agent.cdr import Record
from humbug_agent.sources.contract import SourceError
from tests.kit.ami_feed import source
from tests.kit.ami_server import USER, AmiServer


class Live:
    """``records`` have been handed over; ``failures`` are what the source said of its connection."""

    def __init__(self, server: AmiServer, board: Board | None = None) -> None:
        self._source = source(port=server.port)
        self.board = board or Board("ami")
        self.feeder = AsteriskFeeder(self.board, USER)
        self._source.listen_also(self.feeder, CLASSES)
        self.records: list[Record] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="pump")

    @property
    def view(self) -> View:
        return self.board.view()

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                for batch in self._source.read(None, self._stop, follow=True):
                    assert not batch.rejects
                    self.records += batch.records
            except SourceError as failure:
                self.failures.append(str(failure))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
