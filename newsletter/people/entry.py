"""One entry of subscribers.yaml: the rules for a person, read from nodes, checked, and written.

Whatever a person comes from (the file, the command line, somebody else's list)
passes through the same rules here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from newsletter.address import Address, parse_address
from newsletter.errors import AddressError, UsageError
from newsletter.model import Format, Subscriber
from newsletter.text import multi_line, one_line
from newsletter.yamlfile import (
    Broken,
    Data,
    ListNode,
    MapNode,
    Node,
    Problems,
    Scalar,
    did_you_mean,
    forbidden_character,
    language_tag,
    not_text,
    time_zone,
)

#: The keys of a person, in the order in which they are written.
KEYS = ("email", "name", "digests", "language", "format", "timezone", "tags", "attributes")
_KNOWN = frozenset(KEYS)
LONGEST_LINE = 200
LONGEST_VALUE = 2000
MOST_ATTRIBUTES = 100
MOST_TAGS = 100

#: Says why a person cannot have this digest; None if they can.
CheckDigest = Callable[[str], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What is said of a new person beside the address; an empty `digests` is all of them."""

    name: str = ""
    digests: Sequence[str] = ()
    language: str | None = None
    format: Format = Format.html
    timezone: str | None = None
    tags: Sequence[str] = ()
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])


class Wrong(Exception):  # noqa: N818  never leaves `people`
    """One entry cannot be used; without a text, where that has been said already."""

    def __init__(self, line: int, text: str, key: str = "") -> None:
        super().__init__(text)
        self.line, self.text, self.key = line, text, key


# ------------------------------------------------------------- from nodes to people


def person_of(node: Node, check_digest: CheckDigest, problems: Problems) -> Subscriber:
    """Read one person; what is wrong beside the address is noted, and the reading goes on.

    Raises:
        Wrong: there is no address that can be used.
    """
    if isinstance(node, Scalar):
        address = _address(node)
        return Subscriber(email=address.email, wire_email=address.wire, key=address.key, line=node.line)
    if isinstance(node, Broken):
        raise Wrong(node.line, "")
    if not isinstance(node, MapNode):
        raise Wrong(node.line, "must be an address, or `email: address` and more about the person")
    if not node.pairs.keys() <= _KNOWN:
        for key in node.pairs.keys() - _KNOWN:
            problems.add(node.key_line(key), f"no such key{did_you_mean(key, KEYS)}", one_line(key, 60))
    if "email" not in node.pairs:
        raise Wrong(node.line, "is missing", "email")
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
        timezone=details.timezone(),
        tags=details.tags(),
        attributes=details.attributes(),
        line=node.line,
    )


def _address(node: Node) -> Address:
    if not isinstance(node, Scalar):
        raise Wrong(node.line, "" if isinstance(node, Broken) else "must be text", "email")
    # Nothing that YAML takes for something else has an @ in it.
    wrong = None if node.quoted or "@" in node.value else not_text(node.value)
    if wrong is not None:
        raise Wrong(node.line, wrong, "email")
    try:
        return parse_address(node.value)
    except AddressError as error:
        raise Wrong(node.line, str(error)) from error


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
        text = self._value(node, key, LONGEST_LINE)
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

    def digests(self, check: CheckDigest) -> tuple[str, ...]:
        names = self._words("digests", check)
        if names == ():
            self._problems.add(self._pairs["digests"].line, "is empty: leave it out for all digests", "digests")
        return names or ()

    def tags(self) -> tuple[str, ...]:
        words = self._words("tags", lambda _: None) or ()
        if len(words) > MOST_TAGS:
            self._problems.add(self._pairs["tags"].line, f"are more than {MOST_TAGS}", "tags")
        return words

    def _words(self, key: str, check: CheckDigest) -> tuple[str, ...] | None:
        """A list of single lines, each once; None where there is none."""
        node = self._pairs.get(key)
        if node is None:
            return None
        if not isinstance(node, ListNode):
            if not isinstance(node, Broken):
                fix = f", such as [{node.value}]" if isinstance(node, Scalar) and node.value else ""
                self._problems.add(node.line, f"must be a list{fix}", key)
            return None
        words = []
        for item in node.items:
            word = one_line(self._value(item, key, LONGEST_LINE))
            wrong = check(word) if word else None
            if wrong is not None:
                self._problems.add(item.line, wrong, key)
            words.append(word)
        return tuple(dict.fromkeys(filter(None, words))) if words else ()

    def language(self) -> str | None:
        return self._checked("language", language_tag)

    def timezone(self) -> str | None:
        return self._checked("timezone", time_zone)

    def _checked(self, key: str, check: Callable[[str], str]) -> str | None:
        text = self.text(key)
        try:
            return check(text) if text else None
        except ValueError as error:
            self._problems.add(self._pairs[key].line, str(error), key)
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
        if len(node.pairs) > MOST_ATTRIBUTES:
            self._problems.add(node.line, f"are more than {MOST_ATTRIBUTES}", "attributes")
        return {key: multi_line(self._value(value, "attributes", LONGEST_VALUE)) for key, value in node.pairs.items()}


_FORMATS = {member.value: member for member in Format}


# ---------------------------------------------------------------- from values to people


def data_of(person: Subscriber) -> dict[str, Data]:
    """A person as the mapping that the file has, without what goes without saying."""
    return entry_data(person.email, person)


def entry_data(email: str, details: Details | Subscriber) -> dict[str, Data]:
    """What is known of a person as the mapping that the file has, without what goes without saying."""
    values: dict[str, Data] = {
        "email": email,
        "name": details.name,
        "digests": list(details.digests),
        "language": details.language or "",
        "format": "" if details.format is Format.html else details.format.value,
        "timezone": details.timezone or "",
        "tags": list(details.tags),
        "attributes": dict(details.attributes),
    }
    return {key: value for key, value in values.items() if value}


def person_of_data(data: Mapping[str, Any]) -> Subscriber:
    """A person of the mapping that `data_of` made: nothing is judged again but the address."""
    address = parse_address(data["email"])
    return person_at(address.email, address.wire, address.key, data)


def person_at(email: str, wire_email: str, key: str, data: Mapping[str, Any]) -> Subscriber:
    """A person whose address is known already, of the mapping that `data_of` made."""
    return Subscriber(
        email=email,
        wire_email=wire_email,
        key=key,
        name=data.get("name", ""),
        digests=tuple(data.get("digests", ())),
        language=data.get("language"),
        format=Format(data.get("format", Format.html)),
        timezone=data.get("timezone"),
        tags=tuple(data.get("tags", ())),
        attributes=data.get("attributes", {}),
    )


def written(item: Mapping[str, Data]) -> Data:
    """A person as the file has them: an address alone where nothing else is known."""
    return item["email"] if len(item) == 1 else item


def person_from(item: Mapping[str, Data], check_digest: CheckDigest) -> Subscriber:
    """Judge a person by the rules of the file, without a file.

    Raises:
        UsageError: what is wrong, all of it in one line.
        AddressError: the address cannot be used.
    """
    problems = Problems("")
    node = MapNode(0, {key: _node(value) for key, value in item.items()})
    try:
        person = person_of(node, check_digest, problems)
    except Wrong as wrong:
        raise AddressError(wrong.text) from wrong
    if problems:
        raise UsageError(_in_words(problems))
    return person


def _node(value: Data) -> Node:
    if isinstance(value, str | int):
        text = str(value)
        found = forbidden_character(text)
        if found is not None:
            raise UsageError(found)
        return Scalar(0, text, quoted=True)
    if isinstance(value, Mapping):
        return MapNode(0, {key: _node(inner) for key, inner in value.items()})
    return ListNode(0, tuple(map(_node, value)))


def _in_words(problems: Problems) -> str:
    return "; ".join(f"{one.key}: {one.text}" if one.key else one.text for one in problems.all())
