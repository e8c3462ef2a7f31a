"""The people of subscribers.yaml: read one at a time, added, changed and removed without disturbing a comment.

A list is followed only if all of it is right: whoever asks for its people gets
every mistake, each with its line, after the last person, and must then undo
what was done with the others (the freeze transaction does).  So nobody is
mailed from a file that is half understood.

The store's suppressions win over what stands here; they are no business of
this module.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from newsletter.address import parse_address
from newsletter.errors import AddressError, ConfigError, Problem, UsageError
from newsletter.model import Format, Subscriber
from newsletter.people.editing import Edit, difference
from newsletter.people.entry import KEYS, Wrong, data_of, entry_data, person_from, person_of, written
from newsletter.people.usual import UsualPeople
from newsletter.text import one_line
from newsletter.yamlfile import (
    Change,
    Data,
    EditedText,
    MapNode,
    Node,
    Problems,
    Scalar,
    did_you_mean,
    editing,
    parse_items,
    read_items,
    shown_path,
)

__all__ = ["KEYS", "Draft", "Roster", "read_people"]


class Roster:
    """A list of people in a YAML file.

    Args:
        path: the file.
        digests: the names a person may ask for; None: any.
    """

    def __init__(self, path: Path, digests: Collection[str] | None = None) -> None:
        self.path = path
        self._digests = None if digests is None else frozenset(digests)

    def people(self) -> Iterator[Subscriber]:
        """Read everybody, in the order of the file, in memory that holds only the addresses.

        Raises:
            ConfigError: after the last person, with every mistake in the file.
        """
        return self.read(self._nodes(), shown_path(self.path))

    def _nodes(self) -> Iterator[Node | Subscriber]:
        try:
            yield from read_items(self.path, quick=UsualPeople(self.check_digest))
        except ConfigError as error:
            if error.hint is None and not self.path.exists():
                raise ConfigError(error.problems, hint="newsletter subscriber add EMAIL begins it") from error
            raise

    def people_of(self, digest: str) -> Iterator[Subscriber]:
        """Read who asked for one digest; an empty `digests` asks for all.

        Raises:
            ConfigError: after the last person, with every mistake in the file.
        """
        return (person for person in self.people() if not person.digests or digest in person.digests)

    def check(self) -> int:
        """Read the whole file and count its people.

        Raises:
            ConfigError: with every mistake in the file.
        """
        return sum(1 for _ in self.people())

    def find(self, email: str) -> Subscriber | None:
        """The person with that address, in whichever spelling.

        Raises:
            AddressError: it is not an address.
            ConfigError: the file has a mistake before that person, or the person is not found.
        """
        key = parse_address(email).key
        return next((person for person in self.people() if person.key == key), None)

    def add(
        self,
        email: str,
        *,
        name: str = "",
        digests: Sequence[str] = (),
        language: str | None = None,
        format_: Format = Format.html,
        timezone: str | None = None,
        tags: Sequence[str] = (),
        attributes: Mapping[str, str] | None = None,
    ) -> Subscriber:
        """Add a person at the end of the file; it is begun where there is none.

        Raises:
            AddressError: it is not an address.
            UsageError: the person is there already, or another value cannot be used.
            ConfigError: the file has mistakes, or cannot be edited safely.
            BusyError: another run is editing it.
        """
        address = parse_address(email.strip())
        item = entry_data(
            email=address.email,
            name=name,
            digests=digests,
            language=language,
            format_=format_,
            timezone=timezone,
            tags=tags,
            attributes=attributes,
        )
        with self.draft(create=True) as draft:
            for person in draft.people():
                if person.key == address.key:
                    raise _there_already(person, draft.shown)
            added = person_from(item, self.check_digest)
            draft.extend((written(item),))
        line = draft.text.count("\n", 0, draft.text.rfind(address.email)) + 1
        return replace(added, line=line)

    def edit(
        self, email: str, edit: Edit, *, before_writing: Callable[[], object] = lambda: None
    ) -> tuple[Subscriber, Subscriber]:
        """Change what is said about a person; nothing but their entry is touched.

        Args:
            email: the person's address.
            edit: what is to be another way.
            before_writing: called when all is well and before the file is replaced.

        Returns:
            the person before and after; they are equal where there was nothing to change.

        Raises:
            AddressError: one of the addresses is none.
            UsageError: there is no such person, the new address is another one's, or a value cannot be used.
            ConfigError: the file has mistakes, or cannot be edited safely.
            BusyError: another run is editing it.
        """
        wanted = parse_address(email.strip()).key
        new = wanted if edit.email is None else parse_address(edit.email.strip()).key
        with self.draft() as draft:
            index, before, other = 0, None, None
            for number, person in enumerate(draft.people()):
                if person.key == wanted:
                    index, before = number, person
                elif person.key == new:
                    other = person
            if before is None:
                raise UsageError(
                    f"{one_line(email, 100)} is not in {draft.shown}", hint="newsletter subscriber list shows who is"
                )
            if other is not None:
                raise _there_already(other, draft.shown)
            meant = person_from(data_of(edit.applied(before)), self.check_digest)
            change = difference(before, meant)
            if not change:
                return before, before
            draft.change({index: change})
            # Every other entry is proved to say what it said; this one must be read as it was meant.
            found = next(islice(draft.people(), index, None))
            if replace(found, line=None) != replace(meant, line=None):
                problem = Problem(path=draft.shown, line=before.line, key="", text="cannot be edited safely")
                raise ConfigError([problem], hint="make this change in an editor")
            before_writing()
        return before, replace(meant, line=before.line)

    @contextmanager
    def draft(self, *, create: bool = False) -> Iterator["Draft"]:
        """Change the list inside the block; it is written when the block ends without an error.

        Args:
            create: begin the file where there is none.

        Raises:
            ConfigError: the file cannot be read or edited safely, or was changed meanwhile.
            BusyError: another run is editing it.
        """
        with editing(self.path, create=create) as text:
            yield Draft(text, self)

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
        with editing(self.path) as draft:
            for index, node, found in reversed(_find_all(wanted, draft)):
                removed.append(_as_far_as_right(node, found))
                draft.remove(index)
            if not removed:
                raise UsageError(f"{one_line(email, 100)} is not in {draft.shown}")
        return removed[-1]

    def read(self, nodes: Iterator[Node | Subscriber], shown: str) -> Iterator[Subscriber]:
        """Read people from the entries of a list that is, or will be, the file `shown`.

        Raises:
            ConfigError: after the last person, with every mistake.
        """
        problems, first_lines = Problems(shown), dict[str, int]()
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
                before = first_lines.setdefault(person.key, line)
                if before != line:
                    problems.add(line, f"{person.email} is there already, in line {before}", "email")
                elif not problems:
                    yield person
        except ConfigError as error:
            every = sorted([*problems.all(), *error.problems], key=lambda p: (p.line is None, p.line))
            raise ConfigError(every, hint=error.hint) from error
        if problems:
            raise ConfigError(problems.all())

    def check_digest(self, name: str) -> str | None:
        """Why a person cannot have a digest, in words; None if they can."""
        if self._digests is None or name in self._digests:
            return None
        return f"there is no digest {one_line(name, 60)}{did_you_mean(name, self._digests)}"


class Draft:
    """The list while it is being changed."""

    def __init__(self, text: EditedText, roster: Roster) -> None:
        self._text = text
        self._roster = roster
        self.shown = text.shown

    @property
    def text(self) -> str:
        """The file as it will be."""
        return self._text.text

    def people(self) -> Iterator[Subscriber]:
        """Read everybody, as the draft has them now.

        Raises:
            ConfigError: after the last person, with every mistake in the file.
        """
        return self._roster.read(parse_items(self.text, self.shown), self.shown)

    def extend(self, entries: Iterable[Data]) -> None:
        """Add entries at the end, at least one; they are asked for more than once.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self._text.extend(entries)

    def change(self, changes: Mapping[int, Change]) -> None:
        """Change entries, by their index from 0 (`difference` says how).

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self._text.change(changes, short="email")


def read_people(path: Path, digests: Collection[str] | None = None) -> Iterator[Subscriber]:
    """Read the people of a file, streaming.

    Args:
        path: the file.
        digests: the names a person may ask for; None: any.

    Raises:
        ConfigError: after the last person, with every mistake in the file.
    """
    return Roster(path, digests).people()


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


def _there_already(person: Subscriber, shown: str) -> UsageError:
    return UsageError(
        f"{person.email} is there already: {shown}:{person.line}",
        hint=f"newsletter subscriber edit {person.email} changes what is said there",
    )


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
