"""The editor's desk: every question the preview page can ask, answered from a scratch copy.

The feeds are polled into a copy of the memory when the preview begins; each
letter is then built, frozen and composed in a copy of that copy by the very
code that a send runs, so what is shown is what would leave, and nothing that
is kept has changed.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from newsletter import __version__, pipeline
from newsletter.app.check import findings_of
from newsletter.app.draftview import answer_draft, draft_view
from newsletter.app.letters import Copy, Letter, mail_test, recipient_of_test
from newsletter.app.letterview import parts_of, sender_of
from newsletter.app.notes import note_file
from newsletter.app.project import App
from newsletter.app.sheets import Sheet, SheetMaker
from newsletter.app.snippet import snippet_of
from newsletter.app.status import status
from newsletter.clock import Clock, Ids, SystemClock
from newsletter.errors import NewsletterError
from newsletter.issues.language import language_name
from newsletter.issues.render import SizeReport, default_templates
from newsletter.issues.words import languages
from newsletter.model import EVERY_DIGEST, FetchOutcome, FetchResult, Subscriber
from newsletter.people.roster import gets
from newsletter.preview.answers import (
    Fault,
    FindingRow,
    IssueName,
    LetterView,
    Line,
    ReaderView,
    Snippet,
    fault_of,
)
from newsletter.preview.choice import Answer, Choice
from newsletter.preview.desk import Watched
from newsletter.store import Store

_FOUND: Final = 20
_ISSUES: Final = 200
_EXCERPT: Final = 3
_KEPT: Final = 8


class EditorsDesk:
    """Answers the page's questions; see `preview.desk.Desk`.

    Args:
        path: the project's folder or its newsletter.yaml; None: the one around the current folder.
        start: the choice to begin with.
        note: the editor's, as given on the command line.
        fetch_first: poll the feeds, now and when the project's feeds change.
        clock: what time it is.
        ids: where random values come from.

    Raises:
        ConfigError: the project has mistakes.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        start: Choice | None = None,
        note: str | None = None,
        fetch_first: bool = True,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        self._open = partial(App.open, path, clock=clock, ids=ids)
        self._clock = clock or SystemClock()
        self._note = note
        self._fetch_first = fetch_first
        self._app = self._open()
        self._broken: NewsletterError | None = None
        self._base: Store | None = None
        self._fetched: tuple[FetchResult, ...] = ()
        self._sheets: OrderedDict[Choice, Sheet] = OrderedDict()
        self._shelf: pipeline.PictureShelf | None = {} if fetch_first else None
        self._people: tuple[object, list[Subscriber]] = (None, [])
        self.revision = 1
        start = start or Choice()
        first = self._app.config.digest(start.digest) if start.digest else self._app.config.digests[0]
        #: The choice to begin with.
        self.start = start.model_copy(update={"digest": first.name})
        self.ids = self._app.ids

    def close(self) -> None:
        """Let go of the copy and of the store."""
        self._drop()
        self._app.close()

    # ------------------------------------------------------------------- what there is

    def open(self, on_answer: Callable[[FetchOutcome], None] = lambda _: None) -> None:
        """Poll the feeds; the first question would do it, too.

        Args:
            on_answer: told as soon as a feed has answered, or has not.
        """
        self._poll(force=False, on_answer=on_answer)

    @property
    def feeds(self) -> int:
        """How many feeds there are to poll."""
        return len(self._app.config.feeds)

    @property
    def fetched(self) -> tuple[FetchResult, ...]:
        """How the feeds answered when they were polled last."""
        return self._fetched

    @property
    def watched(self) -> Watched:
        """Which files letters are made from; the packaged templates too, for who works on those."""
        config = self._app.config
        notes = [digest.note for digest in config.digests if digest.note]
        keys = [key.key_file for key in config.smtp.dkim] if config.smtp else []
        given = [file] if (file := note_file(self._note)) else []
        people = [] if config.subscribers is None else [config.subscribers]
        return Watched(
            files=tuple(dict.fromkeys((config.path, *people, *notes, *keys, *given))),
            folders=(config.templates, default_templates()),
        )

    def project(self) -> dict[str, Any]:
        """What there is to choose from."""
        app = self._app
        base = self._copy()
        smtp = app.config.smtp
        return {
            "title": app.config.title,
            "version": __version__,
            "folder": app.config.folder.name,
            "digests": [
                {
                    "name": digest.name,
                    "title": app.publication(digest.name, note="").rules.title,
                    "theme": digest.theme,
                    "waiting": len(base.waiting(digest.name, [feed.url for feed in digest.feeds])),
                }
                for digest in app.config.digests
            ],
            "issues": [
                {
                    "digest": issue.digest,
                    "number": issue.number,
                    "subject": issue.subject,
                    "frozen_at": issue.frozen_at,
                    # Whether it is finished is counted from its rows, which the dashboard does.
                    "words": issue.state,
                }
                for issue in self._maker().looking.store.issues(limit=_ISSUES)
            ],
            "languages": [{"tag": tag, "name": language_name(tag)} for tag in languages()],
            "smtp": f"{smtp.host}:{smtp.port}" if smtp else None,
            "subscribers": self._subscribers(),
            "choice": self.start.model_dump(mode="json", by_alias=True),
        }

    def people(self, search: str, digest: str | None) -> tuple[int, Sequence[ReaderView]]:
        """How many subscribers there are, and the first of those whose address or name has the search in it."""
        wanted = search.strip().casefold()
        name = self._app.config.digest(digest).name if digest else None
        mine, found = 0, list[Subscriber]()
        for one in self._roster():
            if gets(one, name):
                mine += 1
                if len(found) < _FOUND and wanted in f"{one.email}\n{one.name}".casefold():
                    found.append(one)
        return mine, [self._reader_view(one) for one in found]

    def status(self) -> object:
        """What `newsletter status --json` says."""
        return status(self._maker().looking)

    # ---------------------------------------------------------------------- one letter

    def letter(self, choice: Choice) -> LetterView:
        """The letter of a choice; a mistake of the project is its problem."""
        began = self._clock.monotonic()

        def told(**fields: Any) -> LetterView:
            taken = round(1000 * (self._clock.monotonic() - began))
            return LetterView(revision=self.revision, milliseconds=taken, **fields)

        try:
            sheet = self._sheet(choice)
        except NewsletterError as error:
            return told(problem=self._with_excerpt(fault_of(error)))
        reader = sheet.copy.reader
        return told(
            notices=(*sheet.notices, *self._about(reader, sheet)),
            sample=sheet.sample,
            past=sheet.past,
            issue=IssueName(digest=sheet.digest, number=sheet.number, date=sheet.date, entries=sheet.shown),
            reader=self._reader_view(reader),
            sender=sender_of(self._app),
            personal=isinstance(sheet.copy, Letter) and sheet.copy.is_personal,
            entries=sheet.entries,
            sections=sheet.sections,
            draft=draft_view(self._copied(), sheet, choice),
            **parts_of(sheet.copy),
        )

    def findings(self, choice: Choice) -> Sequence[FindingRow]:
        """What `newsletter check` says of that letter."""
        sheet = self._sheet(choice)
        return [
            FindingRow(
                level=found.level.name,
                what=found.what,
                text=found.text,
                hint=found.hint,
                rule=found.rule,
                where=found.where,
                why=found.why,
                line=found.line,
            )
            for found in findings_of(sheet.copy, sheet.digest)
        ]

    def test(self, choice: Choice, email: str) -> str:
        """Mail the letter to one address as a test, to the person who has it or to somebody new."""
        smtp = self._app.smtp()
        reader = recipient_of_test(self._app, choice.digest, email)
        sheet = self._sheet(choice, reader)
        reply = asyncio.run(mail_test(self._app, sheet.copy, smtp))
        return f"sent issue {sheet.number} of {sheet.digest} to {email} as a test: {reply}; nothing has been recorded"

    def copy(self, choice: Choice) -> Copy:
        """The message of a choice.

        Raises:
            NewsletterError: there is none.
        """
        return self._sheet(choice).copy

    def size(self, choice: Choice) -> SizeReport | None:
        """What the size budget did to a choice's letter; None for an issue that is frozen."""
        copy = self._sheet(choice).copy
        return copy.size if isinstance(copy, Letter) else None

    def snippet(self, choice: Choice) -> Snippet:
        """Settings that do what the choice's `hidden` and `order` do."""
        rows = self._sheet(choice.model_copy(update={"hidden": frozenset()})).entries
        return snippet_of(self._app.config, choice, rows)

    def answer(self, choice: Choice, answer: Answer, fingerprint: str) -> str:
        """Answer for the draft of a choice; see `preview.desk.Desk`."""
        sheet = self._sheet(choice)
        # In the copy as well, so that the feeds need not be polled again.
        words = [answer_draft(app, sheet, choice, answer, fingerprint) for app in (self._app, self._copied())]
        self._sheets.clear()
        self.revision += 1
        return words[0]

    def _copied(self) -> App:
        return App(self._app.config, clock=self._clock, store=self._copy())

    def _sheet(self, choice: Choice, reader: Subscriber | None = None) -> Sheet:
        """Make a letter, or take it from the pile if nothing has changed since."""
        if self._broken is not None:
            raise self._broken
        self._notice_answers(choice)
        if reader is None and choice in self._sheets:
            self._sheets.move_to_end(choice)
            return self._sheets[choice]
        made = self._maker().make(choice, reader)
        if reader is None:
            self._sheets[choice] = made
            while len(self._sheets) > _KEPT:
                self._sheets.popitem(last=False)
        return made

    def _notice_answers(self, choice: Choice) -> None:
        """Begin anew where a draft was made, changed or answered elsewhere since the copy was made."""
        if self._base is None or not Store.exists(self._app.config.store):
            return
        name = self._app.config.digest(choice.digest).name
        stands = [
            None if kept is None else (kept.id, kept.revision, kept.state, kept.fingerprint)
            for kept in (self._app.store.open_draft(name), self._base.open_draft(name))
        ]
        if stands[0] != stands[1]:
            self._drop()

    # ------------------------------------------------------------------------- readers

    def _reader_view(self, reader: Subscriber) -> ReaderView:
        suppression = self._copy().suppression(reader.key)
        return ReaderView(
            email=reader.email,
            name=reader.name,
            language=reader.language,
            format=reader.format,
            status=suppression.reason if suppression else "active",
        )

    def _about(self, reader: Subscriber, sheet: Sheet) -> Iterator[str]:
        """What would keep a letter from this reader."""
        copy = self._copy()
        suppression = copy.suppression(reader.key, sheet.digest)
        pause = next((one for one in copy.pauses_of(reader.key) if one.digest in (EVERY_DIGEST, sheet.digest)), None)
        if suppression is not None and not sheet.past:
            yield f"{reader.email} is suppressed ({suppression.reason}): a send leaves them out"
        elif pause is not None and not sheet.past:
            yield f"{reader.email} pauses until {pause.until.astimezone():%Y-%m-%d}: a send leaves them out"
        elif self._app.is_unmailable(reader):
            yield f"{reader.email} is at a reserved domain, which is mailed only through a server on this machine"
        elif not any(True for _ in self._roster()):
            yield "there are no subscribers yet: shown as an invented reader would get it"

    def _subscribers(self) -> int:
        """How many there are; a mistake in their file is each letter's problem, not the page's."""
        try:
            return self._app.roster.count() if self._app.config.subscribers is None else sum(1 for _ in self._roster())
        except NewsletterError:
            return 0

    def _roster(self) -> Iterable[Subscriber]:
        """Everybody; a file is read again only when it was saved, and without one there is nobody."""
        file = self._app.config.subscribers
        if file is None:
            return self._app.roster.people()
        try:
            found = file.stat()
            mark: object = (file, found.st_mtime_ns, found.st_size, found.st_ino)
        except OSError:
            mark = (file, None)
        if self._people[0] != mark:
            self._people = (mark, list(self._app.roster.people()) if file.exists() else [])
        return self._people[1]

    # -------------------------------------------------------------------------- upkeep

    def fetch(self) -> str:
        """Poll the feeds again into a new copy."""
        self._drop()
        self._shelf = {}
        self._poll(force=True)
        self.revision += 1
        failed = sum(1 for result in self._fetched if result.error)
        new = sum(result.new for result in self._fetched)
        words = f"{len(self._fetched)} feeds polled, {new} new entries"
        return f"{words}, {failed} failed" if failed else words

    def reload(self) -> None:
        """Take up what was saved; feeds are polled again only if the project's feeds have changed."""
        self.revision += 1
        self._sheets.clear()
        before = self._app.config
        try:
            app = self._open()
        except NewsletterError as error:
            self._broken = error
            return
        self._broken = None
        self._app.close()
        self._app = app
        after = app.config
        if (before.digests_of, before.first_run, before.store) != (after.digests_of, after.first_run, after.store):
            self._drop()

    def _drop(self) -> None:
        self._sheets.clear()
        if self._base is not None:
            self._base.close()
            self._base = None

    def _copy(self) -> Store:
        """The copy of the memory that has what the feeds said; made when first needed."""
        if self._base is None:
            self._poll(force=False)
        assert self._base is not None
        return self._base

    def _maker(self) -> SheetMaker:
        return SheetMaker(
            self._app,
            self._copy(),
            self._fetched,
            note=self._note,
            clock=self._clock,
            people=self._roster,
            shelf=self._shelf,
        )

    def _poll(self, *, force: bool, on_answer: Callable[[FetchOutcome], None] = lambda _: None) -> None:
        self._base = self._app.scratch()
        if force or self._fetch_first:
            polling = pipeline.fetch(self._app.parts(self._base), self._app.config.feeds, on_answer=on_answer)
            self._fetched = tuple(asyncio.run(polling))

    def _with_excerpt(self, fault: Fault) -> Fault:
        """Add the lines around the one that is to blame."""
        if fault.path is None or fault.line is None:
            return fault
        config = self._app.config
        places = [Path(fault.path).absolute(), config.folder / fault.path]
        if fault.path.startswith("templates/"):
            places = [config.templates / fault.path[10:], default_templates() / fault.path[10:]]
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            return fault
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        first = max(fault.line - 1 - _EXCERPT, 0)
        around = lines[first : fault.line + _EXCERPT]
        return replace(fault, excerpt=tuple(Line(line=first + n + 1, text=text) for n, text in enumerate(around)))
