"""agent.ini's settings of a source of type freeswitch_json."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.ini import Section
from humbug_agent.sources.freeswitch.settings import LegSettings, read_legs


@dataclass(frozen=True)
class FreeswitchJsonSettings(LegSettings):
    """The settings of a [source NAME] of type freeswitch_json.

    ``path`` is the directory of JSON and XML documents. What is done with one ``after`` it is safe.
    """

    type: ClassVar[str] = "freeswitch_json"
    name: str
    path: Path
    after: str

    @property
    def reads(self) -> Path:
        return self.path

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            path=Path(section.text("path", "/var/log/freeswitch/json_cdr")),
            after=section.choice("after", ("keep", "move", "delete"), "keep"),
            **read_legs(section),
        )
