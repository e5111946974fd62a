"""agent.ini's settings of a source of type asterisk_csv."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.ini import Section
from humbug_agent.sources.settings import SourceSettings, read_charset
from humbug_agent.text import AUTO


@dataclass(frozen=True)
class AsteriskCsvSettings(SourceSettings):
    """The settings of a [source NAME] of type asterisk_csv.

    ``utc`` says whether its times are UTC (cdr.conf's usegmtime); None: the reader finds out.
    """

    type: ClassVar[str] = "asterisk_csv"
    name: str
    path: Path
    start: str
    utc: bool | None
    charset: str = AUTO

    @property
    def reads_asterisk(self) -> bool:
        return True

    @property
    def reads(self) -> Path:
        return self.path

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            path=section.place("path", "/var/log/asterisk/cdr-csv/Master.csv"),
            start=section.choice("start", ("beginning", "end"), "beginning"),
            utc=None if section.text("utc", "auto").lower() == "auto" else section.flag("utc", False),
            charset=read_charset(section),
        )
