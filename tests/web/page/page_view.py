"""The page in the browser, as a test sees it."""

from typing import Any

from tests.web.page.page_browser import Browser
from tests.web.page.page_server import PageServer

KNOWN = "return document.body.dataset.known === 'true'"

# Every text that is shown, with the contrast between its colour and what is behind it, as WCAG 2 reckons it.
CONTRASTS = """
const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const [r, g, b, alpha = 1] = rgb(getComputedStyle(node).backgroundColor);
    if (alpha === 1) return [r, g, b];
  }
  return [255, 255, 255];
};
const found = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const node = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !node.checkVisibility() || node.closest("noscript, .unseen, .skip")) continue;
  const pair = [light(rgb(getComputedStyle(node).color)), light(behind(node))];
  found.push([(Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05), walk.currentNode.data.slice(0, 40)]);
}
return found;
"""

# What reaches out of the window, or of the column that it is in.
OVERFLOWS = """
const boxes = document.querySelectorAll(".panel, table, #top > *, #tiles li > *, form, main");
const wide = [document.documentElement, ...boxes]
  .filter((node) => node.checkVisibility() && !node.matches(".unseen"));
return wide.filter((node) => node.scrollWidth > node.clientWidth + (node === document.documentElement ? 0 : 1))
  .map((node) => `${node.tagName} ${node.id} ${node.className}: ${node.scrollWidth} of ${node.clientWidth}`);
"""

# Which of what it was told the page shows. What it does with one thing is done before the timer set behind it runs.
SEEN = """
if (window.seen === undefined) {
  window.seen = 0;
  const parse = JSON.parse;
  JSON.parse = (...all) => {
    const value = parse(...all);
    if (value?.serial) setTimeout(() => { window.seen = value.serial; });
    return value;
  };
}
"""
ASK = "document.dispatchEvent(new Event('visibilitychange'));"


class Page:
    def __init__(self, browser: Browser, server: PageServer) -> None:
        self.browser, self.server = browser, server
        self._where = ""

    def open(
        self,
        answer: dict[str, Any],
        width: int = 1280,
        height: int = 900,
        *,
        view: str = "",
        dark: bool = False,
        less_motion: bool = False,
    ) -> None:
        """Load the view, an address below the page's, with this answer."""
        self.server.show(answer)
        self._where = view
        self.browser.screen(width, height, dark=dark, less_motion=less_motion)
        self.load()

    def load(self) -> None:
        self.browser.go(f"{self.server.url}{self._where}")
        self.browser.until(lambda: self.browser.run(KNOWN))

    def show(self, answer: dict[str, Any]) -> None:
        """The PBX says this now; wait until the page does. Where it waits to ask again, it asks now."""
        self.browser.run(SEEN)
        self.server.show(answer)
        # An answer can make the page load itself anew.
        script = f"{SEEN}{ASK} return window.seen >= arguments[0]"
        self.browser.until(lambda: self.browser.run(script, self.server.serial), "it shows what it is told")

    def later(self, seconds: float) -> None:
        """For the page, so much time has passed."""
        self.browser.run(
            "const [now, ran, ms] = [Date.now, performance.now.bind(performance), arguments[0] * 1000];"
            "Date.now = () => now() + ms; performance.now = () => ran() + ms",
            seconds,
        )

    def sets_clock(self, seconds: float) -> None:
        """The clock of the reader's host is set; or, forwards, the host has slept."""
        self.browser.run("const real = Date.now; Date.now = () => real() + arguments[0] * 1000", seconds)

    def text(self, selector: str) -> str:
        found = self.browser.run("return document.querySelector(arguments[0])?.innerText", selector)
        assert found is not None, f"no {selector}"
        return str(found)

    def texts(self, selector: str) -> list[str]:
        """Of those that are shown."""
        found = "[...document.querySelectorAll(arguments[0])].filter((node) => node.checkVisibility())"
        return list(self.browser.run(f"return {found}.map((node) => node.innerText)", selector))

    def number(self, tile: str) -> str:
        return self.text(f"#tile-{tile} .value")

    def rows(self, kind: str) -> list[list[str]]:
        """The cells of a table's body; the lines of a cell are one text."""
        script = (
            "const shown = (nodes) => [...nodes].filter((node) => node.checkVisibility());"
            "return shown(document.querySelectorAll(arguments[0]))"
            ".map((row) => shown(row.cells).map((cell) => cell.innerText.replaceAll('\\n', ' / ')))"
        )
        return list(self.browser.run(script, f"table.{kind} tbody tr"))

    def title(self) -> str:
        return str(self.browser.run("return document.title"))

    def until(self, condition: Any, what: str = "") -> Any:
        return self.browser.until(condition, what)
