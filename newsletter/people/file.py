"""The people of subscribers.yaml: read one at a time, added, changed and removed without disturbing a comment.

A large file is read once: what it says is kept in the store, with a fingerprint
of its bytes, and is looked up there for as long as the file is the same.  What
has a mistake is never kept.
"""

import hashlib
from array import array
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from newsletter import __version__
from newsletter.address import parse_address
from newsletter.errors import AddressError, BusyError, ConfigError, Problem, StoreError
from newsletter.model import Home, PeopleHome, Subscriber
from newsletter.people.editing import Edit, difference
from newsletter.people.entry import Details, Wrong, data_of, entry_data, person_from, person_of, written
from newsletter.people.filedraft import FileDraft
from newsletter.people.roster import Draft, Keeper, KnownDigests, gets, not_there, there_already
from newsletter.people.usual import UsualPeople
from newsletter.yamlfile import (
    EditedText,
    MapNode,
    Node,
    Problems,
    Scalar,
    editing,
    open_file,
    parse_items,
    read_items,
    shown_path,
)

#: A smaller file is read as fast as it is looked up.
KEPT_FROM: Final = 250_000


class FileRoster:
    """A list of people in a YAML file.

    Args:
        path: the file.
        digests: the names a person may ask for; None: any.
        store: keeps what a large file says; None, or where it gives None, nothing is kept.
        kept_from: from how many bytes on that is done.
        named: how the project names it.
    """

    def __init__(
        self,
        path: Path,
        digests: Collection[str] | None = None,
        *,
        store: Callable[[], Keeper | None] = lambda: None,
        kept_from: int = KEPT_FROM,
        named: str | None = None,
    ) -> None:
        self.path = path
        self.named = path.name if named is None else named
        self._digests = KnownDigests(digests)
        self._store = store
        self._kept_from = kept_from

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.path.name

    def place_of(self, person: Subscriber) -> str:
        """Where a person stands."""
        return f"{self.path.name}:{person.line}" if person.line else self.path.name

    # ----------------------------------------------------------------------- reading

    def people(self, digest: str | None = None) -> Iterator[Subscriber]:
        """Read everybody in the order of the file, or who gets a digest, in memory that holds only the addresses.

        Raises:
            ConfigError: after the last person, with every mistake in the file.
        """
        kept = self._kept()
        return self._read(digest) if kept is None else kept.people(digest)

    def _read(self, digest: str | None = None) -> Iterator[Subscriber]:
        everybody = self.read(self._nodes(), shown_path(self.path))
        return everybody if digest is None else (person for person in everybody if gets(person, digest))

    def keys(self, digest: str | None = None) -> Iterator[str]:
        """Read everybody's key, or those of who gets a digest; nobody's where there is no file."""
        if not self.path.exists():
            return iter(())
        kept = self._kept()
        return (person.key for person in self._read(digest)) if kept is None else kept.people_keys(digest)

    def count(self, digest: str | None = None) -> int:
        """Read the whole file and count its people, or who gets a digest.

        Raises:
            ConfigError: with every mistake in the file.
        """
        kept = self._kept()
        return sum(1 for _ in self._read(digest)) if kept is None else kept.count_people(digest)

    def find(self, email: str) -> Subscriber | None:
        """The person with that address, in whichever spelling; nobody where there is no file.

        Raises:
            AddressError: it is not an address.
            ConfigError: the file has a mistake before that person, or the person is not found.
        """
        key = parse_address(email).key
        if not self.path.exists():
            return None
        kept = self._kept()
        if kept is not None:
            return kept.people_by_key([key]).get(key)
        return next((person for person in self._read() if person.key == key), None)

    def fingerprint(self) -> str:
        """What tells the file, and how it is understood, from every other."""
        told = hashlib.sha256(f"{__version__}\0{sorted(self._digests.names or ())}\0".encode())
        with open_file(self.path) as stream:
            while data := stream.read(1 << 20):
                told.update(data)
        return told.hexdigest()

    def bring(self, store: Keeper, home: Home) -> bool:
        """Keep in the store what the file says, unless it is known there; says whether that was possible.

        Raises:
            ConfigError: with every mistake in the file; what was kept before stays.
        """
        fingerprint, known = self.fingerprint(), store.people_home()
        new = PeopleHome(home=home, file=self.named, fingerprint=fingerprint, is_exact=True)
        if known == new:
            return True
        if known is not None and replace(known, home=home) == new:
            store.settle_people(new, expected=known)
            return True
        return store.remember_people(self._read(), self.named, lambda: self._unchanged(fingerprint), home=home)

    def _unchanged(self, fingerprint: str) -> str:
        if self.fingerprint() != fingerprint:
            raise BusyError(f"{self.shown} was changed while it was read", hint="type the command again")
        return fingerprint

    def _kept(self) -> Keeper | None:
        """The store, where it knows what the file says, or can be told."""
        try:
            if self.path.stat().st_size < self._kept_from:
                return None
        except OSError:
            return None
        try:
            store = self._store()
            if store is None:
                return None
            home = store.people_home()
            if home is not None and home.is_exact and home.fingerprint == self.fingerprint():
                return store
            return store if self.bring(store, Home.file) else None
        except (StoreError, ConfigError):
            # It is read the long way then, which says what is wrong with it.
            return None

    def _nodes(self) -> Iterator[Node | Subscriber]:
        try:
            yield from read_items(self.path, quick=UsualPeople(self.check_digest))
        except ConfigError as error:
            if error.hint is None and not self.path.exists():
                raise ConfigError(error.problems, hint="newsletter subscriber add EMAIL begins it") from error
            raise

    def read(self, nodes: Iterator[Node | Subscriber], shown: str) -> Iterator[Subscriber]:
        """Read people from the entries of a list that is, or will be, the file `shown`.

        Raises:
            ConfigError: after the last person, with every mistake.
        """
        problems, seen = Problems(shown), _Seen()
        try:
            for node in nodes:
                if isinstance(node, Subscriber):
                    person = node
                else:
                    try:
                        person = person_of(node, self.check_digest, problems)
                    except Wrong as wrong:
                        if wrong.text:
                            problems.add(wrong.line, wrong.text, wrong.key)
                        continue
                line = node.line or 0
                before = seen.before(person.key, line)
                if before is not None:
                    problems.add(line, f"{person.email} is there already, in line {before}", "email")
                elif not problems:
                    yield person
        except ConfigError as error:
            every = sorted([*problems.all(), *error.problems], key=lambda p: (p.line is None, p.line))
            raise ConfigError(every, hint=error.hint) from error
        if problems:
            raise ConfigError(problems.all())

    # ---------------------------------------------------------------------- changing

    def add(self, email: str, details: Details = Details()) -> Subscriber:  # noqa: B008 - it is frozen
        """Add a person at the end of the file; it is begun where there is none.

        Raises:
            AddressError: it is not an address.
            UsageError: the person is there already, or another value cannot be used.
            ConfigError: the file has mistakes, or cannot be edited safely.
            BusyError: another run is editing it.
        """
        address = parse_address(email.strip())
        item = entry_data(address.email, details)
        with self._editing(create=True) as draft:
            for person in self._people_in(draft):
                if person.key == address.key:
                    raise there_already(person.email, f"{draft.shown}:{person.line}")
            added = person_from(item, self.check_digest)
            draft.extend((written(item),))
        line = draft.text.count("\n", 0, draft.text.rfind(address.email)) + 1
        return replace(added, line=line)

    def edit(
        self, email: str, edit: Edit, *, before_writing: Callable[[], object] = lambda: None
    ) -> tuple[Subscriber, Subscriber]:
        """Change what is said about a person; nothing but their entry is touched.

        Raises:
            AddressError: one of the addresses is none.
            UsageError: there is no such person, the new address is another one's, or a value cannot be used.
            ConfigError: the file has mistakes, or cannot be edited safely.
            BusyError: another run is editing it.
        """
        wanted = parse_address(email.strip()).key
        new = wanted if edit.email is None else parse_address(edit.email.strip()).key
        with self._editing() as draft:
            index, before, other = 0, None, None
            for number, person in enumerate(self._people_in(draft)):
                if person.key == wanted:
                    index, before = number, person
                elif person.key == new:
                    other = person
            if before is None:
                raise not_there(email, draft.shown)
            if other is not None:
                raise there_already(other.email, f"{draft.shown}:{other.line}")
            meant = person_from(data_of(edit.applied(before)), self.check_digest)
            change = difference(before, meant)
            if not change:
                return before, before
            draft.change({index: change}, short="email")
            # Every other entry is proved to say what it said; this one must be read as it was meant.
            found = next(islice(self._people_in(draft), index, None))
            if replace(found, line=None) != replace(meant, line=None):
                problem = Problem(path=draft.shown, line=before.line, key="", text="cannot be edited safely")
                raise ConfigError([problem], hint="make this change in an editor")
            before_writing()
        return before, replace(meant, line=before.line)

    def remove(self, email: str) -> Subscriber:
        """Take a person out of the file, with the comment above; every entry, if there are several.

        Mistakes elsewhere in the file do not keep anybody in it.

        Raises:
            UsageError: there is nobody with that address.
            ConfigError: the file is not YAML, or cannot be edited safely.
            BusyError: another run is editing it.
        """
        wanted = _key_of(email)
        removed = []
        with self._editing() as draft:
            for index, node, found in reversed(_find_all(wanted, draft)):
                removed.append(_as_far_as_right(node, found))
                draft.remove(index)
            if not removed:
                raise not_there(email, draft.shown, hint=None)
        store = self._store()
        if store is not None:
            store.forget_kept(wanted)
        return removed[-1]

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Change many people inside the block; the file is written when it ends without an error."""
        with self._editing(create=True) as text:
            draft = FileDraft(text, self._people_in)
            try:
                yield draft
            finally:
                draft.close()

    @contextmanager
    def _editing(self, *, create: bool = False) -> Iterator[EditedText]:
        with editing(self.path, create=create) as text:
            store = self._store()
            home = None if store is None else store.people_home()
            if home is not None and self._has_moved(home):
                # Not begun anew, nor gone on with, by a program that has run since before the list was moved.
                raise BusyError(
                    f"the people of {self.shown} have been moved into the database",
                    hint="start this program again; newsletter.yaml must say `subscribers: database`",
                )
            yield text

    def _has_moved(self, home: PeopleHome) -> bool:
        if home.home is not Home.database or home.is_exact or home.file != self.named:
            return False
        return not self.path.exists() or self.fingerprint() == home.fingerprint

    def _people_in(self, draft: EditedText) -> Iterator[Subscriber]:
        """Read everybody, as a draft has them now."""
        quick = UsualPeople(self.check_digest)
        return self.read(parse_items(draft.text, draft.shown, quick=quick), draft.shown)

    def check_digest(self, name: str) -> str | None:
        """Why a person cannot have a digest, in words; None if they can."""
        return self._digests.check(name)


class _Seen:
    """Who has been read, and in which line: an address and eight bytes each."""

    def __init__(self) -> None:
        self._keys = dict[str, None]()
        self._lines = array("q")
        self._first: dict[str, int] | None = None

    def before(self, key: str, line: int) -> int | None:
        """The line in which the person stood before; None the first time."""
        known = len(self._keys)
        self._keys[key] = None
        if len(self._keys) > known:
            self._lines.append(line)
            return None
        if self._first is None or key not in self._first:
            self._first = dict(zip(self._keys, self._lines, strict=True))
        return self._first[key]


# ------------------------------------------------------- for editing a file with mistakes


def _find_all(wanted: str, draft: EditedText) -> list[tuple[int, Node, str]]:
    """Every entry with that address, with its place in the list; mistakes elsewhere do not matter.

    Raises:
        ConfigError: it was not found, and the file has mistakes that may be why.
    """
    found = []
    try:
        for index, node in enumerate(parse_items(draft.text, draft.shown)):
            text = _written(node)
            if text is not None and _key_of(text) == wanted:
                found.append((index, node, text))
    except ConfigError:
        if not found:
            raise
    return found


def _written(node: Node) -> str | None:
    """The address of an entry as it stands in the file, right or wrong."""
    found = node.pairs.get("email") if isinstance(node, MapNode) else node
    return found.value if isinstance(found, Scalar) else None


def _any_digest(_: str) -> None:
    """No digest is wrong."""


def _key_of(email: str) -> str:
    try:
        return parse_address(email.strip()).key
    except AddressError:
        return email.strip()


def _as_far_as_right(node: Node, text: str) -> Subscriber:
    try:
        return person_of(node, _any_digest, Problems(""))
    except Wrong:
        return Subscriber(email=text, wire_email=text, key=_key_of(text), line=node.line)
