"""How an issue is shortened: every step from the whole to nothing, in the order they are taken (see `budget`)."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from html import escape
from itertools import accumulate
from typing import Final

from markupsafe import Markup

from newsletter.issues.plaintext import count_words, excerpt, html_text
from newsletter.issues.views import EntryView, IssueView, SectionView

#: So many entries are shortened only when all others are counted.
_LEADS: Final = 5
_SHORT_WORDS: Final = 35
#: An entry that needs more bytes than this must not crowd out the others.
_OVERSIZED: Final = 6_000
#: Templates are not asked to write more than about this.
_MOST_WRITTEN: Final = 1_500_000


class Form(IntEnum):
    """How much of an entry stands in the HTML part."""

    full = 0
    short = 1
    headline = 2
    counted = 3


class _Slot:
    """One entry's place, and what it looks like in each form."""

    def __init__(self, view: EntryView, form: Form, *, is_updated: bool = False) -> None:
        self.view = view
        self.form = form  # in which the draft has it
        self.is_updated = is_updated

    @cached_property
    def short(self) -> EntryView:
        return _shortened(self.view)

    @cached_property
    def headline(self) -> EntryView:
        nothing = Markup("")
        return replace(
            self.view,
            summary=nothing,
            content=nothing,
            body=nothing,
            is_excerpt=False,
            image=None,
            enclosures=(),
            also_in=(),
        )

    def shown(self, form: Form) -> EntryView:
        """What templates get; not asked for where the entry is counted only."""
        return (self.view, self.short, self.headline)[form]

    def weight(self, form: Form) -> int:
        """About how many bytes it takes; the order of steps and first guesses rest on it."""
        if form is Form.counted:
            return 0
        view = self.shown(form)
        size = 200 + len(view.title.encode()) + len(view.url or "")
        if form is Form.headline:
            return size
        for enclosure in view.enclosures:
            size += 150 + len(enclosure.url) + len(enclosure.name)
        for link in view.also_in:
            size += 60 + len((link.url or "") + link.title)
        if view.image:
            size += 400 + len(view.image) + len(view.url or "")
        return size + 600 + len(view.body.encode()) + len(view.url or "")


@dataclass(frozen=True, slots=True)
class _Step:
    """One entry goes from one form to a lesser one."""

    slot: _Slot
    form: Form
    saves: int


class Ladder:
    """Every step from a whole issue down to one without entries, in the order they are taken.

    Stage n is the issue after the first n steps.
    """

    def __init__(self, context: Mapping[str, object]) -> None:
        self._context = context
        self._sections: list[tuple[SectionView, list[_Slot]]] = []
        sections = context["sections"]
        assert isinstance(sections, tuple)
        for section in sections:
            slots = [_Slot(view, Form.full) for view in section.entries]
            slots += [_Slot(view, Form.headline) for view in section.more]
            self._sections.append((section, slots))
        updated = context["updated"]
        assert isinstance(updated, tuple)
        self._updated = [_Slot(view, Form.headline, is_updated=True) for view in updated]
        ranked = [
            (place, number, slot)
            for number, (_, slots) in enumerate(self._sections)
            for place, slot in enumerate(slots)
        ]
        ranked.sort(key=lambda found: found[:2])
        self._ranked = [slot for _, _, slot in ranked]
        self._now: dict[int, Form] = {}
        self._steps: list[_Step] = []
        self._take_all()
        self._saved = [0, *accumulate(step.saves for step in self._steps)]

    def _take_all(self) -> None:
        """List the steps; see the module docstring for their order."""
        leads = [slot for slot in self._ranked[:_LEADS] if slot.weight(slot.form) <= _OVERSIZED]
        kept = {id(slot) for slot in leads}
        rest = [slot for slot in self._ranked if id(slot) not in kept]
        self._now = {id(slot): slot.form for slot in (*self._ranked, *self._updated)}
        for form in (Form.short, Form.headline, Form.counted):
            everything = (*self._ranked, *self._updated) if form is Form.counted else self._ranked
            self._lessen((slot for slot in everything if slot.weight(self._now[id(slot)]) > _OVERSIZED), form)
        self._lessen(rest, Form.short)
        self._lessen(rest, Form.headline)
        self.all_headlines = len(self._steps)
        self._lessen(self._updated, Form.counted)
        self._lessen(rest, Form.counted)
        self.leads_only = len(self._steps)
        for form in (Form.short, Form.headline, Form.counted):
            self._lessen(leads, form)
        self.top = len(self._steps)

    def _lessen(self, slots: Iterable[_Slot], form: Form) -> None:
        for slot in reversed(list(slots)):
            now = self._now[id(slot)]
            if now < form:
                self._steps.append(_Step(slot, form, max(slot.weight(now) - slot.weight(form), 1)))
                self._now[id(slot)] = form

    @cached_property
    def first_level(self) -> int:
        """The first stage that is worth writing out: 0, unless the issue is enormous."""
        excess = sum(slot.weight(slot.form) for slot in (*self._ranked, *self._updated)) - _MOST_WRITTEN
        return bisect_left(self._saved, excess) if excess > 0 else 0

    def saved(self, level: int) -> int:
        """About how many bytes the steps up to a stage save."""
        return self._saved[level]

    def between(self, low: int, high: int, share: float) -> int:
        """The stage between two others where about this share of what they differ by is saved."""
        wanted = self._saved[low] + share * (self._saved[high] - self._saved[low])
        return min(max(bisect_left(self._saved, wanted), low + 1), high - 1)

    def _forms(self, level: int) -> dict[int, Form]:
        forms = {id(slot): slot.form for slot in (*self._ranked, *self._updated)}
        for step in self._steps[:level]:
            forms[id(step.slot)] = step.form
        return forms

    def counts(self, level: int) -> dict[Form, int]:
        """How many entries stand in which form."""
        forms = self._forms(level)
        found = dict.fromkeys(Form, 0)
        for slot in self._ranked:
            found[forms[id(slot)]] += 1
        return found

    def forms(self, level: int) -> tuple[Form, ...]:
        """In which form each entry of the sections stands, in the draft's order."""
        forms = self._forms(level)
        return tuple(forms[id(slot)] for _, slots in self._sections for slot in slots)

    def updated_counted(self, level: int) -> int:
        """How many updated entries are not listed."""
        forms = self._forms(level)
        return sum(1 for slot in self._updated if forms[id(slot)] is Form.counted)

    def context(self, level: int) -> dict[str, object]:
        """What the template gets at a stage; the whole issue at stage 0."""
        if level == 0:
            return dict(self._context)
        forms = self._forms(level)
        sections = tuple(self._shown(forms))
        issue = self._context["issue"]
        assert isinstance(issue, IssueView)
        counted = sum(1 for slot in self._ranked if forms[id(slot)] is Form.counted)
        updated = tuple(slot.view for slot in self._updated if forms[id(slot)] is not Form.counted)
        return {
            **self._context,
            "issue": replace(issue, left_out=counted, updated_left_out=len(self._updated) - len(updated)),
            "sections": sections,
            "entries": tuple(entry for section in sections for entry in section.entries),
            "updated": updated,
        }

    def _shown(self, forms: Mapping[int, Form]) -> Iterator[SectionView]:
        """The sections that still have something to show."""
        for section, slots in self._sections:
            entries: list[EntryView] = []
            more: list[EntryView] = []
            for slot in slots:
                form = forms[id(slot)]
                if form is not Form.counted:
                    (more if form is Form.headline else entries).append(slot.shown(form))
            if entries or more:
                left_out = len(slots) - len(entries) - len(more)
                yield replace(section, entries=tuple(entries), more=tuple(more), left_out=left_out)


def _shortened(view: EntryView) -> EntryView:
    """An entry as a short excerpt without its picture."""
    text = view.body or view.summary or view.content
    body, is_excerpt = view.body, view.is_excerpt
    if count_words(html_text(text)) > _SHORT_WORDS or len(text) > _OVERSIZED / 2:
        body = Markup(f"<p>{escape(excerpt(text, _SHORT_WORDS), quote=False)}</p>")  # noqa: S704 - escaped just now
        is_excerpt = True
    return replace(view, summary=body, content=body, body=body, is_excerpt=is_excerpt, image=None)
