"""Asterisk's configuration files, read as Asterisk's own reader (main/config.c) reads them.

Names of sections and settings are compared without regard to case. What makes Asterisk refuse a whole file makes this
refuse it, too.
"""

import codecs
import glob
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEEPEST = 10
"""Of files that include each other."""

TRUE = ("yes", "true", "y", "t", "1", "on")
"""What Asterisk takes for yes; all else is no."""

_HEADER = re.compile(r"\[([^\]]*)\](?:\(([^)]*)\))?")


class ConfError(Exception):
    """The PBX refuses the file; the text says which line, and why."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A line NAME = VALUE, and where it stands. What a section has from a template stands in the template."""

    name: str
    value: str
    file: Path
    line: int

    @property
    def yes(self) -> bool:
        return self.value.lower() in TRUE


@dataclass(slots=True)
class Section:
    """One [SECTION]: its settings in their order, with those of its templates before them."""

    name: str
    file: Path
    line: int
    template: bool = False
    settings: list[Setting] = field(default_factory=list)

    def every(self, name: str) -> list[Setting]:
        return [one for one in self.settings if one.name.lower() == name]

    def last(self, name: str) -> Setting | None:
        """What a module goes by that takes setting after setting, as most do."""
        found = self.every(name)
        return found[-1] if found else None

    def yes(self, name: str, default: bool) -> bool:
        """Of a setting that is yes or no."""
        found = self.last(name)
        return found.yes if found else default


class Conf:
    """A configuration file with all that it includes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections: list[Section] = []
        self.files: list[Path] = []
        """Those that were read, each as often as it is included."""
        self.inherited: set[tuple[Path, int]] = set()
        """File and line of each setting that a section has from another: who changes it changes several sections."""
        self.unended: dict[Path, int] = {}
        """File -> the line that begins a comment which nothing ends, so that nothing behind it is seen."""

    def every(self, name: str) -> list[Section]:
        """All sections of that name but templates, for modules that go through all of them."""
        return [one for one in self.sections if one.name.lower() == name.lower() and not one.template]

    def first(self, name: str) -> Section | None:
        """What a module goes by that asks for one section by its name: the second of that name is never looked at."""
        found = self.every(name)
        return found[0] if found else None


def read(path: Path, directory: Path, root: Path = Path("/"), planned: Mapping[Path, str] | None = None) -> Conf:
    """The file ``path`` (below ``root``). ``directory`` (likewise) is where relative includes are looked for.

    It is read as it would be if the files that are ``planned`` had these texts already. Raises OSError where ``path``
    or a file that must be there can't be read, ConfError.
    """
    conf = Conf(path)
    _Reader(conf, directory, root, planned or {}).read(path, 0)
    return conf


class _Reader:
    """One reading of a file and of what it includes."""

    def __init__(self, conf: Conf, directory: Path, root: Path, planned: Mapping[Path, str]) -> None:
        self._conf, self._directory, self._root, self._planned = conf, directory, root, planned
        self._current: Section | None = None
        """The one that began last, in whichever file."""

    def read(self, path: Path, depth: int) -> None:
        # Bytes that are no UTF-8 stay what they are. Only a line feed ends a line.
        planned = self._planned.get(path)
        content = path.read_bytes() if planned is None else planned.encode("utf-8", "surrogateescape")
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
        self._conf.files.append(path)
        # What is included begins in the current section; the lines behind it go on in ours, whatever began in there.
        section = self._current
        for number, line in _without_comments(text, path, self._conf.unended):
            if line.startswith("["):
                section = self._current = self._begun(line, path, number)
            elif line.startswith("#"):
                if not self._directive(line, path, number, depth):
                    return
            elif section is None:
                raise ConfError(f"{path}, line {number}: stands before any [section]")
            elif "=" in line:
                _set(section, line, path, number)

    def _begun(self, line: str, path: Path, number: int) -> Section:
        header = _HEADER.match(line)
        if not header or (header[2] is None and line[header.end() :].startswith("(")):
            raise ConfError(f"{path}, line {number}: a bracket is not closed")
        section = Section(header[1], path, number)
        added = False
        for option in () if header[2] is None else header[2].split(","):
            if option == "!":
                section.template = True
            elif option == "+":
                known = self._conf.first(header[1])
                if known is None:
                    raise ConfError(f"{path}, line {number}: there is no [{header[1]}] yet")
                known.settings += section.settings
                section, added = known, True
            else:
                base = next((one for one in self._conf.sections if option.lower() in ("", one.name.lower())), None)
                if base is None:
                    raise ConfError(f"{path}, line {number}: there is no [{option}] yet")
                section.settings += base.settings
                self._conf.inherited.update((one.file, one.line) for one in base.settings)
        if not added:
            self._conf.sections.append(section)
        return section

    def _directive(self, line: str, path: Path, number: int, depth: int) -> bool:
        """False ends the reading of this file."""
        word, _, rest = line[1:].replace("\t", " ").partition(" ")
        rest = rest.strip()
        if word.lower() not in ("include", "tryinclude") or not rest:
            return True
        if depth >= DEEPEST:
            return False
        if rest[0] in '"<' and rest.endswith(">" if rest[0] == "<" else '"'):
            rest = rest[1:-1]
        found = self._included(rest)
        if not found and word.lower() == "include":
            raise ConfError(f"{path}, line {number}: there is no file {rest}")
        for file in found:
            self.read(file, depth + 1)
        return True

    def _included(self, name: str) -> list[Path]:
        found = []
        for one in _braces(name):
            where = self._root / one[1:] if one.startswith("/") else self._directory / one
            # Unlike Path.glob, and like Asterisk, it passes over hidden files.
            there = glob.glob(os.fspath(where))  # noqa: PTH207
            found += sorted({*there, *(os.fspath(path) for path in self._planned if path.match(os.fspath(where)))})
        return [path for path in map(Path, found) if path in self._planned or path.is_file()]


def _set(section: Section, line: str, path: Path, number: int) -> None:
    name, _, value = line.partition("=")
    if name.endswith("+"):
        name = name[:-1].strip()
        if known := [at for at, one in enumerate(section.settings) if one.name == name]:
            before = section.settings[known[-1]]
            section.settings[known[-1]] = Setting(before.name, f"{before.value}{value}", path, number)
            return
    else:
        value = value.removeprefix(">")
    if name.strip():
        section.settings.append(Setting(name.strip(), value.strip(), path, number))


def _braces(name: str) -> list[str]:
    """``a{b,c}`` -> ab and ac, as glob(3) has it with GLOB_BRACE."""
    found = re.fullmatch(r"(.*)\{([^{}]*)\}(.*)", name)
    return [one for each in found[2].split(",") for one in _braces(f"{found[1]}{each}{found[3]}")] if found else [name]


def _without_comments(text: str, path: Path, unended: dict[Path, int]) -> Iterator[tuple[int, str]]:
    """Number and text of each line that says something; in the end ``unended`` may get a line for ``path``.

    Comments from ``;--`` to ``--;`` go over lines and may stand in each other. An end too many opens one, too.
    """
    depth = begun = 0
    for number, line in enumerate(text.split("\n"), 1):
        # As C has it: what follows a NUL in a line is not seen.
        line = line.partition("\0")[0]
        said, at, start, shown = "", 0, 0, depth == 0
        while (sign := line.find(";", at)) >= 0:
            if sign > at and line[sign - 1] == "\\":
                said += f"{line[start : sign - 1]};" if shown else ""
                at = start = sign + 1
            elif line.startswith(";--", sign) and not line.startswith(";---", sign):
                said += line[start:sign] if shown else ""
                begun = begun if depth else number
                depth, shown, at = depth + 1, False, sign + 3
            elif sign >= at + 2 and line[sign - 2 : sign] == "--":
                begun = begun if depth else number
                depth, at = depth - 1, sign + 1
                if depth == 0:
                    shown, start = True, at
            elif depth:
                at = sign + 1
            else:
                break
        if shown:
            said += line[start:sign] if sign >= 0 else line[start:]
        if stripped := said.strip():
            yield number, stripped
    if depth:
        unended[path] = begun
