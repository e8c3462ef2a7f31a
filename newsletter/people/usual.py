"""People written the usual way, read straight from their lines: four times as fast as by way of nodes.

Knows entries of which every line is `key: value` with a value that people
really write; whatever else an entry has, it is left to `entry.person_of`.  What
is made here is exactly what comes of that way (proved by comparison in the
tests): every expression below allows less than it does, and a line that many
people share (`digests: [daily]`) is judged by it once and then known.
"""

import re
from dataclasses import fields
from typing import Any, Final

from newsletter.address import parse_address
from newsletter.errors import AddressError
from newsletter.model import Subscriber, subscriber_of
from newsletter.people.entry import LONGEST_VALUE, MOST_ATTRIBUTES, CheckDigest, person_of
from newsletter.text import one_line
from newsletter.yamlfile import Problems, not_text, usual_items

_BEGIN: Final = r"(?:- |  )"
_END: Final = r" *\r?\n?"
#: In small letters, with one of them at least: nobody's other spelling, and no role that is written otherwise.
_LOCAL = re.compile(r"[a-z0-9_][a-z0-9_+-]*(?:\.[a-z0-9_+-]+)*", re.ASCII)
_DOMAIN = re.compile(rf"(@(?:[a-z0-9](?:[a-z0-9-]{{0,60}}[a-z0-9])?\.)+[a-z]{{2,24}}){_END}", re.ASCII)
_EMAIL = re.compile(rf"{_BEGIN}email: (\w[\w.+-]*@[\w.-]+){_END}", re.ASCII)
#: Words with single blanks.
_NAME = re.compile(rf"{_BEGIN}name: (\w[\w.'()&-]*(?: [\w(&][\w.'()&-]*)*){_END}")
_QUOTED_NAME = re.compile(rf"{_BEGIN}name: (?:'([^'\\\"]*)'|\"([^'\\\"]*)\"){_END}")
_WORDS: Final = r"\w[\w.@+/-]*(?: \w[\w.@+/-]*)*"
_PAIR = re.compile(rf"([A-Za-z_][A-Za-z0-9_-]{{0,60}}): ({_WORDS})")
_ATTRIBUTES: Final = ("  attributes: {", "- attributes: {")
_COMMENT = re.compile(" *#[\t\x20-\x7e]*\r?\n?", re.ASCII)
_BLANK: Final = frozenset({"\n", "\r\n"})
#: Keys of which many people have the same value.
_SHARED: Final = frozenset({"digests", "language", "format", "timezone", "tags"})
#: How many lines, domains and attributes are remembered.
_MOST: Final = 4096
#: Tops that need a closer look (`address`).
_OTHER_TOPS: Final = (".arpa", ".local", ".onion")
_LONG_LINE: Final = 200
#: An attribute with more values than this is somebody's own, and is not remembered.
_SHARED_VALUES: Final = 1024
#: A person of whom nothing is said but the address.
_NOTHING: Final[dict[str, Any]] = {
    field.name: field.default for field in fields(Subscriber) if field.name not in ("email", "wire_email", "key")
} | {"attributes": None}


class UsualPeople:
    """Makes people of entries, one at a time (`yamlfile.usual.Quick`).

    Args:
        check_digest: says why a person cannot have a digest.
    """

    def __init__(self, check_digest: CheckDigest) -> None:
        self._check_digest = check_digest
        self._lines: dict[str, tuple[str, Any]] = {}
        self._domains: dict[str, str] = {}
        self._pairs: dict[str, tuple[str, str]] = {}
        self._values: dict[str, int] = {}

    def __call__(self, lines: list[str], begin: int) -> Subscriber | None:
        """The person of an entry; None where only `person_of` can tell."""
        if len(lines) == 1 and (email := self._address(lines[0], 2)) is not None:
            return Subscriber(email=email, wire_email=email, key=email, line=begin)
        known = self._lines
        said: dict[str, Any] = {}
        for line in lines:
            found = known.get(line) or self._line(line)
            if found is None:
                return None
            key, value = found
            if key in said:
                return None
            if key:
                said[key] = value
        address = said.get("email")
        if address is None:
            return None
        said = _NOTHING | said
        email, wire, key = address
        return subscriber_of(
            (
                email,
                wire,
                key,
                said["name"],
                said["digests"],
                said["language"],
                said["format"],
                said["timezone"],
                said["tags"],
                said["attributes"] or {},
                begin,
            )
        )

    def _line(self, line: str) -> tuple[str, Any] | None:
        """The field of a person that a line sets, and to what, "" for none; None where that is not sure."""
        key = line[2 : line.find(":")]
        if key == "name":
            return _name(line)
        if key == "email":
            return self._email(line)
        if key == "attributes":
            return self._attributes(line)
        if key in _SHARED:
            return self._judged(key, line)
        return ("", None) if line in _BLANK or _COMMENT.fullmatch(line) else None

    def _email(self, line: str) -> tuple[str, Any] | None:
        usual = self._address(line, 9) if line.startswith(("- email: ", "  email: ")) else None
        if usual is not None:
            return "email", (usual, usual, usual)
        found = _EMAIL.fullmatch(line)
        if found is None:
            return None
        try:
            address = parse_address(found[1])
        except AddressError:
            return None
        return "email", (address.email, address.wire, address.key)

    def _address(self, line: str, start: int) -> str | None:
        """The address that a line ends in, where nothing about it needs a closer look."""
        at = line.find("@")
        local = line[start:at]
        if at < start or len(line) > _LONG_LINE or not local.islower() or not _LOCAL.fullmatch(local):
            return None
        rest = line[at:]
        domain = self._domains.get(rest) or self._domain(rest)
        return domain and local + domain

    def _domain(self, rest: str) -> str | None:
        found = _DOMAIN.fullmatch(rest)
        if found is None or "--" in rest or found[1].endswith(_OTHER_TOPS):
            return None
        if len(self._domains) < _MOST:
            self._domains[rest] = found[1]
        return found[1]

    def _attributes(self, line: str) -> tuple[str, Any] | None:
        if not (line.startswith(_ATTRIBUTES) and line.endswith("}\n") and len(line) <= LONGEST_VALUE):
            return None
        pairs = line[len(_ATTRIBUTES[0]) : -2].split(", ")
        known = self._pairs
        try:
            attributes = dict([known.get(pair) or self._pair(pair) for pair in pairs])
        except ValueError:
            return None
        # A key that stands there twice is a mistake.
        return ("attributes", attributes) if len(attributes) == len(pairs) <= MOST_ATTRIBUTES else None

    def _pair(self, pair: str) -> tuple[str, str]:
        """Split `key: value`; ValueError where it is not sure what that means."""
        found = _PAIR.fullmatch(pair)
        if found is None or not_text(found[2]) is not None or not_text(found[1]) is not None:
            raise ValueError(pair)
        key, value = found[1], found[2]
        values = self._values.get(key, 0)
        if values < _SHARED_VALUES and len(self._pairs) < _MOST:
            self._values[key] = values + 1
            self._pairs[pair] = (key, value)
        return key, value

    def _judged(self, key: str, line: str) -> tuple[str, Any] | None:
        """A line of which there are many, judged once, in the company of an address."""
        if not line.startswith(("- ", "  ")):
            return None
        problems = Problems("")
        node = next(usual_items(iter(["- email: a@example.com\n", f"  {line[2:]}"]), lambda *_: None))
        person = None if node is None else person_of(node, self._check_digest, problems)
        if person is None or problems:
            return None
        found = (key, getattr(person, key))
        if len(self._lines) < _MOST:
            self._lines[line] = found
        return found


def _name(line: str) -> tuple[str, str] | None:
    if len(line) >= _LONG_LINE:
        return None
    found = _NAME.fullmatch(line)
    if found is not None:
        return ("name", one_line(found[1])) if not_text(found[1]) is None else None
    quoted = _QUOTED_NAME.fullmatch(line)
    if quoted is None:
        return None
    name = quoted[1] or quoted[2] or ""
    return ("name", name) if name.isprintable() and one_line(name) == name else None
