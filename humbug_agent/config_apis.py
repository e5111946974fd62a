"""agent.ini's settings of the hosted PBXs that are asked for their calls, and how they are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import ClassVar

from humbug_agent.config_contract import SourceContract, in_clear
from humbug_agent.ini import Secret, Section, file, moment, timezone, url

WHILE1_TEXTS = (
    "project_id", "telephone_like", "telephone", "source", "destination", "uniqueid", "linkedid", "external_id",
)  # fmt: skip
WHILE1_LISTS = ("user_id", "inbound_route_id", "call_status", "hour_between")
WHILE1_FLAGS = ("has_transcription", "has_monitor_file", "has_recording_file")
"""The filters of /api/cdr but for direction, and those that the source itself asks with: date_between, from_id."""


@dataclass(frozen=True)
class ApiSettings:
    """What all hosted PBXs that are asked for their calls have. ``since`` is for the first start, None a day before it.

    ``timezone`` is that of the times in its answers, None the agent's.
    """

    url: str
    poll_seconds: int
    since: datetime | None
    timezone: tzinfo | None
    timeout: int
    ca_file: Path | None
    proxy: Secret | None


class _HostedContract(SourceContract):
    name: str
    api: ApiSettings

    def warnings(self) -> list[str]:
        if not (there := in_clear(self.api.url)):
            return []
        passes = f"the keys and all calls pass the network to {there} unencrypted over http://"
        return [f"[source {self.name}] url: {passes}; use https://"]


@dataclass(frozen=True)
class While1Settings(_HostedContract):
    """``filters`` are those of the page, by its names: text, a list of texts, or yes or no."""

    type: ClassVar[str] = "while1"
    name: str
    api: ApiSettings
    token: Secret
    api_key: Secret
    format: str
    filters: Mapping[str, str | list[str] | bool]


@dataclass(frozen=True)
class BoxisSettings(_HostedContract):
    type: ClassVar[str] = "boxis"
    name: str
    api: ApiSettings
    username: str
    user_key: Secret
    tenants: tuple[str, ...]


@dataclass(frozen=True)
class FusionpbxSettings(_HostedContract):
    """``api.url`` is the program's address, without ``/api``."""

    type: ClassVar[str] = "fusionpbx"
    name: str
    api: ApiSettings
    email: str
    password: Secret
    domains: tuple[str, ...]


def while1(name: str, section: Section) -> While1Settings:
    filters: dict[str, str | list[str] | bool] = {}
    for key in WHILE1_TEXTS:
        if value := section.text(key):
            filters[key] = value
    for key in WHILE1_LISTS:
        if words := section.listed(key):
            filters[key] = list(words) if len(words) > 1 else words[0]
    for key in WHILE1_FLAGS:
        if section.text(key):
            filters[key] = section.flag(key, False)
    if direction := section.choice("direction", ("", "IN", "OUT"), ""):
        filters["direction"] = direction
    return While1Settings(
        name=name,
        api=_api(section, "https://YOUR-PBX/api/cdr"),
        token=section.secret("token", required=True) or Secret(""),
        api_key=section.secret("api_key", required=True) or Secret(""),
        format=section.choice("format", ("form", "json"), "form"),
        filters=filters,
    )


def boxis(name: str, section: Section) -> BoxisSettings:
    return BoxisSettings(
        name=name,
        api=_api(section, "https://api.boxis.net/", default="https://api.boxis.net/"),
        username=section.text("username", required=True),
        user_key=section.secret("user_key", required=True) or Secret(""),
        tenants=section.listed("tenants", required=True),
    )


def fusionpbx(name: str, section: Section) -> FusionpbxSettings:
    return FusionpbxSettings(
        name=name,
        api=_api(section, "https://YOUR-PBX"),
        email=section.text("email", required=True),
        password=section.secret("password", required=True) or Secret(""),
        domains=section.listed("domains", required=True),
    )


def _api(section: Section, example: str, default: str = "") -> ApiSettings:
    zone = section.converted("timezone", timezone, "an IANA time zone")
    proxy = section.converted("proxy", url, "a proxy's URL", private=True)
    asked = section.converted("url", url, f"a URL such as {example}", private=True) or default
    if not asked and not section.text("url"):
        section.text("url", required=True)
    return ApiSettings(
        url=asked,
        poll_seconds=section.whole("poll_seconds", 60, 1, 86400),
        since=section.converted("since", _since, "a date such as 2026-01-31, or 2026-01-31 18:00"),
        timezone=zone,
        timeout=section.whole("timeout", 60, 1, 600),
        ca_file=section.converted("ca_file", file, "a readable file"),
        proxy=Secret(proxy) if proxy else None,
    )


def _since(value: str) -> datetime:
    found = moment(value)
    if not 1971 <= found.year <= 2999:
        raise ValueError("no calls are from then")
    return found
