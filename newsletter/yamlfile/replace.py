"""Changing a YAML file so that a crash leaves the old file or the new one, never a third.

Lock, read, edit, prove (`edit`), write beside it, flush to the disk, read back,
see that nobody changed the file meanwhile, rename over it, flush the folder.
Mode and owner stay; a symbolic link stays and the file behind it changes.
"""

import codecs
import fcntl
import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

import yaml

from newsletter.errors import BusyError, ConfigError, NewsletterError, Problem
from newsletter.yamlfile import edit, scalars
from newsletter.yamlfile.entries import Change, change_entries
from newsletter.yamlfile.locate import CannotEdit
from newsletter.yamlfile.pairs import set_value
from newsletter.yamlfile.read import MAX_LIST_BYTES, open_file, parse_tree, shown_path
from newsletter.yamlfile.write import Data

#: The folders that this thread has locked already.
_held: ContextVar[frozenset[Path]] = ContextVar("held", default=frozenset())
_WAIT_SECONDS = 10.0
_STEP_SECONDS = 0.05


class EditedText:
    """The text of a file while it is being edited; written when the block ends."""

    def __init__(self, shown: str, text: str) -> None:
        self.shown = shown
        self.text = text

    def append(self, item: Data, at: Sequence[str] = ()) -> None:
        """Add an item to the list under a key path; () is the whole document.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self.text = self._edited(edit.append, item, at)

    def extend(self, items: Iterable[Data], at: Sequence[str] = ()) -> None:
        """Add items, at least one, at the end of the list under a key path; they are asked for more than once.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self.text = self._edited(edit.extend, items, at)

    def replace_texts(self, changes: Mapping[tuple[str | int, ...], str]) -> None:
        """Replace single texts, each named by its keys and indexes from the root.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self.text = self._edited(scalars.replace_texts, changes)

    def change(self, changes: Mapping[int, Change], *, short: str) -> None:
        """Change entries of the list that the document is; `entries` says how.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self.text = self._edited(change_entries, changes, short=short)

    def set(self, at: Sequence[str], value: Data) -> None:
        """Give the key at the end of a path a value; it is begun where it is missing.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self.text = self._edited(set_value, at, value)

    def remove(self, index: int, at: Sequence[str] = ()) -> None:
        """Take an item (counted from 0) out of the list under a key path.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self.text = self._edited(edit.remove, index, at)

    def _edited(self, change: Callable[..., str], *what: object, **how: object) -> str:
        try:
            return change(self.text, *what, **how)
        except CannotEdit as error:
            reason = str(error)
        except UnicodeEncodeError:
            reason = "what is to be written is not Unicode"
        except yaml.YAMLError:
            parse_tree(self.text, self.shown)  # says where, and what
            reason = "it is not valid YAML"
        problem = Problem(path=self.shown, line=None, key="", text=f"cannot be edited safely: {reason}")
        raise ConfigError([problem], hint="make this change in an editor")


@contextmanager
def editing(path: Path, *, create: bool = False) -> Iterator[EditedText]:
    """Edit a file: change the draft inside the block; it is written when the block ends without an error.

    Args:
        path: the file; a symbolic link is followed.
        create: begin an empty file, for its owner's eyes only, where there is none.

    Raises:
        ConfigError: the file is missing, unreadable or not UTF-8, or changed while it was being edited.
        BusyError: another run is editing it.
        NewsletterError: it cannot be written; it is as it was.
    """
    shown = shown_path(path)
    try:
        real = path.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise ConfigError([Problem(path=shown, line=None, key="", text=f"cannot be read: {error}")]) from error
    with _locked(real.parent, shown):
        before = _read(path, real, create=create)
        try:
            text = (before or b"").removeprefix(codecs.BOM_UTF8).decode()
        except UnicodeDecodeError as error:
            line = before[: error.start].count(b"\n") + 1 if before else None
            text = "is not UTF-8: save the file as UTF-8"
            raise ConfigError([Problem(path=shown, line=line, key="", text=text)]) from error
        draft = EditedText(shown, text)
        yield draft
        if draft.text != text:
            mark = codecs.BOM_UTF8 if before and before.startswith(codecs.BOM_UTF8) else b""
            try:
                _replace(real, before, mark + draft.text.encode(), shown)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                raise NewsletterError(f"{shown} cannot be written: {reason}; it is as it was") from error


def append_item(path: Path, item: Data, at: Sequence[str] = ()) -> None:
    """Add an item to the list under a key path of a file; () is the whole document.

    Raises:
        ConfigError, BusyError, NewsletterError: as `editing`.
    """
    with editing(path) as draft:
        draft.append(item, at)


def remove_item(path: Path, index: int, at: Sequence[str] = ()) -> None:
    """Take an item (counted from 0) out of the list under a key path of a file.

    Raises:
        ConfigError, BusyError, NewsletterError: as `editing`.
    """
    with editing(path) as draft:
        draft.remove(index, at)


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Let nobody else edit a file, nor any other in its folder, while the block runs; the block may.

    Raises:
        ConfigError: there is no such folder.
        BusyError: another run is editing it.
    """
    with _locked(path.resolve().parent, shown_path(path)):
        yield


@contextmanager
def _locked(folder: Path, shown: str) -> Iterator[None]:
    """Hold the folder's lock: no lock file is left lying about, and it dies with the process."""
    if folder in _held.get():
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigError([Problem(path=shown, line=None, key="", text=f"cannot be read: {reason}")]) from error
    try:
        pause = threading.Event()
        for _ in range(int(_WAIT_SECONDS / _STEP_SECONDS)):
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            pause.wait(_STEP_SECONDS)
        else:
            raise BusyError(f"{shown} is being edited by another run", hint="try again in a moment")
        token = _held.set(_held.get() | {folder})
        try:
            yield
        finally:
            _held.reset(token)
    finally:
        os.close(handle)


def _read(path: Path, real: Path, *, create: bool) -> bytes | None:
    """The bytes of the file, or None where it is to be created."""
    if create and not real.exists():
        return None
    with open_file(path) as stream:
        data = stream.read(MAX_LIST_BYTES + 1)
    if len(data) > MAX_LIST_BYTES:
        problem = f"is larger than {MAX_LIST_BYTES // 1_000_000} MB"
        raise ConfigError([Problem(path=shown_path(path), line=None, key="", text=problem)])
    return data


def _replace(real: Path, before: bytes | None, after: bytes, shown: str) -> None:
    prefix, suffix = f".{real.name}.", ".new"
    for left in real.parent.glob(f"{_literal(prefix)}*{suffix}"):  # by a run that was killed: the lock is ours
        left.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=real.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            _keep_owner(handle, real)
            stream.write(after)
            stream.flush()
            os.fsync(handle)
        _compare(fresh, after, real, before, shown)
        fresh.replace(real)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    flush_folder(real.parent)


def flush_folder(folder: Path) -> None:
    """See that the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _compare(fresh: Path, after: bytes, real: Path, before: bytes | None, shown: str) -> None:
    """See that the disk has what was meant, and that the file is still the one that was edited."""
    if fresh.read_bytes() != after:
        raise OSError(None, "the disk gave back something else than was written")
    now = real.read_bytes() if real.exists() else None
    if now != before:
        problem = "was changed by someone else while it was being edited; nothing was written"
        raise ConfigError([Problem(path=shown, line=None, key="", text=problem)], hint="type the command again")


def _literal(text: str) -> str:
    """A file name as a glob pattern that matches only itself."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _keep_owner(handle: int, real: Path) -> None:
    """Give a new file the owner and mode of the one it replaces; a first one is its owner's alone."""
    if not real.exists():
        return
    old, new = real.stat(), os.fstat(handle)
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))
