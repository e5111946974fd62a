"""agent.ini's [api] and its [api NAME]: where stored calls may be asked for, and by whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from humbug_agent.http_server.settings import Listening, read_listening
from humbug_agent.ini import Secret, Section

DEFAULT_LISTEN = "127.0.0.1:6496"
ALL = "*"


@dataclass(frozen=True)
class ApiAccount:
    """A section [api NAME]: somebody who may ask.

    ``tenants`` are accountcodes and domains, whose calls are shown and no others; None: all calls.
    """

    name: str
    tenants: tuple[str, ...] | None
    token: Secret
    api_key: Secret

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        tenants = section.listed("tenants", required=True)
        if ALL in tenants and len(tenants) > 1:
            section.wrong("tenants", f"has {ALL}, which is all calls, beside others; keep one of them")
        return cls(
            name=name,
            tenants=None if ALL in tenants else tenants,
            token=section.secret("token", required=True) or Secret(""),
            api_key=section.secret("api_key", required=True) or Secret(""),
        )


@dataclass(frozen=True, kw_only=True)
class ServedApiSettings(Listening):
    """The section [api]: where calls may be asked for. ``accounts`` are by their names.

    Nobody is answered without keys, wherever it listens.
    """

    label: ClassVar[str] = "[api]"
    cdr: bool
    accounts: Mapping[str, ApiAccount]

    @property
    def by_tenant(self) -> bool:
        """Whether calls are looked for by their tenants."""
        return any(one.tenants is not None for one in self.accounts.values())

    @classmethod
    def read(cls, section: Section, accounts: Sequence[ApiAccount]) -> Self:
        settings = cls(
            **vars(read_listening(section, DEFAULT_LISTEN)),
            cdr=section.flag("cdr", False),
            accounts={one.name: one for one in accounts},
        )
        if settings.cdr and not accounts:
            section.wrong("cdr", "is on, and nobody may ask: at least one [api NAME] has the keys")
        return settings
