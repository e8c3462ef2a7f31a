"""The database looked after: backed up and put back, taken elsewhere, adopted, tidied."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from newsletter import pipeline
from newsletter.app.project import App
from newsletter.config import STORE_VARIABLE, set_store, store_is_given
from newsletter.config.system import machine
from newsletter.errors import BusyError, StoreError, UsageError
from newsletter.model import Barred, FetchResult, Tidied
from newsletter.store import Store
from newsletter.store.backup import backup_path, older_backups, put_back
from newsletter.store.belonging import Adopted
from newsletter.store.connect import locate
from newsletter.store.moving import Moved

#: How long the daily tidying may take at once, in seconds; whatever is left, the next look does.
_PATIENCE: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """A backup that was written, how many bytes it has, and older ones that were removed for it."""

    path: Path
    size: int
    removed: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutBack:
    """A backup that is the project's database now.

    `aside` is where the one of before is; `until` is the latest moment that the
    backup knows of; `issues_since` how many issues the other has frozen after it, None
    where that cannot be known.
    """

    path: Path
    aside: Path | None
    until: datetime | None
    issues_since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Where a project's state is now; `said` is what newsletter.yaml says of it, None where a person must write it."""

    moved: Moved
    said: str | None
    hint: str | None = None


def back_up(app: App, where: Path | None, *, keep: int | None) -> BackedUp:
    """Write a backup of the project's database, while others go on working, a send included.

    Args:
        app: the project.
        where: a file, or a folder for one that is named by the time; None: `backups` beside the database.
        keep: how many of those named by the time stay in their folder.

    Raises:
        UsageError: `keep` with a file of one's own.
        StoreError: it could not be written, or is not whole.
    """
    now = app.clock.now()
    located = locate(app.config.store)
    database = located if isinstance(located, Path) else app.config.folder / ".newsletter" / "newsletter.db"
    path = backup_path(database, now)
    is_ours = where is None or where.is_dir()
    if where is not None:
        path = where / path.name if is_ours else where
    if keep is not None and not is_ours:
        raise UsageError("--keep counts backups that are named by the time", hint="name a folder, or no file at all")
    if path.absolute() == database.absolute():
        raise UsageError(f"{path} is the database itself", hint="name another file")
    size = app.store.back_up(path)
    removed = tuple(older_backups(path, keep)) if keep is not None else ()
    for old in removed:
        old.unlink()
    return BackedUp(path=path, size=size, removed=removed)


def restore(app: App, backup: Path) -> PutBack:
    """Make a backup the project's database; it sends nothing until somebody says what went out since.

    Raises:
        UsageError: the project's database is no file, or there is no such backup.
        BusyError: a send is at work.
        StoreError: the backup is not whole; nothing has changed.
    """
    path = locate(app.config.store)
    if not isinstance(path, Path):
        raise UsageError(
            "a backup is put back into a file, and the project's database is on a server",
            hint=f"write `store: {backup}` in newsletter.yaml, then: newsletter db copy --to postgresql://…",
        )
    if not backup.is_file():
        raise UsageError(f"there is no file {backup}", hint="newsletter db backup makes one")
    app.close()
    aside = put_back(backup, Path(os.path.realpath(path)), app.ids, now=app.clock.now())
    until = app.store.latest_moment()
    return PutBack(path=path, aside=aside, until=until, issues_since=_issues_since(app, aside, until))


def _issues_since(app: App, aside: Path | None, until: datetime | None) -> int | None:
    if aside is None:
        return None
    try:
        with Store.open(str(aside), clock=app.clock, ids=app.ids, create=False) as left:
            return sum(1 for issue in left.issues() if until is None or issue.frozen_at > until)
    except StoreError:
        return None


def require_answer(barred: Barred, *, sent: bool | None) -> None:
    """See that somebody says what went out, where the database cannot know.

    Raises:
        UsageError: nobody does.
    """
    if barred.needs_to_know and sent is None:
        raise UsageError(barred.why.removeprefix("nothing is sent: "), hint=barred.hint)


async def adopt(app: App, *, sent: bool | None) -> tuple[Adopted, Sequence[FetchResult]]:
    """Let the project's database send from where it is, and as it is.

    Args:
        app: the project.
        sent: of one that is older than what went out: whether issues went out since.  Then the
            feeds are read, and what they have counts as sent.

    Returns:
        what it did, and what the feeds said: of those that failed, something may come twice.

    Raises:
        UsageError: it is older than what went out, and nobody said what that was.
        BusyError: a send is at work.
    """
    barred = app.store.barred(machine())
    if barred is not None:
        require_answer(barred, sent=sent)
    fetched = await pipeline.fetch(app.parts(), app.config.feeds) if sent and app.config.feeds else []
    return app.store.adopt(machine(), sent=sent), fetched


def take(app: App, to: str, *, replacing: bool, on_rows: Callable[[int], None] = lambda _: None) -> Taken:
    """Take the project's state to another database, and say so in newsletter.yaml.

    Args:
        app: the project; closed afterwards.
        to: a path from the current folder, or postgresql://….
        replacing: whether what is there may go.
        on_rows: told how many more rows are copied.

    Raises:
        UsageError: it is the same database.
        BusyError: a send is at work on either.
        StoreError: the other is not empty or cannot be used: nothing has changed.
    """
    target = to if "://" in to else str(Path(to).absolute())
    where = locate(target)
    source = locate(app.config.store)
    if where == source or (isinstance(where, Path) and isinstance(source, Path) and _is_same(where, source)):
        raise UsageError("that is the database that the project has", hint="name another one")
    is_new = isinstance(where, Path) and not where.exists()
    try:
        with Store.open(target, clock=app.clock, ids=app.ids) as other:
            moved = app.store.move_to(
                other, machine=machine(), follow=app.config.follow_copies, replacing=replacing, on_rows=on_rows
            )
    except BaseException:
        if is_new and isinstance(where, Path):
            for suffix in ("", "-wal", "-shm", ".send.lock"):
                where.with_name(where.name + suffix).unlink(missing_ok=True)
        raise
    app.close()
    return _say(app, target, moved)


def _say(app: App, target: str, moved: Moved) -> Taken:
    """Change `store` in newsletter.yaml, where that is what counts and may say it."""
    if store_is_given():
        return Taken(moved=moved, said=None, hint=f"{STORE_VARIABLE} names the old one: set it to the new one")
    if "://" in target and urlsplit(target).password is not None:
        hint = f"set {STORE_VARIABLE} to it, or leave the password to ~/.pgpass and write `store: {moved.where}`"
        return Taken(moved=moved, said=None, hint=hint.replace(":***@", "@"))
    folder = app.config.folder
    path = Path(target)
    written = target if "://" in target else str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    set_store(app.config, written)
    return Taken(moved=moved, said=written)


def _is_same(one: Path, other: Path) -> bool:
    return one.absolute() == other.absolute() or (one.exists() and other.exists() and one.samefile(other))


def tidy(app: App, *, on_step: Callable[[Tidied], None] = lambda _: None) -> Tidied:
    """Let go of what is over, as the project's `keep` says.

    Raises:
        BusyError: a send is at work.
    """
    with app.sending():
        return app.store.tidy(app.config.keep, on_step=on_step)


def tidy_daily(app: App) -> Tidied | None:
    """The same once a day and for a little while, by whoever holds the lock for sending; None where it is not time.

    Nobody's mail depends on it: where others write just now, it waits for the next look.
    """
    try:
        if not app.store.tidy_is_due():
            return None
        until = app.clock.monotonic() + _PATIENCE
        return app.store.tidy(app.config.keep, enough=lambda: app.clock.monotonic() > until)
    except BusyError:
        return None


def vacuum(app: App) -> tuple[int, int]:
    """Have the database write itself anew without what was deleted; its size before and after, in bytes.

    Raises:
        BusyError: a send is at work.
        StoreError: there is no room for it.
    """
    with app.store.lock():
        before = app.store.info().size
        app.store.vacuum()
        return before, app.store.info().size
