"""Whatever the umask is, nothing that the program makes is for other users of the host."""

import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from humbug_agent.receiver import Background, Receiver, Store
from tests.kit import fs_folder
from tests.kit.host import API_KEY, KEY, Host
from tests.kit.paths import TOP

pytestmark = pytest.mark.slow


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_all_that_is_made_is_its_owners_alone(umask: int, tmp_path: Path) -> None:
    documents = tmp_path / "json_cdr"
    documents.mkdir(0o755)
    wrong = documents / "a_wrong.cdr.json"
    wrong.write_bytes(b'{"variables":')
    fs_folder.old(wrong)
    fs_folder.write(documents, 1)
    for path in documents.iterdir():
        fs_folder.old(path)
        path.chmod(0o640)
    with closing(Store(tmp_path / "calls.db")) as store, Background(Receiver(store, API_KEY, KEY)) as receiver:
        host = Host(tmp_path, receiver, store)
        host.configure(agent=f"[source docs]\ntype = freeswitch_json\npath = {documents}\nafter = move\n")
        host.write()
        theirs = {host.ini, host.master, documents}
        host.run("run", "--once", code=None)
        host.run("outbox", "export", "--output", str(tmp_path / "calls.csv"))
        # And what is made of a damaged outbox.
        with open(tmp_path / "outbox.db", "r+b") as outbox:
            outbox.seek(4096)
            outbox.write(os.urandom(4096))
        host.run("run", "--once", code=None)
        made = set(tmp_path.rglob("*")) - theirs
        assert {"outbox.db", "outbox.db.lock", "calls.db", "calls.csv", "rejected", "done"} <= {
            one.name for one in made
        }
        assert any(".damaged-" in one.name for one in made)
        for path in made:
            mode = stat.S_IMODE(path.stat().st_mode)
            others = 0o007 if path.is_relative_to(documents) else 0o077
            assert not mode & others, f"{path} is {oct(mode)}"


def test_the_units_files_are_its_users_alone() -> None:
    unit = (TOP / "systemd" / "humbug-agent.service").read_text()
    assert {"UMask=0077", "StateDirectoryMode=0700", "ConfigurationDirectoryMode=0750"} <= set(unit.splitlines())
