"""agent.ini's settings of a source of type while1."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from humbug_agent.ini import Secret, Section
from humbug_agent.sources.polling.settings import ApiSettings, HostedSettings, read_api

TEXTS = (
    "project_id", "telephone_like", "telephone", "source", "destination", "uniqueid", "linkedid", "external_id",
)  # fmt: skip
LISTS = ("user_id", "inbound_route_id", "call_status", "hour_between")
FLAGS = ("has_transcription", "has_monitor_file", "has_recording_file")
"""The filters of /api/cdr but for direction, and those that the source itself asks with: date_between, from_id."""


@dataclass(frozen=True)
class While1Settings(HostedSettings):
    """The settings of a [source NAME] of type while1.

    ``filters`` are those of the page, by its names: text, a list of texts, or yes or no.
    """

    type: ClassVar[str] = "while1"
    name: str
    api: ApiSettings
    token: Secret
    api_key: Secret
    format: str
    filters: Mapping[str, str | list[str] | bool]

    @classmethod
    def read(cls, name: str, section: Section) -> Self:
        filters: dict[str, str | list[str] | bool] = {}
        for key in TEXTS:
            if value := section.text(key):
                filters[key] = value
        for key in LISTS:
            if words := section.listed(key):
                filters[key] = list(words) if len(words) > 1 else words[0]
        for key in FLAGS:
            if section.text(key):
                filters[key] = section.flag(key, False)
        if direction := section.choice("direction", ("", "IN", "OUT"), ""):
            filters["direction"] = direction
        return cls(
            name=name,
            api=read_api(section, "https://YOUR-PBX/api/cdr"),
            token=section.secret("token", required=True) or Secret(""),
            api_key=section.secret("api_key", required=True) or Secret(""),
            format=section.choice("format", ("form", "json"), "form"),
            filters=filters,
        )
