"""What settings of agent.ini may say that `doctor` asks for, whatever type they are of."""

from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from humbug_agent.config import Config
from humbug_agent.ini import Secret
from humbug_agent.routing.only import Only


@runtime_checkable
class ListensToAmi(Protocol):
    """Settings of a source that logs in to Asterisk's manager interface."""

    name: str
    host: str
    port: int
    username: str
    events: frozenset[str]
    tls: bool


@runtime_checkable
class ReadsMasterCsv(Protocol):
    """Settings of a source that reads a Master.csv of Asterisk's; ``utc`` says whose clock its times are of."""

    name: str
    path: Path
    utc: bool | None


@runtime_checkable
class Opens(Protocol):
    """Settings of what listens for others on this host."""

    host: str
    port: int
    certificate: Path | None
    private_key: Path | None


@runtime_checkable
class TakesPosts(Protocol):
    """Settings of a source that FreeSWITCH posts to; databases have the same fields."""

    type: ClassVar[str]
    name: str
    host: str
    port: int
    username: str
    password: Secret | None


@runtime_checkable
class Posts(Protocol):
    """Settings of a destination that is reached over HTTP."""

    name: str
    url: str
    api_key: Secret
    encryption_key: Secret | None
    proxy: Secret | None
    only: Only | None


def opened(config: Config) -> dict[str, Opens]:
    """What listens for others, by its section of agent.ini."""
    sections: dict[str, object] = {"status": config.status} | {f"source {one.name}": one for one in config.sources}
    return {section: one for section, one in sections.items() if isinstance(one, Opens)}
