"""A letter taken apart for the editor's page: headers, parts, sizes, and why each entry stands where it does."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from email.message import Message
from itertools import chain

from newsletter.app.letters import Copy, Letter
from newsletter.app.project import App
from newsletter.issues.check.reading import decoded, read
from newsletter.issues.inbox import inbox_words
from newsletter.issues.render import HTML_LIMIT
from newsletter.model import Consumed, Disposition, Draft, DraftEntry, Feed, LeftOut, StoredEntry
from newsletter.preview.answers import EntryRow, Header, PartView, SectionRow, Sender, Size

#: Gmail hides what comes after about this many bytes of an HTML part.
GMAIL_CLIP = 102_000


def parts_of(copy: Copy) -> dict[str, object]:
    """What can be read from the message itself, under the names of `LetterView`."""
    letter = read(copy.message)
    leaves = [(part, _payload(part)) for part in letter.parts]
    html = len((letter.html or "").encode())
    return {
        "subject": copy.subject,
        "preheader": inbox_words(letter.html or "", letter.text or ""),
        "html": letter.html or "",
        "text": letter.text or "",
        "markdown": copy.markdown,
        "source": copy.message.decode("utf-8", "replace").replace("\r\n", "\n"),
        "headers": tuple(Header(name=name, value=decoded(value) or value, raw=value) for name, value in letter.fields),
        "parts": tuple(
            PartView(type=part.get_content_type(), bytes=len(body), name=(part.get("Content-ID") or "").strip("<>"))
            for part, body in leaves
        ),
        "pictures": {
            content_id.strip("<>"): f"data:{part.get_content_type()};base64,{b64encode(body).decode('ascii')}"
            for part, body in leaves
            if (content_id := part.get("Content-ID")) and part.get_content_maintype() == "image"
        },
        "size": Size(
            html=html,
            limit=HTML_LIMIT,
            clip=GMAIL_CLIP,
            message=len(copy.message),
            words=copy.size.words if isinstance(copy, Letter) and copy.size else f"HTML part: {html:,} bytes",
        ),
    }


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def sender_of(app: App) -> Sender:
    """Whom letters are from."""
    return Sender(name=app.config.from_name or app.config.title, email=app.config.from_address.email)


def section_rows(draft: Draft, feeds: Iterable[Feed]) -> tuple[SectionRow, ...]:
    """The sections of a draft, in order."""
    known = {feed.url: feed for feed in feeds}
    rows = []
    for section in draft.sections:
        feed = known.get(section.feed_url or "")
        word = (feed.title or feed.url) if feed else section.title
        rows.append(SectionRow(word=word, title=section.title, entries=len(section.entries) + len(section.more)))
    return tuple(rows)


def entry_rows(
    draft: Draft,
    candidates: Iterable[StoredEntry],
    left_out: Iterable[LeftOut],
    titles: Mapping[str, str],
    hidden: frozenset[int],
) -> tuple[EntryRow, ...]:
    """Every entry that an issue carries or could have: those it shows in their order, then the others.

    Args:
        draft: the issue.
        candidates: what was waiting for it.
        left_out: what was not even waiting.
        titles: of feeds, by address.
        hidden: what the editor left out.
    """
    stored = {one.id: one for one in candidates}
    fates = {one.entry_id: one for one in draft.consumed}
    rows = []
    for section in draft.sections:
        for entry in (*section.entries, *section.more):
            fate = fates.pop(entry.id)
            rows.append(_shown(entry, fate.disposition, fate.why, section=section.title))
    for consumed in fates.values():
        if consumed.entry_id in stored:
            word = "hidden" if consumed.entry_id in hidden else consumed.disposition
            rows.append(_row(stored[consumed.entry_id], titles, word, consumed.why))
    rows.extend(_shown(entry, "updated", "the feed changed it after it was sent") for entry in draft.updated)
    # Where older entries stand in for new ones, some of those left out before are among them.
    rows.extend(
        _row(one.stored, titles, "held" if one.held else "skipped", one.why)
        for one in left_out
        if one.stored.id not in stored
    )
    return tuple(rows)


def past_rows(
    entries: Iterable[tuple[StoredEntry, Consumed]], titles: Mapping[str, str]
) -> tuple[tuple[EntryRow, ...], int]:
    """The entries of a frozen issue, and how many of them it shows."""
    rows = tuple(_row(stored, titles, consumed.disposition, consumed.why) for stored, consumed in entries)
    shown = (Disposition.shown, Disposition.headline)
    return rows, sum(1 for row in rows if row.fate in shown)


def feed_titles(app: App, drafts: Iterable[Draft] = ()) -> dict[str, str]:
    """What the project's feeds are called: as letters call them, else as the project does."""
    found = {feed.url: feed.title or feed.url for feed in app.config.feeds}
    for draft in drafts:
        sections = chain.from_iterable((*section.entries, *section.more) for section in draft.sections)
        found.update({entry.feed_url: entry.feed_title for entry in sections if entry.feed_title})
    return found


def _shown(entry: DraftEntry, fate: str, why: str, *, section: str = "") -> EntryRow:
    return EntryRow(
        id=entry.id,
        title=entry.title,
        url=entry.url,
        feed=entry.feed_url,
        feed_title=entry.feed_title,
        section=section,
        published_at=entry.published_at,
        fate=str(fate),
        why=why,
    )


def _row(stored: StoredEntry, titles: Mapping[str, str], fate: str, why: str) -> EntryRow:
    return EntryRow(
        id=stored.id,
        title=stored.entry.title or stored.entry.url or "untitled",
        url=stored.entry.url,
        feed=stored.feed_url,
        feed_title=titles.get(stored.feed_url, stored.feed_url),
        section="",
        published_at=stored.entry.published_at,
        fate=str(fate),
        why=why,
    )
