"""What FreeSWITCH's modules do with its documents, by their configuration."""

from collections.abc import Iterator

from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.pbx_host.freeswitch import Freeswitch

POSTING = ("json_cdr", "xml_cdr")


def findings(freeswitch: Freeswitch) -> Iterator[Finding]:
    """Raises OSError, ConfError."""
    for name in POSTING:
        file = freeswitch.file(name)
        if not (freeswitch.loads(f"mod_{name}") and freeswitch.at(file).exists()):
            continue
        settings = freeswitch.settings(name)
        timeout = settings.get("timeout", "")
        if settings.get("url") and not (timeout.isascii() and timeout.isdigit() and int(timeout)):
            # Its URL may have a password in it.
            said = f"{file}: url is set, and timeout is {timeout or 'not set'}"
            change = f'{file}: <param name="timeout" value="5"/>'
            yield Finding(code=Code.NO_TIMEOUT, said=said, change=change)
