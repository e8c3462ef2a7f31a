"""The people of subscribers.yaml: read one at a time, added and removed without disturbing a comment.

A list is followed only if all of it is right: whoever asks for its people gets
every mistake, each with its line, after the last person, and must then undo
what was done with the others (the freeze transaction does).  So nobody is
mailed from a file that is half understood.

The store's suppressions win over what stands here; they are no business of
this module.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from newsletter.address import Address, parse_address
from newsletter.errors import AddressError, ConfigError, UsageError
from newsletter.model import Format, Subscriber
from newsletter.text import multi_line, one_line
from newsletter.yamlfile import (
    Broken,
    Data,
    EditedText,
    ListNode,
    MapNode,
    Node,
    Problems,
    Scalar,
    block_item,
    did_you_mean,
    editing,
    language_tag,
    not_text,
    parse_items,
    read_items,
    shown_path,
)

KEYS = ("email", "name", "digests", "language", "format", "attributes")
_KNOWN = frozenset(KEYS)
_LONGEST_LINE = 200
_LONGEST_VALUE = 2000
_MOST_ATTRIBUTES = 100


class _Wrong(Exception):  # noqa: N818  never leaves this module
    """One entry cannot be used; without a text, where that has been said already."""

    def __init__(self, line: int, text: str, key: str = "") -> None:
        super().__init__(text)
        self.line, self.text, self.key = line, text, key


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
        return self._people(self._nodes(), shown_path(self.path))

    def _nodes(self) -> Iterator[Node]:
        try:
            yield from read_items(self.path)
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
        details: dict[str, Data] = {
            "email": address.email,
            "name": name,
            "digests": list(digests),
            "language": language or "",
            "format": "" if format_ is Format.html else format_.value,
            "attributes": dict(attributes or {}),
        }
        item: dict[str, Data] = {key: value for key, value in details.items() if value}
        with editing(self.path, create=True) as draft:
            for person in self._people(parse_items(draft.text, draft.shown), draft.shown):
                if person.key == address.key:
                    place = f"{draft.shown}:{person.line}"
                    raise UsageError(f"{person.email} is there already: {place}", hint="edit that line to change it")
            added = self._alone(item)
            draft.append(address.email if len(item) == 1 else item)
            line = draft.text.count("\n", 0, draft.text.rfind(address.email)) + 1
        return replace(added, line=line)

    def _alone(self, item: Mapping[str, Data]) -> Subscriber:
        """Read a person as the file will have them."""
        try:
            [person] = self._people(parse_items("\n".join(block_item(item, 0)), ""), "")
        except ConfigError as error:
            words = (f"{problem.key}: {problem.text}" if problem.key else problem.text for problem in error.problems)
            raise UsageError("; ".join(words)) from error
        return person

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
            for index, node, written in reversed(_find_all(wanted, draft)):
                removed.append(_as_far_as_right(node, written))
                draft.remove(index)
            if not removed:
                raise UsageError(f"{one_line(email, 100)} is not in {draft.shown}")
        return removed[-1]

    def read(self, nodes: Iterator[Node], shown: str) -> Iterator[Subscriber]:
        """Read people from the entries of a list that is, or will be, the file `shown`.

        Raises:
            ConfigError: after the last person, with every mistake.
        """
        return self._people(nodes, shown)

    def _people(self, nodes: Iterator[Node], shown: str) -> Iterator[Subscriber]:
        problems, first_lines = Problems(shown), dict[str, int]()
        try:
            for node in nodes:
                try:
                    person = _person(node, self._check_digest, problems)
                except _Wrong as wrong:
                    if wrong.text:
                        problems.add(wrong.line, wrong.text, wrong.key)
                    continue
                before = first_lines.setdefault(person.key, node.line)
                if before != node.line:
                    problems.add(node.line, f"{person.email} is there already, in line {before}", "email")
                elif not problems:
                    yield person
        except ConfigError as error:
            every = sorted([*problems.all(), *error.problems], key=lambda p: (p.line is None, p.line))
            raise ConfigError(every, hint=error.hint) from error
        if problems:
            raise ConfigError(problems.all())

    def _check_digest(self, name: str) -> str | None:
        if self._digests is None or name in self._digests:
            return None
        return f"there is no digest {one_line(name, 60)}{did_you_mean(name, self._digests)}"


def read_people(path: Path, digests: Collection[str] | None = None) -> Iterator[Subscriber]:
    """Read the people of a file, streaming.

    Args:
        path: the file.
        digests: the names a person may ask for; None: any.

    Raises:
        ConfigError: after the last person, with every mistake in the file.
    """
    return Roster(path, digests).people()


# ------------------------------------------------------------- from nodes to people


def _person(node: Node, check_digest: Callable[[str], str | None], problems: Problems) -> Subscriber:
    if isinstance(node, Scalar):
        address = _address(node)
        return Subscriber(email=address.email, wire_email=address.wire, key=address.key, line=node.line)
    if isinstance(node, Broken):
        raise _Wrong(node.line, "")
    if not isinstance(node, MapNode):
        raise _Wrong(node.line, "must be an address, or `email: address` and more about the person")
    if not node.pairs.keys() <= _KNOWN:
        for key in node.pairs.keys() - _KNOWN:
            problems.add(node.key_line(key), f"no such key{did_you_mean(key, KEYS)}", one_line(key, 60))
    if "email" not in node.pairs:
        raise _Wrong(node.line, "is missing", "email")
    address = _address(node.pairs["email"])
    details = _Details(node, problems)
    return Subscriber(
        email=address.email,
        wire_email=address.wire,
        key=address.key,
        name=details.text("name"),
        digests=details.digests(check_digest),
        language=details.language(),
        format=details.format(),
        attributes=details.attributes(),
        line=node.line,
    )


def _address(node: Node) -> Address:
    if not isinstance(node, Scalar):
        raise _Wrong(node.line, "" if isinstance(node, Broken) else "must be text", "email")
    # Nothing that YAML takes for something else has an @ in it.
    wrong = None if node.quoted or "@" in node.value else not_text(node.value)
    if wrong is not None:
        raise _Wrong(node.line, wrong, "email")
    try:
        return parse_address(node.value)
    except AddressError as error:
        raise _Wrong(node.line, str(error)) from error


class _Details:
    """The optional values of one person; each mistake is noted, and the reading goes on."""

    __slots__ = ("_pairs", "_problems")

    def __init__(self, node: MapNode, problems: Problems) -> None:
        self._pairs = node.pairs
        self._problems = problems

    def text(self, key: str) -> str:
        """One line of text, "" where there is none."""
        node = self._pairs.get(key)
        if node is None:
            return ""
        text = self._value(node, key, _LONGEST_LINE)
        # Most of it is one line already, and is seen to be at a tenth of the cost.
        is_tidy = text.isprintable() and "  " not in text and text == text.strip()
        return text if is_tidy else one_line(text)

    def _value(self, node: Node, key: str, limit: int) -> str:
        wrong = "must be text"
        if isinstance(node, Scalar):
            unquoted = None if node.quoted else not_text(node.value)
            if unquoted is None and len(node.value) <= limit:
                return node.value
            wrong = unquoted or f"is longer than {limit:,} characters"
        if not isinstance(node, Broken):
            self._problems.add(node.line, wrong, key)
        return ""

    def digests(self, check: Callable[[str], str | None]) -> tuple[str, ...]:
        node = self._pairs.get("digests")
        if node is None:
            return ()
        if not isinstance(node, ListNode):
            fix = f", such as [{node.value}]" if isinstance(node, Scalar) and node.value else ""
            self._problems.add(node.line, f"must be a list{fix}", "digests")
            return ()
        names = []
        for item in node.items:
            name = self._value(item, "digests", _LONGEST_LINE)
            wrong = check(name) if name else None
            if wrong is not None:
                self._problems.add(item.line, wrong, "digests")
            names.append(name)
        if not names:
            self._problems.add(node.line, "is empty: leave it out for all digests", "digests")
        return tuple(dict.fromkeys(names))

    def language(self) -> str | None:
        text = self.text("language")
        try:
            return language_tag(text) if text else None
        except ValueError as error:
            self._problems.add(self._pairs["language"].line, str(error), "language")
            return None

    def format(self) -> Format:
        text = self.text("format")
        if not text:
            return Format.html
        found = _FORMATS.get(text)
        if found is None:
            line = self._pairs["format"].line
            self._problems.add(line, f"must be html or text{did_you_mean(text, _FORMATS)}", "format")
        return found or Format.html

    def attributes(self) -> Mapping[str, str]:
        node = self._pairs.get("attributes")
        if node is None:
            return {}
        if not isinstance(node, MapNode):
            self._problems.add(node.line, "must be `key: value` pairs, such as {city: Arlington}", "attributes")
            return {}
        if len(node.pairs) > _MOST_ATTRIBUTES:
            self._problems.add(node.line, f"are more than {_MOST_ATTRIBUTES}", "attributes")
        return {key: multi_line(self._value(value, "attributes", _LONGEST_VALUE)) for key, value in node.pairs.items()}


_FORMATS = {member.value: member for member in Format}


# ------------------------------------------------------- for editing a file with mistakes


def _find_all(wanted: str, draft: EditedText) -> list[tuple[int, Node, str]]:
    """Every entry with that address, with its place in the list; mistakes elsewhere do not matter.

    Raises:
        ConfigError: it was not found, and the file has mistakes that may be why.
    """
    found = []
    try:
        for index, node in enumerate(parse_items(draft.text, draft.shown)):
            written = _written(node)
            if written is not None and _key_of(written) == wanted:
                found.append((index, node, written))
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


def _as_far_as_right(node: Node, written: str) -> Subscriber:
    try:
        return _person(node, _any_digest, Problems(""))
    except _Wrong:
        return Subscriber(email=written, wire_email=written, key=_key_of(written), line=node.line)
