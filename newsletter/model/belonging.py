"""Where a database is at home, and whether it may send."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a database file lies: the machine ("" where it has no name), its path, and the file's number there."""

    machine: str
    path: str
    file: int

    def is_home(self, homes: "Sequence[Place]") -> bool:
        """Whether the file is at one of its homes: it stayed, or was moved there and not copied."""
        return any(
            not (self.machine and home.machine and self.machine != home.machine)
            and (self.path == home.path or (self.file and self.file == home.file))
            for home in homes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Belonging:
    """Whose a database is, and what keeps it from sending (docs/adr/0026-where-a-database-is-at-home.md).

    `places` are its homes, `sends` how often sending began, `moved_to` where its
    content is now, `held` why nothing goes out until somebody decides.
    """

    project: str
    places: tuple[Place, ...]
    sends: int
    moved_to: str | None = None
    moved_at: datetime | None = None
    held: str | None = None
    held_at: datetime | None = None
    tidied_at: datetime | None = None


class Bar(StrEnum):
    """What may keep a database from sending."""

    moved = "moved"  # its content is in another database now
    held = "held"  # it was put back from a backup
    older = "older"  # another file of the project has sent here since
    elsewhere = "elsewhere"  # it was copied here


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """Why a database may not send, and what to do about it."""

    bar: Bar
    why: str
    hint: str

    @property
    def needs_to_know(self) -> bool:
        """Whether somebody must say what went out since: the database cannot know."""
        return self.bar in (Bar.held, Bar.older)
