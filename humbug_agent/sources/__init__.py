"""Where calls come from: one file a source."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from humbug_agent.sources.asterisk_ami import AsteriskAmi
from humbug_agent.sources.asterisk_csv import AsteriskCsv
from humbug_agent.sources.contract import Source
from humbug_agent.sources.freeswitch_csv import FreeswitchCsv
from humbug_agent.sources.freeswitch_esl import FreeswitchEsl
from humbug_agent.sources.freeswitch_http import FreeswitchHttp
from humbug_agent.sources.freeswitch_json import FreeswitchJson

SOURCES: dict[str, Callable[[Any, tzinfo], Source]] = {
    "asterisk_csv": AsteriskCsv,
    "asterisk_ami": AsteriskAmi,
    "freeswitch_csv": FreeswitchCsv,
    "freeswitch_json": FreeswitchJson,
    "freeswitch_http": FreeswitchHttp,
    "freeswitch_esl": FreeswitchEsl,
}
