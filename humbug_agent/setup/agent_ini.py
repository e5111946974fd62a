"""agent.ini, edited as an admin would: line by line, with all that he wrote kept."""

import re
from collections.abc import Mapping

_HEADER = re.compile(r"#?\[([^\]]+)\]\s*$")


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
        return f"[{title}]" in map(str.strip, self._lines)

    def enable(self, title: str, sample: str) -> None:
        """Have a section with this title: what is there, or its commented-out one, or ``sample`` at the end."""
        if self.has(title):
            return
        if not any(line.strip() == f"#[{title}]" for line in self._lines):
            self._lines += ["", *sample.splitlines()] if self._lines else sample.splitlines()
        if not self.has(title):
            at = next(number for number, line in enumerate(self._lines) if line.strip() == f"#[{title}]")
            self._lines[at] = f"[{title}]"

    def disable(self, title: str) -> None:
        """Comment a section out."""
        for at in self._span(title):
            if self._lines[at].strip() and not self._lines[at].startswith("#"):
                self._lines[at] = f"#{self._lines[at]}"

    def set(self, title: str, values: Mapping[str, str]) -> None:
        """Each in its own line, a commented-out one where there is one, else behind the last setting."""
        for key, value in values.items():
            span = self._span(title)
            lines = [(at, re.match(rf"(#?){re.escape(key)}\s*=\s*(.*)", self._lines[at])) for at in span]
            found = sorted((line[1], at, line[2].strip()) for at, line in lines if line)
            if not found:
                last = [at for at in span if re.match(r"#?[\[\w]", self._lines[at])][-1]
                self._lines.insert(last + 1, f"{key} = {value}")
            elif found[0][0] or found[0][2] != value:
                self._lines[found[0][1]] = f"{key} = {value}"

    def _span(self, title: str) -> range:
        """From a section's header to the line before the next one, commented out or not."""
        begin = next(at for at, line in enumerate(self._lines) if line.strip() == f"[{title}]")
        rest = range(begin + 1, len(self._lines))
        return range(begin, next((at for at in rest if _HEADER.match(self._lines[at])), len(self._lines)))
