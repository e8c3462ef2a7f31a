"""Putting the archive into a folder: what has not changed is not touched, what is not ours neither.

`manifest.json` in it says which files are ours, each with its hash.  A file is
replaced at once; pages come before what names them, and go after it, so a site that was left in the middle can be served, and the next run goes on.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from newsletter.errors import NewsletterError
from newsletter.web.still.files import File, is_name

MANIFEST: Final = "manifest.json"
_FORM: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of the files: names of new, changed and removed ones; how many stayed.

    `kept` are files of issues that the memory no longer has in full: nobody has cancelled these.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the manifest says of a file; `sha256` is "" for one that was about to be written."""

    sha256: str = ""
    made: str = ""
    of: dict[str, int] = field(default_factory=dict)


def write_all(
    folder: Path,
    files: Iterable[File],
    *,
    cancelled: Collection[str] = (),
    on_file: Callable[[int, int], None] = lambda *_: None,
) -> Written:
    """Bring a folder up to date.

    Args:
        folder: made if it is not there.
        files: all that should be in it, each name once.
        cancelled: issues whose files go, as `File.of` names them.
        on_file: told how many of how many are done.

    Raises:
        NewsletterError: a file of somebody else is in the way, and nothing has been written; or one cannot be written.
    """
    known = _read(folder)
    # Nothing that is there names what is new: so that comes first, and at last the lists.
    order = sorted(files, key=lambda file: (file.is_last, (folder / file.name).exists()))
    wanted = {file.name: file for file in order}
    left = {name for name, one in known.items() if _is_left(one, wanted.get(name), cancelled)}
    gone = [name for name in known if name not in wanted and name not in left]
    _refuse_foreign(folder, [file for name, file in wanted.items() if name not in known])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not wanted.keys() <= known.keys():
            # From here on the new names are ours, too, whatever becomes of this run.
            _note(folder, {**dict.fromkeys(wanted, _Known()), **known})
        now, new, changed = {name: known[name] for name in left}, list[str](), list[str]()
        for number, (name, file) in enumerate(wanted.items(), 1):
            if name not in left:
                now[name], what = _put(folder / name, file, known.get(name))
                if what is not None:
                    (new if what else changed).append(name)
            on_file(number, len(wanted))
        removed = [name for name in gone if _remove(folder, name)]
        if now != known:
            _note(folder, now)
    except OSError as error:
        raise NewsletterError(
            f"cannot write {error.filename or folder}: {error.strerror or error}",
            hint="choose another folder, or make room in this one; what is there can be served, and the next run goes on",
        ) from error
    return Written(
        new=tuple(new),
        changed=tuple(changed),
        removed=tuple(removed),
        unchanged=len(now) - len(new) - len(changed),
        kept=len(left),
    )


def _is_left(known: _Known, file: File | None, cancelled: Collection[str]) -> bool:
    """Whether a file stays as it is because the memory has forgotten some of what is in it."""
    of: Mapping[str, int] = file.of if file else {}
    lost = [issue for issue, entries in known.of.items() if of.get(issue, 0) < entries]
    return bool(lost) and not any(issue in cancelled for issue in lost)


def _put(path: Path, file: File, known: _Known | None) -> tuple[_Known, bool | None]:
    """See to it that a file says what it should; True where it is new, False where it has changed, None where neither."""
    try:
        before = path.read_bytes()
    except FileNotFoundError:
        before = None
    there = None if before is None else _hash(before)
    if known is not None and file.made and (there, file.made) == (known.sha256, known.made):
        return _Known(sha256=known.sha256, made=file.made, of=dict(file.of)), None
    content = file.make()
    if content != before:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    said = _Known(sha256=_hash(content), made=file.made, of=dict(file.of))
    return said, None if content == before else before is None


def _replace(path: Path, content: bytes) -> None:
    """Replace a file at once: nobody reads half of one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _remove(folder: Path, name: str) -> bool:
    """Remove one of our files, and the folders that are empty without it."""
    path = folder / name
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    for parent in path.relative_to(folder).parents[:-1]:
        try:
            (folder / parent).rmdir()
        except OSError:
            break
    return True


def _refuse_foreign(folder: Path, files: Sequence[File]) -> None:
    """Refuse to write over what is not ours; what says the same already is as good as ours."""
    for file in files:
        path = folder / file.name
        try:
            is_ours = not path.exists() or path.read_bytes() == file.make()
        except OSError:
            is_ours = False
        if not is_ours:
            raise NewsletterError(
                f"{path} is there already, and it is not of this archive: nothing has been written",
                hint="move it away, or choose another folder with --out",
            )


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


# -------------------------------------------------------------------------- manifest


def _read(folder: Path) -> dict[str, _Known]:
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_bytes())
        found = {
            name: _Known(sha256=str(one["sha256"]), made=str(one["made"]), of=dict(one["of"]))
            for name, one in document["files"].items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise NewsletterError(
            f"{path} cannot be read: it should say which files of the archive are ours",
            hint="bring it back, or choose another folder with --out",
        ) from error
    # Whoever can write to a web server's folder shall not say what is removed elsewhere.
    return {name: one for name, one in found.items() if is_name(name)}


def _note(folder: Path, files: Mapping[str, _Known]) -> None:
    document = {"form": _FORM, "files": {name: asdict(files[name]) for name in sorted(files)}}
    _replace(folder / MANIFEST, (json.dumps(document, indent=1, sort_keys=True) + "\n").encode())
