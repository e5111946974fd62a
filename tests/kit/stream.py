"""A client of /stream: what it is told, event by event, and the document that comes of it."""

import copy
import json
import socket
from collections.abc import Sequence
from typing import Any


def patched(document: Any, changes: Sequence[dict[str, Any]]) -> Any:
    """A document with a JSON Patch applied, read as RFC 6902 has it; the one that is given stays as it is."""
    whole = {"": copy.deepcopy(document)}
    for change in copy.deepcopy(list(changes)):
        match change["op"]:
            case "replace":
                holder, name = _place(whole, change["path"])
                assert isinstance(name, int) or name in holder
                holder[name] = change["value"]
            case "remove":
                _take(whole, change["path"])
            case "add":
                _put(whole, change["path"], change["value"])
            case "move":
                _put(whole, change["path"], _take(whole, change["from"]))
            case other:
                raise AssertionError(other)
    return whole[""]


def _place(whole: Any, path: str) -> tuple[Any, Any]:
    holder: Any = whole
    name: Any = ""
    for part in path.split("/")[1:]:
        holder, name = holder[name], part.replace("~1", "/").replace("~0", "~")
        name = int(name) if isinstance(holder, list) else name
    return holder, name


def _put(whole: Any, path: str, value: Any) -> None:
    holder, name = _place(whole, path)
    if isinstance(holder, list):
        assert name <= len(holder)
        holder.insert(name, value)
    else:
        holder[name] = value


def _take(whole: Any, path: str) -> Any:
    holder, name = _place(whole, path)
    return holder.pop(name)


def at(value: Any, now: float) -> Any:
    """What a document of /stream says at a moment: as /status.json does."""
    if isinstance(value, dict):
        if value.keys() == {"since"}:
            return round(max(now - value["since"], 0.0), 1)
        return {name: at(one, now) for name, one in value.items()}
    return [at(one, now) for one in value] if isinstance(value, list) else value


class Reader:
    """A stream over a socket of its own, HTTP/1.1."""

    def __init__(self, port: int, headers: str = "") -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.sock.sendall(f"GET /stream HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n".encode())
        self._file = self.sock.makefile("rb")
        self.head = b"".join(iter(self._file.readline, b"\r\n"))
        self.document: Any = None
        self.told: dict[str, Any] = {}
        """The last event."""

    def hear(self) -> bool:
        """The next event, after which ``document`` is what it makes of it. False: the stream has ended, whole."""
        size = int(self._file.readline(), 16)
        data = self._file.read(size)
        assert self._file.read(2) == b"\r\n"
        if not size:
            return False
        assert (data[:6], data[-2:]) == (b"data: ", b"\n\n")
        self.told = json.loads(data[6:])
        self.document = patched(self.document, self.told["changes"])
        return True

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
