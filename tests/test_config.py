"""agent.ini: every mistake at once, in words that lead to its mending."""

import os
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from humbug_agent.config import Config, load, system_timezone
from humbug_agent.destinations.humbug.settings import HumbugSettings
from humbug_agent.ini import ConfigError, Secret, names_file
from humbug_agent.sources.asterisk.ami.settings import AsteriskAmiSettings
from humbug_agent.sources.asterisk.csv.settings import AsteriskCsvSettings
from tests.kit.narrow import only
from tests.kit.paths import TOP

GOOD = """\
[source master-csv]
type = asterisk_csv
path = /tmp/Master.csv

[destination humbug]
type = humbug
api_key = the-api-key
"""
HUMBUG = "type = humbug\napi_key = the-api-key\n"
AMI = """\
[source ami]
type = asterisk_ami
username = humbug
secret = hide-me
"""
EXAMPLE = TOP / "agent.ini.example"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "agent.ini"
    path.touch(0o600)
    path.write_text(text, "utf-8")
    return path


def read(tmp_path: Path, text: str) -> Config:
    return load(written(tmp_path, text))


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return caught.value.mistakes


def test_what_need_not_be_said_has_the_documented_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert config.agent.outbox == Path("/var/lib/humbug-agent/outbox.db")
    assert (config.agent.keep_days, config.agent.max_size_mb, config.agent.log_level) == (90, 2048, "info")
    source, destination = only(AsteriskCsvSettings, config.sources), only(HumbugSettings, config.destinations)
    assert (source.name, source.start, source.utc) == ("master-csv", "beginning", None)
    assert destination.url == "http://api.humbuglabs.org/receiver.php"
    assert (destination.connections, destination.timeout, destination.value_escaping) == (4, 20, "reserved")
    assert destination.encryption_key is None


def test_status_is_off_unless_it_is_there(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).status is None
    status = read(tmp_path, GOOD + "[status]\n").status
    assert status is not None
    assert (status.host, status.port, status.guarded, status.require_tls) == ("127.0.0.1", 6494, False, False)


@pytest.mark.parametrize(
    ("lines", "host", "where"),
    [
        ("listen = 0.0.0.0:80\npassword = p", "0.0.0.0", "0.0.0.0:80"),
        ("listen = [::]:8443\npassword = p", "::", "[::]:8443"),
        ("listen = [::1]:8088", "::1", "[::1]:8088"),
        ("listen = localhost:8088", "localhost", "localhost:8088"),
        ("listen = 127.8.9.1:8088", "127.8.9.1", "127.8.9.1:8088"),
    ],
)
def test_where_status_may_listen(tmp_path: Path, lines: str, host: str, where: str) -> None:
    status = read(tmp_path, f"{GOOD}[status]\n{lines}\n").status
    assert status is not None
    assert (status.host, status.where) == (host, where)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("listen = 0.0.0.0:8088", "[status] password: is missing: with listen = 0.0.0.0:8088 others than this host"),
        ("listen = 0.0.0.0:8088\nusername = u", "[status] password: is missing"),
        ("listen = pbx.example.org:8088", "[status] password: is missing"),
        ("listen = [::]:8088", "[status] password: is missing"),
        ("listen = 8088", "'8088' is not HOST:PORT"),
        ("listen = ::1:8088", "an IPv6 address in brackets"),
        ("listen = 127.0.0.1:0", "its port is not a number from 1 to 65535"),
        ("listen = 127.0.0.1:65536", "its port is not a number from 1 to 65535"),
        ("require_tls = yes", "[status] certificate: is missing; require_tls needs one"),
        ("certificate = /does/not/exist.pem", "'/does/not/exist.pem' is not a readable file"),
        ("username = a:b", "[status] username: has a colon"),
        ("pasword = x", "[status] pasword: is not known here; did you mean password?"),
    ],
)
def test_mistakes_of_status(tmp_path: Path, lines: str, expected: str) -> None:
    assert expected in "\n".join(mistakes(tmp_path, f"{GOOD}[status]\n{lines}\n"))


def test_every_mistake_is_in_one_message_with_section_key_and_what_is_expected(tmp_path: Path) -> None:
    said = "\n".join(
        mistakes(
            tmp_path,
            """\
[agent]
keep_days = many
time_zone = UTC
timezone = Europe/Zürich
log_level = loud
[source a]
type = asterisk_csv
utc = perhaps
start = middle
[source b]
type = asterix_csv
[source c]
[destination d]
type = humbug
api_key =
connections = 0
timeout = 3.5
accept_pattern = (
url = ftp://example.org/
ca_file = /does/not/exist.pem
value_escaping = some
[destinations e]
""",
        )
    )
    for expected in (
        "[agent] keep_days: 'many' is not a whole number from 0 to 36500",
        "[agent] time_zone: is not known here; did you mean timezone?",
        "[agent] timezone: 'Europe/Zürich' is not an IANA time zone",
        "[agent] log_level: 'loud' is not one of debug, info, warning, error",
        "[source a] utc: 'perhaps' is neither yes nor no",
        "[source a] start: 'middle' is not one of beginning, end",
        "[source b] type: 'asterix_csv' is not one of asterisk_csv, asterisk_ami, freeswitch_csv,",
        "; did you mean asterisk_csv?",
        "[source c] type: is missing",
        "[destination d] api_key: is missing; give api_key or api_key_file",
        "[destination d] connections: '0' is not a whole number from 1 to 64",
        "[destination d] timeout: '3.5' is not a whole number from 1 to 600",
        "[destination d] accept_pattern: '(' is not a regular expression",
        "[destination d] url: what is set is not a URL (it needs http:// or https:// and a host)",
        "[destination d] ca_file: '/does/not/exist.pem' is not a readable file (No such file or directory)",
        "[destination d] value_escaping: 'some' is not one of reserved, none",
        "[destinations e]: is not known; did you mean destination NAME?",
    ):
        assert expected in said, said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "[source NAME]: is missing"),
        (GOOD.replace("[source master-csv]", "[source]"), "[source] name: needs a NAME"),
        (GOOD.replace("[source master-csv]", "[source a b]"), "[source a b] name: needs a NAME"),
        (GOOD + GOOD, "[source master-csv] stands there twice"),
        (GOOD + "api_key = another\n", "api_key: stands there twice"),
        ("api_key = secret-thing\n" + GOOD, "line 1 stands before any [section]"),
        (GOOD + "what is this\n", "line 8 is not KEY = VALUE"),
        (
            GOOD.replace("api_key = the-api-key", "api_key_file = /does/not/exist"),
            "api_key_file: the file that is set can't be read: No s",
        ),
        (GOOD + "url = http://host:port/\n", "its port is not a number"),
        (GOOD.replace("the-api-key", "YOUR-API-KEY"), "is still the example's"),
        (GOOD + "timeout = 5\n  connections = 3\n", "[destination humbug] timeout: goes on on the next line"),
        (GOOD + "[source  master-csv]\ntype = asterisk_csv\n", "[source  master-csv] name: stands there twice"),
        (GOOD + "[numbers]\ncountry = UK\n", "'UK' is not a country's ISO code"),
        (GOOD + "url = http://.example/\n", "its host can't be a name"),
        (GOOD + "[source ami]\ntype = asterisk_ami\nsecret = x\n", "[source ami] username: is missing"),
        (GOOD + "[source ami]\ntype = asterisk_ami\nusername = x\n", "[source ami] secret: is missing; give secret or"),
        (
            GOOD + AMI + "events = cdr, reloads\n",
            "events: 'reloads' is not one of cdr, reload, shutdown, alarm; did you",
        ),
        (GOOD + AMI + "port = 0\n", "[source ami] port: '0' is not a whole number from 1 to 65535"),
        (GOOD + AMI + "ca_file = /does/not/exist\n", "[source ami] ca_file: '/does/not/exist' is not a readable file"),
        (GOOD + "[numbers]\ncountry = Switzerland\n", "'Switzerland' is not a country's ISO code"),
        (GOOD.replace("type = a", "typ = a"), "[source master-csv] typ: is not known here; did you mean type?"),
    ],
)
def test_a_mistake_is_explained(tmp_path: Path, text: str, expected: str) -> None:
    said = mistakes(tmp_path, text)
    assert any(expected in mistake for mistake in said), said
    assert not any("secret-thing" in mistake for mistake in said)


def test_a_missing_file_names_the_example(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"agent.ini: No such file or directory; agent.ini.example"):
        load(tmp_path / "agent.ini")


def test_text_that_is_not_utf8_is_a_mistake(tmp_path: Path) -> None:
    path = written(tmp_path, "")
    path.write_bytes(b"[agent]\n# M\xfcller\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(path)


def test_a_nul_is_a_mistake_that_names_its_line(tmp_path: Path) -> None:
    for line in ("api_key_file = a\0b", "ca_file = \0"):
        (said,) = mistakes(tmp_path, f"{GOOD}\n{line}\n")
        assert said.endswith(f"is no text: there is a NUL in line {GOOD.count(chr(10)) + 2}")


@pytest.mark.parametrize("pattern", ["a{99999999999999999999}", "(" * 5000])
def test_a_pattern_that_is_too_much_is_a_mistake_like_any_other(tmp_path: Path, pattern: str) -> None:
    (said,) = mistakes(tmp_path, f"{GOOD}\naccept_pattern = {pattern}\n")
    assert said.endswith("is not a regular expression (it is too large, or nested too deep)")


@pytest.mark.parametrize("key", ["ca_file", "encryption_key_file"])
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        (said,) = mistakes(tmp_path, f"{GOOD}\n{key} = {path}\n")
        assert "it is no file" in said


def test_a_device_in_the_place_of_agent_ini_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="/dev/zero: is not smaller than 1 MB"):
        load(Path("/dev/zero"))


@pytest.mark.parametrize("text", ["[agent]\noutbox = /\n" + GOOD, GOOD.replace("/tmp/Master.csv", "/")])
def test_a_path_has_a_name(tmp_path: Path, text: str) -> None:
    (said,) = mistakes(tmp_path, text)
    assert said.endswith(": / is a directory; name the file in it")


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("taken", ["agent.ini", "Master.csv", "key"])
def test_an_outbox_is_no_file_that_agent_ini_names_for_something_else(tmp_path: Path, taken: str, link: bool) -> None:
    """As an outbox it would be damaged, and moved away."""
    text = GOOD.replace("/tmp", str(tmp_path)).replace("api_key = the", f"api_key_file = {tmp_path}/key\n#")
    (tmp_path / "key").write_text("the-api-key")
    outbox = tmp_path / taken
    if link:
        (tmp_path / "Master.csv").touch()
        outbox = tmp_path / "outbox.db"
        outbox.symlink_to(tmp_path / taken)
    (said,) = mistakes(tmp_path, f"[agent]\noutbox = {outbox}\n{text}")
    what = {"agent.ini": "this very file", "Master.csv": "path of [source master-csv]"}
    what["key"] = "api_key_file of [destination humbug]"
    assert f"[agent] outbox: {outbox} is {what[taken]}, too; give the outbox a file of its own" in said


def test_percent_semicolon_and_hash_belong_to_a_value(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD.replace("the-api-key", "50% of #1;2 %(x)s"))
    assert only(HumbugSettings, config.destinations).api_key.reveal() == "50% of #1;2 %(x)s"


def test_a_file_that_systemd_gives_as_a_credential_is_read_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon's user may not read the file itself, which for it might as well not be there."""
    given = tmp_path / "given"
    given.mkdir()
    (given / "key").write_text("from-the-file\n")
    (given / "ca.pem").write_text("a CA\n")
    ini = GOOD.replace("api_key = the-api-key", "api_key_file = /root/alone/key\nca_file = /root/alone/ca.pem")
    with pytest.raises(ConfigError):
        read(tmp_path, ini)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(given))
    config = read(tmp_path, ini)
    settings = config.destinations[0]
    assert isinstance(settings, HumbugSettings)
    assert settings.api_key == Secret("from-the-file")
    assert settings.ca_file == given / "ca.pem"
    # A changed one is a changed agent.ini.
    (given / "key").write_text("another\n")
    assert read(tmp_path, ini).said != config.said


def test_secrets_can_stand_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-the-file\n")
    config = read(tmp_path, GOOD.replace("api_key = the-api-key", f"api_key_file = {tmp_path / 'key'}"))
    assert only(HumbugSettings, config.destinations).api_key == Secret("from-the-file")


def test_no_repr_shows_a_secret(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD + "encryption_key = hide-me\nproxy = http://me:hide-me@localhost:1/\n")
    assert "the-api-key" not in repr(config)
    assert "hide-me" not in repr(config)
    assert "hide-me" not in repr(read(tmp_path, GOOD + AMI))


SECRET_KEYS = {
    "destination d": ("humbug", ["url", "proxy", "api_key", "api_key_file", "encryption_key", "encryption_key_file"]),
    "source a": ("asterisk_ami", ["secret", "secret_file"]),
    "source h": ("freeswitch_http", ["password", "password_file"]),
    "source e": ("freeswitch_esl", ["password", "password_file"]),
    "source w": ("while1", ["url", "proxy", "token", "token_file", "api_key", "api_key_file"]),
    "source b": ("boxis", ["url", "proxy", "user_key", "user_key_file"]),
    "source f": ("fusionpbx", ["url", "proxy", "password", "password_file"]),
    "status": ("", ["password", "password_file", "private_key"]),
}


@pytest.mark.parametrize("title", SECRET_KEYS)
def test_a_mistake_shows_no_value_that_may_be_a_secret(tmp_path: Path, title: str) -> None:
    """Whatever is set there, and at whichever of the keys: what was meant for another one, or half of a URL."""
    kind, keys = SECRET_KEYS[title]
    for key in keys:
        for value in (
            "hide-me",
            "/hide-me",
            "me:hide-me@host",
            "ftp://me:hide-me@host/",
            "http://me:hide-me@localhost:none/",
            "http://me:hide-me/x@host:p/",
            "http://ho[st:hide-me/",
            "http://me:hide-me@ho\u2100st/",
            "http://host:1:hide-me/",
            "hide-me\n hide-me",
        ):
            lines = f"[{title}]\n" + (f"type = {kind}\n" if kind else "") + f"{key} = {value}\n"
            # A second mistake, so that there is one.
            said = "".join(mistakes(tmp_path, f"[agent]\nmax_size_mb = x\n{lines}"))
            assert "'x' is not a whole number" in said
            assert "hide-me" not in said


def test_http_to_another_host_and_a_readable_file_are_warned_about(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    path.chmod(0o644)
    said = load(path).warnings
    assert len(said) == 2
    assert "everybody on this host can read the keys" in said[0]
    assert "api.humbuglabs.org unencrypted" in said[1]
    path.chmod(0o640)
    path.write_text(GOOD + "url = http://127.0.0.1:8090/\n")
    assert load(path).warnings == ()


def test_ami_has_the_documented_defaults_and_its_events_stand_in_any_order(tmp_path: Path) -> None:
    def ami_of(more: str) -> AsteriskAmiSettings:
        return only(AsteriskAmiSettings, read(tmp_path, GOOD + AMI + more).sources)

    ami = ami_of("")
    assert (ami.host, ami.port, ami.tls, ami.events) == ("127.0.0.1", 5038, False, frozenset({"cdr"}))
    assert ami_of("tls = yes\n").port == 5039
    assert ami_of("events = alarm,cdr\n").events == {"alarm", "cdr"}


def test_ami_alone_and_ami_unencrypted_to_another_host_are_warned_about(tmp_path: Path) -> None:
    good = GOOD + "url = http://127.0.0.1:8090/\n"
    assert read(tmp_path, good + AMI).warnings == ()
    (said,) = read(tmp_path, good + AMI + "host = pbx.example.org\n").warnings
    assert said.startswith(
        "[source ami] host: the secret and all calls pass the network to pbx.example.org unencrypted"
    )
    assert read(tmp_path, good + AMI + "host = pbx.example.org\ntls = yes\n").warnings == ()
    (said,) = read(tmp_path, AMI + good[good.index("[destination") :]).warnings
    assert said.startswith("no source but AMI")


def test_a_hosted_pbx_that_is_asked_in_clear_is_warned_about(tmp_path: Path) -> None:
    good = GOOD + "url = http://127.0.0.1:8090/\n"
    hosted = "[source pbx]\ntype = fusionpbx\nemail = e\npassword = p\ndomains = d\nurl = "
    (said,) = read(tmp_path, good + hosted + "http://pbx.example.org\n").warnings
    assert said.startswith("[source pbx] url: the keys and all calls pass the network to pbx.example.org unencrypted")
    for url in ("https://pbx.example.org", "http://127.0.0.1:8801"):
        assert read(tmp_path, good + hosted + f"{url}\n").warnings == ()


def test_the_systems_zone_is_that_of_etc_localtime_whatever_tz_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    assert system_timezone().utcoffset(datetime(2026, 1, 1)) != timedelta(hours=14)


CHARSETS = {
    "asterisk_csv": "",
    "asterisk_ami": "username = x\nsecret = x\n",
    "freeswitch_csv": "",
    "freeswitch_json": "",
    "freeswitch_http": "",
    "freeswitch_esl": "",
    "postgresql": "",
}


@pytest.mark.parametrize("kind", CHARSETS)
def test_each_source_that_decodes_bytes_has_a_charset(tmp_path: Path, kind: str) -> None:
    def charset(line: str) -> str:
        source = read(
            tmp_path, f"[source one]\ntype = {kind}\n{CHARSETS[kind]}{line}\n[destination x]\n{HUMBUG}"
        ).sources[0]
        return getattr(source, "charset", "none")

    assert [charset(line) for line in ("", "charset =", "charset = auto", "charset = Auto")] == ["auto"] * 4
    assert [charset(f"charset = {name}") for name in ("cp1251", "Windows-1251", "GBK")] == ["cp1251", "cp1251", "gbk"]


@pytest.mark.parametrize(
    "name", ["utf-16", "rot13", "base64", "idna", "utf-7", "cp037", "unicode_escape", "iso2022_jp"]
)
def test_a_codec_that_is_no_charset_beside_ascii_is_a_mistake(tmp_path: Path, name: str) -> None:
    (mistake,) = mistakes(tmp_path, GOOD.replace("path =", f"charset = {name}\npath ="))
    assert f"[source master-csv] charset: '{name}' is not a charset such as cp1251, gbk or shift_jis (" in mistake
    assert "something else" in mistake


def test_an_unknown_charset_is_a_mistake_with_the_nearest_name(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, GOOD.replace("path =", "charset = window-1251\npath ="))
    assert mistake.endswith("(Python knows none of that name; did you mean windows-1251?)")
    for odd in ("кои8", "no/such", "x" * 500):
        (mistake,) = mistakes(tmp_path, GOOD.replace("path =", f"charset = {odd}\npath ="))
        assert "Python knows none of that name" in mistake


@pytest.mark.parametrize(
    ("value", "warned"),
    [
        ("word ; comment", True),
        ("word # comment", True),
        ("word\t;comment", True),
        ("; comment", True),
        ("#comment", True),
        ("word;more#more", False),
        ("word # and ; both", True),
        ("word", False),
    ],
)
def test_what_looks_like_a_comment_behind_a_value_is_warned_about(tmp_path: Path, value: str, warned: bool) -> None:
    said = [one for one in read(tmp_path, GOOD + f"encryption_key = {value}\n").warnings if "of its own" in one]
    assert len(said) == warned
    assert not [one for one in said if "word" in one or "comment;" in one or "more" in one]
    assert all(one.startswith("[destination ") and "] encryption_key: " in one for one in said)


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ('encryption_key = "word"', True),
        ("encryption_key = 'word'", True),
        ('encryption_key = ""', True),
        ('encryption_key = "word', False),
        ('encryption_key = "word" and "word"', False),
        ("encryption_key = word", False),
        ('accept_pattern = "word"', False),
    ],
)
def test_quotation_marks_around_a_value_are_warned_about(tmp_path: Path, line: str, warned: bool) -> None:
    said = [one for one in read(tmp_path, GOOD + line + "\n").warnings if "quotation marks" in one]
    assert len(said) == warned
    assert all(one.startswith("[destination humbug] encryption_key: ") and "word" not in one for one in said)


def test_a_path_that_is_another_file_in_each_folder_is_warned_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("key").write_text("a-key\n")
    text = GOOD.replace("/tmp/Master.csv", "cdr/Master.csv") + "ca_file = key\n"
    text += "[destination hook]\ntype = webhook\nurl = https://localhost/\nclient_cert = key\n"
    said = [one for one in read(tmp_path, text + "[agent]\noutbox = outbox.db\n").warnings if "whole path" in one]
    assert [one.partition(" does not")[0] for one in said] == [
        "[agent] outbox: outbox.db",
        "[source master-csv] path: cdr/Master.csv",
        "[destination humbug] ca_file: key",
        "[destination hook] client_cert: key",
    ]
    assert not [one for one in read(tmp_path, GOOD).warnings if "whole path" in one]


def test_each_setting_that_names_a_file_is_known_to_name_one() -> None:
    """By its name: whoever asks has the sections alone."""
    asked = {
        key
        for path in (TOP / "humbug_agent").rglob("settings.py")
        for key in re.findall(r'converted\("(\w+)", file,', path.read_text())
    }
    assert {"ca_file", "certificate", "client_key"} <= asked
    assert [key for key in asked if not names_file(key)] == []
