"""The differences that the page is told, as the page applies them."""

import random
from typing import Any

from humbug_agent.web.differences import differences
from tests.web.page.page_browser import Browser
from tests.web.page.page_server import PageServer


def test_the_page_makes_the_same_of_them(browser: Browser, page_server: PageServer) -> None:
    rng = random.Random(20)
    steps = []
    old: Any = None
    for _ in range(300):
        new = floor(rng)
        steps.append([differences(old, new), new])
        old = new
    browser.go(page_server.url + "icon.svg")
    found = browser.run(
        """
        return import("/changes.js").then(({ changed, asOf }) => {
          let document = null;
          const wrong = [];
          for (const [changes, wanted] of arguments[0]) {
            document = changed(document, changes);
            const sorted = (key, value) => (value && value.constructor === Object
              ? Object.fromEntries(Object.entries(value).sort()) : value);
            if (JSON.stringify(document, sorted) !== JSON.stringify(wanted, sorted)) wrong.push([document, wanted]);
          }
          return [wrong, asOf({a: [{since: 90.5}, {since: 110}], b: {since: null, more: 1}, c: null}, 100)];
        })
        """,
        steps,
    )
    assert found == [[], {"a": [9.5, 0], "b": {"since": None, "more": 1}, "c": None}]


def floor(rng: random.Random) -> dict[str, Any]:
    """A few queues with callers, of which some come, some go, and some change."""

    def people(name: str) -> list[dict[str, Any]]:
        chosen = [one for one in "abcdefghij" if rng.random() < 0.7]
        if rng.random() < 0.2:
            rng.shuffle(chosen)
        return [
            {name: one, "state": rng.choice(["up", "ringing"]), "devices": [one] * rng.randrange(3)} for one in chosen
        ]

    queues = [
        {"name": f"q/~{one}", "waiting": people("id"), "members": people("interface")}
        for one in range(rng.randrange(4))
    ]
    return {
        "boards": [{"name": "ami", "queues": queues, "calls": people("id")}],
        **dict.fromkeys(rng.choice(["", "x", "y~"]), 1),
    }
