"""The table of findings, the page that is made of it, what the command prints, and how files are read."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path, PurePath

import pytest
from click.testing import CliRunner, Result

from humbug_agent.cli.main import main
from humbug_agent.config import load
from humbug_agent.destinations.settings import DestinationSettings
from humbug_agent.doctor import certificates
from humbug_agent.doctor.asked import ListensToAmi, Opens, Posts, ReadsMasterCsv
from humbug_agent.doctor.table import KINDS, Severity, page
from humbug_agent.host.codes import Code
from humbug_agent.ini import Secret
from humbug_agent.pbx_host.logrotate import block_of
from humbug_agent.sources.settings import SourceSettings
from tests.doctor import plants
from tests.doctor.sick_host import SickHost
from tests.kit.ami_server import SECRET
from tests.kit.host import API_KEY, Host
from tests.kit.paths import TOP
from tests.kit.ports import free_port


@pytest.fixture
def sick(tmp_path: Path) -> Iterator[SickHost]:
    with SickHost("asterisk", tmp_path) as made:
        yield made


def test_the_page_is_made_of_the_table() -> None:
    made = "python -m humbug_agent.doctor.table > docs/doctor.md"
    assert (TOP / "docs/doctor.md").read_text() == page(), made


def test_each_code_is_explained_once() -> None:
    assert list(KINDS) == list(Code)
    assert len({kind.title for kind in KINDS.values()}) == len(KINDS)
    text = page()
    for code, kind in KINDS.items():
        assert f"\n## {code}\n" in text
        assert len(kind.why) > 40
        assert len(kind.todo) > 40


def run(ini: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--config", str(ini), "doctor", *arguments])


def test_nothing_found_is_exit_code_0(host: Host) -> None:
    host.write()
    done = run(host.ini)
    assert done.exit_code == 0, done.output
    assert done.stdout == "nothing found\n"
    assert run(host.ini, "--json").stdout == "[]\n"


def test_warnings_are_exit_code_1_and_errors_2(host: Host) -> None:
    host.write()
    host.ini.chmod(0o644)
    done = run(host.ini)
    assert done.exit_code == 1, done.output
    assert done.stdout.splitlines() == [
        "HA-0018 warning  Everybody on this host can read secrets or calls",
        f"  {host.ini} is -rw-r--r--: everybody may read the secrets in it",
        f"  why: {KINDS[Code.OPEN_TO_ALL].why}",
        f"  change: chmod 0640 {host.ini}",
        "  docs/doctor.md#ha-0018",
        "",
        "0 errors, 1 warning",
    ]
    host.master.write_text("no call\n")
    done = run(host.ini, "--json")
    assert done.exit_code == 2
    found = json.loads(done.stdout)
    assert [(one["code"], one["severity"], one["part"]) for one in found] == [
        ("HA-0030", "error", "source master-csv"),
        ("HA-0018", "warning", ""),
    ]
    assert found[0].keys() == {"code", "severity", "title", "part", "message", "why", "change", "docs"}
    assert found[0]["message"].startswith(f"{host.master}: not a Master.csv")


def test_mistakes_of_agent_ini_have_a_code(host: Host) -> None:
    host.ini.write_text(host.ini.read_text().replace("api_key", "api_kay"))
    done = run(host.ini, "--json")
    assert done.exit_code == 2
    assert {one["code"] for one in json.loads(done.stdout)} == {"HA-0029"}
    assert "did you mean api_key?" in done.stdout


def test_an_outbox_that_is_none_has_a_code(host: Host) -> None:
    host.write()
    (host.folder / "outbox.db").write_text("something else, and long enough to be no header of SQLite's")
    (host.folder / "outbox.db").chmod(0o600)
    assert [one["code"] for one in json.loads(run(host.ini, "--json").stdout)] == ["HA-0031"]


def test_a_key_that_is_anothers_is_a_page_that_can_not_be_served(sick: SickHost) -> None:
    _, pem, _ = sick.certificate(days=100)
    _, _, key = sick.certificate(days=99)
    key.chmod(0o640)
    plants.port(sick)
    sick.more("status", "listen = 127.0.0.1:6495", f"certificate = {pem}", f"private_key = {key}")
    assert [(one.code, one.part) for one in sick.doctor().findings] == [(Code.PAGE, "status")]


def test_what_asterisk_refuses_is_said_with_its_line(sick: SickHost) -> None:
    sick.write("cdr.conf", "[csv\n")
    (found,) = sick.doctor().findings
    assert found.code is Code.REFUSED_CONF
    assert found.said.startswith("/etc/asterisk/cdr.conf, line ")


def test_on_freepbx_the_line_belongs_into_its_custom_files(tmp_path: Path) -> None:
    with SickHost("freepbx-17", tmp_path) as host:
        (host.etc / "cdr_non_general_custom.conf").write_text("")
        (host.etc / "cdr_general_custom.conf").write_text("batch = yes\n")
        (host.etc / "manager_custom.conf").write_text("")
        (host.etc / "cdr_manager_general_custom.conf").write_text("enabled = no\n")
        changes = {one.code: one.change for one in host.doctor().findings}
    etc = "/etc/asterisk"
    assert changes == {
        Code.CSV_OFF: f"{etc}/cdr_non_general_custom.conf: [csv]\nloguniqueid = yes\nloguserfield = yes",
        Code.BATCH: f"{etc}/cdr_general_custom.conf, [general]: batch = no",
        Code.AMI_BLIND: f"{etc}/manager_custom.conf: [humbug]\nsecret = …\nread = cdr\nwrite =",
        Code.EVENTS_OFF: f"{etc}/cdr_manager_general_custom.conf, [general]: enabled = yes",
    }


def test_no_secret_is_in_what_is_found(sick: SickHost) -> None:
    for plant in (plants.ami_mighty, plants.two_destinations, plants.disguise, plants.ini_open, plants.no_timeout):
        plant(sick)
    text = json.dumps([one.as_json() for one in sick.doctor().findings])
    assert len(text) > 1000
    assert "HA-0026" in text
    assert not any(secret in text for secret in (SECRET, "fs-password"))
    assert API_KEY not in text


@pytest.mark.parametrize(
    ("lines", "blind"),
    [
        (["eventfilter = Event: Cdr"], False),
        (["eventfilter = Event: Hangup", "eventfilter = Event: C.r"], False),
        (["eventfilter = !Event: RTCPSent", "eventfilter = !Event: Newexten"], False),
        (["eventfilter = Channel: PJSIP/10"], True),
        (["eventfilter = !Channel: DAHDI/"], True),
        (["eventfilter(action(include),name(Cdr)) ="], False),
        (["eventfilter(action(include),name(Hangup)) ="], True),
        (["eventfilter(action(exclude),name(Newexten)) ="], False),
        (["eventfilter = !Event: (Cdr"], True),
    ],
)
def test_filters_that_let_all_calls_pass_are_none(sick: SickHost, lines: list[str], blind: bool) -> None:
    sick.write(sick.users, "\n".join(["", *lines, ""]))
    assert [one.code for one in sick.doctor().findings] == ([Code.EVENTFILTER] if blind else [])


def test_a_user_in_other_letters_is_the_same_user(sick: SickHost) -> None:
    """To Asterisk, and so to whoever looks for him."""
    sick.more("source ami", "username = HUMBUG")
    assert Code.AMI_BLIND not in sick.codes()


def test_what_the_board_needs_is_not_too_much_and_what_it_lacks_is_said(sick: SickHost) -> None:
    sick.more("status", f"listen = 127.0.0.1:{free_port()}")
    found = sick.doctor().findings
    assert {one.code for one in found} == {Code.AMI_BLIND}
    assert sorted(one.change.partition(": ")[2] for one in found if one.change) == [
        "read = agent,call,cdr",
        "write = reporting",
    ]


@pytest.mark.parametrize(
    ("days", "begun", "soon"), [(15, 75, False), (13, 75, True), (5, 1, False), (1, 5, True), (-1, 80, True)]
)
def test_how_near_the_end_of_a_certificate_is_soon(sick: SickHost, days: int, begun: int, soon: bool) -> None:
    _, pem, _ = sick.certificate(days, begun)
    assert bool(certificates.of_file(pem)) == soon


def test_what_is_no_certificate_is_said(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    for text in (b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        file.write_bytes(text)
        with pytest.raises(ValueError, match="certificate"):
            certificates.of_file(file)


@pytest.mark.parametrize(("seconds", "off"), [(0, False), (-50, False), (50, False), (-62, True), (90, True)])
def test_a_clock_is_off_by_more_than_a_minute(sick: SickHost, seconds: int, off: bool) -> None:
    sick.more("destination other", "type = humbug", f"url = {sick.receiver_with(timedelta(seconds=seconds))}")
    sick.more("destination other", "api_key = of-its-own")
    assert [one.code for one in sick.doctor().findings] == ([Code.CLOCK] if off else [])


def test_logrotates_files_are_read_as_it_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "etc/logrotate.d"
    folder.mkdir(parents=True)
    (tmp_path / "etc/logrotate.conf").write_text(
        "# all\nweekly\nrotate 4\ncreate\ncopytruncate\ninclude /etc/logrotate.d\n/var/log/wtmp {\n  rotate 1\n}\n"
    )
    (folder / "a").write_text("compress\nrotate 9\n/var/log/a.csv {\n}\n")
    (folder / "b.dpkg-old").write_text("/var/log/b.csv { rotate 8 }\n")
    (folder / "b").write_text(
        '"/var/log/b *.csv" /var/log/b.csv\n/var/log/sub/*.csv\n{\n\tnocopytruncate\n\tpostrotate\n\t\trotate 77\n'
        "\tendscript\n\tsize=10M\n\tolddir /old\n\tnoolddir\n}\n/var/log/c.csv { rotate 3 }\n"
    )

    def of(log: str) -> dict[str, str]:
        block = block_of(PurePath(log), tmp_path)
        return {name: one.value for name, one in block.directives.items()} if block else {}

    assert of("/var/log/a.csv")["rotate"] == "9"
    for log in ("/var/log/b.csv", "/var/log/b 1.csv", "/var/log/sub/x.csv"):
        found = of(log)
        assert (found["rotate"], found["size"]) == ("4", "10M")
        assert not found.keys() & {"copytruncate", "olddir", "compress"}
    assert of("/var/log/c.csv")["rotate"] == "3"
    assert "copytruncate" in of("/var/log/c.csv")
    assert of("/var/log/wtmp")["rotate"] == "1"
    assert not of("/var/log/sub/deeper/x.csv")
    block = block_of(PurePath("/var/log/b.csv"), tmp_path)
    assert block
    assert (block.directives["size"].file, block.directives["size"].line) == (folder / "b", 8)


LEFT_OVER = (
    "a.bak", "a.cfsaved", "a.disabled", "a.dpkg-bak", "a.dpkg-del", "a.dpkg-tmp", "a.ucf-dist", "a.ucf-old",
    "a.ucf-new", "a.rhn-cfg-tmp-7", "a,v", "a~",
)  # fmt: skip


@pytest.mark.parametrize(
    ("said", "names", "read"),
    [
        ("", LEFT_OVER, False),
        ("", ("a", "a.conf", "a.bak.conf", ".hidden.bak"), True),
        ("tabooext + .mine,.other", ("a.mine", "a.other", "a.bak"), False),
        ("tabooext = .mine", ("a.bak",), True),
        ("taboopat + a.*.mine", ("a.x.mine", "a.bak"), False),
        ("taboopat b*", ("b.mine",), False),
        ("taboopat b*", ("a.bak",), True),
    ],
)
def test_logrotate_passes_over_what_is_left_over(tmp_path: Path, said: str, names: tuple[str, ...], read: bool) -> None:
    folder = tmp_path / "etc/logrotate.d"
    folder.mkdir(parents=True)
    if said:
        (tmp_path / "etc/logrotate.conf").write_text(f"{said}\ninclude /etc/logrotate.d\n")
    for name in names:
        (folder / name).write_text("/var/log/a.csv {\n}\n")
        assert bool(block_of(PurePath("/var/log/a.csv"), tmp_path)) == read, name
        (folder / name).unlink()


def test_a_severity_is_the_exit_code() -> None:
    assert [(one.name, int(one)) for one in Severity] == [("warning", 1), ("error", 2)]


def test_settings_say_what_they_are_asked(sick: SickHost) -> None:
    """What `asked` looks for is what the settings have: else nothing would be found, silently."""
    plants.asterisks_port(sick)
    sick.configure()
    config = load(sick.ini)

    each: list[SourceSettings | DestinationSettings] = [*config.sources, *config.destinations]

    def those(kind: type) -> list[str]:
        return [one.name for one in each if isinstance(one, kind)]

    assert those(ReadsMasterCsv) == ["master-csv"]
    assert those(ListensToAmi) == ["ami"]
    assert those(Opens) == ["posted"]
    assert those(Posts) == ["humbug"]
    assert all(isinstance(one.api_key, Secret) for one in config.destinations if isinstance(one, Posts))
