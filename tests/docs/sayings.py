"""What the program says when something is wrong, collected out of its source: texts with … for what is put in."""

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.kit.paths import TOP

CODE = TOP / "humbug_agent"
LEVELS = ("warning", "error", "critical", "exception")
MONITORED = ("status/troubles.py", "status/overview.py", "web/health.py")
"""What `status`, `status --nagios` and /healthz say, sentence by sentence."""

RAISED = (
    "CantAnswer",
    "StoreError",
    "OutboxError",
    "OutboxFull",
    "OutboxDamaged",
    "SpillError",
    "WebError",
    "CantUnpack",
)


def text(node: ast.expr) -> str:
    """What stands in a text or is put together there; … for all that is known only when it runs."""
    match node:
        case ast.Constant(value=str(value)):
            return re.sub(r"%[-\d.]*[sdrgf]", "…", value)
        case ast.JoinedStr(values=values):
            return "".join(text(one) for one in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text(left) + text(right)
    return "…"


def logged() -> Iterator[tuple[str, str]]:
    """Where and what: of warning and above, `log.warning(…)` and the like, and what `Sayings.say` counts.

    What has no words of its own there has those of its function. Who hands on a text that was made elsewhere says "".
    """
    for path in sorted(CODE.rglob("*.py")):
        for function, call in calls(ast.parse(path.read_text())):
            match call:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[first, *_]) if (
                    level in LEVELS or (level == "log" and "INFO" not in ast.unparse(first))
                ):
                    said = text(first)
                case ast.Call(func=ast.Attribute(attr="say"), args=[_, level, said_there, *_]) if (
                    ast.unparse(level) != "logging.INFO"
                ):
                    said = text(said_there)
                case _:
                    continue
            where = f"{path.relative_to(CODE)}:{getattr(function, 'name', '')}"
            found = [said] if is_sentence(said) else [*sentences(function)] if function else []
            for one in found or [""]:
                yield where, one


def raised() -> Iterator[tuple[str, str]]:
    """What errors say that are logged as they are."""
    for path in sorted(CODE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in RAISED:
                for one in sentences(node):
                    yield str(path.relative_to(CODE)), one


def made() -> Iterator[tuple[str, str]]:
    """What is said of a source that goes on all the same."""
    name, function = "status/coverage.py", "_missed"
    for node in ast.walk(ast.parse((CODE / name).read_text())):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            yield from ((name, one) for one in sentences(node) if not one.startswith("SELECT "))


def monitored() -> Iterator[tuple[str, str]]:
    for name in MONITORED:
        for one in sentences(ast.parse((CODE / name).read_text())):
            yield name, one


@cache
def everything() -> frozenset[str]:
    """All texts of the program."""
    return frozenset(one for path in CODE.rglob("*.py") for one in sentences(ast.parse(path.read_text())))


def calls(tree: ast.AST, function: ast.FunctionDef | None = None) -> Iterator[tuple[ast.FunctionDef | None, ast.Call]]:
    """Each with the function that it stands in."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call):
            yield function, node
        yield from calls(node, node if isinstance(node, ast.FunctionDef) else function)


def sentences(tree: ast.AST) -> Iterator[str]:
    """Every text in there that has three words or more of its own, without docstrings."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) and is_sentence(text(node)):
            yield text(node)
        elif not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
            yield from sentences(node)


def is_sentence(said: str) -> bool:
    return len(re.findall(r"[^\W\d_]{2,}", said)) >= 3
