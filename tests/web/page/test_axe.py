"""axe-core, which looks for what keeps people with a disability from using a page, finds nothing in any view."""

import os
from pathlib import Path

import pytest

from tests.kit.paths import TOP
from tests.web.page.page_data import afternoon, board_down, status
from tests.web.page.page_hostile import hostile
from tests.web.page.page_view import Page
from tests.web.page.test_alarms import support

FOLDER = Path(os.environ.get("HUMBUG_TEST_AXE") or TOP / ".axe")
RUN = """
    if (!window.axe) (0, eval)(arguments[0]);
    return axe.run(document, {resultTypes: ["violations", "incomplete"]}).then(({violations, incomplete, passes}) => ({
        violations: violations.map((one) => [one.id, one.help, one.nodes.map((node) => node.html)]),
        passed: passes.length,
    }));
"""


@pytest.fixture(scope="session")
def axe() -> str:
    found = sorted(FOLDER.glob("axe-*.js"))
    if not found:
        pytest.skip(f"no axe-core in {FOLDER}: tests/web/page/prepare fetches it where npm is there")
    return found[-1].read_text()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("view", ["", "wall", "delivery"])
def test_axe_finds_nothing(page: Page, axe: str, view: str, width: int, dark: bool) -> None:
    page.open(afternoon(), width, 900, view=view, dark=dark, less_motion=True)
    for answer in (afternoon(), support(4, 130.0, level=10.0), hostile(), status([board_down()]), status([])):
        page.show(answer)
        found = page.browser.run(RUN, axe)
        assert found["violations"] == []
        assert found["passed"] > 10
