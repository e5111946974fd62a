"""By which names a channel's device can be asked for."""

from urllib.parse import unquote


def device_names(channel: str) -> tuple[str, ...]:
    """The first one is what is shown: TECHNOLOGY/RESOURCE.

    Asterisk's channels have a number behind it: ``SIP/4003`` of ``SIP/4003-0000001a``, ``Local/9@ctx`` of
    ``Local/9@ctx-00000002;1``. Of FreeSWITCH's, ``sofia/internal/1001@10.0.0.5:5060`` is ``SIP/1001`` to whoever polls,
    and by its own name, with or without the port and the host; ``sofia/gateway/NAME/NUMBER`` is ``SIP/NAME``.
    """
    technology, _, rest = channel.partition("/")
    if technology == "sofia":
        profile, _, address = rest.partition("/")
        return _sofia(channel, profile, address)
    if technology == "loopback":
        # Its two halves.
        return tuple(dict.fromkeys((channel.removesuffix("-a").removesuffix("-b"), channel)))
    if technology.startswith("verto"):
        return tuple(dict.fromkeys((channel.partition("@")[0], channel)))
    if technology.islower():
        return (channel,)
    return (channel.rpartition("-")[0] or channel,)


def _sofia(channel: str, profile: str, address: str) -> tuple[str, ...]:
    if profile == "gateway":
        gateway = address.partition("/")[0]
        return tuple(dict.fromkeys((f"SIP/{gateway}", f"sofia/gateway/{gateway}", channel)))
    at = address.partition(";")[0].removeprefix("sips:").removeprefix("sip:")
    user, _, host = at.partition("@")
    user = unquote(user)
    with_host = f"sofia/{profile}/{user}@{_without_port(host)}" if host else channel
    return tuple(dict.fromkeys((f"SIP/{user}", channel, with_host, f"sofia/{profile}/{user}")))


def _without_port(host: str) -> str:
    # An IPv6 address is in brackets.
    return host.rpartition(":")[0] if ":" in host.rpartition("]")[2] else host
