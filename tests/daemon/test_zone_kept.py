"""What the last records said of a source's zone outlives the daemon: each of them is seen once."""

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from humbug_agent.daemon.supervisor import pump
from humbug_agent.outbox.outbox import Outbox
from humbug_agent.repeats import Sayings
from humbug_agent.sources.freeswitch.json.source import FreeswitchJson
from tests.kit.fs_folder import settings
from tests.kit.paths import DATA

RECORDED = sorted((DATA / "freeswitch" / "docs").rglob("a_*.cdr.json"))
TOKYO = ZoneInfo("Asia/Tokyo")


class Starts:
    """A daemon's starts, one after the other, each with the documents that came since the last."""

    def __init__(self, folder: Path) -> None:
        self._documents, self._outbox = folder / "json_cdr", folder / "outbox.db"
        self._documents.mkdir()
        self._left = iter(RECORDED)
        self.said: list[str] = []

    def with_more(self, number: int, zone: str = "Asia/Tokyo") -> str:
        """What is said of the times then."""
        for _ in range(number):
            shutil.copy(next(self._left), self._documents)
        mine = replace(settings(self._documents, after="delete"), timezone=ZoneInfo(zone))
        source = FreeswitchJson(mine, ZoneInfo("UTC"))
        with Outbox(self._outbox) as outbox:
            outbox.forget_health()
            sayings = Sayings(lambda _, text: self.said.append(text))
            for _ in pump(source, outbox, ["humbug"], threading.Event(), sayings, follow=False):
                pass
            return outbox.doubts().get(source.name, "")


@pytest.fixture
def starts(tmp_path: Path) -> Starts:
    return Starts(tmp_path)


def test_a_wrong_zone_is_found_by_calls_of_several_starts_and_by_none_of_the_last(starts: Starts) -> None:
    assert [starts.with_more(1), starts.with_more(1)] == ["", ""]
    found = starts.with_more(1)
    assert found.startswith("its times are 9 h behind FreeSWITCH's own epochs: ")
    assert starts.with_more(0) == found
    assert not any("right again" in text for text in starts.said)
    # What was read in another zone says nothing of this one.
    assert starts.with_more(0, "UTC") == ""
    assert starts.with_more(3, "UTC") == ""
