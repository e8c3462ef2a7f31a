"""The project's memory: whole, at home, private, with room to grow, and of this moment."""

import shlex
import shutil
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from newsletter.app.check.finding import Finding
from newsletter.app.project import App
from newsletter.errors import NewsletterError
from newsletter.issues.check import Level
from newsletter.store import Store
from newsletter.store.connect import locate
from newsletter.yamlfile import shown_path

#: Clocks are not exact; what is further off than this was set.
_OFF: Final = timedelta(minutes=5)
#: With less room than this, in bytes, a day's work may not fit; with less than the second, none does.
_ROOM: Final = 200_000_000
_NO_ROOM: Final = 20_000_000
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def store(app: App) -> Iterator[Finding]:
    """The database itself, and whether it may send."""
    if not Store.exists(app.config.store):
        yield Finding(level=Level.ok, what="store", text="not there yet; the first fetch or send makes it")
        return
    try:
        app.store.check()
        barred, latest = app.barred(), app.store.latest_moment()
    except NewsletterError as error:
        yield Finding(level=Level.error, what="store", text=str(error), hint=error.hint)
        return
    yield Finding(level=Level.ok, what="store", text="whole and up to date")
    if barred is not None:
        yield Finding(level=Level.error, what="store", text=barred.why, hint=barred.hint)
    now = app.clock.now()
    if latest is not None and latest > now + _OFF:
        yield Finding(
            level=Level.warning,
            what="clock",
            text=f"it is {now:%Y-%m-%d %H:%M} UTC here, and something was written at {latest:%Y-%m-%d %H:%M}: "
            "the clock was set back; no slot that is over comes again",
            hint="set the clock (timedatectl set-ntp true); until then slots between the two are not sent for",
        )


def room(app: App) -> Iterator[Finding]:
    """Whether the disk has room for what is to come."""
    path = locate(app.config.store)
    if not isinstance(path, Path):
        return
    folder = next((one for one in path.parents if one.is_dir()), app.config.folder)
    free = shutil.disk_usage(folder).free
    size = path.stat().st_size if path.exists() else 0
    if free < max(_ROOM, size):
        yield Finding(
            level=Level.error if free < _NO_ROOM else Level.warning,
            what="disk",
            text=f"{free // 1_000_000:,} MB are left where the database is ({size // 1_000_000:,} MB)",
            hint="make room; a full disk stops a send, and loses and repeats nothing",
        )
    else:
        yield Finding(level=Level.ok, what="disk", text=f"{free // 1_000_000:,} MB are left where the database is")


def rights(app: App) -> Iterator[Finding]:
    """Who else may read what is private here, or change what is run."""
    config = app.config
    path = locate(config.store)
    private: list[Path] = [] if config.subscribers is None else [config.subscribers]
    if isinstance(path, Path):
        private += [path.with_name(path.name + suffix) for suffix in ("", "-wal")]
        if path.parent == config.folder / ".newsletter":
            private.append(path.parent)
    source = config.smtp.password_source.file if config.smtp is not None else None
    private += [source] if source is not None else []
    for one in private:
        mode = _mode(one)
        if mode is not None and mode & _OTHERS:
            what = "people's addresses are" if one != source else "the password is"
            yield Finding(
                level=Level.warning,
                what="rights",
                text=f"others on this machine may read or change {shown_path(one)} (mode {mode:o}): {what} in it",
                hint=f"chmod {'700' if one.is_dir() else '600'} {shlex.quote(shown_path(one))}",
            )
    mode = _mode(config.path)
    if mode is not None and mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Finding(
            level=Level.warning,
            what="rights",
            text=f"others on this machine may change {shown_path(config.path)} (mode {mode:o}), which can name commands to run",
            hint=f"chmod go-w {shlex.quote(shown_path(config.path))}",
        )


def _mode(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
