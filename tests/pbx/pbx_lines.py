"""Two Asterisks that have trunks and phones: a provider, and a PBX that registers itself there and has its own phones.

Phones that register are played by the PBX itself: a PJSIP registration at its own address.
"""

import re
from collections.abc import Callable

from tests.pbx.pbx_host import MANAGER_USERS, Pbx

TRUNK_MODULES = """
load = res_pjsip_registrar.so
load = res_pjsip_outbound_registration.so
load = res_pjsip_outbound_authenticator_digest.so
load = res_crypto.so
load = chan_iax2.so
"""
"""chan_sip is not there in Asterisk 22, which says so and goes on."""

_SIP = "load = chan_sip.so\n"
USERS = (
    MANAGER_USERS
    + """
[lines]
secret = humbug-secret
read = cdr,call,agent,system
write = reporting,system
"""
)

_IAX = "[general]\nbindaddr = 127.0.0.1:{{iax_port}}\n"
_SIP_GENERAL = "[general]\nudpbindaddr = 127.0.0.1:{{chan_sip_port}}\n"
PROVIDER = {
    "modules.conf": TRUNK_MODULES + _SIP,
    "pjsip.conf": """
[account]
type = auth
username = account
password = trunk-secret
[account](phone)
aors = account
auth = account
[account](where)
max_contacts = 1
""",
    "iax.conf": f"{_IAX}[account]\ntype = friend\nhost = dynamic\nsecret = trunk-secret\n",
    "sip.conf": f"{_SIP_GENERAL}[account]\ntype = friend\nhost = dynamic\nsecret = trunk-secret\n",
}
REGISTRATION = "type = registration\ntransport = udp\nretry_interval = 2\n"


def _pbx(provider: Pbx) -> dict[str, str]:
    sip, iax, chan_sip = (
        f"127.0.0.1:{port}" for port in (provider.sip_port, provider.ports.iax, provider.ports.chan_sip)
    )
    host, port = iax.split(":")
    return {
        "modules.conf": TRUNK_MODULES + _SIP,
        "pjsip.conf": f"""
[account]
type = auth
username = account
password = trunk-secret
[wrong]
type = auth
username = account
password = no-secret
[provider](phone)
aors = provider
[provider](where)
contact = sip:{sip}
[provider]
{REGISTRATION}server_uri = sip:{sip}
client_uri = sip:account@{sip}
outbound_auth = account
[refused]
{REGISTRATION}server_uri = sip:{sip}
client_uri = sip:account@{sip}
outbound_auth = wrong
[301](phone)
aors = 301
[301](where)
max_contacts = 1
[302](phone)
aors = 302
[302](where)
max_contacts = 1
[desk301]
{REGISTRATION}server_uri = sip:127.0.0.1:{{{{sip_port}}}}
client_uri = sip:301@127.0.0.1:{{{{sip_port}}}}
""",
        "iax.conf": f"""{_IAX}register => account:trunk-secret@{iax}
register => nobody:trunk-secret@{iax}
[far]
type = peer
host = {host}
port = {port}
qualify = yes
[303]
type = friend
host = dynamic
""",
        "sip.conf": f"""{_SIP_GENERAL}register => account:trunk-secret@{chan_sip}
[siptrunk]
type = peer
host = 127.0.0.1
port = 9
qualify = yes
[304]
type = friend
host = dynamic
""",
    }


def start(pbx: Callable[..., Pbx]) -> tuple[Pbx, Pbx]:
    """The PBX, and its provider."""
    provider = pbx(also=PROVIDER)
    return pbx(also=_pbx(provider), manager_users=USERS), provider


def console(pbx: Pbx) -> dict[str, str]:
    """Trunk -> its state, as the console of each channel driver says it: in its own words."""
    found = {}
    for row in re.finditer(r"^ (\w+)/sip:\S+ +\S+ +(\w+)", pbx.cli("pjsip show registrations"), re.MULTILINE):
        found[f"PJSIP/{row[1]}"] = row[2].casefold()
    for technology, command in (("SIP", "sip show registry"), ("IAX2", "iax2 show registry")):
        for row in re.finditer(
            r"^([\d.]+:\d+) +N +(\S+) +(?:\S+ +)?\d+ +([A-Z][\w.]*(?: \w+)?)", pbx.cli(command), re.MULTILINE
        ):
            found[f"{technology}/{row[2]}@{row[1]}"] = row[3].casefold()
    return found


def missing(pbx: Pbx) -> list[str]:
    """Phones that are not registered, by the consoles."""
    endpoints = re.findall(
        r"^ Endpoint:  (\w+)\S* +(\w+).*\n +Aor: .*\n(?! +Contact:)", pbx.cli("pjsip show endpoints"), re.MULTILINE
    )
    found = [f"PJSIP/{endpoint}" for endpoint, _ in endpoints]
    for technology, command in (("SIP", "sip show peers"), ("IAX2", "iax2 show peers")):
        rows = re.findall(r"^(\w+)\S* +(\S+) +\(?D\)?  ", pbx.cli(command), re.MULTILINE)
        found += [f"{technology}/{phone}" for phone, host in rows if host in ("(Unspecified)", "(null)")]
    return sorted(found)
