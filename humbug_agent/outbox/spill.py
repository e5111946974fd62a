"""What was told once and could not be put into the outbox before the end: a file, which the next start reads first.

It stands beside the outbox, or where that disk is full or read-only in the directory that systemd gives for the time
that the host runs. A file has a batch: lines of a checksum, a blank, and a record or a reject as JSON. It is written
as a whole, never added to, and removed when all of it is in the outbox.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from humbug_agent.cdr import Batch, Damaged, Form, Record, Reject, digest
from humbug_agent.flat import Flat, flatten, whole
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.outbox.schema import OutboxError
from humbug_agent.words import count, said

log = logging.getLogger(__name__)

RUNTIME = "/run/humbug-agent"
"""Where systemd does not say it; root can make it."""


class SpillError(Exception):
    """It could be written nowhere; the text says where that was tried, and why not."""


def write(outbox: Path, source: str, batch: Batch) -> Path:
    """Keep what ``source`` was told, but for the cursor. Returns the file. Raises SpillError."""
    body = b"".join(_line(item, batch.told) for item in (*batch.records, *batch.rejects))
    tried = []
    for folder, prefix in _places(outbox):
        path = folder / f"{prefix}{time.time_ns()}-{source}"
        try:
            _write(path, body)
            return path
        except OSError as error:
            tried.append(f"{path}: {error.strerror}")
    raise SpillError("; ".join(tried))


def bring_in(outbox: Path, destinations: Sequence[str], max_bytes: int) -> None:
    """Put all that was spilled into the outbox, the oldest first, and say so. Raises OutboxError."""
    troubles = []
    for path in waiting(outbox):
        source = re.sub(r"^.*\.spilled-\d+-", "", path.name)
        try:
            batch = read(path)
        except OSError as error:
            troubles.append(f"source {source}: what it was told before an earlier stop can't be read: {said(error)}")
            continue
        with Outbox(outbox, durable=True, max_bytes=max_bytes) as opened:
            new = opened.accept(source, batch, destinations)
        try:
            path.unlink()
        except OSError as error:
            troubles.append(f"source {source}: what is in the outbox by now can't be removed: {said(error)}")
        log.info(
            "source %s: %s, kept at an earlier stop, is in the outbox now: %s, %s",
            source,
            path,
            count(new, "new call"),
            count(len(batch.rejects), "reject"),
        )
    if troubles:
        raise OutboxError("; ".join(troubles))


def read(path: Path) -> Batch:
    """What is in such a file; a line that is damaged is a reject. Raises OSError."""
    records: list[Record] = []
    rejects: list[Reject] = []
    told: Form | None = None
    for number, line in enumerate(_lines(path), 1):
        item, of_it = _understood(line, f"{path}, line {number}")
        told = told or of_it
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            records.append(item)
    return Batch(records, rejects, None, told=told)


def those(path: Path, stands_in: Callable[[str], bool]) -> list[bytes]:
    """The identities, or keys, of the records and rejects in such a file that have a text in them that is looked for.

    None where the file was brought in meanwhile. Raises OSError.
    """
    with suppress(FileNotFoundError):
        return [key for key in (_looked_for(line, stands_in) for line in _lines(path)) if key]
    return []


def leave_out(path: Path, stands_in: Callable[[str], bool]) -> None:
    """Leave those out of the file. Raises OSError."""
    with suppress(FileNotFoundError):
        left = [line + b"\n" for line in _lines(path) if not _looked_for(line, stands_in)]
        if not left:
            path.unlink()
            return
        # Not under the name of one that waits.
        beside = path.with_name(f".{path.name}")
        beside.unlink(missing_ok=True)
        _write(beside, b"".join(left))
        beside.rename(path)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().removesuffix(b"\n").split(b"\n")


def _understood(line: bytes, where: str) -> tuple[Record | Reject, Form | None]:
    try:
        return _item(line)
    except (ValueError, LookupError, TypeError) as error:
        key = digest("spilled", line.decode("latin-1"))
        return Reject(key, line, f"was damaged after it was kept at a stop: {error}", where), None


def _looked_for(line: bytes, stands_in: Callable[[str], bool]) -> bytes:
    """The identity or the key, blank where it is not."""
    item, _ = _understood(line, "")
    key = item.key if isinstance(item, Reject) else item.identity
    said = item.text.decode("utf-8", "replace") if isinstance(item, Reject) else "\n".join(map(str, flatten(item)))
    return key if stands_in(said) else b""


def waiting(outbox: Path) -> list[Path]:
    """The files that are to be brought in, the oldest first."""
    found: list[Path] = []
    for folder, prefix in _places(outbox):
        with suppress(OSError):
            found += [path for path in folder.iterdir() if re.match(rf"{re.escape(prefix)}\d+-", path.name)]
    return sorted(found, key=lambda path: int(path.name.rpartition(".spilled-")[2].partition("-")[0]))


def _places(outbox: Path) -> Iterator[tuple[Path, str]]:
    """Directories, the best first, and how the names of this outbox's files begin there: in one several may share."""
    yield outbox.parent, f"{outbox.name}.spilled-"
    yield _runtime(), f"{outbox.name}-{digest(str(outbox.absolute())).hex()[:12]}.spilled-"


def _runtime() -> Path:
    return Path(os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or RUNTIME)


def _write(path: Path, body: bytes) -> None:
    """All of it, on disk and readable by its owner alone, or no file. Raises OSError."""
    if path.parent == _runtime():
        # There is none where root has started the daemon by hand.
        path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if os.geteuid() == 0:
            owner = path.parent.stat()
            os.fchown(handle, owner.st_uid, owner.st_gid)
        left = memoryview(body)
        while left:
            left = left[os.write(handle, left) :]
        os.fsync(handle)
    except OSError:
        path.unlink()
        raise
    finally:
        os.close(handle)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(item: Record | Reject, told: Form | None) -> bytes:
    body = json.dumps(_said(item) | ({"told": told} if told else {})).encode()
    return b"%s %s\n" % (_checksum(body), body)


def _said(item: Record | Reject) -> dict[str, object]:
    if isinstance(item, Reject):
        return {
            "key": item.key.hex(), "text": item.text.decode("latin-1"), "reason": item.reason, "where": item.where,
        }  # fmt: skip
    values: dict[str, object] = flatten(item)._asdict()
    return values | {"identity": item.identity.hex()}


def _item(line: bytes) -> tuple[Record | Reject, Form | None]:
    """Raises ValueError, LookupError, TypeError."""
    checksum, _, body = line.partition(b" ")
    if checksum != _checksum(body):
        raise ValueError("its checksum is another one")
    values = json.loads(body)
    told = Form(values.pop("told")) if "told" in values else None
    if "key" in values:
        text = values["text"].encode("latin-1")
        return Reject(bytes.fromhex(values["key"]), text, values["reason"], values["where"]), told
    found = whole(Flat(**values | {"identity": bytes.fromhex(values["identity"])}))
    if isinstance(found, Damaged):
        raise ValueError(found.reason)
    return found, told


def _checksum(body: bytes) -> bytes:
    return digest(body.decode("latin-1")).hex()[:16].encode()
