"""agent.ini's settings of a source of type fusionpbx."""

from dataclasses import dataclass
from typing import ClassVar, Self

from humbug_agent.ini import Secret, Section
from humbug_agent.sources.polling.settings import ApiSettings, HostedSettings, read_api


@dataclass(frozen=True)
class FusionpbxSettings(HostedSettings):
    """The settings of a [source NAME] of type fusionpbx.

    ``api.url`` is the program's address, without ``/api``.
    """

    type: ClassVar[str] = "fusionpbx"
    name: str
    api: ApiSettings
    email: str
    password: Secret
    domains: tuple[str, ...]

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            api=read_api(section, "https://YOUR-PBX"),
            email=section.text("email", required=True),
            password=section.secret("password", required=True) or Secret(""),
            domains=section.listed("domains", required=True),
        )
