"""Who may send: the keys file, in which each PBX has a name and a key of its own."""

import re
import secrets
import stat
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from humbug_agent.ini import contents
from humbug_agent.receiver.protocol import ReceiverError

METRICS = "metrics"
"""The name whose key is for asking how the receiver fares; it sends no calls."""

SHORTEST, LONGEST = 16, 200
"""Characters of a key in a keys file."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class KeysError(ReceiverError):
    """A keys file that can't be used; ``mistakes`` has a sentence for each, which quotes nothing of the file."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Keys:
    """Names of PBXs by their keys. How long it takes to find one tells nothing of any key: it goes by a digest.

    The key of a blank name is for everything.
    """

    def __init__(self) -> None:
        # Of this run: nobody outside knows what is compared with what.
        self._salt = secrets.token_bytes(32)
        self._names: dict[bytes, str] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add(self, key: str, name: str) -> None:
        self._names[self._digest(key)] = name

    def sender(self, key: str) -> str | None:
        """The PBX whose key it is; None: nobody's who may send."""
        name = self._names.get(self._digest(key))
        return None if name == METRICS else name

    def may_look(self, key: str) -> bool:
        """Whether who has it may ask how the receiver fares."""
        return self._names.get(self._digest(key)) in (METRICS, "")

    def __contains__(self, key: str) -> bool:
        return self._digest(key) in self._names

    def _digest(self, key: str) -> bytes:
        return blake2b(key.encode(), key=self._salt).digest()


def one_key(key: str) -> Keys:
    """For a receiver that knows no names."""
    keys = Keys()
    keys.add(key, "")
    return keys


def read(path: Path) -> Keys:
    """The keys of a file: ``NAME KEY`` a line; what begins with # is a comment.

    A name may have several keys, while one takes the place of another. Raises KeysError with all mistakes.
    """
    try:
        mode, said = path.stat().st_mode, contents(path).decode()
    except OSError as error:
        raise KeysError([f"keys file {path}: {error.strerror}"]) from error
    except UnicodeDecodeError:
        raise KeysError([f"keys file {path}: is not UTF-8 text"]) from None
    mistakes, keys = [], Keys()
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        mistakes.append(f"keys file {path}: others than its owner have rights on it; chmod 600 {path}")
    for number, line in enumerate(said.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            name, key = _words(words)
            if key in keys:
                raise ValueError("its key stands in an earlier line, too")
            keys.add(key, name)
        except ValueError as error:
            mistakes.append(f"keys file {path}, line {number}: {error}")
    if not mistakes and not keys:
        mistakes.append(f"keys file {path}: has no keys; a line is NAME KEY")
    if mistakes:
        raise KeysError(mistakes)
    return keys


def _words(words: Sequence[str]) -> tuple[str, str]:
    """Name and key. Raises ValueError, which quotes nothing: who mixes things up may have a key anywhere."""
    if len(words) != 2:
        raise ValueError("is not NAME KEY")
    name, key = words
    if not _NAME.fullmatch(name):
        raise ValueError("the name is not up to 64 letters, digits, dots, dashes and underscores")
    if not SHORTEST <= len(key) <= LONGEST:
        raise ValueError(f"the key has not {SHORTEST} to {LONGEST} characters")
    return name, key
