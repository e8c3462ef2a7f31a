"""Merge fields: filled in later, the letter is byte for byte the one rendered for that person."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from newsletter.errors import MessageError
from newsletter.issues.inline import inline
from newsletter.issues.merge import (
    SUBJECT_LIMIT,
    Urls,
    fill,
    fill_subject,
    make_token,
    merge_values,
    split,
)
from newsletter.issues.personal import Reader
from newsletter.issues.render import Templates, render_issue
from newsletter.issues.views import context_of
from newsletter.model import Rendering, Subscriber
from newsletter.text import one_line
from tests.issues.samples import MASTHEAD, TOKEN, draft_of, entry, project, reader

URLS = Urls(
    unsubscribe_url="https://wire.example.com/u/daily/abc?x=1&y=2",
    preferences_url="https://wire.example.com/p/daily/abc",
    view_url="https://wire.example.com/i/daily/12",
)
DRAFT = draft_of([entry(1, title="First & foremost", summary="<p>Text</p>"), entry(2)])

HTML = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{ issue.subject }}</title>
<style>p {color: red}</style>
<style data-premailer="ignore">/* {{ subscriber.name }} */ @media print {p {color: blue !important}}</style></head>
<body><!-- for {{ subscriber.name }} --><!--[if mso]><b title="{{ subscriber.name }}">{{ subscriber.name }}</b><![endif]-->
<p title="{{ subscriber.name }}" data-x='{{ subscriber.attributes.city }}'>{{ subscriber.name }}, {{ "dear " ~ subscriber.email }}!</p>
<a href="{{ unsubscribe_url }}">out</a> <a href="https://x.example/?n={{ subscriber.name }}">in</a>
{% if view_url %}<img src="{{ view_url }}" alt="{{ subscriber.attributes['home town']|e }}">{% endif %}
{% for item in entries %}<p>{{ item.title }} for {{ subscriber.name }}</p>{% endfor %}
{% set greeting %}<b>Hi {{ subscriber.name }}</b>{% endset %}{{ greeting }}
{% macro line(who) %}<i>{{ who }}</i>{% endmacro %}{{ line(subscriber.attributes.city) }}
<a name="{{ subscriber.name }}">here</a><q cite="{{ subscriber.name }}">q</q><form action="{{ subscriber.name }}"></form>
<textarea>{{ subscriber.name }}</textarea>
</body></html>
"""
TEXT = (
    "Hello {{ subscriber.name }} <{{ subscriber.email }}>\n{{ subscriber.attributes.city|e }}\n{{ unsubscribe_url }}\n"
)
MARKDOWN = "# {{ subscriber.name|md }}\n\n{{ subscriber.name }} {{ view_url }}\n"
SUBJECT = "{{ subscriber.name }}: {{ entries[0].title }}"


def rendered_for_one(templates: Templates, person: Subscriber) -> Rendering:
    """The reference: plain values in a plain context, without tokens, readers or fields."""
    plain = SimpleNamespace(
        name=one_line(person.name),
        email=one_line(person.email),
        attributes={"city": "", "home town": "", **{key: one_line(value) for key, value in person.attributes.items()}},
    )
    context: dict[str, Any] = {**context_of(DRAFT, MASTHEAD, "en-GB"), "subscriber": plain}
    context |= {name: getattr(URLS, name) for name in ("unsubscribe_url", "preferences_url", "view_url")}
    nobody = Reader(TOKEN, None, URLS)
    subject = one_line(templates.render("subject.txt.j2", context, nobody), SUBJECT_LIMIT)
    # What shows the subject within the letter is not cut for anybody.
    context["issue"] = SimpleNamespace(subject=one_line(templates.render("subject.txt.j2", context, nobody)))
    return Rendering(
        key="",
        language="",
        subject=subject,
        html=inline(templates.render("issue.html.j2", context, nobody), TOKEN),
        text=templates.render("issue.txt.j2", context, nobody),
        markdown=templates.render("issue.md.j2", context, nobody),
    )


def filled(rendering: Rendering, person: Subscriber) -> tuple[str, str, str, str]:
    values = merge_values(rendering.fields, person) | {
        name: getattr(URLS, name) for name in ("unsubscribe_url", "preferences_url", "view_url")
    }
    return (
        fill_subject(rendering.subject, TOKEN, values),
        fill(rendering.html, TOKEN, values),
        fill(rendering.text, TOKEN, values),
        fill(rendering.markdown, TOKEN, values),
    )


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return project(
        tmp_path_factory.mktemp("p"), issue_html=HTML, issue_txt=TEXT, issue_md=MARKDOWN, subject_txt=SUBJECT
    )


@pytest.fixture(scope="module")
def shared(templates: Templates) -> Rendering:
    return render_issue(DRAFT, MASTHEAD, templates, token=TOKEN)


NASTY = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="<>&\"'`=\n\r\t\\/!-;:#%{}[]()*_ \u00a0\u200f\u202eא語😀é\x00\x0b\u2028", max_size=40),
    st.sampled_from(
        [
            "",
            "<b>",
            'O\'Brien, "Zoë"',
            "a & b",
            "&amp;",
            "-->",
            "{{ 7*7 }}",
            "אבגד",
            "x" * 300,
            "\r\nBcc: e@x.example",
            "- 1.",
        ]
    ),
)


@given(NASTY, NASTY, NASTY)
@example("&{", "&amp;{", "&{}")
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_tokens_filled_in_give_the_bytes_of_a_rendering_for_that_person(
    templates: Templates, shared: Rendering, name: str, city: str, town: str
) -> None:
    person = reader(name, **{"city": city, "home town": town})

    expected = rendered_for_one(templates, person)

    subject, html, text, markdown = filled(shared, person)
    assert expected.subject == subject
    assert expected.html == html
    assert expected.text == text
    assert expected.markdown == markdown


def test_every_field_that_occurs_is_named_and_no_other(shared: Rendering) -> None:
    assert (
        "subscriber.attributes.city",
        "subscriber.attributes.home town",
        "subscriber.email",
        "subscriber.name",
        "unsubscribe_url",
        "view_url",
    ) == shared.fields


def test_the_pieces_of_a_rendering_joined_are_the_rendering(shared: Rendering) -> None:
    pieces = split(shared.html, TOKEN)
    values = dict.fromkeys(shared.fields, '<&">')

    assert pieces[-1].field is None
    assert "".join(p.literal + p.written(values) for p in pieces) == fill(shared.html, TOKEN, values)
    assert {"h", "q", "u", "j"} == {piece.kind for piece in pieces if piece.field}


def test_a_value_stands_escaped_for_its_place(shared: Rendering) -> None:
    subject, html, text, markdown = filled(shared, reader('<b>"é&', city="<Rome>"))

    assert 'title="&lt;b&gt;&quot;é&amp;"' in html
    assert "<p title=" in html
    assert '>&lt;b&gt;"é&amp;, dear ada@example.com!' in html
    assert 'href="https://x.example/?n=&lt;b&gt;&quot;%C3%A9&amp;"' in html
    assert 'href="https://wire.example.com/u/daily/abc?x=1&amp;y=2"' in html
    assert 'Hello <b>"é& <ada@example.com>\n&lt;Rome&gt;' in text
    assert r'# \<b\>"é\&' in markdown
    assert '<b>"é&: First & foremost' == subject


def test_no_feed_can_forge_a_field(templates: Templates) -> None:
    forged = make_token(TOKEN.replace("0", "1"), "subscriber.email", "h")
    draft = draft_of([entry(1, title=f"{{{{ subscriber.email }}}} {forged}", summary="{{ unsubscribe_url }}")])

    rendering = render_issue(draft, MASTHEAD, Templates(), token=TOKEN)

    assert "{{ subscriber.email }} " + forged in rendering.html
    assert "{{ unsubscribe_url }}" in rendering.html


def test_a_value_that_was_not_kept_is_an_error_and_not_a_gap() -> None:
    with pytest.raises(MessageError, match=r"no value for the merge field subscriber.name"):
        fill(f"Hello {make_token(TOKEN, 'subscriber.name')}", TOKEN, {})


def test_an_attribute_that_a_person_lacks_is_empty() -> None:
    assert {"subscriber.attributes.city": ""} == merge_values(["subscriber.attributes.city", "view_url"], reader())


def test_a_long_subject_is_cut_after_the_name_is_in_it(tmp_path: Path) -> None:
    templates = project(tmp_path, subject_txt="{{ subscriber.name }} " + "news " * 60)

    rendering = render_issue(DRAFT, MASTHEAD, templates, token=TOKEN)

    assert SUBJECT_LIMIT >= len(fill_subject(rendering.subject, TOKEN, {"subscriber.name": "Ada"}))


def test_a_project_without_web_address_has_no_empty_links(tmp_path: Path) -> None:
    from dataclasses import replace

    text = "{% if view_url %}web {{ view_url }}{% endif %}|{{ preferences_url }}|{{ unsubscribe_url }}"
    templates = project(tmp_path, issue_txt=text)

    rendering = render_issue(DRAFT, replace(MASTHEAD, base_url=None), templates, token=TOKEN)

    assert f"||{make_token(TOKEN, 'unsubscribe_url')}" == rendering.text
