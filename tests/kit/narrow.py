"""What a test knows the type of, and the code can't."""

from collections.abc import Iterable
from typing import TypeVar

Known = TypeVar("Known")


def only(kind: type[Known], among: Iterable[object]) -> Known:
    """The one of this type among the others, such as the settings of a type of source in those of all."""
    (found,) = [one for one in among if isinstance(one, kind)]
    return found
