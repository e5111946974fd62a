"""Where FreeSWITCH posts its calls, against where the agent waits for them."""

import json
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from humbug_agent.doctor.table import Finding
from humbug_agent.host.codes import Code
from humbug_agent.pbx_host.freeswitch import json_cdr_conf
from tests.doctor.sick_host import SickHost
from tests.kit.ports import free_port

SECRET = ["username = fs", "password = the-word"]
CRED = '    <param name="cred" value="fs:{}"/>\n'
OF_THIS_HOST = ["localhost", "127.0.0.1", "[::1]"]

Conf = Callable[[int], str]


@pytest.fixture
def sick(tmp_path: Path) -> Iterator[SickHost]:
    with SickHost("freeswitch", tmp_path) as made:
        yield made


def found(host: SickHost, conf: Conf, *lines: str, listen: str = "127.0.0.1", beside: bool = True) -> list[Finding]:
    """Where mod_json_cdr has ``conf`` of the port that the agent listens on.

    ``beside`` it has a source for what could not be posted.
    """
    port = free_port()
    host.more("source posted", "type = freeswitch_http", f"listen = {listen}:{port}", *lines)
    if not beside:
        del host.sections["source documents"]
    configs = host.root / "etc/freeswitch/autoload_configs"
    modules = (configs / "modules.conf.xml").read_text()
    (configs / "modules.conf.xml").write_text(modules.replace("</modules>", '<load module="mod_json_cdr"/></modules>'))
    (configs / "json_cdr.conf.xml").write_text(conf(port))
    return host.doctor().findings


def posting_to(address: str) -> Conf:
    return lambda _: json_cdr_conf(address)


def with_cred(word: str) -> Conf:
    return lambda port: json_cdr_conf(f"127.0.0.1:{port}", CRED.format(word))


def changed(before: str, after: str) -> Conf:
    def conf(port: int) -> str:
        text = json_cdr_conf(f"127.0.0.1:{port}")
        assert re.search(before, text)
        return re.sub(before, after, text)

    return conf


@pytest.mark.parametrize("host", OF_THIS_HOST)
@pytest.mark.parametrize("listen", ["0.0.0.0", "[::]"])
def test_all_names_of_this_host_are_one_where_the_agent_listens_on_all(sick: SickHost, host: str, listen: str) -> None:
    conf = lambda port: json_cdr_conf(f"{host}:{port}", CRED.format("the-word"))  # noqa: E731
    assert found(sick, conf, *SECRET, listen=listen) == []


@pytest.mark.parametrize(
    "conf",
    [
        changed('/"/>', '/"/>'),
        changed('(127.0.0.1:[0-9]+)/"', r'\1"'),
        changed('(127.0.0.1:[0-9]+)/"', r'\1/cdr?x=y"'),
        changed("127.0.0.1", "localhost"),
        changed("http://", ""),
        changed('name="url"', 'name="URL"'),
        changed("(?m)^(.*)(http://127.0.0.1:[0-9]+)(.*)$", r"\1http://198.51.100.1/\3\n\1\2\3"),
        changed("127.0.0.1", "$${local_ip_v4}"),
    ],
)
def test_what_leads_there_is_well(sick: SickHost, conf: Conf) -> None:
    """The last but one has two, of which it takes the next where one fails; the last nobody can tell from here."""
    assert found(sick, conf) == []


@pytest.mark.parametrize(
    ("conf", "lines", "change"),
    [
        (posting_to("127.0.0.1:{free}"), [], "url"),
        (posting_to("127.0.0.2:{listen}"), [], "url"),
        (posting_to("receiver.invalid"), [], "url"),
        (posting_to("127.0.0.1:seven"), [], "url"),
        (changed("http://", "https://"), [], "url"),
        (changed("http:", "http:"), SECRET, "cred"),
        (with_cred("bad-word"), SECRET, "cred"),
    ],
)
def test_posts_that_fail_are_lost_unless_what_failed_is_read(
    sick: SickHost, conf: Conf, lines: list[str], change: str
) -> None:
    def here(port: int) -> str:
        return conf(port).replace("{free}", str(free_port())).replace("{listen}", str(port))

    (one,) = found(sick, here, *lines)
    assert one.code is Code.POSTED_ROUND
    assert one.said.endswith("[source documents] has the calls all the same")
    del sick.sections["source documents"]
    sick.configure()
    one = next(one for one in sick.doctor().findings if one.code is not Code.UNSENT)
    assert (one.code, one.part) == (Code.POSTED_ELSEWHERE, "source posted")
    listen = sick.sections["source posted"][1].removeprefix("listen = ")
    value = f"http://{listen}/" if change == "url" else "fs:THE PASSWORD OF agent.ini"
    param = f'<param name="{change}" value="{value}"/>'
    assert one.change == f"/etc/freeswitch/autoload_configs/json_cdr.conf.xml: {param}"
    text = json.dumps(one.as_json())
    assert not any(secret in text for secret in ("the-word", "bad-word"))


@pytest.mark.parametrize(("scheme", "taken"), [("=digest", False), ("digest", True), ("=basic", True), ("=any", True)])
def test_the_agent_takes_basic_alone(sick: SickHost, scheme: str, taken: bool) -> None:
    def conf(port: int) -> str:
        return with_cred("the-word")(port).replace(
            "</settings>", f'<param name="auth-scheme" value="{scheme}"/></settings>'
        )

    codes = [one.code for one in found(sick, conf, *SECRET)]
    assert codes == ([] if taken else [Code.POSTED_ROUND])


def test_what_another_host_takes_is_lost(sick: SickHost) -> None:
    """It may well answer that it has them: then FreeSWITCH keeps none."""
    assert [one.code for one in found(sick, posting_to("fs:fs-word@198.51.100.1"))] == [Code.POSTED_ELSEWHERE]
    assert "fs-word" not in json.dumps([one.as_json() for one in sick.doctor().findings])


def test_the_event_socket_has_the_calls_all_the_same(sick: SickHost) -> None:
    sick.more("source socket", "type = freeswitch_esl", f"port = {free_port()}")
    codes = {one.code for one in found(sick, posting_to("198.51.100.1"))}
    assert codes == {Code.POSTED_ROUND, Code.SOURCE}


def test_a_proxy_may_stand_in_between(sick: SickHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        (one,) = found(sick, posting_to(f"127.0.0.1:{proxy.getsockname()[1]}"))
    assert one.code is Code.POSTED_ROUND
    assert "is not known" in one.said


def test_the_agents_own_page_is_no_proxy(sick: SickHost) -> None:
    with socket.create_server(("127.0.0.1", 0)) as page:
        port = page.getsockname()[1]
        sick.more("status", f"listen = 127.0.0.1:{port}")
        assert Code.POSTED_ELSEWHERE in {one.code for one in found(sick, posting_to(f"127.0.0.1:{port}"), beside=False)}


def test_one_that_others_may_reach_waits_for_theirs(sick: SickHost) -> None:
    assert found(sick, posting_to("198.51.100.1"), *SECRET, listen="0.0.0.0") == []


def test_fusionpbx_goes_on_to_have_its_own(sick: SickHost) -> None:
    """Nobody is told to change what its pages need."""
    (one,) = found(sick, posting_to("127.0.0.1/app/xml_cdr/xml_cdr_import.php"))
    assert one.code is Code.NOT_POSTED


def test_a_module_that_is_loaded_and_has_no_url_gets_one(sick: SickHost) -> None:
    (one,) = found(sick, changed('<param name="url".*', ""))
    assert one.code is Code.NOT_POSTED
    assert '<param name="url" value="http://127.0.0.1:' in one.change


@pytest.mark.parametrize(
    ("conf", "beside", "change"),
    [
        (
            changed("/var/log/freeswitch/json_cdr", "/elsewhere"),
            True,
            'name="err-log-dir" value="/var/log/freeswitch/json',
        ),
        (changed("/var/log/freeswitch/json_cdr", "/else"), False, "path = /else\nafter = delete"),
        (changed('disk" value="true"', 'disk" value="False"'), True, 'name="log-errors-to-disk" value="true"'),
    ],
)
def test_somebody_must_read_what_could_not_be_posted(sick: SickHost, conf: Conf, beside: bool, change: str) -> None:
    (one,) = found(sick, conf, beside=beside)
    assert one.code is Code.UNSENT
    assert change in one.change


@pytest.mark.parametrize(
    "conf", [changed('err-log-dir" value="[^"]*"', 'err-log-dir" value=""'), changed('.*"err-log-dir".*', "")]
)
def test_it_has_a_folder_of_its_own_for_them(sick: SickHost, conf: Conf) -> None:
    assert found(sick, conf) == []


def test_xml_that_is_none_is_freeswitchs(sick: SickHost) -> None:
    (one,) = found(sick, changed("</settings>", ""))
    assert one.code is Code.REFUSED_XML
    assert "fs_cli -x reloadxml" in one.kind.todo
    assert "json_cdr.conf.xml: no XML (mismatched tag: line " in one.said
