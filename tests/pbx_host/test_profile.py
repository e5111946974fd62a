"""Hosts of each kind: what they are, and where their calls are."""

from pathlib import Path

import pytest

from humbug_agent.pbx_host.asterisk import Asterisk
from humbug_agent.pbx_host.conf import ConfError
from humbug_agent.pbx_host.freeswitch import Freeswitch
from humbug_agent.pbx_host.profile import Profile, look
from tests.kit.host_trees import TREES, planted

MASTER_CSV = Path("/var/log/asterisk/cdr-csv/Master.csv")


@pytest.mark.parametrize(
    ("kind", "profile"),
    [
        ("asterisk", Profile.ASTERISK),
        ("freepbx-15", Profile.FREEPBX_OLD),
        ("freepbx-17", Profile.FREEPBX),
        ("freepbx-17-upgraded", Profile.FREEPBX),
        ("freeswitch", Profile.FREESWITCH),
        ("fusionpbx", Profile.FUSIONPBX),
        ("hosted", Profile.HOSTED),
    ],
)
def test_each_kind_is_known(kind: str, profile: Profile) -> None:
    host = look(TREES[kind])
    assert host.profile == profile
    assert (host.asterisk is not None) == (kind.startswith(("asterisk", "freepbx")))
    assert (host.freeswitch is not None) == (kind in ("freeswitch", "fusionpbx"))


@pytest.mark.parametrize(
    ("kind", "off", "utc", "tells"),
    [
        ("asterisk", "", True, False),
        ("freepbx-15", "", True, False),
        ("freepbx-17", "cdr.conf has no [csv]", False, True),
        ("freepbx-17-upgraded", "", True, True),
    ],
)
def test_where_the_calls_of_an_asterisk_are(kind: str, off: str, utc: bool, tells: bool) -> None:
    asterisk = Asterisk(TREES[kind])
    found = asterisk.master_csv()
    assert (found.path, found.off, found.utc) == (MASTER_CSV, off, utc)
    assert found.uniqueid == found.userfield == (off == "")
    assert (asterisk.tells_cdrs() == "") == tells
    ami = asterisk.ami()
    assert (ami.enabled, ami.host, ami.port) == (True, "127.0.0.1", 5038)
    assert list(ami.users) == ([] if kind == "asterisk" else ["admin"])


def test_freepbx_is_known_by_its_files_where_its_version_is_not(tmp_path: Path) -> None:
    new, old = planted("freepbx-17", tmp_path), planted("freepbx-15", tmp_path)
    (new / "var/www/html/admin/modules/framework/module.xml").unlink()
    assert look(new).profile == Profile.FREEPBX
    assert look(old).profile == Profile.FREEPBX_OLD


@pytest.mark.parametrize(
    ("file", "text", "off"),
    [
        ("cdr.conf", "[csv]\n; nothing\n", "the [csv] of cdr.conf is empty, which counts as none"),
        ("cdr.conf", "[csv](!)\nloguniqueid = yes\n", "cdr.conf has no [csv]"),
        ("cdr.conf", "[general]\nenable = no\n[csv]\na = b\n", "cdr.conf, [general]: enable is no"),
        ("modules.conf", "[modules]\nautoload = yes\nnoload = cdr_csv.so\n", "modules.conf does not load cdr_csv"),
        ("modules.conf", "[modules]\nload = cdr_manager.so\n", "modules.conf does not load cdr_csv"),
        ("modules.conf", "[modules]\nrequire = cdr_csv\n", ""),
    ],
)
def test_why_there_is_no_master_csv(tmp_path: Path, file: str, text: str, off: str) -> None:
    root = planted("asterisk", tmp_path)
    (root / "etc/asterisk" / file).write_text(text)
    assert Asterisk(root).master_csv().off == off


def test_an_asterisk_may_have_its_files_elsewhere(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    (root / "etc/asterisk/asterisk.conf").write_text("[directories]\nastetcdir => /srv/etc\nastlogdir => /srv/log\n")
    (root / "srv").mkdir()
    (root / "etc/asterisk").rename(root / "srv/etc")
    (root / "etc/asterisk").mkdir()
    (root / "srv/etc/asterisk.conf").rename(root / "etc/asterisk/asterisk.conf")
    asterisk = Asterisk(root)
    assert asterisk.master_csv().path == Path("/srv/log/cdr-csv/Master.csv")
    assert asterisk.master_csv().off == ""


def test_ami_where_it_listens_and_what_its_users_may(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    (root / "etc/asterisk/manager.conf").write_text(
        "[general]\nenabled=no\nenabled=yes\nport=5039\nbindaddr=192.0.2.7\n"
        "[rights](!)\nread=cdr, call\n[humbug](rights)\nsecret=x\n"
        "[board](rights)\nread = all\nwrite = reporting,system\n"
    )
    ami = Asterisk(root).ami()
    assert (ami.enabled, ami.host, ami.port) == (True, "192.0.2.7", 5039)
    assert {name: (user.read, user.write) for name, user in ami.users.items()} == {
        "humbug": (frozenset({"cdr", "call"}), frozenset()),
        "board": (frozenset({"all"}), frozenset({"reporting", "system"})),
    }


def test_where_the_calls_of_a_freeswitch_are(tmp_path: Path) -> None:
    plain, fusionpbx = Freeswitch(TREES["freeswitch"]), Freeswitch(TREES["fusionpbx"])
    assert [plain.loads(one) for one in ("mod_cdr_csv", "mod_xml_cdr", "mod_json_cdr")] == [True, False, False]
    assert plain.master_csv() == Path("/var/log/freeswitch/cdr-csv/Master.csv")
    assert [fusionpbx.loads(one) for one in ("mod_cdr_csv", "mod_xml_cdr", "mod_json_cdr")] == [False, True, False]
    assert fusionpbx.directory("xml_cdr") == Path("/var/log/freeswitch/xml_cdr")
    assert fusionpbx.directory("json_cdr") is None
    root = planted("freeswitch", tmp_path)
    file = root / "etc/freeswitch/autoload_configs/json_cdr.conf.xml"
    file.write_text('<a><param name="log-dir" value="$${log_dir}/calls"/></a>')
    assert Freeswitch(root).directory("json_cdr") == Path("/var/log/freeswitch/calls")
    file.write_text("<a><b></a>")
    with pytest.raises(ConfError, match=r"json_cdr\.conf\.xml: no XML"):
        Freeswitch(root).settings("json_cdr")
