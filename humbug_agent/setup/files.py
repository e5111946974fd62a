"""Changes to files of a host: gathered first, shown as a diff without secrets, made whole or not at all."""

import difflib
import fcntl
import grp
import os
import pwd
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from humbug_agent.words import said

HIDDEN = "********"

_SECRET = re.compile(
    r"""(?ix) ^ ([-+\s;#]* [\w-]* (?:secret|passw(?:or)?d|api_key|encryption_key|token|user_key|proxy|headers)
    \s* (?:=>?|\+=) \s*) .* $"""
)
_IN_URL = re.compile(r"(://)[^/\s@]*@")
_SECRET_XML = re.compile(r'(?i)(name="(?:password|cred)"\s+value=")[^"]*')


class SetupError(Exception):
    """A change can't be made; the text says which, why, and what to do. What was made before stays."""


@contextmanager
def alone(folder: Path = Path("/etc")) -> Iterator[None]:
    """Nobody else changes files of this host by a plan meanwhile. Raises SetupError where somebody does.

    The lock is on the directory itself, so that nothing is left of it, however this ends.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = "another humbug-agent init --apply is at work on this host"
            raise SetupError(f"{what}: run this again once it has ended") from None
        yield
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a new file is, and its mode."""

    uid: int
    gid: int
    mode: int

    @property
    def user(self) -> str:
        with suppress(KeyError):
            return pwd.getpwuid(self.uid).pw_name
        return str(self.uid)

    @property
    def group(self) -> str:
        with suppress(KeyError):
            return grp.getgrgid(self.gid).gr_name
        return str(self.gid)

    def __str__(self) -> str:
        return f"{self.mode:04o} {self.user}:{self.group}"


def owner_of(path: Path) -> Owner:
    status = path.stat()
    return Owner(status.st_uid, status.st_gid, status.st_mode & 0o7777)


@dataclass(frozen=True, slots=True)
class Change:
    """A file's text before (None: there is no such file) and after. A file that is there keeps its owner and mode."""

    path: Path
    before: str | None
    after: str
    owner: Owner
    secret: bool = False
    """Nothing of it is shown."""

    def diff(self) -> Iterator[str]:
        """As `diff -u` shows it, with each secret hidden, those that were there before too."""
        name = str(self.path)
        if self.secret:
            yield f"{name}: a secret of its own, {self.owner}"
            return
        before = f"{name} (new, {self.owner})" if self.before is None else name
        # By line feeds alone, as the PBX reads them: behind another line end a secret may go on.
        old, new = (text.removesuffix("\n").split("\n") if text else [] for text in (self.before, self.after))
        further = {*_further(old), *_further(new)}
        for line in difflib.unified_diff(old, new, before, name, lineterm=""):
            begin = len(line) - len(line[1:].lstrip())
            yield line[:begin] + HIDDEN if line[1:] in further else hidden(line)

    def make(self, stamp: str) -> Path | None:
        """Change the file; a copy of what it was is beside it, named by ``stamp``, and returned.

        A reader sees the old file or the new one, and never a part of it. Raises SetupError.
        """
        try:
            path = _followed(self.path)
            if _text(path) != self.before:
                raise SetupError(f"{path}: was changed meanwhile; run this again")
            copy = None
            if self.before is not None:
                # The PBX's includes, *.conf and *.xml, don't find it.
                copy = path.with_name(f"{path.name}.{stamp}")
                _write(copy, self.before, owner_of(path))
            _write(path, self.after, owner_of(path) if copy else self.owner)
        except OSError as error:
            # A full disk is told of while something is written, which has no name then.
            error.filename = error.filename or os.fspath(self.path)
            raise SetupError(said(error)) from error
        return copy


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory that is missing."""

    path: Path
    owner: Owner

    def make(self) -> None:
        """Raises SetupError."""
        try:
            self.path.mkdir(0o700, parents=True)
            os.chown(self.path, self.owner.uid, self.owner.gid)
            self.path.chmod(self.owner.mode)
        except OSError as error:
            raise SetupError(said(error)) from error


class Files:
    """The files of a host, as they would be with the changes that were asked for. Nothing is written.

    Raises OSError where a file can't be read.
    """

    def __init__(self) -> None:
        self._before: dict[Path, str | None] = {}
        self._after: dict[Path, str] = {}
        self._owners: dict[Path, Owner] = {}
        self._secret: set[Path] = set()

    def text(self, path: Path) -> str | None:
        """None where there is no such file."""
        if path not in self._before:
            self._before[path] = _text(path)
        return self._after.get(path, self._before[path])

    @property
    def planned(self) -> Mapping[Path, str]:
        """The texts of those that would be changed, or made."""
        return self._after

    def put(self, path: Path, text: str, owner: Owner, *, secret: bool = False) -> None:
        """``owner`` is for a file that is not there yet."""
        if text != self.text(path):
            self._after[path] = text
            self._owners[path] = owner
            self._secret |= {path} if secret else set()

    def with_last(self, path: Path, block: str) -> str:
        """The text with ``block`` behind all that is there, and a blank line between."""
        text = self.text(path) or ""
        between = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{between}{block}"

    def changes(self) -> list[Change]:
        return [
            Change(path, self._before[path], after, self._owners[path], path in self._secret)
            for path, after in self._after.items()
            if after != self._before[path]
        ]


def hidden(line: str) -> str:
    """A line of a configuration file or of its diff, without the secret that it may set."""
    if (found := _SECRET.match(line)) and line[found.end(1) :].strip():
        return f"{found[1]}{HIDDEN}"
    return _IN_URL.sub(rf"\1{HIDDEN}@", _SECRET_XML.sub(rf"\1{HIDDEN}", line))


def _further(lines: Sequence[str]) -> Iterator[str]:
    """The indented lines below one that sets a secret: to agent.ini's reader they belong to it."""
    within = False
    for line in lines:
        if line[:1] in (" ", "\t") and line.strip():
            if within:
                yield line
        # A comment between them ends nothing.
        elif line.strip() and line[0] not in "#;":
            within = _SECRET.match(line) is not None


def _text(path: Path) -> str | None:
    try:
        # With its line ends: universal newlines would change them all.
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def _followed(path: Path) -> Path:
    """Where a link leads, unless somebody made it who may not write there: it would have root do it for him."""
    for one in (path, path.parent):
        if one.is_symlink() and one.exists() and one.lstat().st_uid not in (0, one.stat().st_uid):
            raise SetupError(f"{one}: is another user's link to {one.resolve()}, which is left alone; remove the link")
    return path.resolve()


def _write(path: Path, text: str, owner: Owner) -> None:
    # Hidden, so that no include of the PBX finds it.
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
            os.fchown(descriptor, owner.uid, owner.gid)
            os.fchmod(descriptor, owner.mode)
            file.flush()
            os.fsync(descriptor)
        new.rename(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
