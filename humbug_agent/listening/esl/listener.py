"""What a connection's news are told to."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

Api = Callable[[str], Awaitable[bytes]]
"""An api command -> what FreeSWITCH answers. Raises EslError."""

Question = Callable[[Api], Awaitable[None]]

Ask = Callable[[Question, Callable[[str], None]], None]
"""Have a question asked over a connection of its own: on that of the events it would hold them up. What goes wrong, or
takes too long, goes to the second function, in words. Both are called in the connection's thread."""


class Listener(Protocol):
    """Everything is called in the connection's thread and must neither wait nor raise.

    ``connection`` counts the connections: for a short time there may be two.
    """

    def heard(self, connection: int, blocks: Sequence[bytes]) -> None:
        """Events, each as the body of its frame; see `event`."""
        ...

    def stands(self, trouble: str) -> None:
        """How it stands from now on: the trouble in words; blank when all is well."""
        ...

    def beat(self, connection: int, ask: Ask) -> None:
        """This is the connection that counts; called when it begins, and about once a second."""
        ...
