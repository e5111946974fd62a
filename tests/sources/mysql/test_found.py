"""Where the database is, by the PBX's own files and by agent.ini."""

import configparser
import getpass
from pathlib import Path

import pytest

from humbug_agent.ini import Section
from humbug_agent.sources.contract import SourceError
from humbug_agent.sources.mysql.found import Place, place
from humbug_agent.sources.mysql.settings import MysqlSettings

FREEPBX = """<?php
$amp_conf['AMPDBUSER'] = 'freepbxuser';
$amp_conf['AMPDBPASS'] = 'it\\'s "secret"';
$amp_conf["AMPDBHOST"] = "localhost";
$amp_conf['AMPDBNAME'] = 'asterisk';
require_once('/var/www/html/admin/bootstrap.php');
"""
ODBC = {
    "etc/asterisk/cdr_adaptive_odbc.conf": "[first]\nconnection=pbx\ntable=calls\nalias start => calldate\n",
    "etc/asterisk/res_odbc.conf": "[pbx]\nenabled=>yes\ndsn=>MySQL-calls\nusername=>writer\npassword=>word\n",
    "etc/odbc.ini": "[MySQL-calls]\nDriver=MySQL\nServer=10.0.0.5\nPort=3307\nDatabase=telephony\n",
}


def settings(*lines: str) -> MysqlSettings:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string("\n".join(["[s]", *lines]))
    return MysqlSettings.read("s", Section("s", dict(parser["s"]), []))


def files(root: Path, **texts: str) -> None:
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_freepbx_says_it_in_a_file_of_php(tmp_path: Path) -> None:
    files(tmp_path, **{"etc/freepbx.conf": FREEPBX, "run/mysqld/mysqld.sock": ""})
    assert place(settings(), tmp_path) == Place(
        "localhost", 3306, "/run/mysqld/mysqld.sock", "freepbxuser", "it's \"secret\"", "asteriskcdrdb", "cdr",
        "/etc/freepbx.conf",
    )  # fmt: skip


def test_older_ones_in_amportal_conf(tmp_path: Path) -> None:
    said = "# AMPDBUSER=none\nAMPDBUSER=asteriskuser\nAMPDBPASS=amp109\nAMPDBHOST=10.0.0.5\nCDRDBNAME=calls\n"
    files(tmp_path, **{"etc/amportal.conf": said})
    found = place(settings(), tmp_path)
    assert (found.host, found.socket, found.user, found.database) == ("10.0.0.5", "", "asteriskuser", "calls")


def test_asterisks_own_files_lead_from_one_to_the_next(tmp_path: Path) -> None:
    files(tmp_path, **ODBC)
    assert place(settings(), tmp_path) == Place(
        "10.0.0.5", 3307, "", "writer", "word", "telephony", "calls", "/etc/asterisk/cdr_adaptive_odbc.conf"
    )


def test_what_agent_ini_says_goes_before(tmp_path: Path) -> None:
    files(tmp_path, **ODBC)
    found = place(settings("user = reader", "host = 10.0.0.6", "table = cdr"), tmp_path)
    assert (found.host, found.port, found.user, found.password) == ("10.0.0.6", 3306, "reader", "")
    assert (found.database, found.table) == ("telephony", "cdr")
    found = place(settings("database = other"), tmp_path)
    assert (found.host, found.user, found.database, found.table, found.said) == (
        "127.0.0.1", getpass.getuser(), "other", "cdr", "",
    )  # fmt: skip


def test_where_nothing_says_it_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="set database"):
        place(settings(), tmp_path)
    files(tmp_path, **{"etc/asterisk/cdr_adaptive_odbc.conf": "no section\n"})
    with pytest.raises(SourceError, match="stands before any"):
        place(settings(), tmp_path)


@pytest.mark.parametrize("value", ["22", "25-6", "a-b", "22-6-7"])
def test_hours_that_are_none_are_a_mistake(value: str) -> None:
    mistakes: list[str] = []
    MysqlSettings.read("s", Section("s", {"backfill_hours": value}, mistakes))
    assert "two hours of the day" in mistakes[0]
