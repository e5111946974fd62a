"""Where calls come from: one file a source."""

from collections.abc import Callable
from datetime import tzinfo
from typing import Any

from humbug_agent.sources.asterisk_ami import AsteriskAmi
from humbug_agent.sources.asterisk_csv import AsteriskCsv
from humbug_agent.sources.contract import Source

SOURCES: dict[str, Callable[[Any, tzinfo], Source]] = {"asterisk_csv": AsteriskCsv, "asterisk_ami": AsteriskAmi}
