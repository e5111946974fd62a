"""What FreeSWITCH's modules do with its documents, by their configuration."""

from collections.abc import Iterator

from humbug_agent.config import Config
from humbug_agent.doctor.asked import Opens
from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.ini import is_loopback
from humbug_agent.pbx_host.freeswitch import Freeswitch

POSTING = ("json_cdr", "xml_cdr")
POSTED_TO = "freeswitch_http"
"""The type of source that waits for their posts."""


def findings(config: Config, freeswitch: Freeswitch) -> Iterator[Finding]:
    """Raises OSError, ConfError."""
    posts = False
    for name in POSTING:
        file = freeswitch.file(name)
        if not (freeswitch.loads(f"mod_{name}") and freeswitch.at(file).exists()):
            continue
        settings = freeswitch.settings(name)
        posts = posts or bool(settings.get("url"))
        timeout = settings.get("timeout", "")
        if settings.get("url") and not (timeout.isascii() and timeout.isdigit() and int(timeout)):
            # Its URL may have a password in it.
            said = f"{file}: url is set, and timeout is {timeout or 'not set'}"
            change = f'{file}: <param name="timeout" value="5"/>'
            yield Finding(code=Code.NO_TIMEOUT, said=said, change=change)
    for source in config.sources:
        # Those that others may reach wait for another host's.
        if not posts and isinstance(source, Opens) and source.type == POSTED_TO and is_loopback(source.host):
            said = (
                f"{freeswitch.file('modules')}: loads nothing that posts calls, for which [source {source.name}] waits"
            )
            change = f'{freeswitch.file("modules")}: <load module="mod_json_cdr"/>'
            yield Finding(code=Code.NOT_POSTED, said=said, change=change, part=f"source {source.name}")
