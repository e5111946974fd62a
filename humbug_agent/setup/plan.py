"""What is to be done on a host so that its calls are delivered: gathered first, and done only when asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from humbug_agent.setup.files import Files, Folder


@dataclass(frozen=True, slots=True)
class Wanted:
    """A source that agent.ini shall have: a type's word, and the settings that are not the defaults."""

    type: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Proof:
    """A command that shows whether the PBX has taken a change: its output has a line that ``pattern`` matches whole."""

    command: tuple[str, ...]
    pattern: str
    otherwise: str
    """What to say, and to do, where it has not."""
    remedy: tuple[tuple[str, ...], ...]
    """The commands that have the PBX take it."""


@dataclass(slots=True)
class Plan:
    """The changes to a host's files, and what goes with them.

    ``commands`` are run after the files were changed, each with its arguments, and then the ``proofs``. ``left`` are
    sentences: what only the admin can do, or has to know.
    """

    files: Files = field(default_factory=Files)
    folders: list[Folder] = field(default_factory=list)
    commands: list[tuple[str, ...]] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    wanted: list[Wanted] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def run(self, *command: str) -> None:
        if command not in self.commands:
            self.commands.append(command)

    def diff(self) -> Iterator[str]:
        """All changes, line by line."""
        for folder in self.folders:
            yield f"{folder.path}: a new directory, {folder.owner}"
        for change in self.files.changes():
            yield from change.diff()

    @property
    def empty(self) -> bool:
        return not (self.folders or self.commands or self.files.changes())
