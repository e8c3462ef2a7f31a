"""A draft on the editor's page: how it stands, and what its buttons do."""

from dataclasses import replace

from newsletter.app.drafting import built
from newsletter.app.drafts import approve, cancel_draft, draft_words
from newsletter.app.letters import Letter
from newsletter.app.project import App
from newsletter.app.sheets import Sheet
from newsletter.errors import UsageError
from newsletter.model import DraftState, StoredDraft
from newsletter.preview.answers import DraftView
from newsletter.preview.choice import Answer, Choice


def draft_view(app: App, sheet: Sheet, choice: Choice) -> DraftView | None:
    """What the page says of the draft that a letter is of; None for any other letter.

    Raises:
        TemplateError: it cannot be rendered.
    """
    if sheet.kept is None:
        return None
    kept = _as_kept(app, sheet)
    _, letter = built(app, kept)
    return DraftView(
        number=kept.number,
        slot=kept.slot,
        approved=kept.state is DraftState.approved,
        fingerprint=letter.fingerprint,
        words=draft_words(kept),
        can_keep=bool(choice.hidden or choice.order),
    )


def answer_draft(app: App, sheet: Sheet, choice: Choice, answer: Answer, fingerprint: str) -> str:
    """Do what a button says, for the letter that was on screen; what came of it, in words.

    Raises:
        UsageError: there is no draft, or its letter is another one by now.
        StoreError: somebody has answered or changed it meanwhile.
    """
    kept = _as_kept(app, sheet)
    if answer is Answer.cancel:
        cancel_draft(app, kept)
        return f"the draft is cancelled: nothing goes out for {kept.slot}, and its entries wait for the next issue"
    if answer is Answer.keep:
        assert isinstance(sheet.copy, Letter)
        order = kept.changes.order
        if choice.order:
            sections = sheet.copy.draft.sections
            order = tuple(entry.id for section in sections for entry in (*section.entries, *section.more))
        changes = replace(kept.changes, hidden=kept.changes.hidden | choice.hidden, order=order)
        app.store.change_draft(kept, changes)
        return "kept in the draft, which waits for its approval"
    if choice.hidden or choice.order:
        raise UsageError("what is hidden or moved here is not in the draft", hint="keep it in the draft first")
    approve(app, kept, fingerprint)
    return f"approved: it goes out for {kept.slot}"


def _as_kept(app: App, sheet: Sheet) -> StoredDraft:
    """The draft that a sheet is of, as the store has it.

    Raises:
        UsageError: there is none any more.
    """
    found = app.store.open_draft(sheet.digest)
    if sheet.kept is None or found is None:
        raise UsageError("there is no draft that waits for an answer", hint="see newsletter status")
    return found
