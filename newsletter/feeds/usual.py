"""The elements of a usual item, each taken down in the form feedparser would give it.

What a function here cannot be sure of, it says no to: then the whole item is left
to feedparser.  `feeds.scan` calls them, in document order.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

Fields = dict[str, Any]

ATOM: Final = "http://www.w3.org/2005/Atom"
DC: Final = "http://purl.org/dc/elements/1.1/"
CONTENT: Final = "http://purl.org/rss/1.0/modules/content/"
_HTML: Final = frozenset({"text/html", "application/xhtml+xml"})
#: An address that feedparser leaves as it is; as text it would also mend what looks like a reference.
_ADDRESS: Final = re.compile(r"https?://[^\s/\x7f-\x9f][^\s\x7f-\x9f]*")
_NOT_PLAIN: Final = re.compile("[\x80-\x9f]")
#: In the title of an item of RSS, what makes feedparser ask itself whether it is HTML.
_LIKE_HTML: Final = re.compile(r"</\w|&#?\w+;")
_MONTHS: Final = dict(
    zip(("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), range(1, 13), strict=True)
)
#: The one form of RFC 822 dates that all programs read alike.
_MAIL_DATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) ([A-Z][a-z][a-z]) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|\+0000|([+-](?:0\d|1[0-3]))(00|30))"
)
_ISO_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)")


class Look(Protocol):
    """What the functions ask about the document."""

    @property
    def is_atom(self) -> bool:
        """Whether it is Atom, of which feedparser believes what it says of its texts."""
        ...

    def detail(self, kind: str) -> Fields:
        """What feedparser notes beside a text of this type."""
        ...


@dataclass(frozen=True, slots=True)
class Field:
    """How one element is taken down; each function says whether the item is still a usual one."""

    is_text: bool = False
    start: Callable[[Fields, dict[str, str]], bool] | None = None
    end: Callable[[Fields, str, dict[str, str], Look], bool] | None = None
    inside: dict[str, "Field"] | None = None


# ----------------------------------------------------- what feedparser does with a text


def _mended(text: str) -> str | None:
    """UTF-8 that was taken for Latin-1 on its way here, put right; None for what takes more than that."""
    if text.isascii():
        return text
    with suppress(UnicodeError):
        text = text.encode("iso-8859-1").decode("utf-8")
    return None if _NOT_PLAIN.search(text) else text


def _title(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:
    kind = attributes.get("type", "text").lower()
    if (
        "title" in fields
        or kind not in ("text", "html", "text/plain", "text/html")
        or len(attributes) > ("type" in attributes)
    ):
        return False
    kind = "text/html" if kind.endswith("html") else "text/plain"
    if not look.is_atom and (attributes or _LIKE_HTML.search(text)):
        return False
    mended = _mended(text)
    if mended is None:
        return False
    fields["title"] = mended
    fields["title_detail"] = look.detail(kind)
    return True


def _text_link(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:  # noqa: ARG001
    mended = _mended(text)
    if attributes or "link_seen" in fields or mended is None or ";" in text or not _ADDRESS.fullmatch(mended):
        return False
    fields["link_seen"] = True
    fields["link"] = mended
    fields.setdefault("links", []).append({"rel": "alternate", "type": "text/html", "href": mended})
    return True


_LINK_ATTRIBUTES: Final = frozenset({"rel", "type", "href", "title", "hreflang", "length"})


def _link(fields: Fields, attributes: dict[str, str]) -> bool:
    href = attributes.get("href", "")
    if not attributes.keys() <= _LINK_ATTRIBUTES or not _ADDRESS.fullmatch(href):
        return False
    rel = attributes.get("rel", "alternate").lower()
    kind = attributes.get("type", "application/atom+xml" if rel == "self" else "text/html").lower()
    fields.setdefault("links", []).append({**attributes, "rel": rel, "type": kind})
    if rel == "alternate" and (kind in _HTML or kind in ("html", "xhtml")):
        fields["link"] = href
    return True


def _guid(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:  # noqa: ARG001
    if "id" in fields or (attributes and attributes.keys() != {"isPermaLink"}) or ":///" in text:
        return False
    mended = _mended(text)
    if mended is None:
        return False
    fields["id"] = mended
    if attributes.get("isPermaLink", "true") == "true":
        fields.setdefault("link", mended)
    return True


def _date(key: str) -> Callable[[Fields, str, dict[str, str], Look], bool]:
    def end(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:  # noqa: ARG001
        if attributes or key in fields:
            return False
        if not _ISO_DATE.fullmatch(text):
            moment = _mail_date(text)
            if moment is None:
                return False
            fields[f"{key}_at"] = moment
        else:
            try:
                datetime.fromisoformat(text)
            except ValueError:
                return False
        fields[key] = text
        return True

    return end


def _mail_date(text: str) -> datetime | None:
    match = _MAIL_DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    try:
        offset = f"{match[7]}:{match[8]}" if match[7] else "+00:00"
        day = f"{match[3]}-{_MONTHS[match[2]]:02}-{match[1]}"
        return datetime.fromisoformat(f"{day}T{match[4]}:{match[5]}:{match[6]}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _description(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:
    mended = _mended(text)
    if attributes or "summary_detail" in fields or mended is None:
        return False
    fields["summary"] = mended
    fields["summary_detail"] = look.detail("text/html")
    return True


def _encoded(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:
    mended = _mended(text)
    if attributes or "content" in fields or mended is None:
        return False
    fields["content"] = [{**look.detail("text/html"), "value": mended}]
    fields.setdefault("summary", mended)
    return True


def _atom_type(attributes: dict[str, str]) -> str | None:
    kind = attributes.get("type", "text").lower()
    if attributes and attributes.keys() != {"type"}:
        return None
    return {"text": "text/plain", "text/plain": "text/plain", "html": "text/html", "text/html": "text/html"}.get(kind)


def _summary(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:
    kind, mended = _atom_type(attributes), _mended(text)
    if "summary_detail" in fields or kind is None or mended is None:
        return False
    fields["summary"] = mended
    fields["summary_detail"] = look.detail(kind)
    return True


def _content(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:
    kind, mended = _atom_type(attributes), _mended(text)
    if "content" in fields or kind is None or mended is None:
        return False
    fields["content"] = [{**look.detail(kind), "value": mended}]
    fields.setdefault("summary", mended)
    return True


def _start_category(fields: Fields, attributes: dict[str, str]) -> bool:
    if not attributes.keys() <= {"term", "scheme", "label", "domain"}:
        return False
    scheme = attributes.get("scheme", attributes.get("domain"))
    _tag(fields, attributes.get("term"), scheme, attributes.get("label"))
    return True


def _category(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:  # noqa: ARG001
    mended = _mended(text)
    if mended is None:
        return False
    if not mended:
        return True
    tags = fields["tags"]
    if tags and not tags[-1]["term"]:
        tags[-1]["term"] = mended
    else:
        _tag(fields, mended, None, None)
    return True


def _tag(fields: Fields, term: str | None, scheme: str | None, label: str | None) -> None:
    tags = fields.setdefault("tags", [])
    tag = {"term": term, "scheme": scheme, "label": label}
    if (term or scheme or label) and tag not in tags:
        tags.append(tag)


def _creator(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:  # noqa: ARG001
    mended = _mended(text)
    # feedparser looks for an address in it.
    if attributes or mended is None or "@" in mended:
        return False
    fields["author"] = mended
    fields.setdefault("authors", []).append({"name": mended} if mended else {})
    return True


def _start_author(fields: Fields, attributes: dict[str, str]) -> bool:
    fields.setdefault("authors", []).append({})
    return not attributes


def _author_name(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:  # noqa: ARG001
    fields["authors"][-1]["name"] = text
    return bool(text)


def _author(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:  # noqa: ARG001
    return "name" in fields["authors"][-1]


def _enclosure(fields: Fields, attributes: dict[str, str]) -> bool:
    if not attributes.keys() <= {"url", "length", "type"} or not attributes.get("url"):
        return False
    file = {key: value for key, value in attributes.items() if key != "url"}
    if "type" in file:
        file["type"] = file["type"].lower()
    fields.setdefault("links", []).append({**file, "href": attributes["url"], "rel": "enclosure"})
    return True


def _language(fields: Fields, text: str, attributes: dict[str, str], look: Look) -> bool:  # noqa: ARG001
    mended = _mended(text)
    if attributes or mended is None:
        return False
    fields["language"] = mended
    return True


_NOTHING: Final = Field()
_TEXT_LINK: Final = Field(is_text=True, end=_text_link)
RSS_ITEM: Final = {
    "title": Field(is_text=True, end=_title),
    "link": _TEXT_LINK,
    "guid": Field(is_text=True, end=_guid),
    "pubDate": Field(is_text=True, end=_date("published")),
    "description": Field(is_text=True, end=_description),
    f"{CONTENT} encoded": Field(is_text=True, end=_encoded),
    "category": Field(is_text=True, start=_start_category, end=_category),
    f"{DC} creator": Field(is_text=True, end=_creator),
    "author": Field(is_text=True, end=_creator),
    f"{ATOM} link": Field(start=_link),
    "enclosure": Field(start=_enclosure),
    "comments": _NOTHING,
}
_PERSON: Final = {
    f"{ATOM} name": Field(is_text=True, end=_author_name),
    f"{ATOM} uri": _NOTHING,
    f"{ATOM} email": _NOTHING,
}
ATOM_ITEM: Final = {
    f"{ATOM} title": Field(is_text=True, end=_title),
    f"{ATOM} link": Field(start=_link),
    f"{ATOM} id": Field(is_text=True, end=_guid),
    f"{ATOM} published": Field(is_text=True, end=_date("published")),
    f"{ATOM} updated": Field(is_text=True, end=_date("updated")),
    f"{ATOM} author": Field(start=_start_author, end=_author, inside=_PERSON),
    f"{ATOM} category": Field(is_text=True, start=_start_category, end=_category),
    f"{ATOM} summary": Field(is_text=True, end=_summary),
    f"{ATOM} content": Field(is_text=True, end=_content),
}
RSS_HEAD: Final = {
    "title": Field(is_text=True, end=_title),
    "link": _TEXT_LINK,
    f"{ATOM} link": Field(start=_link),
    "language": Field(is_text=True, end=_language),
    **dict.fromkeys(
        (
            "description",
            "copyright",
            "pubDate",
            "lastBuildDate",
            "generator",
            "docs",
            "ttl",
            "managingEditor",
            "webMaster",
        ),
        _NOTHING,
    ),
    "image": Field(inside=dict.fromkeys(("url", "title", "link", "width", "height", "description"), _NOTHING)),
}
ATOM_HEAD: Final = {
    f"{ATOM} title": Field(is_text=True, end=_title),
    f"{ATOM} link": Field(start=_link),
    f"{ATOM} id": Field(is_text=True, end=_guid),
    **dict.fromkeys(
        (f"{ATOM} {name}" for name in ("updated", "subtitle", "generator", "rights", "icon", "logo")), _NOTHING
    ),
    f"{ATOM} author": Field(start=_start_author, inside=_PERSON),
}
