"""http_build_query, against the example of the vendor's page and against PHP itself."""

import json
import os
import random
import shutil
import subprocess
from typing import Any

import pytest

from humbug_agent.http_server.php import http_build_query
from humbug_agent.sources.while1.pages import signed

SETS = 1000
PHP = """
foreach (json_decode(stream_get_contents(STDIN), true, 512, JSON_THROW_ON_ERROR) as [$parameters, $key]) {
    $query = http_build_query($parameters);
    $all[] = [$query, md5($query . $key)];
}
echo json_encode($all);
"""
PIECES = (
    *"abcXYZ019 ~-_.*!'()&=+%#/?:@,;[]{}<>|\\^`\"\t\n\r\0", "é", "ß", "€", "日本", "😀", "%5B", "[]", "\u200b", "\x7f",
    "date_between", "0", "-1", "007", "2024-01-01 00:00:00",
)  # fmt: skip


def test_the_example_of_the_page_gives_its_hash() -> None:
    filters = {"date_between": ["2024-01-01 00:00:00", "2024-01-15 23:59:59"], "project_id": None, "from_id": None}
    kind, body = signed({"page": 1, "filters": filters}, "your_api_key", "form")
    assert kind == "application/x-www-form-urlencoded"
    assert body.decode() == (
        "page=1&filters%5Bdate_between%5D%5B0%5D=2024-01-01+00%3A00%3A00"
        "&filters%5Bdate_between%5D%5B1%5D=2024-01-15+23%3A59%3A59&api_hash=ff9a6b157cb1f79db73e7507635f878a"
    )
    kind, body = signed({"page": 1, "filters": filters}, "your_api_key", "json")
    assert kind == "application/json"
    assert json.loads(body) == {"page": 1, "filters": filters, "api_hash": "ff9a6b157cb1f79db73e7507635f878a"}


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({}, ""),
        ({"a": None, "b": [], "c": {}, "d": [None, [], {"e": None}]}, ""),
        ({"a": True, "b": False, "c": 0, "d": "", "e": -7}, "a=1&b=0&c=0&d=&e=-7"),
        ({"a": "x y~z-_.*"}, "a=x+y%7Ez-_.%2A"),
        ({"a": ["u", None, "v"], "b": {"x y": {"[": 1}}}, "a%5B0%5D=u&a%5B2%5D=v&b%5Bx+y%5D%5B%5B%5D=1"),
        ({"": {"a": 1}}, "%5Ba%5D=1"),
        ({"é": "€\n"}, "%C3%A9=%E2%82%AC%0A"),
    ],
)
def test_what_becomes_of_each_kind_of_value(parameters: dict[str, Any], query: str) -> None:
    assert http_build_query(parameters) == query


def some_text(rng: random.Random) -> str:
    return "".join(rng.choices(PIECES, k=rng.choice((0, 1, 1, 3, 8))))


def some_value(rng: random.Random, depth: int) -> Any:
    kind = rng.choice(("text", "text", "text", "number", "bool", "none", "list", "dict"))
    if kind == "number":
        return rng.choice((0, 1, -1, rng.randrange(-(2**63), 2**63)))
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "text" or (depth == 4 and kind != "none"):
        return some_text(rng)
    if kind == "list":
        return [some_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return some_parameters(rng, depth + 1) if kind == "dict" else None


def some_parameters(rng: random.Random, depth: int = 0) -> dict[str, Any]:
    return {some_text(rng): some_value(rng, depth) for _ in range(rng.randrange(5))}


def test_php_itself_makes_the_same_of_a_thousand_random_sets() -> None:
    php = shutil.which("php")
    if not php:
        assert not os.environ.get("HUMBUG_TEST_PHP_REQUIRED"), "no php here; tests/pull/prepare installs it"
        pytest.skip("no php here; tests/pull/prepare installs it")
    seed = random.SystemRandom().randrange(10**9)
    print(f"seed {seed}")
    rng = random.Random(seed)
    sets = [(some_parameters(rng), some_text(rng)) for _ in range(SETS)]
    assert sum(1 for parameters, _ in sets if http_build_query(parameters)) > SETS / 2
    done = subprocess.run([php, "-n", "-r", PHP], input=json.dumps(sets).encode(), capture_output=True, check=True)
    for (parameters, key), (query, api_hash) in zip(sets, json.loads(done.stdout), strict=True):
        assert http_build_query(parameters) == query
        assert signed(parameters, key, "form")[1].decode() == f"{query}&api_hash={api_hash}"
