"""Which AMI to connect to, and as whom."""

from pathlib import Path
from typing import Protocol

from humbug_agent.ini import Secret


class AmiLogin(Protocol):
    """The settings of one connection; those of a source of type asterisk_ami are such."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def username(self) -> str: ...
    @property
    def secret(self) -> Secret: ...
    @property
    def tls(self) -> bool: ...

    @property
    def ca_file(self) -> Path | None:
        """A CA of one's own as a PEM file; None: the system's."""

    @property
    def where(self) -> str:
        """Host and port as messages name them."""
