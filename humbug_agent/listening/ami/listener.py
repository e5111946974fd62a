"""What a connection's news are told to."""

from collections.abc import Callable, Sequence
from typing import Protocol


class Listener(Protocol):
    """Everything is called in the connection's thread and must neither wait nor raise.

    ``connection`` counts the connections: for a short time there may be two.
    """

    def heard(self, connection: int, blocks: Sequence[bytes]) -> None:
        """Events, each as the bytes between two blank lines, and answers to what was asked by `beat`; and before all
        else the greeting, if it is a `protocol.OLD_BANNER`.
        """
        ...

    def stands(self, trouble: str) -> None:
        """How it stands from now on: the trouble in words; blank when all is well."""
        ...

    def beat(self, connection: int, tell: Callable[[bytes], None]) -> None:
        """This is the connection that counts; called when it begins, and about once a second.

        ``tell`` sends actions, each with an ActionID that begins with `protocol.TOLD` and a blank line at its end.
        """
        ...
