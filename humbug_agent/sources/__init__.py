"""Where calls come from: one file a source."""

from pkgutil import resolve_name

from humbug_agent.config import Config
from humbug_agent.sources.contract import Source

SOURCES = {
    "asterisk_csv": "asterisk.master_csv:AsteriskCsv",
    "asterisk_ami": "asterisk.ami:AsteriskAmi",
    "freeswitch_csv": "freeswitch.master_csv:FreeswitchCsv",
    "freeswitch_json": "freeswitch.directory:FreeswitchJson",
    "freeswitch_http": "freeswitch.endpoint:FreeswitchHttp",
    "freeswitch_esl": "freeswitch.event_socket:FreeswitchEsl",
    "while1": "pull.while1:While1",
    "boxis": "pull.boxis:Boxis",
    "fusionpbx": "pull.fusionpbx:Fusionpbx",
}
"""Type -> module in this folder and class. Only those that agent.ini names are imported: `status` starts quicker."""


def make_sources(config: Config) -> list[Source]:
    """Those of agent.ini, in its order; making one opens nothing."""
    found = []
    for settings in config.sources:
        make = resolve_name(f"{__name__}.{SOURCES[settings.type]}")
        source: Source = make(settings, config.agent.timezone)
        found.append(source)
    return found
