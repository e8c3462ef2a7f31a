"""What an editor does with a draft: look at it, change it, approve it, cancel it (docs/adr/0023)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from newsletter.app.drafting import built, waits
from newsletter.app.notes import note_given
from newsletter.app.project import App
from newsletter.errors import NewsletterError, UsageError
from newsletter.issues.draftfile import read_draft, write_draft
from newsletter.model import DraftChanges, DraftState, StoredDraft, Tick, TickOutcome, WithoutAnswer

_LOOK = "newsletter issue list shows what there is"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftedRow:
    """An entry of a draft: how it stands in the letter, or why it does not."""

    id: int
    title: str
    url: str | None
    feed: str
    as_: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRow:
    """An open draft and its letter as it is now; `without_answer` is what follows at `answer_by`.

    `problem` says why the letter cannot be rendered, where it cannot.
    """

    digest: str
    number: int
    slot: str
    due_at: datetime
    answer_by: datetime
    state: DraftState
    revision: int
    fingerprint: str
    subject: str
    entries: int
    recipients: int
    without_answer: WithoutAnswer | None
    reason: str
    note: str
    problem: str = ""
    list: tuple[DraftedRow, ...] = ()

    @property
    def words(self) -> str:
        """How it stands, in a few words."""
        if self.state is DraftState.approved:
            return f"draft, approved for {self.slot}"
        return f"draft for {self.slot}, waits for its approval"


def draft_words(kept: StoredDraft) -> str:
    """How an open draft stands, as a sentence for who looks at it; what comes in now is the next issue's."""
    if kept.state is DraftState.approved:
        return "approved, so it goes out as it is here"
    return f"{kept.reason or 'it waits for its approval'}; what comes in now is for the issue after it"


def open_drafts(app: App) -> list[DraftRow]:
    """The open drafts of the project's digests, in their order."""
    found = (app.memory.open_draft(digest.name) for digest in app.config.digests)
    return [draft_row(app, kept) for kept in found if kept is not None]


def draft_row(app: App, kept: StoredDraft) -> DraftRow:
    """Build a draft's letter anew, and say how it stands."""
    rule = app.config.digest(kept.digest).approve
    subject, fingerprint, total, problem = "", "", 0, ""
    rows: tuple[DraftedRow, ...] = ()
    try:
        draft, letter = built(app, kept)
    except NewsletterError as error:
        problem = str(error)
    else:
        subject, fingerprint, total = letter.subject, letter.fingerprint, draft.total
        shown = {one.id: one for section in draft.sections for one in (*section.entries, *section.more)}
        known = {one.stored.id: one.stored for one in app.store.drafted(kept)}
        fates = {one.entry_id: one for one in draft.consumed}
        rows = tuple(
            DraftedRow(
                id=id_,
                title=shown[id_].title if id_ in shown else known[id_].entry.title,
                url=known[id_].entry.url,
                feed=known[id_].feed_url,
                as_="hidden" if id_ in kept.changes.hidden else fates[id_].disposition.value,
                why=fates[id_].why,
            )
            for id_ in dict.fromkeys((*shown, *fates))
        )
    return DraftRow(
        digest=kept.digest,
        number=kept.number,
        slot=kept.slot,
        due_at=kept.due_at,
        answer_by=kept.answer_by,
        state=kept.state,
        revision=kept.revision,
        fingerprint=fingerprint,
        subject=subject,
        entries=total,
        recipients=app.recipients(kept.digest),
        without_answer=None if rule is None else rule.without_answer,
        reason=kept.reason,
        note=kept.changes.note,
        problem=problem,
        list=rows,
    )


def find_draft(app: App, number: int | None, digest: str | None) -> StoredDraft | None:
    """The open draft of this number; without a number, the only one there is.

    Raises:
        UsageError: there is no such digest, or several drafts to choose from.
    """
    names = app.config.digest_names if digest is None else (app.config.digest(digest).name,)
    found = [
        kept for name in names if (kept := app.memory.open_draft(name)) is not None and number in (None, kept.number)
    ]
    if len(found) > 1:
        named = ", ".join(f"{kept.digest} {kept.number}" for kept in found)
        raise UsageError(f"there are {len(found)} drafts: {named}", hint="name one: NUMBER --digest NAME")
    return found[0] if found else None


def require_draft(app: App, number: int | None, digest: str | None) -> StoredDraft:
    """The same, where there must be one.

    Raises:
        UsageError: there is none, or several to choose from.
    """
    found = find_draft(app, number, digest)
    if found is None:
        which = "no draft" if number is None else f"no draft of issue {number}"
        raise UsageError(f"there is {which} that waits for an answer", hint=_LOOK)
    return found


def approve(app: App, kept: StoredDraft, fingerprint: str | None = None) -> StoredDraft:
    """Let a draft go out at its slot, or with the next look where that has passed.

    What goes out is the letter that was approved and no other: its fingerprint is kept, and compared then.

    Args:
        app: the project.
        kept: the draft.
        fingerprint: of the letter that the editor has looked at; None: as it is now.

    Raises:
        UsageError: the letter is another one by now, or nothing is left in it.
        StoreError: somebody has answered or changed it meanwhile.
    """
    draft, letter = built(app, kept)
    if not draft.total:
        raise UsageError("nothing is left in this draft", hint=f"newsletter issue cancel {kept.number}")
    if fingerprint is not None and fingerprint != letter.fingerprint:
        raise UsageError(
            f"the letter is now {letter.fingerprint}, not {fingerprint}", hint="look at it again, then approve it"
        )
    return app.store.approve_draft(kept, letter.fingerprint)


def cancel_draft(app: App, kept: StoredDraft) -> StoredDraft:
    """Send nothing for a draft's slot; its entries wait for the next issue.

    Raises:
        StoreError: somebody has answered or changed it meanwhile.
    """
    why = "the editor cancelled the draft"
    closed = app.store.close_draft(kept, DraftState.cancelled, why)
    app.store.record_ticks(
        [
            Tick(
                digest=kept.digest,
                slot=kept.slot,
                due_at=kept.due_at,
                outcome=TickOutcome.cancelled,
                at=app.clock.now(),
                why=why,
            )
        ]
    )
    return closed


def change(
    app: App, kept: StoredDraft, *, note: str | None = None, hide: Iterable[int] = (), show: Iterable[int] = ()
) -> StoredDraft:
    """Write a note above a draft, leave entries out, or take them in again.

    Args:
        app: the project.
        kept: the draft.
        note: Markdown, or @ and the name of a file; "" for none; None leaves it as it is.
        hide: ids of entries to leave out for good.
        show: ids of entries that were hidden.

    Raises:
        UsageError: there is no such entry in it.
        ConfigError: the note has mistakes.
        StoreError: somebody has answered or changed it meanwhile.
    """
    hide, show = frozenset(hide), frozenset(show)
    known = {one.stored.id for one in app.store.drafted(kept) if not one.is_mention}
    for id_ in sorted((hide | show) - known):
        raise UsageError(
            f"there is no entry {id_} in the draft of issue {kept.number}",
            hint=f"newsletter issue show {kept.number} lists them",
        )
    changes = kept.changes
    return _changed(
        app,
        kept,
        replace(
            changes,
            note=changes.note if note is None else note_given(note),
            hidden=(changes.hidden | hide) - show,
        ),
    )


def draft_text(app: App, kept: StoredDraft) -> str:
    """A draft as a file that an editor may change (`issues.draftfile`).

    Raises:
        TemplateError: it cannot be rendered.
    """
    draft, _ = built(app, kept)
    entries = [one.stored for one in app.store.drafted(kept) if not one.is_mention]
    name = f"The draft of issue {kept.number} of {kept.digest}, for {kept.slot}"
    return write_draft(draft, kept.changes, entries, name=name)


def take_text(app: App, kept: StoredDraft, text: str, *, path: str) -> StoredDraft:
    """Take up what an editor has made of that file; the draft as it was, where nothing has changed.

    Args:
        app: the project.
        kept: the draft, as it was when the file was written.
        text: of the file.
        path: what to call the file in messages.

    Raises:
        ConfigError: with every mistake, each at its line.
        StoreError: somebody has answered or changed the draft meanwhile.
    """
    draft, _ = built(app, kept)
    entries = [one.stored for one in app.store.drafted(kept) if not one.is_mention]
    return _changed(app, kept, read_draft(text, draft, kept.changes, entries, path=path))


def _changed(app: App, kept: StoredDraft, changes: DraftChanges) -> StoredDraft:
    return kept if changes == kept.changes else app.store.change_draft(kept, changes)


def refuse_while_open(app: App, digest: str) -> None:
    """See to it that nobody sends a digest by hand past its draft.

    Raises:
        UsageError: there is a draft.
    """
    kept = app.store.open_draft(digest)
    if kept is None:
        return
    if kept.state is DraftState.approved:
        raise UsageError(
            f"the draft of issue {kept.number} is approved and goes out for {kept.slot}",
            hint="newsletter send --due sends it then; newsletter issue cancel drops it",
        )
    raise UsageError(
        waits(kept), hint=f"newsletter issue approve {kept.number}, or newsletter issue cancel {kept.number}"
    )
