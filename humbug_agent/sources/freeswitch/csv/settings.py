"""agent.ini's settings of a source of type freeswitch_csv."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from humbug_agent.ini import Section
from humbug_agent.sources.freeswitch.csv.template_text import parsed
from humbug_agent.sources.freeswitch.settings import LegSettings, read_legs

TEMPLATES = (
    "example", "default", "asterisk", "sql", "snom", "linksys", "opencdrrate", "fallback", "safe",
)  # fmt: skip
"""mod_cdr_csv's stock templates by their names in cdr_csv.conf.xml; what it falls back to; and the one we ship."""


@dataclass(frozen=True)
class FreeswitchCsvSettings(LegSettings):
    """The settings of a [source NAME] of type freeswitch_csv.

    ``path`` is a file or the directory that Master.csv is in; ``timezone`` None is the agent's.

    ``template`` is auto, one of TEMPLATES, or the text of one as template_text reads it.
    """

    type: ClassVar[str] = "freeswitch_csv"
    name: str
    path: Path
    template: str
    start: str

    @property
    def reads(self) -> Path:
        return self.path

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        return cls(
            name=name,
            path=Path(section.text("path", "/var/log/freeswitch/cdr-csv/Master.csv")),
            template=_template(section),
            start=section.choice("start", ("beginning", "end"), "beginning"),
            **read_legs(section),
        )


def _template(section: Section) -> str:
    text = section.text("template", "auto", wrapped="")
    if "${" not in text:
        return section.choice("template", ("auto", *TEMPLATES), "auto")
    try:
        parsed(text)
    except ValueError as error:
        section.wrong("template", str(error))
    return text
