"""Reading an ini file so that every mistake in it is found at once.

A ``;`` or ``#`` inside a value belongs to the value, and ``%`` is an ordinary character.
"""

import configparser
import errno
import ipaddress
import os
import re
import stat
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

T = TypeVar("T")

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""This host, in the ways in which people write it."""

CERTIFICATES = {"certificate": "private_key", "client_cert": "client_key"}
"""Setting that names a certificate's file -> the one that names its key's, if that is not in the same file."""

MOST_BYTES = 2**20
"""Of a file that agent.ini names."""


class ConfigError(Exception):
    """One or more mistakes in agent.ini; ``mistakes`` has a sentence for each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class Secret:
    """A password or key that no log, error text or repr shows; only ``reveal`` does."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Section:
    """Reads one section key by key; what is wrong goes to ``mistakes``, and a harmless value comes back."""

    def __init__(self, title: str, values: dict[str, str], mistakes: list[str]) -> None:
        self.title = title
        self._values = values
        self._asked: set[str] = set()
        self._private: set[str] = set()
        self._named: list[str] = []
        self._mistakes = mistakes

    def wrong(self, key: str, said: str) -> None:
        self._mistakes.append(f"[{self.title}] {key}: {said}")

    def text(self, key: str, default: str = "", *, required: bool = False, wrapped: str | None = None) -> str:
        """``wrapped``: it may go on on lines that begin with blanks, in the place of which this stands then."""
        self._asked.add(key)
        value = self._values.get(key, "").strip()
        if wrapped is not None:
            value = value.replace("\n", wrapped)
        if "\n" in value:
            self.wrong(key, "goes on on the next line; begin that line without blanks")
            value = value.partition("\n")[0]
        if not value and required:
            self.wrong(key, "is missing" if key not in self._values else "is empty")
        return value or default

    def place(self, key: str, default: str) -> Path:
        """The path of a file, which need not be there; ``/`` has no name that one could have."""
        path = Path(self.text(key, default))
        if not path.name:
            self.wrong(key, f"{path} is a directory; name the file in it")
            return Path(default)
        return path

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value not in choices:
            self.wrong(key, f"{value!r} is not one of {', '.join(choices)}{nearest(value, choices)}")
            return default
        return value

    def several(self, key: str, choices: tuple[str, ...], default: str) -> frozenset[str]:
        """Words parted by commas or blanks."""
        words = self.text(key, default).replace(",", " ").split()
        for word in words:
            if word not in choices:
                self.wrong(key, f"{word!r} is not one of {', '.join(choices)}{nearest(word, choices)}")
        return frozenset(words)

    def listed(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """Texts parted by commas."""
        return tuple(word for one in self.text(key, required=required).split(",") if (word := one.strip()))

    def lines(self, key: str) -> list[str]:
        """Each a text of its own, which may have a secret in it."""
        self._asked.add(key)
        self._private.add(key)
        return [line.strip() for line in self._values.get(key, "").splitlines() if line.strip()]

    def keep(self, secret: Secret) -> None:
        """`kept` has it, too."""
        self._named.append(secret.reveal())

    def flag(self, key: str, default: bool) -> bool:
        value = self.text(key, "yes" if default else "no").lower()
        known = configparser.ConfigParser.BOOLEAN_STATES
        if value not in known:
            self.wrong(key, f"{value!r} is neither yes nor no")
            return default
        return known[value]

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        value = self.text(key, str(default))
        if not re.fullmatch(r"[0-9]{1,9}", value) or not low <= int(value) <= high:
            self.wrong(key, f"{value!r} is not a whole number from {low} to {high}")
            return default
        return int(value)

    def converted(
        self,
        key: str,
        convert: Callable[[str], T],
        expected: str,
        *,
        private: bool = False,
        wrapped: str | None = None,
    ) -> T | None:
        """None where the key is absent or empty; a mistake where ``convert`` raises.

        ``private``: the value may have a secret in it, and is not quoted. ``wrapped`` is as in `text`.
        """
        value = self.text(key, wrapped=wrapped)
        if private:
            self._private.add(key)
        if not value:
            return None
        try:
            return convert(value)
        except (ValueError, OSError, re.error) as error:
            shown = "what is set" if private else repr(value)
            self.wrong(key, f"{shown} is not {expected} ({getattr(error, 'strerror', None) or error})")
            return None

    def secret(self, key: str, *, required: bool = False) -> Secret | None:
        """``key`` itself or the first line of the file that ``key_file`` names."""
        here, there = self.text(key), self.text(f"{key}_file")
        self._private |= {key, f"{key}_file"}
        if here and there:
            self.wrong(key, f"stands beside {key}_file; keep one of them")
        if not there:
            if not here and required:
                self.wrong(key, f"is missing; give {key} or {key}_file")
            return Secret(here) if here else None
        if (text := self.file_text(f"{key}_file")) is None:
            return None
        lines = text.splitlines()
        if not lines or not lines[0].strip():
            self.wrong(f"{key}_file", f"{there} is empty")
            return None
        self._named.append(lines[0].strip())
        return Secret(lines[0].strip())

    def file_text(self, key: str) -> str | None:
        """What stands in the file with secrets that ``key`` names. None where it can't be read, which is a mistake."""
        named = self.text(key)
        self._private.add(key)
        try:
            read = contents(Path(named))
            text = read.decode("utf-8")
        except PermissionError as error:
            self.wrong(key, f"{named} can't be read: {error.strerror}")
            return None
        except UnicodeDecodeError:
            self.wrong(key, f"{named} is not UTF-8 text")
            return None
        except OSError as error:
            # There is no such file: some put the secret itself here.
            self.wrong(key, f"the file that is set can't be read: {error.strerror}")
            return None
        self._private.discard(key)
        if len(read) == MOST_BYTES:
            self.wrong(key, f"{named} is not smaller than {MOST_BYTES // 2**20} MB")
            return None
        return text

    def look_for(self, key: str) -> None:
        """Of a key that is missing: what it may have been written as. The others' names are not known without it."""
        for found in self._values:
            if found != key and (said := nearest(found, [key])):
                self.wrong(found, f"is not known here{said}")

    def told(self) -> dict[str, str | None]:
        """What stands there; None where that is a secret, may have one in it, or nobody knows what it is."""
        known = self._asked - self._private
        return {key: value if key in known else None for key, value in self._values.items()}

    def kept(self) -> list[Secret]:
        """What `told` does not tell, what stands in the files that hold secrets, and what `keep` was told."""
        return [Secret(self._values[key]) for key, value in self.told().items() if value is None] + [
            Secret(one) for one in self._named
        ]

    def finish(self) -> None:
        for key in self._values:
            if key not in self._asked:
                self.wrong(key, f"is not known here{nearest(key, sorted(self._asked))}")


def names_file(key: str) -> bool:
    """Whether the value of this setting is the path of a file whose content belongs to agent.ini."""
    return key.endswith("_file") or key in {*CERTIFICATES, *CERTIFICATES.values()}


def contents(path: Path) -> bytes:
    """What a file that agent.ini names holds. Raises OSError, also of what is no file: a pipe would be waited for."""
    path = given(path)
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is no file", os.fspath(path))
    with path.open("rb") as file:
        return file.read(MOST_BYTES)


def given(path: Path) -> Path:
    """Where a file that agent.ini names is read: among this service's credentials, where it has one by its name.

    So the file itself may be root's alone, and commands of root read it there. Source: systemd.exec(5), LoadCredential.
    """
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return there if folder and (there := Path(folder, path.name)).exists() else path


def nearest(name: str, known: Sequence[str]) -> str:
    # What only a mistake needs is imported then: each command reads agent.ini.
    import difflib

    close = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else ""


def read(path: Path, mistakes: list[str]) -> configparser.ConfigParser:
    """The file's sections; of a section or key that stands there twice, the last one, and a mistake."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES)
        text = data.decode("utf-8-sig")
    except PermissionError as error:
        who = "the user that runs humbug-agent must be able to read it (chgrp to its group, chmod 0640)"
        raise ConfigError([f"{path}: {error.strerror}; {who}"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; agent.ini.example shows what belongs into it"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: is not UTF-8 text (byte {error.start})"]) from None
    if len(data) == MOST_BYTES:
        raise ConfigError([f"{path}: is not smaller than {MOST_BYTES // 2**20} MB"])
    if "\0" in text:
        line = text.partition("\0")[0].count("\n") + 1
        raise ConfigError([f"{path}: is no text: there is a NUL in line {line}"])
    for strict in (True, False):
        parser = configparser.ConfigParser(interpolation=None, strict=strict, default_section="\0")
        try:
            parser.read_string(text, str(path))
        except configparser.DuplicateOptionError as error:
            mistakes.append(f"line {error.lineno}: [{error.section}] {error.option}: stands there twice")
        except configparser.DuplicateSectionError as error:
            mistakes.append(f"line {error.lineno}: [{error.section}] stands there twice")
        except configparser.MissingSectionHeaderError as error:
            raise ConfigError([f"{path}: line {error.lineno} stands before any [section]"]) from None
        except configparser.ParsingError as error:
            raise ConfigError([f"{path}: line {line} is not KEY = VALUE" for line, _ in error.errors]) from None
        else:
            break
    return parser


def url(value: str) -> str:
    """Raises ValueError, which quotes nothing: there may be a password in it."""
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError("its host can't be a name") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it needs http:// or https:// and a host")
    host(parts.hostname)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("its port is not a number from 1 to 65535")
    return value


def host(value: str) -> str:
    if not all(0 < len(label) < 64 for label in value.removesuffix(".").split(".")):
        raise ValueError("its host can't be a name")
    return value


def file(value: str) -> Path:
    contents(Path(value))
    return given(Path(value))


def pattern(value: str) -> re.Pattern[str]:
    try:
        return re.compile(value)
    except (OverflowError, RecursionError):
        raise ValueError("it is too large, or nested too deep") from None


def timezone(value: str) -> tzinfo:
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError) as error:
        raise ValueError("this host does not know it") from error


def moment(value: str) -> datetime:
    """Without a zone unless it names one."""
    return datetime.fromisoformat(value)


def address(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("its port is not a number from 1 to 65535")
    bare = host.removeprefix("[").removesuffix("]")
    if not bare or (":" in bare and not host.startswith("[")):
        raise ValueError("it needs a host before the port, an IPv6 address in brackets")
    return bare, int(port)


def shown(host: str, port: int) -> str:
    """As `address` reads it."""
    return f"{f'[{host}]' if ':' in host else host}:{port}"


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def in_clear(url: str) -> str:
    """The other host to which everything would go unencrypted; blank: it does not."""
    parts = urlsplit(url)
    return parts.hostname or "" if parts.scheme == "http" and parts.hostname not in LOOPBACK else ""
