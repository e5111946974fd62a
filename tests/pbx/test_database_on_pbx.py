"""A real Asterisk that writes its calls over ODBC, into Master.csv and to AMI: each call once, whoever comes first."""

import os
import signal
from collections.abc import Mapping
from datetime import UTC
from pathlib import Path
from threading import Event

import pytest

from humbug_agent.outbox.outbox import Outbox
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from humbug_agent.sources.asterisk.csv.source import AsteriskCsv
from humbug_agent.sources.contract import Source
from humbug_agent.sources.mysql.source import Mysql
from tests.kit.host import Host, wait_until
from tests.kit.mariadb import MariaDb, settings
from tests.kit.paths import TOP
from tests.pbx.pbx_daemon import Daemon
from tests.pbx.pbx_host import Pbx
from tests.pbx.phones import hundred_calls
from tests.pbx.witness import Witness

TO = ["humbug"]


class OdbcPbx(Pbx):
    """With cdr_adaptive_odbc, which writes into a MariaDB."""

    database: MariaDb

    def _configure(self, also: Mapping[str, str], **values: str) -> None:
        loaded = "".join(f"load = {one}.so\n" for one in ("res_odbc_transaction", "res_odbc", "cdr_adaptive_odbc"))
        odbc = {
            "modules.conf": loaded,
            "odbc.ini": f"[calls]\nDriver = MariaDB Unicode\nServer = 127.0.0.1\nPort = {self.database.port}\n"
            "Database = asteriskcdrdb\n",
            "res_odbc.conf": "[calls]\nenabled => yes\ndsn => calls\nusername => asterisk\npassword => word\n"
            "pre-connect => yes\n",
            "cdr_adaptive_odbc.conf": "[cdr]\nconnection = calls\ntable = cdr\nalias start => calldate\n",
        }
        super()._configure({**also, **odbc}, **values)


@pytest.fixture
def odbc_root() -> Path:
    root = Path(os.environ.get("HUMBUG_TEST_DATABASES") or TOP / ".databases") / "asterisk22"
    if os.geteuid() != 0 or not root.is_dir():
        say = pytest.fail if os.environ.get("HUMBUG_TEST_DATABASES_REQUIRED") else pytest.skip
        say("no Asterisk with ODBC here: run tests/databases/prepare as root")
    return root


def bring(outbox: Path, *sources: Source) -> list[int]:
    """How many calls each of them adds."""
    with Outbox(outbox) as box:
        return [
            sum(box.accept(one.name, batch, TO) for batch in one.read(None, Event(), follow=False)) for one in sources
        ]


def test_a_hundred_calls_of_every_kind_come_once_whichever_source_is_first(
    odbc_root: Path, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MariaDb() as database:
        database.run(
            "CREATE USER asterisk@'%' IDENTIFIED BY 'word'", "GRANT INSERT, SELECT ON asteriskcdrdb.* TO asterisk@'%'"
        )
        monkeypatch.setattr(OdbcPbx, "database", database, raising=False)
        pbx = OdbcPbx(odbc_root)
        monkeypatch.setenv("ODBCINI", f"/{pbx.home.relative_to(odbc_root)}/etc/odbc.ini")
        more = f"[source database]\ntype = mysql\ntimeout = 2\n{database.ini()}\n"
        with pbx, Daemon(host, pbx, more=more) as agent, Witness(pbx) as witness:
            assert "Adaptive ODBC" in pbx.cli("cdr show status")
            stopped: list[int] = []

            def meanwhile(number: int) -> None:
                if number >= 60 and not stopped:
                    database.stop(signal.SIGKILL)
                    stopped.append(number)
                elif number >= 90 and len(stopped) == 1:
                    database.start()
                    stopped.append(number)

            hundred_calls(pbx, meanwhile)
            rows = database.run("SELECT count(*) FROM cdr", database="asteriskcdrdb")[0][0]
            wait_until(lambda: host.store.count() >= len(witness.told), 30)
            assert len(stopped) == 2
            assert 50 < rows < len(witness.told)
            # All that the database has is there, whoever told it first.
            wait_until(lambda: host.status()["sources"]["database"]["state"] == "ok", 60)
            assert bring(host.folder / "outbox.db", table(database)) == [0]
            assert host.status()["calls"] == len(witness.told)
            # What it never got came by the others, and that is said.
            found = host.json("reconcile", "--source", "database")
            total, beside = found["sources"]["database"]["total"], len(witness.told) - rows
            assert [total[one] for one in ("pbx", "outbox", "missing", "not_told")] == [rows, rows, 0, beside]
            assert ["not told", beside] in [[one["state"], one["calls"]] for one in found["reasons"]]
            agent.end()
            lines, log = pbx.lines(), AsteriskCsvSettings("log", pbx.master_csv, "beginning", utc=False)
            with_lines = bring(tmp_path / "lines-first.db", AsteriskCsv(log, UTC), table(database))
            with_rows = bring(tmp_path / "rows-first.db", table(database), AsteriskCsv(log, UTC))
        # A record may be too long for Master.csv.
        assert sum(with_lines) == sum(with_rows)
        assert with_rows[0] == rows
        assert with_lines[1] <= len(witness.told) - with_lines[0]
        assert lines >= with_lines[0] > 100


def table(database: MariaDb) -> Source:
    return Mysql(settings(database), UTC)
