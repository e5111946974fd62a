"""What a host of each kind needs, and that it needs nothing more once that is done."""

import os
import subprocess
from pathlib import Path, PurePath

import pytest

from humbug_agent.config import load
from humbug_agent.ini import Secret
from humbug_agent.pbx_host.asterisk import Asterisk
from humbug_agent.pbx_host.logrotate import block_of
from humbug_agent.pbx_host.profile import look
from humbug_agent.setup import agent
from humbug_agent.setup.agent import Account, Answers, Known, make_plan
from humbug_agent.setup.plan import Plan
from tests.kit.host_trees import planted
from tests.kit.paths import TOP

ME = Account(os.geteuid(), os.getegid(), there=False)
ANSWERS = Answers(Secret("the-key"), "CH", None)
NOTHING = Answers(None, None, None)
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories to others")
AMI = ("asterisk", "-rx", "manager reload")
CSV = [("asterisk", "-rx", f"module {verb} cdr_csv.so") for verb in ("load", "reload")]
EVENTS = [("asterisk", "-rx", f"module {verb} cdr_manager.so") for verb in ("load", "reload")]
JSON = [("fs_cli", "-x", f"{verb} mod_json_cdr") for verb in ("load", "reload")]


def ini(root: Path) -> Path:
    return root / "etc/humbug-agent/agent.ini"


def planned(root: Path, answers: Answers = ANSWERS) -> Plan:
    return make_plan(look(root), Known(ini(root)), answers, ME)


def done(root: Path, answers: Answers = ANSWERS) -> Plan:
    plan = planned(root, answers)
    for folder in plan.folders:
        folder.make()
    for change in plan.files.changes():
        change.make("as-it-was")
    return plan


def touched(plan: Plan, root: Path) -> set[str]:
    return {str(change.path.relative_to(root / "etc")) for change in plan.files.changes()}


@root_only
def test_what_was_made_before_the_daemon_had_a_user_becomes_his(tmp_path: Path) -> None:
    """As from the source, or by pipx: init is tried first, and then the user is made."""
    root = planted("asterisk", tmp_path)
    done(root)
    user = Account(os.geteuid(), 12345, there=True)
    plan = make_plan(look(root), Known(ini(root)), NOTHING, user)
    for command in plan.commands:
        subprocess.run(command, check=True)
    folders = {"etc/humbug-agent": 0o40750, "var/lib/humbug-agent": 0o40700}
    files = {"etc/humbug-agent/agent.ini": 0o100640, "etc/humbug-agent/ami-secret": 0o100640}
    for name, mode in (folders | files).items():
        status = (root / name).stat()
        assert (status.st_gid, status.st_mode) == (12345, mode), name
    assert make_plan(look(root), Known(ini(root)), NOTHING, user).empty


@pytest.mark.parametrize(
    ("kind", "files", "commands", "types"),
    [
        (
            "asterisk",
            {"asterisk/cdr_manager.conf", "asterisk/manager.d/humbug-agent.conf"},
            [*EVENTS, AMI],
            {"asterisk_csv", "asterisk_ami"},
        ),
        (
            "freepbx-15",
            {"asterisk/cdr_manager.conf", "asterisk/manager_custom.conf"},
            [*EVENTS, AMI],
            {"asterisk_csv", "asterisk_ami"},
        ),
        (
            "freepbx-17",
            {"asterisk/cdr_non_general_custom.conf", "asterisk/manager_custom.conf"},
            [*CSV, AMI],
            {"asterisk_csv", "asterisk_ami"},
        ),
        ("freepbx-17-upgraded", {"asterisk/manager_custom.conf"}, [AMI], {"asterisk_csv", "asterisk_ami"}),
        (
            "freeswitch",
            {"freeswitch/autoload_configs/json_cdr.conf.xml", "freeswitch/autoload_configs/modules.conf.xml"},
            JSON,
            {"freeswitch_http", "freeswitch_json"},
        ),
        ("fusionpbx", {"freeswitch/autoload_configs/json_cdr.conf.xml"}, JSON, {"freeswitch_http", "freeswitch_json"}),
    ],
)
@pytest.mark.parametrize("example", [False, True])
def test_each_kind_of_host(
    tmp_path: Path, kind: str, files: set[str], commands: list[object], types: set[str], example: bool
) -> None:
    root = planted(kind, tmp_path)
    if example:
        # As the package leaves it.
        ini(root).parent.mkdir()
        ini(root).write_text((TOP / "agent.ini.example").read_text())
    plan = done(root)
    ours = {"humbug-agent/agent.ini"} | ({"humbug-agent/ami-secret"} if "asterisk_ami" in types else set())
    assert touched(plan, root) == files | ours
    assert plan.commands == commands
    config = load(ini(root))
    assert {source.type for source in config.sources} == types
    assert config.numbers.country == "CH"
    assert [destination.type for destination in config.destinations] == ["humbug"]
    assert "the-key" not in "\n".join(plan.diff())
    again = planned(root, NOTHING)
    assert again.empty, "\n".join(again.diff())
    assert again.left == plan.left
    if look(root).asterisk:
        asterisk = Asterisk(root)
        assert (asterisk.master_csv().off, asterisk.tells_cdrs()) == ("", "")
        user = asterisk.ami().users["humbug"]
        assert (user.read, user.write) == (frozenset({"cdr"}), frozenset())
        secret = (root / "etc/humbug-agent/ami-secret").read_text().strip()
        assert len(secret) >= 32
        assert [one.value for one in user.section.every("secret")] == [secret]
        assert secret not in "\n".join(plan.diff())


def test_each_host_has_a_secret_of_its_own(tmp_path: Path) -> None:
    secrets = set()
    for number in range(3):
        root = planted("freepbx-17", tmp_path / str(number))
        done(root)
        secrets.add((root / "etc/humbug-agent/ami-secret").read_text())
    assert len(secrets) == 3


def test_nothing_is_written_while_it_is_planned(tmp_path: Path) -> None:
    root = planted("freepbx-17", tmp_path)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert not planned(root).empty
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def write(root: Path, name: str, text: str) -> None:
    (root / "etc/asterisk" / name).write_text(text)


def test_an_ami_that_is_off_is_put_on_for_this_host_alone(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    write(root, "manager.conf", "[general]\nenabled = no ; for now\n")
    done(root)
    assert (root / "etc/asterisk/manager.conf").read_text().startswith("[general]\nenabled = yes ; for now\n")
    ami = Asterisk(root).ami()
    assert (ami.enabled, ami.bind) == (True, "127.0.0.1")
    assert "humbug" in ami.users
    assert planned(root, NOTHING).empty


def test_an_ami_user_that_is_there_keeps_his_secret_and_gets_the_right_he_lacks(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    write(root, "manager.d/mine.conf", "[humbug]\nsecret = chosen\nread = call ; old\n")
    plan = done(root)
    assert "chosen" not in "\n".join(plan.diff())
    user = Asterisk(root).ami().users["humbug"]
    assert user.read == {"call", "cdr"}
    assert (root / "etc/humbug-agent/ami-secret").read_text() == "chosen\n"
    assert planned(root, NOTHING).empty


def test_the_live_board_needs_more_rights(tmp_path: Path) -> None:
    root = planted("freepbx-17", tmp_path)
    done(root)
    with ini(root).open("a") as file:
        file.write("\n[status]\n")
    done(root, NOTHING)
    user = Asterisk(root).ami().users["humbug"]
    assert (user.read, user.write) == (frozenset({"cdr", "call", "agent"}), frozenset({"reporting"}))
    assert planned(root, NOTHING).empty


def test_a_right_is_added_where_the_user_stands(tmp_path: Path) -> None:
    """In another file it would be added to nobody once his own is removed, and Asterisk refuse all of manager.conf."""
    root = planted("asterisk", tmp_path)
    done(root)
    with ini(root).open("a") as file:
        file.write("\n[status]\n")
    assert touched(done(root, NOTHING), root) == {"asterisk/manager.d/humbug-agent.conf"}
    assert Asterisk(root).ami().users["humbug"].read == {"cdr", "call", "agent"}
    (root / "etc/asterisk/manager.d/humbug-agent.conf").unlink()
    assert "humbug" not in Asterisk(root).ami().users


def test_a_secret_that_was_lost_is_brought_back_from_the_pbx(tmp_path: Path) -> None:
    root = planted("freepbx-17", tmp_path)
    done(root)
    file = root / "etc/humbug-agent/ami-secret"
    secret = file.read_text()
    file.unlink()
    done(root, NOTHING)
    assert file.read_text() == secret


def test_a_user_that_the_pbx_has_lost_comes_back_with_his_secret(tmp_path: Path) -> None:
    root = planted("freepbx-17", tmp_path)
    done(root)
    secret = (root / "etc/humbug-agent/ami-secret").read_text().strip()
    write(root, "manager_custom.conf", "")
    plan = done(root, NOTHING)
    assert touched(plan, root) == {"asterisk/manager_custom.conf"}
    assert f"secret = {secret}\n" in (root / "etc/asterisk/manager_custom.conf").read_text()


def test_secrets_that_differ_are_said_and_left_alone(tmp_path: Path) -> None:
    root = planted("freepbx-17", tmp_path)
    done(root)
    (root / "etc/humbug-agent/ami-secret").write_text("another\n")
    plan = planned(root, NOTHING)
    assert plan.empty
    assert ["another secret than agent.ini" in sentence for sentence in plan.left] == [True]


def test_what_an_admin_wrote_into_agent_ini_stays(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    ini(root).parent.mkdir()
    mine = (
        "[agent]\r\nlog_level=debug\r\n[source calls]\r\ntype=asterisk_csv\r\nstart=end\r\n"
        "[source hq]\r\ntype=asterisk_ami\r\nhost=192.0.2.1\r\nusername=x\r\nsecret=y\r\n"
        "[destination d]\r\ntype=humbug\r\napi_key=mine"
    )
    ini(root).write_bytes(mine.encode())
    plan = planned(root, NOTHING)
    assert "humbug-agent/agent.ini" not in touched(plan, root)
    plan = done(root, Answers(None, "DE", None))
    said = ini(root).read_bytes()
    assert b"log_level=debug\r\n" in said
    assert said.count(b"\n") == said.count(b"\r\n")
    assert load(ini(root)).numbers.country == "DE"


@pytest.mark.parametrize("example", [False, True])
def test_a_log_that_is_elsewhere_is_named(tmp_path: Path, example: bool) -> None:
    root = planted("asterisk", tmp_path)
    write(root, "asterisk.conf", "[directories]\nastlogdir => /srv/log\n")
    if example:
        ini(root).parent.mkdir()
        ini(root).write_text((TOP / "agent.ini.example").read_text())
    done(root)
    (path,) = [source.reads for source in load(ini(root)).sources if source.reads]
    assert path == Path("/srv/log/cdr-csv/Master.csv")
    assert planned(root, NOTHING).empty


@root_only
@pytest.mark.parametrize(
    ("mode", "group", "joins"), [(0o750, 4711, False), (0o750, 3, True), (0o755, 3, False), (0o750, 0, False)]
)
@pytest.mark.parametrize("begins", [False, True])
@pytest.mark.parametrize("kind", ["freepbx-17", "freeswitch"])
def test_the_daemons_user_joins_the_group_that_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, begins: bool, mode: int, group: int, joins: bool
) -> None:
    """Where it has a name, is not root's, and it takes a group to read. (Here "daemon" is the user.)

    ``begins``: the PBX has written no call yet, so that the log's folder is made by this, or later.
    """
    monkeypatch.setattr(agent, "USER", "daemon")
    root = planted(kind, tmp_path)
    logs = root / ("var/log/freeswitch" if kind == "freeswitch" else "var/log/asterisk")
    folder = logs if begins or kind == "freeswitch" else logs / "cdr-csv"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    os.chown(folder, 0, group)
    plan = make_plan(look(root), Known(ini(root)), ANSWERS, agent.account())
    assert (("usermod", "-aG", "sys", "daemon") in plan.commands) == joins


@root_only
def test_a_folder_that_is_gone_through_takes_its_group_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "USER", "daemon")
    root = planted("freepbx-17", tmp_path)
    folder = root / "var/log/asterisk/cdr-csv"
    folder.mkdir(parents=True)
    folder.parent.chmod(0o750)
    os.chown(folder.parent, 0, 3)
    os.chown(folder, 0, 3)
    folder.chmod(0o755)
    plan = make_plan(look(root), Known(ini(root)), ANSWERS, agent.account())
    assert ("usermod", "-aG", "sys", "daemon") in plan.commands


@pytest.mark.parametrize(
    ("file", "text", "left"),
    [
        ("cdr.conf", "[general]\nenable = no\n[csv]\na = b\n", "Asterisk makes no CDRs"),
        ("cdr.conf", "[general]\n", "cdr.conf is FreePBX's own, and does not include cdr_non_general_custom.conf"),
        ("modules.conf", "[modules]\nautoload = no\n", "modules.conf does not load cdr_csv.so"),
        ("manager.conf", "[general]\nenabled = yes\n", "manager.conf is FreePBX's own"),
    ],
)
def test_what_only_the_admin_can_mend_is_said(tmp_path: Path, file: str, text: str, left: str) -> None:
    root = planted("freepbx-17", tmp_path)
    write(root, file, text)
    plan = planned(root)
    assert any(left in sentence for sentence in plan.left), plan.left
    assert f"asterisk/{file}" not in touched(plan, root)


def test_the_database_is_read_where_it_alone_can_have_the_calls(tmp_path: Path) -> None:
    """A FreePBX whose cdr.conf is as old as itself; a host that is no FreePBX writes them by cdr_adaptive_odbc."""
    root = planted("freepbx-17", tmp_path)
    write(root, "cdr.conf", "[general]\n")
    done(root)
    assert {source.type for source in load(ini(root)).sources} == {"mysql", "asterisk_ami"}
    # With both it is Master.csv, which has what ends while the database is stopped.
    root = planted("freepbx-17", tmp_path / "both")
    write(root, "cdr_adaptive_odbc.conf", "[cdr]\nconnection = asteriskcdrdb\n")
    done(root)
    assert {source.type for source in load(ini(root)).sources} == {"asterisk_csv", "asterisk_ami"}


ODBC_DRIVERS = [
    ("connection = cdr", "MariaDB", "mysql"),
    ("connection = cdr", "PostgreSQL Unicode", "asterisk_csv"),
    ("connection = cdr", "SQLite3", "asterisk_csv"),
    ("", "MariaDB", "asterisk_csv"),
]


@pytest.mark.parametrize(("odbc", "driver", "type_"), ODBC_DRIVERS)
def test_a_container_without_a_backend_for_files_is_read_by_its_database(
    tmp_path: Path, odbc: str, driver: str, type_: str
) -> None:
    root = planted("asterisk", tmp_path)
    write(root, "res_odbc.conf", "[cdr]\nenabled => yes\ndsn => calls\n")
    (root / "etc/odbc.ini").write_text(f"[calls]\nDriver = {driver}\nDatabase = calls\n")
    write(root, "modules.conf", "[modules]\nautoload = yes\nnoload = cdr_csv.so\n")
    write(root, "cdr_adaptive_odbc.conf", f"[table](!)\nconnection = x\n[cdr]\n{odbc}\n")
    plan = done(root)
    assert {source.type for source in load(ini(root)).sources} == {type_, "asterisk_ami"}
    assert any("modules.conf does not load cdr_csv.so" in sentence for sentence in plan.left)


LOGROTATE = "{}/Master.csv {{\n    weekly\n}}\n"


@pytest.mark.parametrize(
    ("kind", "theirs", "rotated"),
    [
        ("freepbx-17", "", True),
        # Somebody rotates it, or it was written, and may be read by others, before we came.
        ("freepbx-17", LOGROTATE.format("/var/log/asterisk/cdr-csv"), False),
        ("asterisk", "", False),
    ],
)
def test_what_asterisk_begins_to_write_is_rotated(tmp_path: Path, kind: str, theirs: str, rotated: bool) -> None:
    root = planted(kind, tmp_path)
    folder, logs = root / "etc/logrotate.d", root / "var/log/asterisk"
    folder.mkdir()
    logs.mkdir(parents=True)
    if theirs:
        (folder / "asterisk").write_text(theirs)
    plan = done(root)
    assert ("logrotate.d/humbug-agent" in touched(plan, root)) == rotated
    block = block_of(PurePath("/var/log/asterisk/cdr-csv/Master.csv"), root)
    assert (block is not None) == bool(rotated or theirs)
    if rotated:
        assert block
        assert block.directives["su"].value == f"{logs.owner()} {logs.group()}"
        assert "copytruncate" not in block.directives
    assert planned(root, NOTHING).empty
    # An admin's change stays.
    if rotated:
        (folder / "humbug-agent").write_text("# no\n")
        assert planned(root, NOTHING).empty


def test_an_empty_csv_section_and_a_module_that_is_not_loaded_are_mended(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    write(root, "cdr.conf", "[csv]\n; nothing\n\n[other]\na = b")
    write(root, "modules.conf", "[modules]\nload = cdr_manager.so\n")
    done(root)
    assert (root / "etc/asterisk/cdr.conf").read_text() == (
        "[csv]\n; nothing\n\n[other]\na = b\n\n[csv](+)\nloguniqueid = yes\nloguserfield = yes\n"
    )
    assert Asterisk(root).master_csv().off == ""
    assert planned(root, NOTHING).empty


def test_a_mod_json_cdr_that_posts_elsewhere_is_left_alone(tmp_path: Path) -> None:
    root = planted("freeswitch", tmp_path)
    configs = root / "etc/freeswitch/autoload_configs"
    (configs / "json_cdr.conf.xml").write_text(
        '<a><param name="url" value="http://192.0.2.1/"/><param name="log-dir" value=""/></a>'
    )
    modules = (configs / "modules.conf.xml").read_text()
    (configs / "modules.conf.xml").write_text(modules.replace("mod_logfile", "mod_json_cdr"))
    plan = done(root)
    assert touched(plan, root) == {"humbug-agent/agent.ini"}
    assert [(source.type, str(source.reads)) for source in load(ini(root)).sources] == [
        ("freeswitch_json", "/var/log/freeswitch/json_cdr")
    ]


def test_the_line_that_asterisk_counts_is_changed(tmp_path: Path) -> None:
    root = planted("asterisk", tmp_path)
    manager = root / "etc/asterisk/manager.conf"
    manager.write_text("; a form feed\x0c\n[general]\nwebenabled = no\nenabled = no\nwritetimeout = 100\n")
    done(root)
    assert manager.read_text().startswith(
        "; a form feed\x0c\n[general]\nwebenabled = no\nenabled = yes\nwritetimeout = 100\n"
    )
