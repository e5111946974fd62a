"""Whom libpq trusts to be the server that it was told to ask."""

from pathlib import Path

from humbug_agent.ini import is_loopback

WHOLE_CHECK = "verify-full"
"""libpq's word for checking all that can be checked, which is what a server on another host takes."""

SYSTEM_CAS = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep the authorities that they trust; libpq would look in the home of the user alone."""


def is_near(host: str) -> bool:
    """Whether it is this host, or the folder of a Unix socket: nobody can listen in between."""
    return host.startswith("/") or is_loopback(host)


def authorities(sslmode: str, own: Path | None = None) -> str | None:
    """The file of those by whom a certificate is checked, where it is: ``own``, or those that this system trusts."""
    if not sslmode.startswith("verify-"):
        return None
    return str(own) if own else next((one for one in SYSTEM_CAS if Path(one).is_file()), None)
