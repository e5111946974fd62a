"""Workloads of the bench that run in a process of their own: read, and two baselines without this project.

child.py read AGENT_INI      agent.read_once into the outbox
child.py send AGENT_INI      what waits in the outbox is sent, and nothing else is done
child.py raw CSV DB          the csv module into a plain table, one durable commit for as many lines as the agent takes
child.py bare CSV HOST:PORT  one form a line, one thread, one kept connection
child.py walls DIR N SECONDS N walls look at a board that changes as a busy PBX's does, served by this process
child.py look PORT N         N walls, in the process that looks
child.py page PORT N SECONDS LAST  N clients page through the calls, up to the id LAST, that a daemon has
Each prints a JSON object.
"""

import contextlib
import csv
import http.client
import itertools
import json
import selectors
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

COLUMNS = (
    *("accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata"),
    *("start", "answer", "end", "duration", "billsec", "disposition", "amaflags", "uniqueid", "userfield"),
)
BATCH = 1100
"""Lines that a commit takes with it: those of the agent's 256 KiB."""


def read(ini: str) -> dict[str, float]:
    from humbug_agent import config
    from humbug_agent.daemon import agent, housekeeping
    from humbug_agent.outbox.outbox import Outbox
    from tests.bench.lab import vm_hwm_mib

    settings = config.load(Path(ini))
    with Outbox(settings.agent.outbox, durable=True, max_bytes=housekeeping.max_bytes(settings)) as box:
        began, cpu = time.perf_counter(), time.process_time()
        calls = agent.read_once(settings, box, threading.Event(), lambda _: None)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"calls": calls, "took": took, "cpu": cpu, "peak_mib": vm_hwm_mib("self")}


def send(ini: str) -> dict[str, float]:
    from humbug_agent import config
    from humbug_agent.daemon import agent
    from humbug_agent.outbox.outbox import Outbox

    settings = config.load(Path(ini))
    with Outbox(settings.agent.outbox) as box:
        began, cpu = time.perf_counter(), time.process_time()
        calls = agent.deliver_once(settings, box, threading.Event(), lambda _: None)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {"calls": calls, "took": took, "cpu": cpu}


def raw(lines: str, path: str) -> dict[str, float]:
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute(f"CREATE TABLE calls (id INTEGER PRIMARY KEY, {', '.join(COLUMNS)})")
    insert = f"INSERT INTO calls ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    began, cpu = time.perf_counter(), time.process_time()
    with open(lines, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        while batch := list(itertools.islice(rows, BATCH)):
            db.executemany(insert, batch)
            db.commit()
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    calls = db.execute("SELECT count(*) FROM calls").fetchone()[0]
    db.close()
    return {"calls": calls, "took": took, "cpu": cpu}


def bare(lines: str, place: str) -> dict[str, float]:
    with open(lines, encoding="utf-8", newline="") as file:
        bodies = [urlencode(dict(zip(COLUMNS, row, strict=True))).encode() for row in csv.reader(file)]
    connection = http.client.HTTPConnection(place, timeout=20)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    began, cpu = time.perf_counter(), time.process_time()
    for body in bodies:
        connection.request("POST", "/receiver.php", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"answered {answer.status}")
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    connection.close()
    return {"calls": len(bodies), "took": took, "cpu": cpu}


def walls(folder: str, number: str, seconds: str) -> dict[str, float]:
    from tests.bench.busy import Floor
    from tests.kit.ipps_host import serving

    floor = Floor()
    with serving(Path(folder), [floor.board]) as served, floor.busy():
        command = [sys.executable, __file__, "look", str(served.port), number]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as lookers:
            assert lookers.stdin
            assert lookers.stdout
            # It says so when all of them were told everything once.
            lookers.stdout.readline()
            began, cpu = time.perf_counter(), time.process_time()
            time.sleep(float(seconds))
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
            lookers.stdin.close()
            heard = json.loads(lookers.stdout.read())
    return {"took": took, "cpu": cpu, "changes": floor.changes, **heard}


def look(port: str, number: str) -> dict[str, float]:
    heard = 0
    with selectors.DefaultSelector() as selector, contextlib.ExitStack() as open_:
        for _ in range(int(number)):
            wall = open_.enter_context(socket.create_connection(("127.0.0.1", int(port)), timeout=20))
            wall.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            wall.recv(2**20)
            selector.register(wall, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        print("all look", flush=True)
        while True:
            for key, _ in selector.select():
                if not isinstance(key.fileobj, socket.socket):
                    return {"bytes": heard}
                heard += len(key.fileobj.recv(2**20))


def page(port: str, number: str, seconds: str, last: str) -> dict[str, float]:
    from humbug_agent.sources.while1.pages import signed
    from tests.bench.asking import KEY, TOKEN

    until, pages = time.monotonic() + float(seconds), -(-int(last) // 100)
    took: list[float] = []

    def go(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        at = 1 + client * pages // int(number)
        while time.monotonic() < until:
            kind, body = signed({"page": at, "filters": {"from_id": 1}}, KEY, "form")
            began = time.monotonic()
            connection.request("POST", "/api/cdr", body, {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind})
            answer = connection.getresponse().read()
            took.append(time.monotonic() - began)
            if b'{"has_error":false,"messages":[]' not in answer or answer.count(b'"uniqueid"') < min(100, int(last)):
                raise SystemExit(f"page {at}: {answer[:300]!r}")
            at = at % (pages - 1) + 1
        connection.close()

    clients = [threading.Thread(target=go, args=(one,)) for one in range(int(number))]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    took.sort()
    return {"pages": len(took), "middle": took[len(took) // 2], "late": took[len(took) * 99 // 100]}


if __name__ == "__main__":
    workloads: dict[str, Callable[..., dict[str, float]]] = {
        "read": read, "send": send, "raw": raw, "bare": bare, "walls": walls, "look": look,
        "page": page,
    }  # fmt: skip
    print(json.dumps(workloads[sys.argv[1]](*sys.argv[2:])))
