"""What README's line leaves out of AMI, so that Asterisk is woken for calls alone."""

import re
from collections import Counter
from collections.abc import Callable

from tests.kit.paths import TOP
from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager
from tests.pbx.phones import burst

CALLS = 50
README = TOP / "README.md"


def general() -> str:
    (found,) = re.findall(r"```ini\n\[general\]\n(disabledevents = .*\n)```", README.read_text())
    return str(found)


def heard(pbx: Pbx) -> Counter[str]:
    """The events of some calls, as one who may see all is told them."""
    with Manager(pbx.ami_port, events=True) as listener:
        burst(pbx, CALLS)
        found: Counter[str] = Counter()
        while found["Cdr"] < 2 * CALLS:
            found[listener.message().get("Event", "")] += 1
    return found


def test_without_the_line_asterisk_tells_much_else(pbx: Callable[..., Pbx]) -> None:
    found = heard(pbx())
    assert found.total() > 3 * found["Cdr"]


def test_with_the_line_asterisk_tells_calls_alone(pbx: Callable[..., Pbx]) -> None:
    assert heard(pbx(manager_general=general())).keys() <= {"Cdr", "FullyBooted", "SuccessfulAuth"}
