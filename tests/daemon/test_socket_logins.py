"""Databases on the host itself that know who asks by his user there: as the daemon's nobody needs a password."""

import json
import pwd
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from threading import Event

import pytest
from click.testing import CliRunner

from humbug_agent.cli import checking
from humbug_agent.cli.main import main
from humbug_agent.config import load
from humbug_agent.daemon.agent import read_once
from humbug_agent.host.daemon_user import User, acting_as
from humbug_agent.outbox.outbox import Outbox
from tests.cli.test_check import as_root
from tests.kit.fusionpbx_database import FusionpbxDatabase, a_row
from tests.kit.host import API_KEY
from tests.kit.mariadb import MariaDb, cdr_row

pytestmark = [pytest.mark.slow, as_root]

USER = "nobody"
"""The daemon's."""


@pytest.fixture
def home() -> Iterator[Path]:
    """The daemon's folder, which it can get at."""
    made = Path(tempfile.mkdtemp(prefix="humbug-"))
    shutil.chown(made, USER)
    yield made
    shutil.rmtree(made)


def mysql() -> Iterator[tuple[str, str]]:
    with MariaDb() as database:
        for name in (USER, "somebody"):
            database.run(
                f"CREATE USER {name}@localhost IDENTIFIED VIA unix_socket",
                f"GRANT SELECT ON asteriskcdrdb.cdr TO {name}@localhost",
            )
        database.insert(cdr_row(1))
        lines = f"type = mysql\nsocket = {database.socket}\ndatabase = asteriskcdrdb\nuser"
        yield lines, "user somebody is not let in without a password; the daemon's user must be the database's"


def postgresql() -> Iterator[tuple[str, str]]:
    with FusionpbxDatabase() as database:
        hba = database.folder / "data/pg_hba.conf"
        hba.write_text(f"local all {USER} peer\nlocal all somebody peer\n{hba.read_text()}")
        with database.connected("postgres") as db:
            db.execute("SELECT pg_reload_conf()")
            for name in (USER, "somebody"):
                db.execute(f"CREATE ROLE {name} LOGIN")
                db.execute(f"GRANT SELECT ON v_xml_cdr, v_xml_cdr_json TO {name}")
        database.insert(a_row(1, time.time() - 60))
        lines = f"type = postgresql\nhost = {database.folder}\nport = {database.port}\nusername"
        yield lines, 'Peer authentication failed for user "somebody"; check username (somebody)'


@pytest.mark.parametrize("kind", [mysql, postgresql])
def test_the_daemons_user_is_known_by_its_name_also_where_root_asks_in_its_place(
    kind: Callable[[], Iterator[tuple[str, str]]], home: Path
) -> None:
    entry = pwd.getpwnam(USER)
    daemon = User(USER, entry.pw_uid, entry.pw_gid, ())
    ini = home / "agent.ini"
    for lines, refused in kind():

        def named(name: str, lines: str = lines) -> None:
            ini.write_text(
                f"[agent]\noutbox = {home}/outbox.db\ntimezone = UTC\n[source database]\n{lines} = {name}\n"
                f"[destination humbug]\ntype = humbug\nurl = http://127.0.0.1:9/\napi_key = {API_KEY}\n"
            )

        # Root is first, who can still load what the agent is made of.
        for name in ("", USER):
            named(name)
            for user in (None, daemon):
                with acting_as(user):
                    found = {one.part: one for one in checking.check(ini)}["source database"]
                assert found.level == "ok", found
        config = load(ini)
        with acting_as(daemon), Outbox(config.agent.outbox) as outbox:
            assert read_once(config, outbox, Event(), lambda _: None) == 1
        # Of Python itself only root may read what is loaded late.
        import_module("click._termui_impl")
        compared = json.loads(CliRunner().invoke(main, ["--config", str(ini), "reconcile", "--json"]).stdout)
        assert compared["sources"]["database"]["total"]["missing"] == 0, compared
        named("somebody")
        found = {one.part: one for one in checking.check(ini)}["source database"]
        assert found.level == "fail"
        assert refused in found.message
