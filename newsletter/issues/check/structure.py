"""The bytes and the MIME tree: what every server on the way can carry and every client can open."""

import re
from collections.abc import Iterator
from email.message import Message

from newsletter.issues.check.finding import Finding, error, note, warning
from newsletter.issues.check.headers import unsubscribe_uris
from newsletter.issues.check.reading import Letter

#: Gmail hides what comes after about 102 KB of the HTML part.
GMAIL_CLIPS_AT = 102_000
#: What a letter should keep to, so that a longer name or address does not reach the limit.
BUDGET = 90_000

_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_LONGEST = 998
_LONGEST_QUOTED = 76
#: A field with a domain in it, which may be long.
_CONTENT_ID = re.compile(rb"Content-ID: <[^<>\s]+>")
_REPORT = "report this: the program encodes the message itself"


def check_structure(letter: Letter) -> Iterator[Finding]:
    """Judge the bytes, the parts and their sizes."""
    yield from _bytes(letter)
    yield from _parts(letter)
    yield from _pictures(letter)
    yield from _size(letter)
    yield from _way_out(letter)


def _bytes(letter: Letter) -> Iterator[Finding]:
    head, _, body = letter.raw.partition(b"\r\n\r\n")
    if _BARE.search(letter.raw) or b"\0" in letter.raw:
        yield error(
            "line-ends",
            "a bare CR or LF, or a NUL",
            why="RFC 5321 §2.3.8: servers change such bytes or refuse them",
            fix=_REPORT,
        )
    if not body.isascii() or (not head.isascii() and letter.header("To").isascii()):
        yield error(
            "ascii",
            "bytes beyond ASCII",
            why="not every server on the way passes them; signatures break",
            fix=_REPORT,
        )
    longest = max(map(len, letter.raw.split(b"\r\n")), default=0)
    if longest > _LONGEST:
        yield error(
            "long-line",
            f"a line of {longest:,} bytes",
            why=f"RFC 5322 §2.1.1 allows {_LONGEST}; servers cut or refuse it",
            fix=_REPORT,
        )
    elif any(len(line) > _LONGEST_QUOTED and not _CONTENT_ID.fullmatch(line) for line in body.split(b"\r\n")):
        yield error(
            "long-line",
            f"a line of the body longer than {_LONGEST_QUOTED} bytes",
            why="RFC 2045 §6.7 and §6.8 allow no more in quoted-printable and base64",
            fix=_REPORT,
        )


def _parts(letter: Letter) -> Iterator[Finding]:
    kinds = [part.get_content_type() for part in letter.parts]
    for defect in letter.defects:
        yield error("mime", f"a MIME fault: {defect}", why="clients show such parts garbled or not at all", fix=_REPORT)
    if letter.text is None or not letter.text.strip():
        yield error(
            "text-part",
            "no text part, or an empty one",
            why="text clients, watches and screen readers show it; filters count its absence against you",
            fix="give templates/issue.txt.j2 something to say",
        )
    if letter.html is not None and letter.text is not None and kinds.index("text/html") < kinds.index("text/plain"):
        yield error(
            "part-order",
            "the HTML part comes before the text part",
            why="RFC 2046 §5.1.4: clients show the last one they can",
            fix=_REPORT,
        )
    if letter.html is not None and "multipart/alternative" not in {p.get_content_type() for p in letter.message.walk()}:
        yield error(
            "alternatives",
            "the HTML part is not in a multipart/alternative",
            why="without it clients show both parts, or the text as an attachment",
            fix=_REPORT,
        )
    for part, kind in zip(letter.parts, kinds, strict=True):
        if not kind.startswith("text/"):
            continue
        if part.get_content_charset() != "utf-8":
            yield error(
                "charset", f"the {kind} part is not declared as UTF-8", why="names and quotes get garbled", fix=_REPORT
            )
        encoding = str(part["Content-Transfer-Encoding"] or "7bit").lower()
        if encoding != "quoted-printable":
            yield warning(
                "encoding",
                f"the {kind} part is in {encoding}, not quoted-printable",
                why="filters distrust text in base64, and servers re-encode the rest, which breaks signatures",
                fix=_REPORT,
            )


def _pictures(letter: Letter) -> Iterator[Finding]:
    """Pictures inside the message: together with the HTML that shows them, and none that it does not."""
    pictures = [part for part in letter.parts if part.get_content_maintype() == "image"]
    if not pictures:
        return
    related = [part for part in letter.message.walk() if part.get_content_type() == "multipart/related"]
    inside = [one for part in related for one in _children(part)]
    if any(picture not in inside for picture in pictures) or not all(map(_begins_with_html, related)):
        yield error(
            "related",
            "pictures that do not stand with the HTML part in a multipart/related that begins with it",
            why="RFC 2387: clients show such pictures as attachments, and empty frames in the letter",
            fix=_REPORT,
        )
    for picture in pictures:
        name = str(picture["Content-ID"] or "").strip("<> ")
        if not name or f"cid:{name}" not in (letter.html or ""):
            yield warning(
                "picture-unused",
                f"a picture {name or 'without a name'} that the HTML part does not show",
                why="every reader carries its bytes, and some clients list it as an attachment",
                fix="show it, or leave it out",
            )
    size = sum(len(str(picture.get_payload())) for picture in pictures)
    yield note(
        "message-size",
        f"the message has {len(letter.raw):,} bytes, {size:,} of them for {len(pictures)} "
        f"{'picture' if len(pictures) == 1 else 'pictures'}",
        why="it is sent to every reader, and servers have limits",
    )


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _begins_with_html(related: Message) -> bool:
    first = next(iter(_children(related)), None)
    return first is not None and first.get_content_type() == related.get_param("type") == "text/html"


def _size(letter: Letter) -> Iterator[Finding]:
    size = len((letter.html or "").encode())
    facts = f"the HTML part has {size:,} bytes"
    if size > GMAIL_CLIPS_AT:
        yield error(
            "size",
            f"{facts}, and Gmail cuts off after {GMAIL_CLIPS_AT:,}",
            why="what comes after is hidden, the unsubscribe link first of all",
            fix="set max_entries or per_feed for the digest: what is over it stays as headlines",
        )
    elif size > BUDGET:
        yield warning(
            "size",
            f"{facts}; the budget is {BUDGET:,}",
            why=f"Gmail cuts off after {GMAIL_CLIPS_AT:,}, and links grow when servers rewrite them",
            fix="set max_entries or per_feed for the digest: what is over it stays as headlines",
        )


def _way_out(letter: Letter) -> Iterator[Finding]:
    """Every part says how to leave; the link is one of List-Unsubscribe's."""
    uris = unsubscribe_uris(letter)
    if not uris:
        return
    why = "a reader who cannot find the way out takes the spam button; the law of many countries wants it"
    fix = "put {{ unsubscribe_url }} into the footer of the template"
    if letter.text and not any(uri in letter.text for uri in uris):
        yield error("way-out", "the text part does not say how to unsubscribe", where="text part", why=why, fix=fix)
    if letter.html and not any(a.get("href") in uris for a in letter.tags("a") if a not in letter.hidden):
        yield error("way-out", "the HTML part has no unsubscribe link", where="HTML part", why=why, fix=fix)
