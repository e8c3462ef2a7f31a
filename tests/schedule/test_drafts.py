"""A draft is made ahead of its slot, waits for its editor, and is what goes out."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.app.desk import EditorsDesk
from newsletter.app.drafts import approve, cancel_draft, change, draft_text, require_draft, take_text
from newsletter.app.due import Looked, send_due
from newsletter.app.rebuild import issue_at, rebuild
from newsletter.app.send import Watcher, send
from newsletter.errors import ConfigError, StoreError, UsageError
from newsletter.model import DeliveryState, Disposition, Draft, DraftState, Issue, StoredDraft, TickOutcome
from newsletter.preview.choice import Answer, read_choice
from tests.cli.conftest import Wire, a_wire
from tests.conftest import FakeClock

#: A Monday in Berlin, 05:30; the slot is at 07:00.
EARLY = datetime(2026, 3, 2, 4, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(EARLY)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


def configure(wire: Wire, *titles: str, approve: str = "2h", more: str = "", edits: str = "ignore") -> None:
    digests = f"digests:\n  daily: {{schedule: 'daily 07:00', approve: {approve}{more}}}\n"
    wire.configure(wire.web.feed("/rss", *titles), more=f"first_run: all\nedits: {edits}\n{digests}")


def _read(message: bytes) -> str:
    """What a reader sees: when, the subject, the text, the page."""
    found = message_from_bytes(message, policy=default)
    plain, page = found.get_body(("plain",)), found.get_body(("html",))
    assert plain is not None
    assert page is not None
    return f"Date: {found['Date']}\nSubject: {found['Subject']}\n{plain.get_content()}\n<PAGE>{page.get_content()}"


class Editor:
    """The project at one moment, as the editor and whoever looks at it by the clock."""

    def __init__(self, wire: Wire, clock: FakeClock) -> None:
        self._wire, self._clock = wire, clock

    def app(self) -> closing[App]:
        return closing(App.open(self._wire.folder, clock=self._clock))

    def look(self) -> Looked:
        with self.app() as app:
            return asyncio.run(send_due(app, None, watch=Watcher(), stop=asyncio.Event())).looked[0]

    def draft(self) -> StoredDraft | None:
        with self.app() as app:
            return app.store.open_draft("daily")

    def approve(self) -> StoredDraft:
        with self.app() as app:
            return approve(app, require_draft(app, None, None))

    def cancel(self) -> None:
        with self.app() as app:
            cancel_draft(app, require_draft(app, None, None))

    def outcomes(self) -> list[tuple[str, TickOutcome]]:
        with self.app() as app:
            return [(tick.slot[5:10], tick.outcome) for tick in reversed(app.store.ticks())]

    def letters(self) -> list[str]:
        return [_read(caught.path.read_bytes()) for caught in self._wire.mail.caught]


@pytest.fixture
def editor(wire: Wire, clock: FakeClock) -> Editor:
    return Editor(wire, clock)


def test_an_approved_draft_goes_out_at_its_slot_and_what_came_since_is_the_next_issues(
    wire: Wire, clock: FakeClock, editor: Editor
) -> None:
    configure(wire, "First")

    made = editor.look()

    assert made.tick is None
    assert made.sent is not None
    assert made.sent.kept is not None
    assert ("2026-03-02 07:00", 1) == (made.sent.kept.slot, made.sent.kept.number)
    wire.web.feed("/rss", "Second", "First")
    clock.advance(timedelta(minutes=30))
    with editor.app() as app:
        asyncio.run(app_fetch(app))
        assert 2 == len(app.store.waiting("daily", [feed.url for feed in app.config.feeds]))
    editor.approve()
    assert editor.look().tick is None
    assert [] == wire.inbox()
    clock.advance(HOUR)
    tick = editor.look().tick
    assert tick is not None
    assert (TickOutcome.sent, 1) == (tick.outcome, tick.number)
    assert [(True, False)] == [("First" in one, "Second" in one) for one in editor.letters()]
    assert editor.draft() is None
    clock.advance(22 * HOUR)
    editor.look()
    editor.approve()
    clock.advance(2 * HOUR)
    editor.look()
    editor.look()
    assert [(True, False), (False, True)] == [("First" in one, "Second" in one) for one in editor.letters()]


async def app_fetch(app: App) -> None:
    from newsletter import pipeline

    await pipeline.fetch(app.parts(), app.config.feeds)


@pytest.mark.parametrize(
    ("rule", "at_slot"),
    [("hold", TickOutcome.held), ("send", TickOutcome.sent), ("cancel", TickOutcome.cancelled)],
)
def test_without_an_answer_the_setting_decides(
    wire: Wire, clock: FakeClock, editor: Editor, rule: str, at_slot: TickOutcome
) -> None:
    sent = int(rule == "send")
    configure(wire, "First", approve=f"{{ahead: 2h, without_answer: {rule}}}")
    editor.look()
    clock.advance(2 * HOUR)

    tick = editor.look().tick

    assert tick is not None
    assert at_slot is tick.outcome
    assert sent == len(wire.inbox())
    editor.look()
    assert sent == len(wire.inbox())
    # Whatever it was, nothing is lost and nothing is sent twice.
    clock.advance(22 * HOUR)
    editor.look()
    if rule != "send":
        assert "2026-03-03 07:00" == editor.approve().slot
    clock.advance(2 * HOUR)
    editor.look()
    assert ["ada@example.com"] == wire.inbox()


def test_an_answer_that_comes_late_sends_with_the_next_look(wire: Wire, clock: FakeClock, editor: Editor) -> None:
    configure(wire, "First", more=", max_lateness: 30m")
    editor.look()
    clock.advance(12 * HOUR)
    editor.look()

    editor.approve()
    editor.look()

    assert ["ada@example.com"] == wire.inbox()
    assert [("03-02", TickOutcome.sent)] == editor.outcomes()
    # The letter is of its day, the message of now.
    assert "Date: Mon, 02 Mar 2026 16:30:00 +0000" in editor.letters()[0]


def test_a_draft_that_nobody_answers_makes_way_for_the_next(wire: Wire, clock: FakeClock, editor: Editor) -> None:
    configure(wire, "First")
    editor.look()
    wire.web.feed("/rss", "Second", "First")
    clock.advance(24 * HOUR)

    editor.look()

    found = editor.draft()
    assert found is not None
    assert ("2026-03-03 07:00", DraftState.waiting) == (found.slot, found.state)
    assert [("03-02", TickOutcome.late)] == editor.outcomes()
    editor.approve()
    clock.advance(2 * HOUR)
    editor.look()
    assert [True] == ["First" in one and "Second" in one for one in editor.letters()]


def test_an_editor_has_as_long_as_always_where_nobody_looked_ahead(
    wire: Wire, clock: FakeClock, editor: Editor
) -> None:
    configure(wire, "First", approve="{ahead: 2h, without_answer: send}")
    editor.look()
    editor.cancel()
    assert [("03-02", TickOutcome.cancelled)] == editor.outcomes()
    clock.advance(27 * HOUR)

    tick = editor.look().tick

    assert tick is not None
    assert TickOutcome.held is tick.outcome
    clock.advance(HOUR)
    editor.look()
    assert [] == wire.inbox()
    clock.advance(HOUR)
    editor.look()
    assert ["ada@example.com"] == wire.inbox()
    assert [("03-02", TickOutcome.cancelled), ("03-03", TickOutcome.sent)] == editor.outcomes()


def test_what_is_no_longer_what_was_approved_waits_for_another_look(
    wire: Wire, clock: FakeClock, editor: Editor
) -> None:
    configure(wire, "First")
    editor.look()
    seen = editor.approve()
    (wire.folder / "templates").mkdir()
    (wire.folder / "templates" / "subject.txt.j2").write_text("Another subject\n")
    clock.advance(2 * HOUR)

    tick = editor.look().tick

    assert tick is not None
    assert TickOutcome.held is tick.outcome
    assert f"it was approved as {seen.fingerprint}" in tick.why
    assert [] == wire.inbox()
    with editor.app() as app, pytest.raises(UsageError, match="the letter is now"):
        approve(app, require_draft(app, None, None), seen.fingerprint)
    editor.approve()
    editor.look()
    assert ["ada@example.com"] == wire.inbox()
    assert "Subject: Another subject" in editor.letters()[0]


def test_what_the_editor_wrote_is_what_arrives(wire: Wire, clock: FakeClock, editor: Editor) -> None:
    configure(wire, "First", "Second", "Third")
    editor.look()
    with editor.app() as app:
        kept = require_draft(app, 1, "daily")
        text = draft_text(app, kept)
        head, first, second, third = text.split("<!-- entry ")
        third, hidden = third.split("<!-- hidden")
        text = f"{head.rstrip()}\n\nGood morning!\n\n<!-- entry {third}<!-- entry " + first.replace(
            "About First", "The editor's own **words**"
        )
        assert kept == take_text(app, kept, draft_text(app, kept), path="draft.md")
        kept = take_text(app, kept, f"{text}\n<!-- hidden{hidden}\n<!-- entry {second}", path="draft.md")
        assert 2 == kept.revision
        approve(app, kept)
    clock.advance(2 * HOUR)

    editor.look()

    [letter] = editor.letters()
    plain = letter[: letter.index("<PAGE>")]
    assert "Good morning!" in plain
    assert "The editor's own" in plain
    assert plain.index("Third") < plain.index("First")
    assert "Second" not in letter
    assert "<strong>words</strong>" in letter
    # What is hidden is hidden for good, and the editor's words are no edit of the feed's.
    with editor.app() as app:
        assert [] == app.store.waiting("daily", [feed.url for feed in app.config.feeds])
        fates = {one.entry.title: consumed.why for one, consumed in app.store.issue_entries(1)}
        again = rebuild(app, issue_at(app, 1, None, None))
    assert {"First": "its text is the editor's", "Second": "hidden by the editor", "Third": ""} == fates
    assert (True, True, ()) == (again.is_same, again.kept, again.changes)


def test_a_change_after_the_approval_needs_another_one(wire: Wire, clock: FakeClock, editor: Editor) -> None:
    configure(wire, "First")
    editor.look()
    seen = editor.approve()
    with editor.app() as app:
        change(app, seen, note="One more thing.")
        with pytest.raises(StoreError, match="has been changed or answered since"):
            change(app, seen, note="Somebody else's.")
    clock.advance(2 * HOUR)

    tick = editor.look().tick

    assert tick is not None
    assert TickOutcome.held is tick.outcome
    with editor.app() as app, pytest.raises(ConfigError, match=r"note.*needs a whole address"):
        change(app, require_draft(app, None, None), note="[x](/relative)")
    editor.approve()
    editor.look()
    assert [True] == ["One more thing." in one for one in editor.letters()]


def test_an_entry_that_its_feed_changes_meanwhile_goes_out_as_it_was_drafted_and_is_told_of_later(
    wire: Wire, clock: FakeClock, editor: Editor
) -> None:
    configure(wire, "First", edits="mention")
    editor.look()
    editor.approve()
    status, body = wire.web.pages["/rss"]
    wire.web.pages["/rss"] = (status, body.replace(b"About First", b"Corrected"))
    clock.advance(timedelta(minutes=30))
    with editor.app() as app:
        asyncio.run(app_fetch(app))
    clock.advance(2 * HOUR)
    editor.look()

    [letter] = editor.letters()

    assert ("About First" in letter, "Corrected" in letter) == (True, False)
    with editor.app() as app:
        urls = [feed.url for feed in app.config.feeds]
        assert ["First"] == [one.entry.title for one in app.store.edited("daily", urls)]
        [(then, _)] = app.store.issue_entries(1)
        assert "About First." == then.entry.summary
        assert rebuild(app, issue_at(app, 1, None, None)).is_same
    wire.web.feed("/rss", "Second", "First")
    status, body = wire.web.pages["/rss"]
    wire.web.pages["/rss"] = (status, body.replace(b"About First", b"Corrected"))
    clock.advance(22 * HOUR)
    editor.look()
    editor.approve()
    clock.advance(2 * HOUR)
    editor.look()
    assert "Updated since you got them" in editor.letters()[1]


def test_nobody_sends_by_hand_past_a_draft(wire: Wire, clock: FakeClock, editor: Editor) -> None:
    configure(wire, "First")
    editor.look()

    with editor.app() as app:
        for _ in range(2):
            with pytest.raises(UsageError, match="the draft of issue 1"):
                asyncio.run(send(app, None, watch=Watcher(), stop=asyncio.Event()))
            approve(app, require_draft(app, None, None))
        cancel_draft(app, require_draft(app, None, None))
        sent = asyncio.run(send(app, None, watch=Watcher(), stop=asyncio.Event()))
        assert sent.report is not None
        assert 1 == sent.report.issue.number
    clock.advance(2 * HOUR)
    assert editor.look().tick is None
    assert ["ada@example.com"] == wire.inbox()


def test_a_draft_outlives_the_setting_only_if_it_was_approved(wire: Wire, clock: FakeClock, editor: Editor) -> None:
    configure(wire, "First")
    editor.look()
    configure(wire, "First", approve="false")
    clock.advance(HOUR)
    editor.look()
    assert editor.draft() is None
    clock.advance(HOUR)

    editor.look()

    assert ["ada@example.com"] == wire.inbox()
    assert [("03-02", TickOutcome.sent)] == editor.outcomes()


def test_nothing_new_ahead_of_the_slot_makes_no_draft_and_ends_nothing(
    wire: Wire, clock: FakeClock, editor: Editor
) -> None:
    configure(wire)
    editor.look()
    assert (None, []) == (editor.draft(), editor.outcomes())
    wire.web.feed("/rss", "First")
    clock.advance(2 * HOUR)

    tick = editor.look().tick

    assert tick is not None
    assert TickOutcome.held is tick.outcome
    editor.approve()
    editor.look()
    assert ["ada@example.com"] == wire.inbox()


def test_a_draft_of_which_everything_is_hidden_is_not_approved(wire: Wire, editor: Editor) -> None:
    configure(wire, "First")
    editor.look()

    with editor.app() as app:
        kept = require_draft(app, None, None)
        hidden = change(app, kept, hide=[1])
        with pytest.raises(UsageError, match="nothing is left"):
            approve(app, hidden)
        with pytest.raises(UsageError, match="there is no entry 99"):
            change(app, hidden, hide=[99])
        shown = change(app, hidden, show=[1])
        assert DraftState.approved is approve(app, shown).state


def test_the_commands_name_a_draft_change_it_and_answer_for_it(wire: Wire) -> None:
    # A week ahead, there is always a slot to draft for, whatever the time is.
    configure(wire, "First", "Second", approve="7d")

    made = wire("send", "--due")
    assert (0, True) == (made.code, "the draft of issue 1, for 20" in made.err)
    wire.web.feed("/rss", "Third", "First", "Second")
    wire("fetch")
    listed, shown = wire("issue", "list"), wire("issue", "show", "1", "--json").data
    assert "daily 1: draft for 20" in listed.out
    assert "newsletter issue approve 1 | edit 1 | cancel 1" in wire("status").out
    assert ["First", "Second"] == [one["title"] for one in shown["list"]]
    assert "in the draft of issue 1" in wire("explain", "First").out
    assert "came after the draft of issue 1" in wire("explain", "Third").out
    assert "Issue 1 of daily is a draft that waits for its approval." in wire("explain", "ada@example.com").out
    assert "issue 1 of daily is a draft" in wire("explain", "1").err
    assert "the draft of issue 1 waits for its approval" in wire("send", "-y").err
    assert "which waits for its approval" in wire("send", "-n").out

    assert 0 == wire("issue", "edit", "1", "--out", "draft.md").code
    draft = wire.folder / "draft.md"
    draft.write_text(draft.read_text().replace("## First", "## Uno").replace("<!-- note -->", "<!-- note -->\nHello"))
    changed = wire("issue", "edit", "--file", "draft.md")
    assert "changed; newsletter issue approve 1" in changed.err
    assert "as it was" in wire("issue", "edit", "--file", "draft.md").err
    assert 0 == wire("issue", "edit", "--hide", "2").code
    draft.write_text("<!-- entry 1 -->\nno title")
    assert "draft.md:1: entry 1 has no title" in wire("issue", "edit", "--file", "draft.md").err
    script = wire.folder / "editor"
    script.write_text("#!/bin/sh\nsed -i 's/## Uno/## Eins/' \"$1\"\n")
    script.chmod(0o700)
    assert "there is no editor to open" in wire("issue", "edit", EDITOR=str(script)).err
    now = wire("issue", "show", "1", "--json").data
    assert ["Uno", "Second"] == [one["title"] for one in now["list"]]
    assert (["shown", "hidden"], "Hello") == ([one["as_"] for one in now["list"]], now["note"])
    assert "the letter is now" in wire("issue", "approve", "--fingerprint", shown["fingerprint"]).err
    assert 0 == wire("issue", "approve", "1", "--fingerprint", now["fingerprint"]).code
    assert "draft, approved for 20" in wire("issue", "list").out
    assert "nothing is due" in wire("send", "--due").err
    cancelled = wire("issue", "cancel", "1", "--json").data
    assert "nothing goes out for 20" in cancelled["done"]
    assert "there is no draft" in wire("issue", "approve").err
    assert 0 == wire("send", "-y").code
    assert ["ada@example.com"] == wire.inbox()


def test_the_preview_shows_the_draft_and_answers_for_the_letter_on_screen(wire: Wire) -> None:
    configure(wire, "First", "Second", approve="7d")
    wire("send", "--due")
    wire.web.feed("/rss", "Third", "First", "Second")
    desk = EditorsDesk(wire.folder)
    with closing(desk):
        choice = read_choice({"digest": "daily"})
        view = desk.letter(choice)
        assert view.draft is not None
        assert (1, False, False) == (view.draft.number, view.draft.approved, view.draft.can_keep)
        assert ["First", "Second"] == [one.title for one in view.entries]
        hiding = read_choice({"digest": "daily", "hidden": [1]})
        hidden = desk.letter(hiding).draft
        assert hidden is not None
        assert hidden.can_keep
        with pytest.raises(UsageError, match="not in the draft"):
            desk.answer(hiding, Answer.approve, view.draft.fingerprint)
        desk.answer(hiding, Answer.keep, "")
        kept = desk.letter(choice)
        assert kept.draft is not None
        assert {"First": "hidden", "Second": "shown"} == {one.title: one.fate for one in kept.entries}
        with pytest.raises(UsageError, match="the letter is now"):
            desk.answer(choice, Answer.approve, view.draft.fingerprint)
        desk.answer(choice, Answer.approve, kept.draft.fingerprint)
        asked = len(wire.web.asked)
        now = desk.letter(choice).draft
        assert now is not None
        assert (True, asked) == (now.approved, len(wire.web.asked))
        # What is answered elsewhere is noticed.
        wire("issue", "cancel", "1")
        after = desk.letter(choice)
        assert None is after.draft
        assert "Third" in [one.title for one in after.entries]


class KilledError(Exception):
    """Stands for the end of the process."""


class Mortal(Watcher):
    """Watches a send, and may end it before the freeze or right after."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def illustrated(self, draft: Draft) -> None:
        if self._chance.random() < 0.2:
            raise KilledError

    def frozen(self, issue: Issue) -> None:
        if self._chance.random() < 0.2:
            raise KilledError


@pytest.mark.soak
@pytest.mark.parametrize("number", range(16))
def test_whatever_editors_clocks_and_crashes_do_each_story_is_sent_once(
    wire: Wire, clock: FakeClock, editor: Editor, number: int
) -> None:
    """A random life: stories come, editors answer or do not, looks die; `number` repeats it."""
    chance = random.Random(number)
    stories, hidden = ["Story 0."], set[str]()

    def publish() -> None:
        wire.web.feed("/rss", *(story.rstrip(".") for story in reversed(stories)))

    def look() -> None:
        with editor.app() as app, suppress(KilledError):
            asyncio.run(send_due(app, None, watch=Mortal(chance), stop=asyncio.Event()))

    def answer() -> None:
        with editor.app() as app:
            kept = app.store.open_draft("daily")
            if kept is None:
                return
            what = chance.choice(["approve", "approve", "cancel", "note", "hide", "text"])
            with suppress(UsageError):
                if what == "approve":
                    approve(app, kept)
                elif what == "cancel":
                    cancel_draft(app, kept)
                elif what == "note":
                    change(app, kept, note=f"Note {chance.random()}")
                elif what == "hide":
                    one = chance.choice(app.store.drafted(kept))
                    change(app, kept, hide=[one.stored.id])
                else:
                    take_text(app, kept, draft_text(app, kept).replace("About", "Of"), path="draft.md")

    rule = chance.choice(["hold", "send", "cancel"])
    publish()
    configure(wire, approve=f"{{ahead: {chance.choice(['30m', '2h', '20h'])}, without_answer: {rule}}}")
    publish()
    for _ in range(40):
        if chance.random() < 0.3:
            stories.append(f"Story {len(stories)}.")
            publish()
        if chance.random() < 0.5:
            answer()
        clock.advance(chance.choice([timedelta(minutes=5), HOUR, 3 * HOUR, 11 * HOUR, 30 * HOUR, -HOUR]))
        look()
    configure(wire, approve="false", more=", catch_up: one")
    publish()
    for _ in range(4):
        clock.advance(24 * HOUR)
        with editor.app() as app:
            asyncio.run(send_due(app, None, watch=Watcher(), stop=asyncio.Event()))

    with editor.app() as app:
        for issue in app.store.issues("daily"):
            if app.store.counts(issue.id).get(DeliveryState.sent):
                for one, used in app.store.issue_entries(issue.id):
                    if used.disposition is Disposition.excluded:
                        hidden.add(f"{one.entry.title}.")
        slots = [issue.slot for issue in app.store.issues("daily")]
    told = [
        story for letter in editor.letters() for story in stories if f">{story[:-1]}<" in letter.partition("<PAGE>")[2]
    ]
    assert sorted(set(stories) - hidden) == sorted(told)
    assert len(slots) == len(set(slots))
    assert len(editor.letters()) == len(slots)
