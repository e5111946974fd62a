"""What logrotate does with a log, by its configuration. Source of the format: logrotate(8)."""

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

MAIN = "/etc/logrotate.conf"
FOLDER = "/etc/logrotate.d"
SCRIPTS = ("prerotate", "postrotate", "firstaction", "lastaction", "preremove")
LEFT_OUT = (
    ",v", ".bak", ".cfsaved", ".disabled", ".dpkg-bak", ".dpkg-del", ".dpkg-dist", ".dpkg-new", ".dpkg-old",
    ".dpkg-tmp", ".rhn-cfg-tmp-*", ".rpmnew", ".rpmorig", ".rpmsave", ".swp", ".ucf-dist", ".ucf-new", ".ucf-old", "~",
)  # fmt: skip
"""How files end that it passes over in a folder, unless tabooext says otherwise. Source: config.c of 3.17 to 3.21."""

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
    main, included, taboo = root / MAIN[1:], list[Path](), [f"*{end}" for end in LEFT_OUT]
    blocks = list(_blocks(main, common, included, root, taboo)) if main.is_file() else []
    for file in included or _inside(root / FOLDER[1:], taboo):
        if file.is_file():
            # What a file says for all of its blocks is not for the next file's.
            blocks += _blocks(file, dict(common), [], root, taboo)
    return next((block for block in blocks if block.is_for(log)), None)


def _inside(path: Path, taboo: Sequence[str]) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [one for one in sorted(path.iterdir()) if not any(_matches(one.name, pattern) for pattern in taboo)]


def _matches(name: str, pattern: str) -> bool:
    """As fnmatch(3) has it with FNM_PERIOD: no * stands for the dot of a hidden file."""
    return fnmatchcase(name, pattern) and not (name.startswith(".") and not pattern.startswith("."))


def _blocks(
    file: Path, common: dict[str, Directive], included: list[Path], root: Path, taboo: list[str]
) -> Iterator[Block]:
    """``common`` holds for all that follows, and is gathered here; so are the files that are ``included``.

    ``taboo`` are patterns of the files that an include of a folder passes over from here on.
    """
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
            included += _inside(root / value.strip().removeprefix("/"), taboo)
        elif word in ("tabooext", "taboopat"):
            # Both change one list: + adds to it, without it begins anew.
            if not value.strip().startswith("+"):
                taboo.clear()
            said = value.replace(",", " ").strip().removeprefix("+").split()
            taboo += [f"*{end}" for end in said] if word == "tabooext" else said
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
