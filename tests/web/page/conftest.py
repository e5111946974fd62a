"""One browser for all tests of the page, and a page of its own for each of them."""

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.web.page.page_browser import Browser, missing
from tests.web.page.page_server import PageServer
from tests.web.page.page_view import Page


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if lacks := missing():
        said = f"not installed: {lacks} (Debian's packages chromium and chromium-driver)"
        if os.environ.get("HUMBUG_TEST_BROWSER_REQUIRED"):
            pytest.fail(said)
        pytest.skip(said)
    opened = Browser(tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def page_server() -> Iterator[PageServer]:
    started = PageServer()
    yield started
    started.end()


@pytest.fixture
def page(browser: Browser, page_server: PageServer) -> Iterator[Page]:
    """With no way back, and nothing kept.

    Whatever a test does: no script fails, the policy is never broken, no other host is asked.
    """
    for kind in ("browser", "performance"):
        browser.log(kind)
    # Full with fifty pages, the way back drops some of those in between.
    browser.cdp("Page.resetNavigationHistory")
    browser.cdp("Storage.clearDataForOrigin", origin=page_server.url, storageTypes="local_storage")
    yield Page(browser, page_server)
    browser.go("about:blank")
    said = [entry["message"] for entry in browser.log("browser") if entry["source"] != "network"]
    assert not said
    asked = [urlsplit(url) for url in browser.requested()]
    assert [url for url in asked if url.scheme.startswith(("http", "ws")) and url.hostname != "127.0.0.1"] == []
