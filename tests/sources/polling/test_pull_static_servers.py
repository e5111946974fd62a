"""Servers that answer the same whatever they are asked, that live in another week, and whose address is cut short."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.kit import boxis_server, fusionpbx_server, while1_server
from tests.kit.boxis_server import BoxisServer
from tests.kit.fusionpbx_server import FusionpbxServer
from tests.kit.pull_server import Asked, Reply, as_json
from tests.kit.while1_agent import Reader, a_source
from tests.kit.while1_server import While1Server
from tests.kit.windowed_sources import boxis, fusionpbx, once

pytestmark = pytest.mark.usefixtures("no_pause")

DAY = 86400
LONG_AGO = datetime(2018, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("timestamp", [None, 1518091850])
def test_boxis_years_before_its_only_calls_are_asked_for_in_a_minute(timestamp: int | None) -> None:
    """With a second between two requests, too."""
    now = datetime.now(UTC).timestamp()
    cdr = {"call_1": boxis_server.a_row(1, now - 3000 * DAY), "call_2": boxis_server.a_row(2, now - 100)}
    answer: dict[str, Any] = {"result": "1", "resulttxt": "success", "params": {"cdr": cdr}, "timestamp": timestamp}
    with BoxisServer() as server:
        server.spoil = lambda asked, reply: as_json(answer)
        came = once(boxis(server, since=LONG_AGO))
        assert len(server.asked) < 60
    assert came.error is None
    assert len(came.records) == 2


def test_fusionpbx_years_before_its_only_calls_are_asked_for_in_a_minute() -> None:
    now = datetime.now(UTC).timestamp()
    rows = [fusionpbx_server.a_row(1, now - 3000 * DAY), fusionpbx_server.a_row(2, now - 100)]

    def always(asked: Asked, reply: Reply) -> Reply:
        return as_json(rows) if asked.path == "/api/call_range" else reply

    with FusionpbxServer() as server:
        server.spoil = always
        came = once(fusionpbx(server, since=LONG_AGO))
        assert len(server.asked) < 60
    assert came.error is None
    assert len(came.records) == 2


def test_while1_years_before_its_only_call_are_asked_for_in_seconds() -> None:
    none = {"row_count": 0, "page_size": 100, "current_page": 0, "max_page": 0}
    answer = {"has_error": False, "messages": [], "pagination": none, "results": [while1_server.SAMPLE]}
    with While1Server() as server:
        server.spoil = lambda asked, reply: as_json(answer)
        assert Reader().once(a_source(server, since=LONG_AGO)).ids == [29056]
        assert len(server.asked) < 30


@pytest.mark.parametrize("days", [-20, -1, 1, 20])
def test_boxis_by_a_clock_that_is_days_from_ours(days: int) -> None:
    now = datetime.now(UTC).timestamp()
    with BoxisServer() as server:
        server.ahead = days * DAY
        server.tenants[boxis_server.TENANT] = [boxis_server.a_row(1, now - 600), boxis_server.a_row(2, now - 5000)]
        came = once(boxis(server, timezone=boxis_server.ZONE))
        assert came.error is None
        assert len(came.records) == 2
        # It is not known which of the two clocks is right.
        server.tenants[boxis_server.TENANT].append(boxis_server.a_row(3, now + max(days, 0) * DAY - 10))
        came = once(boxis(server, timezone=boxis_server.ZONE), came.cursor)
        assert "3" in [record.extra["sequence"] for record in came.records]


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/", "/api/cdr/"])
def test_while1_by_a_url_that_only_names_the_pbx(path: str) -> None:
    with While1Server() as server:
        base = server.url.removesuffix(while1_server.PATH)
        assert "logged in" in a_source_at(server, base + path)
        assert {asked.path for asked in server.asked} == {while1_server.PATH}


def a_source_at(server: While1Server, url: str) -> str:
    server.url = url
    return a_source(server).check()


@pytest.mark.parametrize("path", ["", "/", "/api", "/api/"])
def test_fusionpbx_by_a_url_with_and_without_api(path: str) -> None:
    with FusionpbxServer() as server:
        assert "logged in" in fusionpbx(server, url=server.url + path).check()
