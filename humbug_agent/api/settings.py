"""agent.ini's [api] and its [api NAME]: where stored calls may be asked for, and by whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.ini import Secret, Section, address, file, shown

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


@dataclass(frozen=True)
class ServedApiSettings:
    """The section [api]. ``certificate`` and ``private_key`` are PEM files; the key may stand in the certificate's.

    ``accounts`` are by their names. Nobody is answered without keys, wherever it listens.
    """

    label: ClassVar[str] = "[api]"
    host: str
    port: int
    cdr: bool
    require_tls: bool
    certificate: Path | None
    private_key: Path | None
    accounts: Mapping[str, ApiAccount]

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def where(self) -> str:
        """As messages name it."""
        return shown(self.host, self.port)

    @property
    def by_tenant(self) -> bool:
        """Whether calls are looked for by their tenants."""
        return any(one.tenants is not None for one in self.accounts.values())

    @classmethod
    def read(cls, section: Section, accounts: Sequence[ApiAccount]) -> Self:
        host, port = section.converted("listen", address, "HOST:PORT") or address(DEFAULT_LISTEN)
        settings = cls(
            host=host,
            port=port,
            cdr=section.flag("cdr", False),
            require_tls=section.flag("require_tls", False),
            certificate=section.converted("certificate", file, "a readable file"),
            private_key=section.converted("private_key", file, "a readable file", private=True),
            accounts={one.name: one for one in accounts},
        )
        if settings.cdr and not accounts:
            section.wrong("cdr", "is on, and nobody may ask: at least one [api NAME] has the keys")
        if settings.private_key and not section.text("certificate"):
            section.wrong("certificate", "is missing; private_key needs one")
        if settings.require_tls and not section.text("certificate"):
            section.wrong("certificate", "is missing; require_tls needs one")
        return settings
