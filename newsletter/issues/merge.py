"""Merge fields: the values that differ per subscriber inside an otherwise shared issue.

An issue is rendered once for everybody who reads it the same way.  Where a
template prints `{{ subscriber.name }}` the rendering gets a token; the value is
put in when the message is composed.  A token is

    <merge_token>!<field><kind>!

where `merge_token` is the issue's own random value (so no feed can forge one),
`field` the field's name in hexadecimal digits (nothing on the way alters them),
and `kind` a letter for how the value must be escaped in that place.  Filling
the tokens gives, byte for byte, what rendering the templates for that one
person would have given.

What templates see of a subscriber is in `personal`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Protocol, Self
from urllib.parse import quote

from markupsafe import escape

from newsletter.errors import MessageError, NewsletterError
from newsletter.issues.markdown import escape as escape_markdown
from newsletter.model import Subscriber
from newsletter.text import one_line

#: The fields that are addresses made for one person; all others begin with "subscriber.".
URL_FIELDS: Final = ("unsubscribe_url", "preferences_url", "view_url")

#: A subject is never longer; the cut falls after the fields are filled in.
SUBJECT_LIMIT: Final = 200


class LogicOnSubscriber(NewsletterError):  # noqa: N818 - not an error: it asks for a subscriber
    """A template decides something on a merge field, so it must be rendered with a subscriber at hand."""


class PersonalUrls(Protocol):
    """The three addresses made for one subscriber; "" where the project has no such page."""

    @property
    def unsubscribe_url(self) -> str:
        """Where to unsubscribe: a page, or a `mailto:` address."""
        ...

    @property
    def preferences_url(self) -> str:
        """Where to change settings."""
        ...

    @property
    def view_url(self) -> str:
        """The issue as a web page."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Urls:
    """`PersonalUrls` as plain values."""

    unsubscribe_url: str
    preferences_url: str = ""
    view_url: str = ""

    @classmethod
    def present(cls, base_url: str | None, archive_url: str | None = None) -> Self:
        """Which addresses subscribers will have, before anybody's own are known."""
        if not base_url:
            return cls(unsubscribe_url="mailto:", view_url=archive_url or "")
        return cls(unsubscribe_url=base_url, preferences_url=base_url, view_url=base_url)


def field_value(field: str, subscriber: Subscriber) -> str:
    """The value of a `subscriber.*` field for one person: one line, without control characters.

    An attribute that the person does not have is empty.
    """
    if field == "subscriber.name":
        return one_line(subscriber.name)
    if field == "subscriber.email":
        return one_line(subscriber.email)
    return one_line(subscriber.attributes.get(field.removeprefix("subscriber.attributes."), ""))


def merge_values(fields: Iterable[str], subscriber: Subscriber) -> dict[str, str]:
    """What a delivery keeps of a subscriber (`NewDelivery.merge`): the `subscriber.*` among `Rendering.fields`.

    The addresses are made anew for each message (`delivery.links`) and are not kept.
    """
    return {field: field_value(field, subscriber) for field in fields if field not in URL_FIELDS}


# ----------------------------------------------------------------- where values go in


def _html_text(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _html_attribute(value: str) -> str:
    return _html_text(value).replace('"', "&quot;")


def _html_address(value: str) -> str:
    # What libxml2 escapes in an address are blanks and all that is not ASCII.
    if value.isascii() and " " not in value:
        return _html_attribute(value)
    return _html_attribute("".join(c if c.isascii() and c != " " else quote(c) for c in value))


#: How a value is written, by kind of place.  The HTML ones write what lxml's
#: serialiser writes, which is where the HTML part comes from.
_WRITERS: Final[Mapping[str, Callable[[str], str]]] = {
    "t": lambda value: value,  # text, Markdown, subject: as it is
    "h": _html_text,  # between tags
    "q": _html_attribute,  # in an attribute
    "u": _html_address,  # in href, src, action
    "j": lambda value: str(escape(value)),  # as Jinja escapes: |e in a text template, comments, style blocks
    "m": escape_markdown,  # |md in a Markdown or text template
}


def write(value: str, kind: str) -> str:
    """Escape a value for a kind of place; control characters, which no value has, would become blanks."""
    return _WRITERS[kind](value if value.isprintable() else one_line(value))


class Piece(NamedTuple):
    """A stretch of a rendering, and the merge field that follows it (None at the end)."""

    literal: str
    field: str | None
    kind: str = "t"

    def written(self, values: Mapping[str, str]) -> str:
        """The value of the field, escaped for the place where it stands; "" where no field follows.

        Two pieces with the same `field` and `kind` are written alike.

        Raises:
            MessageError: `values` has no such field.
        """
        if self.field is None:
            return ""
        try:
            value = values[self.field]
        except KeyError:
            raise MessageError(f"no value for the merge field {self.field}") from None
        return write(value, self.kind)


def make_token(token: str, field: str, kind: str = "t") -> str:
    """The token of a field in a place of this kind."""
    return f"{token}!{field.encode().hex()}{kind}!"


@lru_cache(maxsize=64)
def token_pattern(token: str) -> re.Pattern[str]:
    """Matches the tokens of one issue; group 1 is the field in hexadecimal digits, group 2 the kind."""
    return re.compile(re.escape(token) + r"!((?:[0-9a-f]{2})+)([g-z])!")


def field_of(found: re.Match[str]) -> str:
    """The field that a token found by `token_pattern` stands for."""
    return bytes.fromhex(found[1]).decode("utf-8", "replace")


def split(text: str, token: str) -> list[Piece]:
    """Cut a part of a rendering at its merge fields.

    Joining each piece's `literal` and `written(values)` gives the text of one
    person's message.

    Args:
        text: a rendering's `html`, `text`, `markdown` or `subject`.
        token: the issue's `Envelope.merge_token`.
    """
    pieces = []
    at = 0
    for found in token_pattern(token).finditer(text):
        pieces.append(Piece(text[at : found.start()], field_of(found), found[2]))
        at = found.end()
    pieces.append(Piece(text[at:], None))
    return pieces


def fill(text: str, token: str, values: Mapping[str, str]) -> str:
    """Put one person's values into a part of a rendering, each escaped for its place (see `split`)."""
    return "".join(piece.literal + piece.written(values) for piece in split(text, token))


def fill_subject(subject: str, token: str, values: Mapping[str, str]) -> str:
    """Put one person's values into a subject; it stays one line of at most `SUBJECT_LIMIT` characters."""
    return one_line(fill(subject, token, values), SUBJECT_LIMIT)


# ------------------------------------------------- after the HTML has been inlined

_HTML_CONTEXT = re.compile(
    r"<!--.*?-->|<(style|script)\b.*?</\1\s*>|<[a-zA-Z/][^>]*>",
    re.DOTALL | re.IGNORECASE,
)
_ATTRIBUTE = re.compile(r"""([^\s=<>"']+)="([^"]*)\"""")
_DOUBLE: Final = '"'
_ADDRESS_ATTRIBUTES = frozenset({"href", "src", "action"})


_QUOTED = re.compile(r"""([^\s=<>"']+)=(?:"[^"]*"|'([^']*)')""")


def double_quoted(html: str) -> str:
    """Serialised HTML with all attributes in double quotes.

    lxml chooses the quotes by what a value holds; a token holds none, and what
    it stands for may.
    """

    def in_tag(found: re.Match[str]) -> str:
        tag = found[0]
        if found[1] or tag.startswith("<!--") or "='" not in tag:
            return tag
        return _QUOTED.sub(lambda a: a[0] if a[2] is None else f'{a[1]}="{a[2].replace(_DOUBLE, "&quot;")}"', tag)

    return _HTML_CONTEXT.sub(in_tag, html) if "='" in html else html


def set_kinds(html: str, token: str) -> str:
    """Give each token in serialised HTML the kind of the place where it stands."""
    if token not in html:
        return html
    pattern = token_pattern(token)

    def in_attribute(found: re.Match[str], tag: str) -> str:
        name = found[1].lower()
        is_address = name in _ADDRESS_ATTRIBUTES or (name == "name" and tag.lower().startswith("<a "))
        kind = "u" if is_address else "q"
        return pattern.sub(lambda t: make_token(token, field_of(t), kind), found[0])

    def in_markup(found: re.Match[str]) -> str:
        text = found[0]
        if token not in text:
            return text
        if found[1] or text.startswith("<!--"):
            return pattern.sub(lambda t: make_token(token, field_of(t), "j"), text)
        return _ATTRIBUTE.sub(lambda attribute: in_attribute(attribute, text), text)

    between = pattern.sub(lambda t: make_token(token, field_of(t), "h"), html)
    return _HTML_CONTEXT.sub(in_markup, between)


def fields_in(text: str, token: str) -> list[str]:
    """The fields of all whole tokens in a text, sorted; the same before and after means nothing was lost."""
    return sorted(field_of(found) for found in token_pattern(token).finditer(text))


def is_whole(text: str, token: str) -> bool:
    """Whether nothing but whole tokens is left of the merge token: a filter has changed none."""
    return token.lower() not in token_pattern(token).sub("", text).lower()
