"""What logrotate does with a log, by its configuration. Source of the format: logrotate(8)."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

MAIN = "/etc/logrotate.conf"
FOLDER = "/etc/logrotate.d"
SCRIPTS = ("prerotate", "postrotate", "firstaction", "lastaction", "preremove")
LEFT_OUT = (".dpkg-dist", ".dpkg-old", ".dpkg-new", ".disabled", ".rpmsave", ".rpmorig", ".rpmnew", ".swp", "~", ",v")
"""How files end that logrotate passes over."""

SWITCHED_OFF = {"noolddir": "olddir", "nocopytruncate": "copytruncate"}


@dataclass(frozen=True, slots=True)
class Directive:
    """A line of a configuration, and where it stands."""

    value: str
    file: Path
    line: int


@dataclass(slots=True)
class Block:
    """The logs that one block is for, with all that holds for them."""

    patterns: list[str]
    directives: dict[str, Directive] = field(default_factory=dict)

    def is_for(self, log: PurePath) -> bool:
        return any(log.match(pattern) for pattern in self.patterns)


def block_of(log: PurePath, root: Path) -> Block | None:
    """The block that is for ``log``, as the host below ``root`` calls it. Raises OSError where it can't be read."""
    common: dict[str, Directive] = {}
    main, included = root / MAIN[1:], list[Path]()
    blocks = list(_blocks(main, common, included, root)) if main.is_file() else []
    for file in included or _inside(root / FOLDER[1:]):
        if file.is_file():
            # What a file says for all of its blocks is not for the next file's.
            blocks += _blocks(file, dict(common), [], root)
    return next((block for block in blocks if block.is_for(log)), None)


def _inside(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [one for one in sorted(path.iterdir()) if not one.name.endswith(LEFT_OUT)]


def _blocks(file: Path, common: dict[str, Directive], included: list[Path], root: Path) -> Iterator[Block]:
    """``common`` holds for all that follows, and is gathered here; so are the files that are ``included``."""
    block: Block | None = None
    patterns: list[str] = []
    script = False
    for number, line in enumerate(file.read_text("utf-8", "surrogateescape").split("\n"), 1):
        line = line.strip()
        if script or not line or line.startswith("#"):
            script = script and line != "endscript"
            continue
        if block is None and line[0] in "/\"'":
            patterns += _words(line.partition("{")[0])
        if block is None and "{" in line:
            block, patterns = Block(patterns, dict(common)), []
            line = line.partition("{")[2].strip()
        ends = line.endswith("}")
        word, _, value = line.removesuffix("}").strip().replace("=", " ", 1).replace("\t", " ").partition(" ")
        if word in SCRIPTS:
            script = True
        elif word == "include":
            included += _inside(root / value.strip().removeprefix("/"))
        elif word and word[0] not in "/\"'":
            directives = common if block is None else block.directives
            directives.pop(SWITCHED_OFF.get(word, ""), None)
            directives[word] = Directive(value.strip().strip('"'), file, number)
        if ends and block is not None:
            yield block
            block = None


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def rotation_of(path: Path, root: Path) -> tuple[PurePath, Block] | None:
    """By which name, and how, the file at ``path`` is rotated; None where nobody does so.

    Links may lead to it from where the PBX has it: logrotate goes by names, and either may be the one that it has.
    Raises OSError.
    """
    for name in dict.fromkeys((_as_host_calls(path, root), _as_host_calls(Path(os.path.realpath(path)), root))):
        if block := block_of(name, root):
            return name, block
    return None


def _as_host_calls(path: Path, root: Path) -> PurePath:
    """A path below ``root`` as the host itself has it."""
    for base in (root, Path(os.path.realpath(root))):
        if path.is_relative_to(base):
            return PurePath("/") / path.relative_to(base)
    return PurePath(path)
