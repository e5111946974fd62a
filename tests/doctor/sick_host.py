"""A host in a folder that is well, until a test plants a mistake in it: real files, sockets, TLS and receivers."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

import trustme

from humbug_agent.cdr import Batch
from humbug_agent.cli.doctoring import doctor
from humbug_agent.config import load
from humbug_agent.doctor.examine import Report
from humbug_agent.ini import Secret
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.pbx_host.profile import look
from humbug_agent.receiver import Background, Receiver, Store
from humbug_agent.setup.asterisk import MANAGER_D, AsteriskPlan
from humbug_agent.setup.plan import Plan
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from humbug_agent.status.coverage import Gaps
from tests.kit.ami_calls import ZONE, call, event, line
from tests.kit.ami_feed import understood
from tests.kit.ami_server import SECRET, USER, AmiServer
from tests.kit.host import API_KEY, KEY, RECORDED
from tests.kit.host_trees import planted
from tests.kit.paths import DATA
from tests.kit.while1_server import KEY as API
from tests.kit.while1_server import TOKEN, While1Server

CONSOLE = {
    f"manager show user {USER}": f"username: {USER}\nsecret: <Set>\nread perm: cdr\nwrite perm: <none>\n",
    "cdr show status": "Logging: Enabled\n* Registered Backends\n    cdr_manager\n    csv\n",
}
ASTERISKS = ("asterisk", "freepbx-15", "freepbx-17", "freepbx-17-upgraded")
FREESWITCHES = ("freeswitch", "fusionpbx")


class SickHost:
    """A host of one kind, set up as its page of the documentation says, and whatever is planted in it.

    ``sections`` are those of agent.ini: their lines by their titles.
    """

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.root = planted(kind, folder)
        self.etc = self.root / "etc/asterisk"
        self.ini = folder / "agent.ini"
        self.outbox = folder / "outbox" / "outbox.db"
        self.sections: dict[str, list[str]] = {}
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        self.outbox.parent.mkdir(mode=0o700)
        store = Store(self.folder / "calls.db")
        self.stack.callback(store.close)
        self.receiver = self.stack.enter_context(Background(Receiver(store, API_KEY, KEY)))
        shutil.copy("/usr/share/zoneinfo/UTC", self.root / "etc/localtime")
        (self.root / "etc/logrotate.d").mkdir()
        self.sections["agent"] = [f"outbox = {self.outbox}", "timezone = UTC"]
        self.sections["destination humbug"] = ["type = humbug", f"url = {self.receiver.url}", f"api_key = {API_KEY}"]
        if self.kind in ASTERISKS:
            self._asterisk()
        elif self.kind in FREESWITCHES:
            self._freeswitch()
        else:
            server = self.stack.enter_context(While1Server())
            mine = [
                f"url = {server.url}",
                f"token = {TOKEN}",
                f"api_key = {API}",
                "timezone = Europe/Bucharest",
            ]
            self.sections["source cloud"] = ["type = while1", *mine]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stack.close()

    def _asterisk(self) -> None:
        self.master = self.root / "var/log/asterisk/cdr-csv/Master.csv"
        self.master.parent.mkdir(parents=True)
        shutil.copy(RECORDED / "Master-full.csv", self.master)
        self._set_up()
        self.users = MANAGER_D if self.kind == "asterisk" else "manager_custom.conf"
        self.ami = self.stack.enter_context(AmiServer())
        self.ami.console = CONSOLE
        self.secret = self.folder / "ami-secret"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o640)
        self.sections["source master-csv"] = ["type = asterisk_csv", f"path = {self.master}"]
        ami = [f"port = {self.ami.port}", f"username = {USER}", f"secret_file = {self.secret}"]
        self.sections["source ami"] = ["type = asterisk_ami", *ami]

    def _set_up(self) -> None:
        """What `init` does."""
        pbx, plan = look(self.root), Plan()
        assert pbx.asterisk
        setup = AsteriskPlan(plan, pbx.asterisk, pbx.profile)
        setup.master_csv()
        setup.cdr_events()
        assert setup.ami(USER, Secret(SECRET), lambda: Secret(""), board=False)
        for change in plan.files.changes():
            change.make("before")

    def _freeswitch(self) -> None:
        documents = self.root / "var/log/freeswitch/json_cdr"
        documents.mkdir(parents=True)
        shutil.copy(DATA / "freeswitch/docs/acct_answered/a_020739a7-0bbf-4953-a3f3-77f3e3780616.cdr.json", documents)
        self.sections["source documents"] = ["type = freeswitch_json", f"path = {documents}"]

    def write(self, name: str, text: str) -> None:
        """A file of Asterisk's configuration; behind what it has."""
        with (self.etc / name).open("a") as file:
            file.write(text)

    def change(self, name: str, before: str, after: str) -> None:
        text = (self.etc / name).read_text()
        assert before in text, f"{name} has no {before!r}"
        (self.etc / name).write_text(text.replace(before, after))

    def more(self, section: str, *lines: str) -> None:
        """Lines of agent.ini; one of the same key is replaced."""
        keys = {one.partition("=")[0].strip() for one in lines}
        kept = [one for one in self.sections.get(section, []) if one.partition("=")[0].strip() not in keys]
        self.sections[section] = [*kept, *lines]

    def configure(self) -> None:
        self.ini.touch(0o640)
        self.ini.write_text("\n".join(f"[{title}]\n" + "\n".join(lines) for title, lines in self.sections.items()))

    def doctor(self) -> Report:
        if not self.ini.exists():
            self.configure()
        return doctor(self.ini, self.root)

    def codes(self) -> set[str]:
        return {one.code.value for one in self.doctor().findings}

    def daemon(self, user: str | int | None = None) -> None:
        """Another process has the outbox's lock, as a daemon that runs has it."""
        self.configure()
        with Outbox(self.outbox) as outbox:
            for name in ("ami", "master-csv"):
                outbox.report(f"source {name}", "ok")
        lock = os.open(f"{self.outbox}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        holder = subprocess.Popen(
            ["sleep", "600"], pass_fds=[lock], user=user, group=user, extra_groups=None if user is None else []
        )
        self.stack.callback(holder.wait)
        self.stack.callback(holder.kill)
        os.write(lock, b"%d\n%s\n" % (holder.pid, os.fsencode(self.ini)))
        os.close(lock)

    def told_by(self, source: str, numbers: Iterable[int]) -> None:
        """Calls that one source alone told, in the outbox."""
        with Outbox(self.outbox) as outbox:
            for number in numbers:
                if source == "ami":
                    batch = understood(event(call(number)))
                else:
                    master = AsteriskCsv(AsteriskCsvSettings("master-csv", self.master, "beginning", False), ZONE)
                    batch = Batch(master.parse(line(call(number))).records, [], "c")
                outbox.accept(source, batch, ["humbug"])
            Gaps(load(self.ini)).look(outbox)

    def receiver_with(self, date: timedelta) -> str:
        """The URL of another receiver, whose clock is off by so much."""

        class Answers(BaseHTTPRequestHandler):
            def date_time_string(self, timestamp: float | None = None) -> str:
                return format_datetime(datetime.now(UTC) + date, usegmt=True)

            def do_GET(self) -> None:
                self.send_response(405)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        thread = Thread(target=server.serve_forever)
        thread.start()
        self.stack.callback(thread.join)
        self.stack.callback(server.server_close)
        self.stack.callback(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}/receiver.php"

    def certificate(self, days: float, begun: float = 300) -> tuple[Path, Path, Path]:
        """Authority, certificate with its key, and the key alone: valid for so many days still."""
        authority, now = trustme.CA(), datetime.now(UTC)
        issued = authority.issue_cert(
            "127.0.0.1", not_before=now - timedelta(days=begun), not_after=now + timedelta(days=days)
        )
        ca, pem, key = (self.folder / f"{name}-{days}.pem" for name in ("ca", "certificate", "key"))
        authority.cert_pem.write_to_path(str(ca))
        pem.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        pem.chmod(0o640)
        issued.private_key_pem.write_to_path(str(key))
        return ca, pem, key

    def small_disk(self) -> None:
        """The outbox's, of 8 MB."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8M,mode=700", "none", self.outbox.parent], check=True)
        self.stack.callback(lambda: subprocess.run(["umount", "--lazy", self.outbox.parent], check=True))

    def logrotate(self, *lines: str) -> None:
        block = "\n".join(["/var/log/asterisk/cdr-csv/*.csv", "{", *lines, "}"])
        (self.root / "etc/logrotate.d/asterisk-cdr").write_text(f"{block}\n")
