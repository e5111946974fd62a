"""That a real Asterisk reads its configuration files as the tests of pbx_host say that it does."""

from collections.abc import Callable

from tests.kit.asterisk_conf import BESIDE, CASES, Read
from tests.pbx.pbx_host import Pbx
from tests.pbx.pbx_manager import Manager


def as_read(manager: Manager, name: str) -> Read | None:
    answer = manager.lines("GetConfig", Filename=f"{name}.conf")
    if ("Response", "Success") not in answer:
        return None
    found: Read = []
    for header, value in answer:
        if header.startswith("Category-"):
            found.append((value, []))
        elif header.startswith("Line-"):
            key, _, set_to = value.partition("=")
            found[-1][1].append((key, set_to))
    return found


def test_every_form(pbx: Callable[..., Pbx]) -> None:
    host = pbx()
    etc = host.home / "etc"
    for name, text in {**BESIDE, **{f"{name}.conf": text for name, (text, _) in CASES.items()}}.items():
        (etc / name).parent.mkdir(exist_ok=True)
        (etc / name).parent.chmod(0o755)
        (etc / name).write_bytes(text)
        (etc / name).chmod(0o644)
    with Manager(host.ami_port) as manager:
        assert {name: as_read(manager, name) for name in CASES} == {name: read for name, (_, read) in CASES.items()}
