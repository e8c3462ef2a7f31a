"""Rendering: a draft becomes an issue's four parts, once for everybody who reads it the same way.

    subject.txt.j2 ─▶ subject          issue.txt.j2 ─▶ text
    issue.html.j2  ─▶ html (CSS inlined)     issue.md.j2  ─▶ markdown

What differs per subscriber is a token in the parts (`merge`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from hashlib import sha256

from newsletter.errors import TemplateError
from newsletter.issues.budget import HTML_LIMIT, SizeReport, fit, growth
from newsletter.issues.inline import inline, lost
from newsletter.issues.language import date_and_time, file_size, long_date, short_date
from newsletter.issues.markdown import from_html, link, to_text
from newsletter.issues.merge import (
    SUBJECT_LIMIT,
    URL_FIELDS,
    LogicOnSubscriber,
    Urls,
    fields_in,
    fill_subject,
    is_whole,
)
from newsletter.issues.personal import MergeField, MergeSubscriber, MergeText, Question, Reader
from newsletter.issues.shortening import Form
from newsletter.issues.templates import TEMPLATES, Templates, default_templates
from newsletter.issues.views import IssueView, Masthead, context_of
from newsletter.issues.words import spoken, words_in
from newsletter.model import Draft, Rendering, Subscriber
from newsletter.text import one_line

__all__ = [
    "HTML_LIMIT",
    "TEMPLATES",
    "Masthead",
    "Renderings",
    "SizeReport",
    "Templates",
    "default_templates",
    "render_issue",
]

_HTML, _TEXT, _MARKDOWN, _, _SUBJECT = TEMPLATES
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def render_issue(
    draft: Draft,
    masthead: Masthead,
    templates: Templates,
    *,
    token: str,
    language: str | None = None,
    subscriber: Subscriber | None = None,
) -> Rendering:
    """Render an issue for everybody, or for one subscriber.

    For everybody, merge fields are tokens, and so they are for one subscriber;
    but then templates may also decide on that person.

    Args:
        draft: what `digest.build` made.
        masthead: what stands above and below.
        templates: the project's, with the digest's theme.
        token: the issue's `Envelope.merge_token`.
        language: of the fixed words and dates; the masthead's unless given.
        subscriber: the person, or None for everybody.

    Raises:
        TemplateError: a template cannot be read or fails.
        LogicOnSubscriber: a template decides on the subscriber and none is given.
    """
    return _Press(draft, masthead, templates, token, language or masthead.language).rendering(subscriber)[0]


_SHORTENED = {
    Form.short: "as a short excerpt",
    Form.headline: "as a headline",
    Form.counted: "in the text part only",
}
_Answer = bool | str | tuple[str, ...]
_Trace = Mapping[Question, _Answer]


class _Decision:
    """A question that templates ask about a subscriber, and where each answer leads."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self.answers: dict[_Answer, _Decision | Rendering] = {}


class Renderings:
    """All renderings of one issue: as few as its templates allow.

    Two subscribers share a rendering if their language is the same and whatever
    the templates asked about them had the same answer.
    """

    def __init__(self, draft: Draft, masthead: Masthead, templates: Templates, *, token: str) -> None:
        self._token = token
        self._language = masthead.language
        self._in_order = (
            [entry.id for section in draft.sections for entry in (*section.entries, *section.more)],
            [
                form
                for section in draft.sections
                for entries, form in ((section.entries, Form.full), (section.more, Form.headline))
                for _ in entries
            ],
        )
        self._make_press = partial(_Press, draft, masthead, templates, token)
        self._presses: dict[str, _Press] = {}
        self._known: dict[str, Rendering] = {}
        self._decisions: dict[str, _Decision | Rendering] = {}

    def for_everybody(self, language: str | None = None) -> Rendering:
        """The one rendering that all readers of a language share.

        Raises:
            TemplateError: a template cannot be read or fails.
            LogicOnSubscriber: there is no such thing: the templates decide on the subscriber.
        """
        language = self._spelled(language)
        found = self._decisions.get(language)
        if isinstance(found, Rendering):
            return found
        rendering, _ = self._press(language).rendering(None)
        self._decisions[language] = self._known[language] = rendering
        return rendering

    def for_nobody(self, language: str | None = None) -> Rendering:
        """The rendering for shelves and web pages; its key is the language alone.

        It is the one for everybody, or what a subscriber without name and
        attributes would get where the templates decide on that.

        Raises:
            TemplateError: a template cannot be read or fails.
        """
        language = self._spelled(language)
        if language not in self._known:
            try:
                return self.for_everybody(language)
            except LogicOnSubscriber:
                rendering, _ = self._press(language).rendering(Subscriber(email="", wire_email="", key=""))
                self._known[language] = replace(rendering, key=language)
        return self._known[language]

    @property
    def subject(self) -> str:
        """What the issue is called where nobody in particular is addressed: the subject with its fields empty."""
        rendering = self.for_nobody()
        return fill_subject(rendering.subject, self._token, dict.fromkeys(rendering.fields, ""))

    def for_subscriber(self, subscriber: Subscriber, language: str | None = None) -> Rendering:
        """The rendering that this person gets; rendered now if nobody alike has been seen before.

        Raises:
            TemplateError: a template cannot be read or fails.
        """
        language = self._spelled(language)
        at = self._decisions.get(language)
        if at is None:
            try:
                return self.for_everybody(language)
            except LogicOnSubscriber:
                # What goes out in a language goes on the web in it, too.
                self.for_nobody(language)
        while isinstance(at, _Decision):
            at = at.answers.get(at.question.answer(subscriber))
        if at is not None:
            return at
        rendering, trace = self._press(language).rendering(subscriber)
        rendering = self._known.setdefault(rendering.key, rendering)
        self._remember(language, trace, rendering)
        return rendering

    def __iter__(self) -> Iterator[Rendering]:
        """Every rendering made so far, each once."""
        return iter(tuple(self._known.values()))

    @property
    def sizes(self) -> Mapping[str, SizeReport]:
        """What the size budget did to each rendering made so far, by its key."""
        return {key: report for press in self._presses.values() for key, report in press.sizes.items()}

    @property
    def shortened(self) -> Mapping[int, str]:
        """By the entry's id what the size budget made of it in the HTML part, in words; the worst of all renderings."""
        worst: dict[int, Form] = {}
        for report in self.sizes.values():
            for entry, had, form in zip(*self._in_order, report.forms, strict=False):
                if form > max(had, worst.get(entry, Form.full)):
                    worst[entry] = form
        return {entry: f"{_SHORTENED[form]}: the HTML part would be too large" for entry, form in worst.items()}

    @property
    def is_personal(self) -> bool:
        """Whether the templates decide on the subscriber, so that there may be many renderings."""
        return any(isinstance(found, _Decision) for found in self._decisions.values())

    def _press(self, language: str) -> "_Press":
        if language not in self._presses:
            self._presses[language] = self._make_press(language)
        return self._presses[language]

    def _spelled(self, language: str | None) -> str:
        """A language as the renderings' keys spell it; the masthead's for what is none or has no words."""
        words = spoken(language)
        if words is None or words.language == words_in(self._language).language:
            return self._language
        return words.language

    def _remember(self, language: str, trace: "_Trace", rendering: Rendering) -> None:
        """Grow the tree of decisions by one path: questions in the order they were asked."""
        if not trace:
            self._decisions[language] = rendering
            return
        questions = list(trace)
        at = self._decisions.setdefault(language, _Decision(questions[0]))
        for number, question in enumerate(questions):
            assert isinstance(at, _Decision)
            assert at.question == question, "templates ask the same questions after the same answers"
            last = number + 1 == len(questions)
            following = rendering if last else _Decision(questions[number + 1])
            at = at.answers.setdefault(trace[question], following)


class _Press:
    """Renders one issue in one language; see `render_issue`."""

    def __init__(self, draft: Draft, masthead: Masthead, templates: Templates, token: str, language: str) -> None:
        self._draft = draft
        self._masthead = masthead
        self._templates = templates
        self._token = token
        self._key = language
        self._words = words_in(language, masthead.language)
        # The letter is in the language of its words, and so are its dates.
        self._language = self._words.language
        self._context = context_of(draft, masthead, self._language)
        issue = self._context["issue"]
        assert isinstance(issue, IssueView)
        self._issue = issue
        #: What the size budget did to each rendering made, by its key.
        self.sizes: dict[str, SizeReport] = {}

    def rendering(self, subscriber: Subscriber | None) -> tuple[Rendering, _Trace]:
        """Render with tokens; with this person's values where the template takes a token apart."""
        urls = Urls.present(self._masthead.base_url, self._masthead.archive_url)
        reader = Reader(self._token, subscriber, urls)
        made = self._rendered(reader)
        if made is not None:
            return made, reader.trace
        if subscriber is None:
            raise LogicOnSubscriber("a template changes what it prints of the subscriber")
        literal = Reader(self._token, subscriber, urls, literal=True)
        made = self._rendered(literal)
        if made is None:
            raise TemplateError(
                f"templates/{_HTML}", None, f"one of {', '.join(URL_FIELDS)} stands where it cannot be filled in"
            )
        # The questions of the first attempt come first, as they do for everybody else.
        return made, {**reader.trace, **literal.trace}

    def _rendered(self, reader: Reader) -> Rendering | None:
        """All four parts, or None where a token came out damaged."""
        zone = self._masthead.zone
        self._templates.speak(self._words)
        for name, function in (
            ("date", lambda moment: long_date(moment, self._language, zone)),
            ("short_date", lambda moment: short_date(moment, self._language, zone)),
            ("date_and_time", lambda moment: date_and_time(moment, self._language, zone)),
            ("short", one_line),
            ("size", lambda size: file_size(size, self._language)),
            ("link", link),
            ("markdown", from_html),
            ("text", to_text),
        ):
            self._templates.add_filter(name, function)
        context = {
            **self._context,
            "subscriber": MergeSubscriber(reader),
            **{field: MergeField(reader, field) for field in URL_FIELDS},
        }
        subject = self._subject(context, reader)
        has_fields = self._token in subject
        shown = MergeText(reader, subject) if has_fields else subject
        context["issue"] = replace(self._issue, subject=shown)
        fitted = fit(
            context,
            write=lambda shown: self._templates.render(_HTML, shown, reader),
            inline=lambda written: inline(written, self._token),
            allowance=lambda part: growth(part, self._token, self._masthead, self._draft.number),
        )
        written, html = fitted.written, fitted.html
        self._check(written, html)
        text = _CONTROLS.sub("", self._templates.render(_TEXT, context, reader))
        markdown = _CONTROLS.sub("", self._templates.render(_MARKDOWN, context, reader))
        parts = (subject, html, text, markdown)
        if fields_in(written, self._token) != fields_in(html, self._token):
            return None
        if not all(is_whole(part, self._token) for part in parts):
            return None
        fields = sorted({field for part in parts for field in fields_in(part, self._token)})
        key = self._key
        if reader.trace:
            key += ":" + sha256("\0".join(parts).encode()).hexdigest()[:16]
        self.sizes[key] = fitted.report
        return Rendering(
            key=key,
            language=self._language,
            subject=subject,
            html=html,
            text=text,
            markdown=markdown,
            fields=tuple(fields),
        )

    def _subject(self, context: Mapping[str, object], reader: Reader) -> str:
        if self._masthead.subject:
            subject = self._templates.render_text(self._masthead.subject, "subject", context, reader)
        else:
            subject = self._templates.render(_SUBJECT, context, reader)
        # A subject with fields is cut when they are filled in (`merge.fill_subject`).
        return one_line(subject, None if self._token in subject else SUBJECT_LIMIT)

    def _check(self, written: str, html: str) -> None:
        """Refuse an issue that has lost an entry in the inlining."""
        entries = [e for s in self._draft.sections for e in (*s.entries, *s.more)] + list(self._draft.updated)
        missing = lost(written, html, ((entry.title, entry.url) for entry in entries))
        if missing is not None:
            raise TemplateError(
                f"templates/{_HTML}",
                None,
                f"inlining its styles loses {one_line(missing, 60)!r} and perhaps more",
                hint="look for elements nested more than 200 deep, or not closed",
            )
