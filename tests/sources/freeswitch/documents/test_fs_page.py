"""What docs/sources/freeswitch.md says to put into FreeSWITCH's files is XML, and what `check` prints."""

import re
from datetime import UTC
from xml.etree import ElementTree

import pytest

from humbug_agent.sources.freeswitch.http.source import FreeswitchHttp
from tests.kit.fs_posting import settings
from tests.kit.paths import TOP
from tests.kit.ports import free_port

PAGE = (TOP / "docs" / "sources" / "freeswitch.md").read_text()
BLOCKS = re.findall(r"^```xml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
INLINE = re.findall(r"`(<[^`]+/>)`", PAGE)


@pytest.mark.parametrize("piece", [*BLOCKS, *INLINE], ids=range(len(BLOCKS + INLINE)))
def test_every_piece_of_xml_is_some(piece: str) -> None:
    found = ElementTree.fromstring(f"<settings>{piece}</settings>")
    assert len(found)
    for param in found.iter("param"):
        assert param.keys() == ["name", "value"]
        assert all(param.attrib.values())


def test_what_is_to_paste_for_posts_is_what_check_prints() -> None:
    port = free_port()
    said = FreeswitchHttp(settings(port), UTC).check()
    (printed,) = re.findall(r'<configuration name="json_cdr.conf".*?</configuration>', said, re.DOTALL)
    assert BLOCKS[0].strip().replace(":8089/", f":{port}/") == printed


def test_each_way_names_the_file_that_its_piece_belongs_into() -> None:
    for way, file, piece in (
        ("http", "json_cdr.conf.xml", 'name="url"'),
        ("json", "The same file", 'name="log-dir"'),
        ("csv", "cdr_csv.conf.xml", 'name="default-template" value="safe"'),
        ("esl", "event_socket.conf.xml", 'name="listen-ip" value="127.0.0.1"'),
    ):
        (said,) = re.findall(rf"^## freeswitch_{way}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
        assert file in said
        assert piece in said
        assert re.search(r"fs_cli -x '(re)?load |The same file and module", said)
