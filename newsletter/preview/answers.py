"""What the page is told, as plain values; each becomes one JSON object with the same names."""

from dataclasses import dataclass
from datetime import datetime

from newsletter.errors import ConfigError, NewsletterError, TemplateError, UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a file, with its number from 1."""

    line: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why there is no letter; where a file is to blame, its line and those around it."""

    kind: str
    message: str
    hint: str | None = None
    path: str | None = None
    line: int | None = None
    excerpt: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderView:
    """The person a letter is shown as; `status` is "active" or why they are not mailed."""

    email: str
    name: str
    language: str | None
    format: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueName:
    """Which issue a letter is of; one that is not frozen has the number it would get."""

    digest: str
    number: int
    date: datetime
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Whom the letter is from."""

    name: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """One header field: as a client shows it, and as it is written."""

    name: str
    value: str
    raw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """One leaf of the message's MIME tree; `bytes` are decoded."""

    type: str
    bytes: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large the letter is, in bytes: HTML part and whole message, beside what they may be."""

    html: int
    limit: int
    clip: int
    message: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryRow:
    """An entry, what becomes of it, and why.

    `fate` is a `Disposition`, or "updated", "hidden", "held" or "skipped".
    """

    id: int
    title: str
    url: str | None
    feed: str
    feed_title: str
    section: str
    published_at: datetime | None
    fate: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionRow:
    """A section; `word` is what the config's `sections` takes for it."""

    word: str
    title: str
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftView:
    """A draft that waits for its editor's answer, or has it (`approved`); `fingerprint` is of the letter on screen.

    `can_keep` says that entries are hidden or moved on the page, and not in the draft.
    """

    number: int
    slot: str
    approved: bool
    fingerprint: str
    words: str
    can_keep: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterView:
    """A letter and all that is worth knowing about it; only a fault, where there is none.

    `sample` says that nothing is new and older entries stand in, `past` that the
    issue is frozen.  `notices` are sentences to show above it.  `source` is the
    message as it would leave, `pictures` its embedded ones as data: URIs by
    Content-ID.
    """

    revision: int
    milliseconds: int
    problem: Fault | None = None
    notices: tuple[str, ...] = ()
    sample: bool = False
    past: bool = False
    issue: IssueName | None = None
    reader: ReaderView | None = None
    sender: Sender | None = None
    subject: str = ""
    preheader: str = ""
    html: str = ""
    text: str = ""
    markdown: str = ""
    source: str = ""
    headers: tuple[Header, ...] = ()
    parts: tuple[PartView, ...] = ()
    size: Size | None = None
    pictures: dict[str, str] | None = None
    personal: bool = False
    entries: tuple[EntryRow, ...] = ()
    sections: tuple[SectionRow, ...] = ()
    draft: DraftView | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """A finding of `newsletter check`; `line` is of the HTML part, from 1."""

    level: str
    what: str
    text: str
    hint: str | None
    rule: str
    where: str
    why: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """Settings that do for good what the editor tried out; `notes` say what they cannot."""

    yaml: str
    notes: tuple[str, ...]


def fault_of(error: NewsletterError) -> Fault:
    """What went wrong, for the page; without the lines of the file, which only the desk can read."""
    if isinstance(error, TemplateError):
        return Fault(kind="template", message=str(error), hint=error.hint, path=error.template, line=error.line)
    if isinstance(error, ConfigError):
        first = error.problems[0] if error.problems else None
        return Fault(
            kind="config",
            message=str(error),
            hint=error.hint,
            path=first.path if first else None,
            line=first.line if first else None,
        )
    return Fault(kind="usage" if isinstance(error, UsageError) else "other", message=str(error), hint=error.hint)
