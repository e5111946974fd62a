"""agent.ini, edited as an admin would: line by line, with all that he wrote kept.

What a line is, is decided as configparser does, by which the daemon reads it: keys in any letters, with = or :, lines
that are indented further than the one that they go on, and whatever stands behind a header's bracket.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

_HEADER = re.compile(r"\[(.+)\]")
_OPTION = re.compile(r"(.*?)\s*[=:]\s*(.*)$")
_OFF = re.compile(r"#\[([^\]]+)\]\s*$")
"""A header that is commented out."""


class _Is(Enum):
    """What a line is."""

    HEADER = auto()
    OPTION = auto()
    FURTHER = auto()
    """It goes on with the value of an option above."""
    NOTHING = auto()
    """Blank, or a comment."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A line as it is read: ``name`` is a header's title or an option's key, ``value`` what it says of that."""

    kind: _Is
    indent: str
    name: str = ""
    value: str = ""


class AgentIni:
    """The text of an agent.ini while it is edited."""

    def __init__(self, text: str) -> None:
        self._end = "\r\n" if "\r\n" in text else "\n"
        # By line feeds alone, as agent.ini is read: behind a form feed a comment goes on.
        lines = text.removesuffix("\n").split("\n") if text else []
        self._lines = [line.removesuffix("\r") for line in lines]

    @property
    def text(self) -> str:
        return "".join(f"{line}{self._end}" for line in self._lines)

    def has(self, title: str) -> bool:
        return any(line.kind is _Is.HEADER and line.name == title for line in self._read())

    def enable(self, title: str, sample: str) -> None:
        """Have a section with this title: what is there, or its commented-out one, or ``sample`` at the end."""
        if not self.has(title) and self._off(title) is None:
            self._lines += ["", *sample.splitlines()] if self._lines else sample.splitlines()
        if not self.has(title):
            at = self._off(title)
            assert at is not None
            self._lines[at] = f"[{title}]"

    def disable(self, title: str) -> None:
        """Comment a section out."""
        self._comment_out(self._span(self._read(), title))

    def drop(self, title: str, keys: Sequence[str]) -> None:
        """Comment these settings of a section out."""
        lines = self._read()
        for at in self._span(lines, title):
            if lines[at].kind is _Is.OPTION and lines[at].name in keys:
                self._comment_out([at, *_further(lines, at)])

    def set(self, title: str, values: Mapping[str, str]) -> None:
        """Each in its own line, a commented-out one where there is one, else behind the last setting."""
        for key, value in values.items():
            lines = self._read()
            span = self._span(lines, title)
            found = [at for at in span if lines[at].kind is _Is.OPTION and lines[at].name == key]
            if found:
                self._replace(lines, found[0], key, value)
                continue
            # A commented-out section below is another's.
            near = range(span.start, next((at for at in span if _OFF.match(self._lines[at])), span.stop))
            off = [at for at in near if re.match(rf"#{re.escape(key)}\s*[=:]", self._lines[at])]
            if free := [at for at in off if _next(lines, at) is not _Is.FURTHER]:
                self._lines[free[0]] = f"{_indent(lines, span, free[0])}{key} = {value}"
                continue
            said = [at for at in near if lines[at].kind is not _Is.NOTHING or re.match(r"#[\[\w]", self._lines[at])]
            # Within a value a line of another would have the rest of it.
            behind = max([said[-1], *_further(lines, said[-1])])
            self._lines.insert(behind + 1, f"{_indent(lines, span, behind + 1)}{key} = {value}")

    def _replace(self, lines: Sequence[_Line], at: int, key: str, value: str) -> None:
        further = _further(lines, at)
        if "\n".join(lines[one].value for one in (at, *further)).strip() != value:
            self._lines[at] = f"{lines[at].indent}{key} = {value}"
            for one in reversed(further):
                del self._lines[one]

    def _comment_out(self, span: Sequence[int]) -> None:
        for at in span:
            if self._lines[at].strip() and not self._lines[at].startswith("#"):
                self._lines[at] = f"#{self._lines[at]}"

    def _off(self, title: str) -> int | None:
        """The commented-out header, unless settings of another section stand below it."""
        lines = self._read()
        for at, text in enumerate(self._lines):
            if text.strip() == f"#[{title}]" and _next(lines, at) in (_Is.HEADER, None):
                return at
        return None

    @staticmethod
    def _span(lines: Sequence[_Line], title: str) -> range:
        """From a section's header to the line before the next one."""
        headers = [at for at, line in enumerate(lines) if line.kind is _Is.HEADER]
        begin = next(at for at in headers if lines[at].name == title)
        return range(begin, next((at for at in headers if at > begin), len(lines)))

    def _read(self) -> list[_Line]:
        """What each line is. Source: configparser.RawConfigParser._read of Python 3.11."""
        found: list[_Line] = []
        within, level = False, 0
        for text in self._lines:
            said = text.strip()
            indent = text[: len(text) - len(text.lstrip())]
            if not said or said[0] in "#;":
                found.append(_Line(_Is.NOTHING, indent))
            elif within and len(indent) > level:
                found.append(_Line(_Is.FURTHER, indent, value=said))
            else:
                level = len(indent)
                header, option = _HEADER.match(said), _OPTION.match(said)
                within = header is None
                if header:
                    found.append(_Line(_Is.HEADER, indent, header[1]))
                else:
                    key, value = option.groups() if option else (said, "")
                    found.append(_Line(_Is.OPTION, indent, key.rstrip().lower(), value))
        return found


def _further(lines: Sequence[_Line], at: int) -> list[int]:
    """The lines behind this one that go on with a value that begins there, or before it."""
    rest = range(at + 1, len(lines))
    end = next((one for one in rest if lines[one].kind in (_Is.HEADER, _Is.OPTION)), len(lines))
    return [one for one in range(at + 1, end) if lines[one].kind is _Is.FURTHER]


def _next(lines: Sequence[_Line], at: int) -> _Is | None:
    """What the next line behind this one is that says something; None where there is none."""
    return next((line.kind for line in lines[at + 1 :] if line.kind is not _Is.NOTHING), None)


def _indent(lines: Sequence[_Line], span: range, at: int) -> str:
    """That of what stands around, so that a line here goes on with nothing, and nothing goes on with it."""
    before = [line.indent for line in lines[span.start : at] if line.kind is _Is.OPTION]
    after = [line.indent for line in lines[at:] if line.kind in (_Is.OPTION, _Is.HEADER)]
    return before[-1] if before else after[0] if after else ""
