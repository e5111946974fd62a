"""Whether the address can be listened on, and what FreeSWITCH's modules need to post to it."""

import http.client
from contextlib import closing, suppress

from humbug_agent.http_server.sockets import WebError, listeners
from humbug_agent.pbx_host.freeswitch import json_cdr_conf
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.freeswitch.http.postbox import SIGN
from humbug_agent.sources.freeswitch.http.settings import FreeswitchHttpSettings

ASK_SECONDS = 5.0

XML = """\
<configuration name="xml_cdr.conf" description="XML CDR">
  <settings>
    <param name="url" value="http://{address}/"/>
{cred}    <param name="log-b-leg" value="{b_legs}"/>
    <param name="prefix-a-leg" value="true"/>
    <param name="encode" value="textxml"/>
    <param name="timeout" value="5"/>
    <param name="retries" value="1"/>
    <param name="delay" value="1"/>
    <param name="err-log-dir" value="/var/log/freeswitch/xml_cdr_unsent"/>
  </settings>
</configuration>"""

CRED = '    <param name="cred" value="{username}:THE PASSWORD OF agent.ini"/>\n'


def check(settings: FreeswitchHttpSettings) -> str:
    """Raises SourceError where neither we nor a running agent can listen there."""
    try:
        for listener in listeners(settings):
            listener.close()
        found = "free to listen on"
    except WebError as error:
        if not _is_ours(settings):
            raise SourceError(str(error)) from error
        found = "humbug-agent listens there now"
    cred = CRED.format(username=_escaped(settings.username)) if settings.username or settings.password else ""
    values = {"address": _reachable(settings), "cred": cred, "b_legs": "true" if "b" in settings.legs else "false"}
    json = json_cdr_conf(**values)
    return (
        f"{settings.where}: {found}. One of these belongs into FreeSWITCH's autoload_configs; a freeswitch_json source "
        "with its err-log-dir as path and after = delete brings in what could not be posted.\n"
        f"json_cdr.conf.xml, for mod_json_cdr:\n{json}\n"
        f"xml_cdr.conf.xml, for mod_xml_cdr (not on a FusionPBX, which has its own):\n{XML.format(**values)}"
    )


def _is_ours(settings: FreeswitchHttpSettings) -> bool:
    host, _, port = _reachable(settings).rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=ASK_SECONDS)
    with closing(connection), suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/")
        with closing(connection.getresponse()) as answer:
            return answer.headers.get(SIGN[0].decode()) == SIGN[1].decode()
    return False


def _reachable(settings: FreeswitchHttpSettings) -> str:
    """An address at which FreeSWITCH on this host reaches it."""
    # The address is replaced here, and not listened at.
    return settings.where.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]")  # nosec B104


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
