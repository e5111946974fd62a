"""What one Agent leaves to the next, so that a reload cuts off nobody: connections, ports, and the boards they feed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from humbug_agent.config import Config
from humbug_agent.daemon.supervisor import let_go
from humbug_agent.sources.contract import Holding, Source

if TYPE_CHECKING:
    from humbug_agent.board.model import Board
    from humbug_agent.daemon.api_serving import ApiServing
    from humbug_agent.daemon.status_serving import Serving
    from humbug_agent.http_server.server import Server
    from humbug_agent.http_server.settings import Listening


class Kept:
    """The connections, ports and boards that outlive a reload, and with which the next Agent goes on.

    ``boards``, by the sources' names, are fed by connections that stay; ``page`` and ``api`` are the
    web servers of [status] and [api], if they stay.
    """

    def __init__(self) -> None:
        self._sources: dict[str, Holding] = {}
        self.boards: dict[str, Board] = {}
        self.page: Server | None = None
        self.api: Server | None = None

    def hand_on(self, sources: Sequence[Source]) -> None:
        """To those of the next Agent, of which each has the settings of the one before it that stayed."""
        for source in sources:
            if isinstance(source, Holding) and (before := self._sources.get(source.name)):
                source.take_over(before)

    def stay(
        self, sources: Sequence[Source], before: Config, after: Config | None, renewed: Callable[[str], bool]
    ) -> None:
        """Tell those to stay, at the stop that comes, which another Agent goes on with, as ``after`` says; None: none.

        Those that are to be ``renewed``, by their names, do not.
        """
        self._sources, self.boards, self.page, self.api = {}, {}, None, None
        wanted = {one.name: one.held_as(board=bool(after.status)) for one in after.sources} if after else {}
        for settings, source in zip(before.sources, sources, strict=True):
            same = wanted.get(settings.name) == settings.held_as(board=bool(before.status))
            if same and isinstance(source, Holding) and not renewed(source.name) and source.stay():
                self._sources[source.name] = source

    def stay_page(self, serving: "Serving", before: Config, after: Config | None) -> None:
        """The same of the page, which nobody serves any more; and of the boards."""
        self.boards = {board.name: board for board in serving.boards if board.name in self._sources}
        self.page = _stays(serving.server, before.status, after.status if after else None)

    def stay_api(self, serving: "ApiServing", before: Config, after: Config | None) -> None:
        """The same of [api]."""
        self.api = _stays(serving.server, before.api, after.api if after else None)

    def end_others(self, sources: Sequence[Source], outbox: Path) -> None:
        """Give back what those hold that do not stay."""
        for source in sources:
            if isinstance(source, Holding) and source.name not in self._sources:
                let_go(source.name, source, outbox)

    def close(self, outbox: Path) -> None:
        """No other Agent follows."""
        for name, source in self._sources.items():
            let_go(name, source, outbox)
        self._sources.clear()
        for server in (self.page, self.api):
            if server:
                server.stop()


def _stays(server: "Server", before: "Listening | None", after: "Listening | None") -> "Server | None":
    """The web server, if the next one is to be asked at the same address; else it stops."""
    if before and after and before.address == after.address:
        return server
    server.stop()
    return None
