"""Which event socket to connect to, and with which password."""

from typing import Protocol

from humbug_agent.ini import Secret


class EslLogin(Protocol):
    """The settings of one connection; those of a source of type freeswitch_esl are such."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def password(self) -> Secret: ...

    @property
    def where(self) -> str:
        """Host and port as messages name them."""
