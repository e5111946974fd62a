"""What the cdr.conf of this host says of Master.csv's times, where it is the one that made the file and can be read."""

import re
from collections.abc import Iterator
from pathlib import Path

DIRECTORY = Path("/etc/asterisk")
LOGS = "/var/log/asterisk"
"""Asterisk's astlogdir, unless its asterisk.conf names another one."""

DEEPEST = 10
"""Of files that include each other."""

_BLOCK_COMMENT = re.compile(r";--(?!-).*?--;", re.DOTALL)
_SECTION = re.compile(r"\[([^\]]*)\]")
_INCLUDE = re.compile(r"#(?:try)?include\s+[\"<]?([^\">]+)[\">]?")
_TRUE = ("yes", "true", "y", "t", "1", "on")


def usegmtime(master_csv: Path) -> bool | None:
    """Whether this host's cdr.conf has ``usegmtime=yes`` for ``master_csv``.

    None where that is not the file that this host's Asterisk writes, or cdr.conf has no [csv], or can't be read.
    """
    try:
        if master_csv.parent.resolve() != (_logs() / "cdr-csv").resolve():
            return None
        said = [line for section, line in _lines(DIRECTORY / "cdr.conf", 0) if section == "csv"]
    except (OSError, UnicodeDecodeError):
        return None
    if not said:
        return None
    values = [value for name, value in map(_assigned, said) if name == "usegmtime"]
    return bool(values) and values[-1].lower() in _TRUE


def _logs() -> Path:
    try:
        found = [_assigned(line) for _, line in _lines(DIRECTORY / "asterisk.conf", 0)]
    except (OSError, UnicodeDecodeError):
        found = []
    return Path(dict(found).get("astlogdir", LOGS))


def _assigned(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name.strip().lower(), value.removeprefix(">").strip()


def _lines(path: Path, depth: int) -> Iterator[tuple[str, str]]:
    """The section, in lower case, and the text of each line of ``path`` and of what it includes. Raises OSError."""
    section = ""
    text = _BLOCK_COMMENT.sub("", path.read_text(errors="surrogateescape"))
    for line in text.splitlines():
        line = re.split(r"(?<!\\);", line)[0].strip()
        if (include := _INCLUDE.match(line)) and depth < DEEPEST:
            for file in sorted(DIRECTORY.glob(include[1].strip().removeprefix(f"{DIRECTORY}/"))):
                for inner, said in _lines(file, depth + 1):
                    # A section that begins in there goes on behind it.
                    section = inner or section
                    yield section, said
        elif begun := _SECTION.match(line):
            section = begun[1].strip().lower()
        elif line:
            yield section, line
