"""The people moved from their file into the database, and back (docs/adr/0016-people-in-the-table.md).

What newsletter.yaml says decides which of the two counts, at every moment; it is
changed when both say the same.  So whatever breaks off, nobody is lost and nobody
is there twice, and the same command brings it to its end.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final

from newsletter.app.project import App
from newsletter.config import set_subscribers
from newsletter.errors import BusyError, ConfigError, NewsletterError, UsageError
from newsletter.model import Home, PeopleHome, Subscriber
from newsletter.people.entry import data_of, written
from newsletter.people.file import FileRoster
from newsletter.store.people import People
from newsletter.yamlfile import block_item, flush_folder, holding
from newsletter.yamlfile.read import MAX_LIST_BYTES

DATABASE: Final = "database"
_NOBODY: Final = Subscriber(email="", wire_email="", key="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a move did, or would do.

    `people` is how many; `file` is the one they came from or went to, as the
    project names it; `set_aside` is where an old file is now, "" where there was none.
    `is_news` is whether anything had to be done.
    """

    to: str
    people: int
    file: str
    set_aside: str = ""
    is_news: bool = True


def move_people(
    app: App, *, to_database: bool, dry_run: bool = False, on_step: Callable[[str], object] = lambda _: None
) -> Moved:
    """Move the people, and say so in newsletter.yaml.

    Args:
        app: the project; its config is the old one afterwards.
        to_database: into the database, else into a file.
        dry_run: only look.
        on_step: told after each thing that lasts.

    Raises:
        ConfigError: the file with the people has mistakes, or newsletter.yaml cannot be edited safely.
        UsageError: there are people on both sides, and nobody can tell who counts.
        BusyError: a send is at work, or the list was changed meanwhile.
    """
    store = app.memory if dry_run else app.store
    home = store.people_home()
    path = app.config.subscribers or app.config.folder / (home.file if home and home.file else "subscribers.yaml")
    move = _Move(app, store, app.file_roster(path), on_step)
    if dry_run:
        return move.look(home, to_database=to_database)
    with store.lock(), holding(path):
        return move.into_database(home) if to_database else move.into_file(home)


@dataclass(frozen=True, slots=True)
class _Move:
    app: App
    store: People
    file: FileRoster
    on_step: Callable[[str], object]

    @property
    def is_in_database(self) -> bool:
        """What newsletter.yaml says."""
        return self.app.config.subscribers is None

    def look(self, home: PeopleHome | None, *, to_database: bool) -> Moved:
        if to_database:
            self._require_one_list(home)
            if self._is_done(home):
                return self._moved(DATABASE, is_news=False)
            people = self.file.count()
        else:
            if not self.is_in_database:
                self._require_one_list(home)
                return Moved(to="file", people=self.file.count(), file=self.file.named, is_news=False)
            people = self.app.roster.count()
            self._require_room(home)
        return Moved(to=DATABASE if to_database else "file", people=people, file=self.file.named)

    # ------------------------------------------------------------------ into the database

    def into_database(self, home: PeopleHome | None) -> Moved:
        self._require_one_list(home)
        if self._is_done(home):
            return self._moved(DATABASE, is_news=self._finish(home))
        if not (self.is_in_database and home is not None and home.home is Home.moving):
            if not self.file.bring(self.store, Home.moving):
                raise BusyError("another command is writing to the database", hint="type the command again")
            self.on_step("brought")
        if not self.is_in_database:
            set_subscribers(self.app.config, DATABASE)
            self.on_step("said")
        return self._moved(DATABASE, is_news=self._finish(self.store.people_home()))

    def _is_done(self, home: PeopleHome | None) -> bool:
        if not self.is_in_database:
            return False
        return home.home is Home.database if home is not None else not self.file.path.exists()

    def _finish(self, home: PeopleHome | None) -> bool:
        """The database is home; the file that everybody came from is set aside."""
        if home is not None and home.home is Home.moving:
            self.store.settle_people(replace(home, home=Home.database, is_exact=False), expected=home)
            self.on_step("settled")
            self._set_aside(home)
            return True
        return self._is_known(home) and bool(self._set_aside(home))

    def _moved(self, to: str, *, is_news: bool) -> Moved:
        aside = [one for one in self._aside_names() if one.exists()]
        return Moved(
            to=to,
            people=self.store.count_people(),
            file=self.file.named,
            set_aside=aside[-1].name if is_news and aside else "",
            is_news=is_news,
        )

    # ------------------------------------------------------------------------ into a file

    def into_file(self, home: PeopleHome | None) -> Moved:
        if not self.is_in_database:
            self._require_one_list(home)
            if home is not None and home.home is not Home.file and home.is_exact:
                self.store.settle_people(replace(home, home=Home.file, is_exact=False), expected=home)
            return Moved(to="file", people=self.file.count(), file=self.file.named, is_news=False)
        self.app.roster.count()  # the people must have been brought here
        self._require_room(home)
        aside = self._set_aside(home) if self.file.path.exists() else ""
        # From now on every change of the list shows.
        begun = PeopleHome(home=Home.database, file=self.file.named, is_exact=True)
        self.store.settle_people(begun, expected=home)
        with self._written() as (fresh, people):
            fingerprint = FileRoster(fresh, self.app.config.digest_names).fingerprint()
            known = replace(begun, fingerprint=fingerprint)
            self.store.settle_people(known, expected=begun)
            self.on_step("written")
            # Not exact: the table does not know in which lines they stand.
            there = replace(known, home=Home.file, is_exact=False)
            self.store.settle_people(there, expected=known, before=lambda: self._put(fresh))
            self.on_step("settled")
        return Moved(to="file", people=people, file=self.file.named, set_aside=aside)

    def _put(self, fresh: Path) -> None:
        """The file takes its place, and then newsletter.yaml names it."""
        fresh.replace(self.file.path)
        flush_folder(self.file.path.parent)
        self.on_step("put")
        set_subscribers(self.app.config, self.file.named)
        self.on_step("said")

    @contextmanager
    def _written(self) -> Iterator[tuple[Path, int]]:
        """Everybody in a new file for its owner's eyes only, read back and compared; gone if it is not renamed."""
        path = self.file.path
        prefix, suffix = f".{path.name}.", ".moving"
        for left in path.parent.iterdir():  # by a run that was killed: the lock is ours
            if left.name.startswith(prefix) and left.name.endswith(suffix):
                left.unlink(missing_ok=True)
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=path.parent)
        fresh = Path(name)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                count = 0
                for count, person in enumerate(self.store.people(), 1):  # noqa: B007 - how many there were
                    stream.writelines(f"{line}\n" for line in block_item(written(data_of(person)), 0))
                if not count:
                    stream.write("[]\n")
                stream.flush()
                os.fsync(handle)
            if fresh.stat().st_size > MAX_LIST_BYTES:
                raise UsageError(
                    f"{count:,} people are too many for a file of {MAX_LIST_BYTES // 1_000_000} MB",
                    hint="newsletter subscriber export --format csv takes them out as a table",
                )
            self._compare(fresh)
            yield fresh, count
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise NewsletterError(f"{self.file.shown} cannot be written: {reason}; nothing was moved") from error
        finally:
            fresh.unlink(missing_ok=True)

    def _compare(self, fresh: Path) -> None:
        again = FileRoster(fresh, self.app.config.digest_names).people()
        try:
            same = all(
                replace(one, line=None) == replace(other, line=None)
                for one, other in zip_longest(self.store.people(), again, fillvalue=_NOBODY)
            )
        except ConfigError as error:
            first = error.problems[0]
            raise UsageError(
                f"in a file this would be a mistake: {f'{first.key}: ' if first.key else ''}{first.text}; nothing was moved",
                hint="newsletter subscriber edit mends it",
            ) from error
        if not same:
            raise NewsletterError(f"{self.file.shown} would say something else than the database; nothing was moved")

    # ---------------------------------------------------------------------------- both

    def _require_one_list(self, home: PeopleHome | None) -> None:
        """Refuse where newsletter.yaml names a file, and there are people in the database who stand in none."""
        if self.is_in_database or home is None or home.home is not Home.database or home.is_exact:
            return
        if number := self.store.count_people():
            raise UsageError(
                f"newsletter.yaml names {self.file.named}, and the database has a list of its own with {number:,} people",
                hint="write `subscribers: database` there to use that one; newsletter subscriber move --to file "
                "brings it out",
            )

    def _require_room(self, home: PeopleHome | None) -> None:
        """Refuse to write over a file with people whom the database does not know from there."""
        if self.file.path.exists() and not self._is_known(home) and self.file.count():
            raise UsageError(
                f"{self.file.named} is there already, and has people of its own",
                hint="rename it, or bring its people in first: newsletter subscriber import",
            )

    def _is_known(self, home: PeopleHome | None) -> bool:
        """Whether the file is the one that the people were moved from, or were to be moved to."""
        return home is not None and self.file.path.exists() and self.file.fingerprint() == home.fingerprint

    def _set_aside(self, home: PeopleHome | None) -> str:
        """Rename the file, whose people are in the database; returns its new name, "" if it has changed since."""
        if home is not None and home.fingerprint and not self._is_known(home) and self.file.count():
            return ""
        free = next(one for one in self._aside_names() if not one.exists())
        self.file.path.rename(free)
        flush_folder(free.parent)
        self.on_step("set aside")
        return free.name

    def _aside_names(self) -> Iterator[Path]:
        path = self.file.path
        yield path.with_name(f"{path.name}.moved")
        for number in range(2, 1000):
            yield path.with_name(f"{path.name}.moved-{number}")
