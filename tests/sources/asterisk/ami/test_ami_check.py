"""`check` on an AMI: whether calls would be told, and which line of which file to change where they would not."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC

import pytest

from humbug_agent.board.asterisk import CLASSES, AsteriskFeeder
from humbug_agent.board.model import Board
from humbug_agent.sources.asterisk.ami import check as ami_check
from humbug_agent.sources.asterisk.ami.source import AsteriskAmi
from humbug_agent.sources.contract import SourceError
from tests.kit.ami_calls import AMI, event, played
from tests.kit.ami_calls import call as a_call
from tests.kit.ami_feed import settings
from tests.kit.ami_server import SECRET, AmiServer
from tests.kit.host import wait_until

pytestmark = pytest.mark.slow

CDR_STATUS = (AMI / "cdr-show-status.txt").read_text()


def console(read: str, status: str = CDR_STATUS) -> dict[str, str]:
    """What Asterisk's console says of our user."""
    user = (
        "\n       username: humbug\n         secret: <Set>\n            ACL: yes\n"
        f"      read perm: {read}\n     write perm: command\n   displayconnects: yes\nallowmultiplelogin: yes\n"
        "      Variables: \n\n"
    )
    return {"manager show user humbug": user, "cdr show status": status}


def failure(port: int, events: Iterable[str] = ("cdr",)) -> str:
    with pytest.raises(SourceError) as raised:
        AsteriskAmi(settings(port, events), UTC).check()
    assert SECRET not in str(raised.value)
    return str(raised.value)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami_check, "LISTEN_SECONDS", 0.7)
    monkeypatch.setattr(ami_check, "GRACE_SECONDS", 0.3)
    monkeypatch.setattr(ami_check, "ASK_SECONDS", 0.5)
    # This host may have an Asterisk of its own, whose console would be asked.
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)


@pytest.fixture(autouse=True)
def leaves_no_connection(ami: AmiServer) -> Iterable[None]:
    yield
    wait_until(lambda: not ami.open)


@pytest.mark.parametrize("read", ["cdr", "all", "system,call,cdr", "cdr,agent"])
def test_where_the_console_may_be_asked_the_rights_are_known(ami: AmiServer, read: str) -> None:
    ami.console = console(read)
    said = AsteriskAmi(settings(ami.port), UTC).check()
    assert said == f"AMI 127.0.0.1:{ami.port}: logged in as humbug (Asterisk Call Manager/11.0.0), may see cdr"


def test_a_user_that_may_not_see_calls_is_told_which_line_to_write(ami: AmiServer) -> None:
    ami.console = console("call")
    assert "may not see cdr events (its read is call)" in failure(ami.port)
    assert "in manager.conf, section [humbug], write read = call,cdr, then asterisk -rx" in failure(ami.port)
    ami.console = console("<none>")
    assert "(its read is empty)" in failure(ami.port)
    assert "write read = cdr," in failure(ami.port)


def test_a_notice_needs_a_right_of_its_own(ami: AmiServer) -> None:
    ami.console = console("cdr")
    assert "may not see system events" in failure(ami.port, ("cdr", "shutdown"))
    assert "write read = cdr,system," in failure(ami.port, ("cdr", "shutdown"))
    ami.console = console("cdr,system")
    assert "may see alarm, cdr, reload" in AsteriskAmi(settings(ami.port, ("cdr", "reload", "alarm")), UTC).check()


def test_an_asterisk_that_sends_no_events_is_told_what_to_enable(ami: AmiServer) -> None:
    ami.console = console("cdr", CDR_STATUS.replace("    cdr_manager\n", ""))
    assert "in cdr_manager.conf, section [general], write enabled = yes" in failure(ami.port)
    ami.console = console("cdr", CDR_STATUS.replace("Enabled", "Disabled", 1))
    assert "in cdr.conf, section [general], write enable = yes" in failure(ami.port)


def test_a_call_that_ends_without_an_event_is_proof_enough(ami: AmiServer) -> None:
    ami.after_login = lambda: [played("class-callonly.rx")]
    said = failure(ami.port)
    assert "saw a call end, and no Cdr event came: in manager.conf, section [humbug], read must have cdr" in said
    assert "cdr_manager.conf" in said


def test_an_event_that_comes_late_is_proof_of_the_contrary(ami: AmiServer) -> None:
    ami.after_login = lambda: [played("class-callonly.rx"), event(a_call(1))]
    assert AsteriskAmi(settings(ami.port), UTC).check().endswith("; a Cdr event came")


def test_where_nothing_happens_it_says_that_it_does_not_know(ami: AmiServer) -> None:
    assert "so its rights stay untested" in AsteriskAmi(settings(ami.port), UTC).check()


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.3", "1.4"])
def test_of_an_old_asterisk_calls_are_told_and_the_board_is_not(ami: AmiServer, version: str) -> None:
    ami.banner = f"Asterisk Call Manager/{version}\r\n".encode()
    right = "call" if version == "1.0" else "cdr"
    ami.console = console(right)
    assert AsteriskAmi(settings(ami.port), UTC).check().endswith("may see cdr")
    ami.console = console("agent")
    assert f"write read = agent,{right}, then" in failure(ami.port)
    source = AsteriskAmi(settings(ami.port), UTC)
    source.listen_also(AsteriskFeeder(Board("ami"), "humbug"), CLASSES)
    said = f"the live board of [status] needs Asterisk 12 or later (this is AMI {version})"
    with pytest.raises(SourceError, match=re.escape(said)):
        source.check()


def test_a_refused_login_says_where_to_look(ami: AmiServer) -> None:
    ami.allowed = False
    assert failure(ami.port) == (
        f"AMI 127.0.0.1:{ami.port}: refuses the login of humbug (Authentication failed); look in manager.conf at "
        "[humbug]: its secret, its permit and deny lines, and whether it was reloaded"
    )


def test_where_nobody_listens_it_asks_whether_asterisk_runs(ami: AmiServer) -> None:
    ami.vanish()
    assert failure(ami.port) == (
        f"AMI 127.0.0.1:{ami.port}: nobody listens there; does Asterisk run, and has manager.conf enabled = yes in "
        "[general]?"
    )


def test_a_question_that_is_never_answered_is_a_failure_with_words(ami: AmiServer) -> None:
    ami.answers_commands = False
    assert f"AMI 127.0.0.1:{ami.port}: does not answer" in failure(ami.port)


def cut_off(ami: AmiServer) -> None:
    ami.closes_after_login = True


def foreign(ami: AmiServer) -> None:
    ami.banner = b"HTTP/1.1 400 Bad Request\r\n"


def nonsense(ami: AmiServer) -> None:
    ami.login_answer = b"Response: Perhaps\r\nActionID: %s\r\n\r\n"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (cut_off, "has closed the connection"),
        (foreign, "is no AMI: it begins with 'HTTP/1.1 400 Bad Request'"),
        (nonsense, "refuses the login of humbug"),
    ],
)
def test_other_failures_are_said_in_words_too(ami: AmiServer, broken: Callable[[AmiServer], None], words: str) -> None:
    broken(ami)
    assert words in failure(ami.port)


def test_a_connection_lost_while_it_listens_is_no_success(ami: AmiServer) -> None:
    # Behind the answer to its question, which is not permitted.
    ami.closes_after_command = True
    assert "has closed the connection" in failure(ami.port)
