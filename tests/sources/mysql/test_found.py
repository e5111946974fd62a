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


PHP = {
    r"= 'pa\ss';": r"pa\ss", r"= 'it\'s \\';": "it's \\", r'= "a\$b\"c\\d\q";': r'a$b"c\d\q', "= 3307 ;": "3307",
    r'= "\x41\102\t";': "AB\t", "= 'a//b#c/*d*/';": "a//b#c/*d*/",
    "= 'new'; // $amp_conf['AMPDBPASS'] = 'old';": "new", "= 'new';\n# $amp_conf['AMPDBPASS'] = 'old';": "new",
    "= 'new'; # it's\n/* $amp_conf['AMPDBPASS'] = 'old';\n$amp_conf['AMPDBPASS'] = 'older'; */": "new",
    "= 'old';\n$amp_conf['AMPDBPASS'] = 'new';": "new",
}  # fmt: skip
"""What may stand behind $amp_conf['AMPDBPASS'], and what that is in PHP."""


@pytest.mark.parametrize("said", PHP)
def test_a_file_of_php_is_read_as_php_reads_it(tmp_path: Path, said: str) -> None:
    lines = f"<?php\n$amp_conf['AMPDBUSER'] = 'u';\n$amp_conf['AMPDBPORT'] = 3307;\n$amp_conf['AMPDBPASS'] {said}\n"
    files(tmp_path, **{"etc/freepbx.conf": lines})
    found = place(settings(), tmp_path)
    assert (found.password, found.port) == (PHP[said], 3307)


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


def test_unixodbc_reads_its_files_by_rules_of_its_own(tmp_path: Path) -> None:
    source = (
        "# of old\n[odbc data sources]\nMySQL-calls=x\n[mysql-CALLS]\n; no driver\nPassword = a;b#c \nDB=calls\nDB=b\n"
    )
    connection = "[pbx]\nenabled=>yes\ndsn=>MySQL-calls\n"
    files(tmp_path, **ODBC | {"etc/asterisk/res_odbc.conf": connection, "etc/odbc.ini": source})
    found = place(settings(), tmp_path)
    assert (found.host, found.password, found.database) == ("localhost", "a;b#c", "calls")


def test_a_connection_that_is_not_enabled_leads_nowhere(tmp_path: Path) -> None:
    files(tmp_path, **ODBC)
    off = ODBC["etc/asterisk/res_odbc.conf"].replace("yes", "no")
    files(tmp_path, **{"etc/asterisk/res_odbc.conf": off})
    with pytest.raises(SourceError, match="no file of the PBX says"):
        place(settings(), tmp_path)


DRIVERS = {
    "PostgreSQL Unicode": False, "SQLite3": False, "/usr/lib/odbc/psqlodbcw.so": False, "ours": True, "theirs": False,
    "MariaDB Unicode": True, "/usr/lib/odbc/libmaodbc.so": True, "MySQL ODBC 8.0 Driver": True,
}  # fmt: skip


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_database_that_is_no_mysql_is_named_by_its_driver(tmp_path: Path, driver: str) -> None:
    drivers = "[ours]\nDriver64=/usr/lib/libmyodbc8w.so\n[theirs]\nDriver=libtdsodbc.so\n"
    source = ODBC["etc/odbc.ini"].replace("Driver=MySQL", f"Driver={driver}")
    files(tmp_path, **ODBC | {"etc/odbc.ini": source, "etc/odbcinst.ini": drivers})
    if DRIVERS[driver]:
        assert place(settings(), tmp_path).database == "telephony"
    else:
        with pytest.raises(SourceError, match=f"of the driver {driver}.*can't be read"):
            place(settings(), tmp_path)


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
    files(tmp_path, **ODBC | {"etc/asterisk/cdr_adaptive_odbc.conf": "no section\n"})
    with pytest.raises(SourceError, match="stands before any"):
        place(settings(), tmp_path)


@pytest.mark.parametrize("value", ["22", "25-6", "a-b", "22-6-7"])
def test_hours_that_are_none_are_a_mistake(value: str) -> None:
    mistakes: list[str] = []
    MysqlSettings.read("s", Section("s", {"backfill_hours": value}, mistakes))
    assert "two hours of the day" in mistakes[0]
