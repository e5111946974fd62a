"""What the documented line leaves out of AMI, so that Asterisk is woken for calls alone."""

import re
from collections import Counter
from collections.abc import Callable

from tests.kit.paths import TOP
from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.phones import burst

CALLS = 50
PAGE = TOP / "docs" / "sources" / "asterisk.md"


def general() -> str:
    (found,) = re.findall(r"```ini\n\[general\]\n(disabledevents = .*\n)```", PAGE.read_text())
    return str(found)


def heard(pbx: Pbx, calls_share: float) -> Counter[str]:
    """The events of some calls, as one who may see all is told them.

    Read until the records are a smaller share of them: Asterisk tells of channels from another thread than of records,
    and that may be late. At 1.0 they need be no smaller share.
    """
    with Manager(pbx.ami_port, events=True) as listener:
        burst(pbx, CALLS)
        found: Counter[str] = Counter()
        while found["Cdr"] < 2 * CALLS or found["Cdr"] > calls_share * found.total():
            found[listener.message().get("Event", "")] += 1
    return found


def test_without_the_line_asterisk_tells_much_else(pbx: Callable[..., Pbx]) -> None:
    assert heard(pbx(), 1 / 3)["Newchannel"]


def test_with_the_line_asterisk_tells_calls_alone(pbx: Callable[..., Pbx]) -> None:
    assert heard(pbx(manager_general=general()), 1.0).keys() <= {"Cdr", "FullyBooted", "SuccessfulAuth"}
