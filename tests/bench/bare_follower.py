"""Follows a log at the least cost that Python allows, for the bench to compare with.

    bare_follower.py CSV HOST:PORT LINES

A loop of one thread does for each line what no agent can leave out that is to lose nothing: inotify wakes it, the line
is in SQLite and on the disk before it is sent over one kept connection, and its answer before the next line is read. It
knows of no rotation, no time zone, and no answer but 200. It begins at the end of CSV, says "ready", and prints as a
JSON object how much processor time it took until so many lines were answered.
"""

import csv
import json
import os
import select
import socket
import sqlite3
import sys
import time
from hashlib import blake2b
from urllib.parse import urlencode

from watchdog.observers.inotify_c import InotifyConstants, inotify_add_watch, inotify_init

from tests.bench.child import COLUMNS


def follow(path: str, where: str, lines: int) -> dict[str, float]:
    db = sqlite3.connect(f"{path}.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"CREATE TABLE calls (id INTEGER PRIMARY KEY, identity BLOB UNIQUE, {', '.join(COLUMNS)}, sent INTEGER)")
    db.execute("CREATE INDEX waiting ON calls (id) WHERE sent = 0")
    insert = f"INSERT INTO calls (identity, {', '.join(COLUMNS)}, sent) VALUES (?{', ?' * len(COLUMNS)}, 0)"
    waiting = f"SELECT id, {', '.join(COLUMNS)} FROM calls WHERE sent = 0"
    log = os.open(path, os.O_RDONLY)
    at = os.fstat(log).st_size
    inotify, poll = inotify_init(), select.poll()
    inotify_add_watch(inotify, os.fsencode(path), InotifyConstants.IN_MODIFY)
    poll.register(inotify, select.POLLIN)
    host, _, port = where.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as kept:
        kept.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print("ready", flush=True)
        sent, cpu = 0, time.process_time()
        while sent < lines:
            poll.poll()
            os.read(inotify, 4096)
            data = os.pread(log, 2**18, at)
            data = data[: data.rfind(b"\n") + 1]
            at += len(data)
            texts = data.decode().splitlines()
            db.execute("BEGIN IMMEDIATE")
            for text, row in zip(texts, csv.reader(texts), strict=True):
                db.execute(insert, (blake2b(text.encode()).digest(), *row))
            db.execute("COMMIT")
            for number, *row in db.execute(waiting).fetchall():
                body = urlencode(dict(zip(COLUMNS, row, strict=True)))
                head = f"POST /receiver.php HTTP/1.1\r\nHost: {where}\r\nContent-Length: {len(body)}\r\n\r\n"
                kept.sendall(f"{head}{body}".encode())
                if not kept.recv(65536).startswith(b"HTTP/1.1 200 "):
                    raise SystemExit("not answered with 200")
                db.execute("UPDATE calls SET sent = 1 WHERE id = ?", (number,))
                sent += 1
    return {"calls": sent, "cpu": time.process_time() - cpu}


if __name__ == "__main__":
    print(json.dumps(follow(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
