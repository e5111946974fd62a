"""Where calls come from: one folder a type of source, named by the type's words."""

from datetime import tzinfo
from pathlib import Path
from pkgutil import resolve_name
from typing import cast

from humbug_agent.sources.contract import Source
from humbug_agent.sources.settings import SourceSettings

SOURCES = {
    "asterisk_csv": "asterisk.csv:AsteriskCsv",
    "asterisk_ami": "asterisk.ami:AsteriskAmi",
    "freeswitch_csv": "freeswitch.csv:FreeswitchCsv",
    "freeswitch_json": "freeswitch.json:FreeswitchJson",
    "freeswitch_http": "freeswitch.http:FreeswitchHttp",
    "freeswitch_esl": "freeswitch.esl:FreeswitchEsl",
    "while1": "while1:While1",
    "boxis": "boxis:Boxis",
    "fusionpbx": "fusionpbx:Fusionpbx",
    "mysql": "mysql:Mysql",
    "postgresql": "postgresql:Postgresql",
}
"""The type's word in agent.ini -> its folder in here, and its class in there: CLASS in source.py reads the PBX, and
CLASSSettings in settings.py reads agent.ini. Only those that agent.ini names are imported: `status` starts quicker."""


def settings_of(kind: str) -> type[SourceSettings]:
    """The settings of a type of SOURCES."""
    folder, _, name = SOURCES[kind].partition(":")
    return cast("type[SourceSettings]", resolve_name(f"{__name__}.{folder}.settings:{name}Settings"))


def sample_of(kind: str) -> str:
    """The block of a type of SOURCES in agent.ini, as its home has it."""
    return (Path(__file__).parent / SOURCES[kind].partition(":")[0].replace(".", "/") / "sample.ini").read_text("utf-8")


def make_source(settings: SourceSettings, zone: tzinfo) -> Source:
    """The source that ``settings`` describe; making one opens nothing. ``zone`` is [agent] timezone."""
    folder, _, name = SOURCES[settings.type].partition(":")
    source: Source = resolve_name(f"{__name__}.{folder}.source:{name}")(settings, zone)
    return source
