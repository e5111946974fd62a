"""The sources that ask window by window, their servers' settings, and what one reading of them brings."""

import json
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

from humbug_agent.cdr import CDR, Reject
from humbug_agent.ini import Secret
from humbug_agent.sources.boxis.settings import BoxisSettings
from humbug_agent.sources.boxis.source import Boxis
from humbug_agent.sources.contract import Source, SourceError
from humbug_agent.sources.fusionpbx.settings import FusionpbxSettings
from humbug_agent.sources.fusionpbx.source import Fusionpbx
from tests.kit import boxis_server, fusionpbx_server
from tests.kit.boxis_server import BoxisServer
from tests.kit.calls import cdrs
from tests.kit.fusionpbx_server import FusionpbxServer
from tests.kit.pull_server import api

AGENT_ZONE = ZoneInfo("Europe/Berlin")


def boxis(server: BoxisServer, *, username: str = boxis_server.USERNAME, user_key: str = boxis_server.USER_KEY,
          tenants: tuple[str, ...] = (boxis_server.TENANT,), **changes: Any) -> Boxis:  # fmt: skip
    settings = api(changes.pop("url", server.url), **changes)
    return Boxis(BoxisSettings("boxis", settings, username, Secret(user_key), tenants), AGENT_ZONE)


def fusionpbx(server: FusionpbxServer, *, email: str = fusionpbx_server.EMAIL,
              password: str = fusionpbx_server.PASSWORD, domains: tuple[str, ...] = (fusionpbx_server.DOMAIN,),
              **changes: Any) -> Fusionpbx:  # fmt: skip
    settings = api(changes.pop("url", server.url), **changes)
    return Fusionpbx(FusionpbxSettings("fusionpbx", settings, email, Secret(password), domains), AGENT_ZONE)


@dataclass
class Came:
    """What was read, as far as it was acknowledged: ``cursor`` is the last one."""

    cursor: str | None = None
    records: list[CDR] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    error: SourceError | None = None

    def marks(self) -> dict[str, Any]:
        """What stands in the cursor."""
        assert self.cursor
        found: dict[str, Any] = json.loads(self.cursor)
        return found

    def wait(self) -> float | None:
        """After how many seconds what went wrong is to be tried again."""
        assert self.error
        return self.error.wait


def once(source: Source, cursor: str | None = None) -> Came:
    """One reading of all there is; whatever ends it before."""
    came = Came(cursor)
    try:
        for batch in source.read(cursor, Event(), follow=False):
            came.records += cdrs(batch.records)
            came.rejects += batch.rejects
            came.cursor = batch.cursor or came.cursor
            came.sizes.append(batch.size)
    except SourceError as error:
        came.error = error
    return came


def first(source: Source, count: int, cursor: str | None = None) -> Came:
    """What a reading brings until it has brought so many calls."""
    came, stop = Came(cursor), Event()
    for batch in source.read(cursor, stop, follow=True):
        came.records += cdrs(batch.records)
        came.rejects += batch.rejects
        came.cursor = batch.cursor or came.cursor
        if len(came.records) >= count:
            stop.set()
    return came
