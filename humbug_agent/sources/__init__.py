"""Where calls come from: one file a source."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from humbug_agent.config import Config
from humbug_agent.sources.asterisk.ami import AsteriskAmi
from humbug_agent.sources.asterisk.master_csv import AsteriskCsv
from humbug_agent.sources.contract import Source
from humbug_agent.sources.freeswitch.directory import FreeswitchJson
from humbug_agent.sources.freeswitch.endpoint import FreeswitchHttp
from humbug_agent.sources.freeswitch.event_socket import FreeswitchEsl
from humbug_agent.sources.freeswitch.master_csv import FreeswitchCsv
from humbug_agent.sources.pull.boxis import Boxis
from humbug_agent.sources.pull.fusionpbx import Fusionpbx
from humbug_agent.sources.pull.while1 import While1

SOURCES: dict[str, Callable[[Any, tzinfo], Source]] = {
    "asterisk_csv": AsteriskCsv,
    "asterisk_ami": AsteriskAmi,
    "freeswitch_csv": FreeswitchCsv,
    "freeswitch_json": FreeswitchJson,
    "freeswitch_http": FreeswitchHttp,
    "freeswitch_esl": FreeswitchEsl,
    "while1": While1,
    "boxis": Boxis,
    "fusionpbx": Fusionpbx,
}


def make_sources(config: Config) -> list[Source]:
    """Those of agent.ini, in its order; making one opens nothing."""
    return [SOURCES[settings.type](settings, config.agent.timezone) for settings in config.sources]
