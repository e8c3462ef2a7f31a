"""The three looks: each holds all there is to read, and keeps to what mail clients can show."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html
from markdown_it import MarkdownIt

from newsletter.config.schema import BUILT_IN_THEMES
from newsletter.issues.merge import fill
from newsletter.issues.render import Templates, default_templates, render_issue
from newsletter.issues.templates import built_in_themes, themes_in
from newsletter.issues.trials import Trial, trials
from newsletter.issues.words import languages
from newsletter.model import Draft, Rendering
from tests.issues.samples import (
    FEEDS,
    GARDEN,
    GAZETTE,
    HEBREW,
    MASTHEAD,
    NOW,
    RULES,
    TOKEN,
    Shape,
    draft_of,
    entry,
    health,
)

THEMES = ("default", "compact", "plain")
TEMPLATES = {theme: Templates(theme=theme) for theme in THEMES}
VALUES = {
    "subscriber.email": "ada@example.com",
    "unsubscribe_url": "https://wire.example.com/u/daily/abc",
    "preferences_url": "https://wire.example.com/p/daily/abc",
    "view_url": "https://wire.example.com/i/daily/12",
}
TRIALS = {trial.name: trial for trial in trials(MASTHEAD, (), now=NOW)}
SOURCES = {theme: TEMPLATES[theme].source("issue.html.j2")[1] for theme in THEMES}


def letter(theme: str, draft: Draft, language: str | None = None) -> Rendering:
    found = render_issue(draft, MASTHEAD, TEMPLATES[theme], token=TOKEN, language=language)
    return replace(
        found,
        html=fill(found.html, TOKEN, VALUES),
        text=fill(found.text, TOKEN, VALUES),
        markdown=fill(found.markdown, TOKEN, VALUES),
    )


def everything() -> Draft:
    return TRIALS["everything"].draft


def words_of(html: str) -> str:
    return " ".join("".join(lxml_html.fromstring(html).itertext()).split())


def test_the_config_knows_the_packaged_themes() -> None:
    assert set(BUILT_IN_THEMES) == set(built_in_themes()) == set(THEMES)
    assert "default" == built_in_themes()[0]


def test_there_are_more_than_thirty_trials_and_each_has_a_name_of_its_own() -> None:
    made = list(trials(MASTHEAD, languages(), now=NOW))

    assert len(made) == len({trial.name for trial in made})
    assert len(made) - len(languages()) >= 30


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("trial", [t for t in TRIALS.values() if t.draft.total < 400], ids=lambda trial: trial.name)
def test_a_theme_stands_every_trial(theme: str, trial: Trial) -> None:
    rendering = render_issue(trial.draft, trial.masthead, TEMPLATES[theme], token=TOKEN)

    tokens = MarkdownIt("commonmark").parse(rendering.markdown)
    inner = [child for token in tokens for child in (token.children or [])]
    assert not [token for token in (*tokens, *inner) if token.type.startswith("html")]
    levels = [int(tag[1]) for tag, _ in Shape(rendering.html).tags if re.fullmatch("h[1-6]", tag)]
    assert 1 == levels.count(1)
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert "\n\n\n" not in rendering.text
    assert {"script", "style", "iframe"} & {tag for tag, _ in Shape(rendering.html).tags} <= {"style"}


@pytest.mark.parametrize("theme", THEMES)
def test_every_entry_is_in_a_letter_with_one_of_each_thing(theme: str) -> None:
    draft = everything()
    made = letter(theme, draft)

    for drafted in (*(e for s in draft.sections for e in (*s.entries, *s.more)), *draft.updated):
        assert drafted.title in words_of(made.html)
        assert drafted.title in made.text
        assert drafted.url in Shape(made.html).links
        assert f"\n{drafted.url}\n" in made.text
    for thing in ("episode.mp3", "(24 MB)", "Also in:", "Updated since you got them"):
        assert thing in words_of(made.html)
        assert thing in made.text


@pytest.mark.parametrize("theme", THEMES)
def test_the_root_and_each_section_say_their_language_and_direction(theme: str) -> None:
    tags = Shape(letter(theme, everything()).html).tags

    assert [("en-GB", "ltr")] == [(a["lang"], a["dir"]) for tag, a in tags if tag == "html"]
    sections = [(a["lang"], a["dir"]) for tag, a in tags if tag == "td" and "lang" in a]
    assert [("en", "ltr"), ("en", "ltr"), ("he", "rtl")] == sections


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("language", ["de", "he", "ja"])
def test_a_theme_speaks_the_readers_language(theme: str, language: str) -> None:
    english, made = (letter(theme, everything(), tag) for tag in ("en", language))

    assert Shape(made.html).tags[0][1]["lang"] == language
    for part in (made.text, made.markdown, words_of(made.html)):
        for words in ("Updated since", "Also in", "Attached", "You get this", "Unsubscribe", "entries"):
            assert words not in part
    assert "Unsubscribe" in english.text


@pytest.mark.parametrize("theme", THEMES)
def test_the_footer_says_why_to_whom_and_how_to_leave(theme: str) -> None:
    made = letter(theme, everything())

    for part in (words_of(made.html), made.text):
        assert "You get this because you subscribed to The Morning Wire." in part
        assert "ada@example.com" in part
        assert "1 Example Street, Berlin" in part
    for url in (VALUES["unsubscribe_url"], VALUES["preferences_url"], VALUES["view_url"]):
        assert url in Shape(made.html).links
        assert f"\n{url}\n" in made.text
    bare = render_issue(
        everything(), replace(MASTHEAD, base_url=None, postal_address=None), TEMPLATES[theme], token=TOKEN
    )
    assert "Change settings" not in bare.html + bare.text
    assert "Read on the web" not in bare.html + bare.text


@pytest.mark.parametrize("theme", THEMES)
def test_the_preheader_is_hidden_and_not_in_the_text(theme: str) -> None:
    made = letter(theme, everything())
    preheader, filler = lxml_html.fromstring(made.html).find_class("preheader")

    assert "Story number 2 · Story number 3 · Story number 4" == preheader.text
    assert "display:none" in preheader.get("style")
    assert "true" == filler.get("aria-hidden")
    assert preheader.text not in made.text


@pytest.mark.parametrize("theme", THEMES)
def test_nothing_is_in_a_letter_that_mail_clients_refuse(theme: str) -> None:
    shape = Shape(letter(theme, everything()).html)

    refused = {"script", "iframe", "form", "object", "embed", "link", "base", "video", "audio", "svg", "input"}
    assert not refused & {tag for tag, _ in shape.tags}
    styles = " ".join(attrs.get("style", "") for _, attrs in shape.tags)
    assert not re.search(r"position|float|flex|grid|url\(", styles)
    assert all("presentation" == attrs.get("role") for tag, attrs in shape.tags if tag == "table")
    sizes = [int(size) for size in re.findall(r"font-size: ?(\d+)px", styles)]
    assert 14 <= min(size for size in sizes if size != 1)
    widths = [int(width) for width in re.findall(r"max-width: ?(\d+)px", styles)]
    assert 600 == max(widths)


@pytest.mark.parametrize("theme", THEMES)
def test_dark_mode_keeps_its_force_and_word_its_comments_after_inlining(theme: str) -> None:
    html = letter(theme, everything()).html
    base = SOURCES["default"]

    assert html.count("<!--[if mso]>") == base.count("<!--[if mso]>")
    assert html.count("<![endif]-->") == base.count("<![endif]-->")
    dark = SOURCES[theme].partition("{% block dark %}")[2].partition("{% endblock dark %}")[0]
    assert dark.count("!important") == html.count("!important") > 10
    assert "!important" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


# ---- colours


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2, "relative luminance")."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colours(theme: str) -> Iterator[tuple[str, bool, set[str], set[str]]]:
    """Text colours and backgrounds of a theme's light and dark rules."""
    source = SOURCES[theme]
    scheme = "@media (prefers-color-scheme: dark)"
    dark = source.partition(scheme)[2].partition("\n}\n")[0]
    for is_dark, rules in ((False, source.replace(dark, "")), (True, dark)):
        # The preheader is hidden, and a list's bullet says nothing.
        seen = "\n".join(line for line in rules.splitlines() if "preheader" not in line and "::marker" not in line)
        yield (
            theme,
            is_dark,
            set(re.findall(r"[ {]color: (#[0-9a-f]{6})", seen)),
            set(re.findall(r"background-color: (#[0-9a-f]{6})", seen)),
        )


@pytest.mark.parametrize(("theme", "is_dark", "texts", "grounds"), [c for theme in THEMES for c in colours(theme)])
def test_every_text_colour_reads_on_every_background(
    theme: str, is_dark: bool, texts: set[str], grounds: set[str]
) -> None:
    assert len(texts) >= 2
    assert grounds
    low = {(t, g): round(contrast(t, g), 2) for t in texts for g in grounds if contrast(t, g) < 4.5}
    assert {} == low


# ---- compact, and sources


def test_a_headline_of_the_compact_theme_takes_little_room() -> None:
    def size(number: int) -> int:
        return len(letter("compact", draft_of([entry(n) for n in range(number)])).html.encode())

    assert (size(200) - size(100)) / 100 < 160


def test_a_compact_letter_with_300_entries_shows_them_all() -> None:
    made = letter("compact", draft_of([entry(n) for n in range(300)]))

    assert len(made.html.encode()) < 90_000
    assert {f"https://gazette.example/posts/{n}" for n in range(300)} <= set(Shape(made.html).links)


def test_a_compact_letter_shows_some_text_where_there_is_no_link() -> None:
    made = letter("compact", draft_of([entry(1, url=None, summary="<p>Only <b>here</b>.</p>")]))

    for part in (words_of(made.html), made.text, made.markdown):
        assert "Only here." in part


def test_a_plain_letter_has_no_pictures() -> None:
    draft = draft_of([entry(1, image="https://gazette.example/f.jpg", summary='<p><img src="/x.jpg">x</p>')])

    assert "<img" not in letter("plain", draft).html


@pytest.mark.parametrize("theme", THEMES)
def test_an_entry_names_its_source_where_its_section_is_not_one_feeds(theme: str) -> None:
    waiting = [entry(1), entry(2, GARDEN)]

    together = letter(theme, draft_of(waiting, rules=replace(RULES, group_by="none")))
    apart = letter(theme, draft_of(waiting))

    for part in ("text", "markdown", "html"):
        found, without = getattr(together, part), getattr(apart, part)
        assert ("The Gazette" in found, "Slow Garden" in found) == (True, True)
        assert without.count("Slow Garden") == 1 + (theme != "plain" and part != "markdown")


# ---- a project's own


def test_a_project_overrides_one_block_of_a_theme_in_a_file_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "compact").mkdir()
    (tmp_path / "compact" / "issue.html.j2").write_text(
        '{% extends "compact/issue.html.j2" %}{% block footer %}<p>Bye</p>{{ super() }}{% endblock %}'
    )

    html = render_issue(everything(), MASTHEAD, Templates([tmp_path], theme="compact"), token=TOKEN).html

    assert "<p>Bye</p>" in html.replace(' style="margin:0 0 10px"', "")
    assert '<ul class="list"' in html
    assert '<ul class="list"' not in render_issue(everything(), MASTHEAD, Templates([tmp_path]), token=TOKEN).html


def test_a_theme_of_the_project_builds_on_a_built_in_one(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "issue.txt.j2").write_text(
        '{% extends "plain/issue.txt.j2" %}{% block footer %}{{ super() }}Mine.\n{% endblock %}'
    )

    text = render_issue(everything(), MASTHEAD, Templates([tmp_path], theme="mine"), token=TOKEN).text

    assert text.endswith("Mine.\n")
    assert text.startswith("The Morning Wire\nMonday, 2 March 2026\n")
    assert ("mine",) == themes_in(tmp_path)


@pytest.mark.parametrize("theme", THEMES)
def test_the_blocks_of_a_template_can_be_named(theme: str) -> None:
    blocks = TEMPLATES[theme].blocks("issue.html.j2")

    assert {"styles", "dark", "masthead", "section", "entry", "title", "footer"} <= set(blocks)
    assert len(blocks) == len(set(blocks))


def test_the_packaged_folder_holds_themes_and_nothing_else() -> None:
    assert ("compact", "plain") == themes_in(default_templates())


# ---- whatever feeds say

AWKWARD = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="<>&\"'`=\n\r\t\\/!-;:#%{}[]()*_|~ \u00a0\u202eא語😀é\x00\u2028", max_size=60),
    st.sampled_from(["<div>" * 5_000, "x" * 10_000, "{{ 7 * 7 }}", "<!--", "<script>", "]]>", "&#0;", "\ud800"]),
)
ENTRY = st.tuples(AWKWARD, AWKWARD, AWKWARD, st.sampled_from([GAZETTE, GARDEN, HEBREW]), st.booleans())


@given(
    st.sampled_from(THEMES),
    st.lists(ENTRY, max_size=4),
    st.integers(0, 2),
    st.sampled_from(["feed", "none"]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_feeds_say_every_title_and_link_is_in_every_part_of_every_theme(
    theme: str, rows: list[tuple[str, str, str, str, bool]], cap: int, group_by: str
) -> None:
    waiting = [
        entry(
            n,
            feed,
            title=title,
            summary=summary,
            content=content,
            author=title,
            **({} if linked else {"url": None}),  # type: ignore[arg-type]
        )
        for n, (title, summary, content, feed, linked) in enumerate(rows)
    ]
    rules = replace(RULES, per_feed=cap, group_by=group_by)  # type: ignore[arg-type]
    draft = draft_of(waiting, rules=rules, feeds=FEEDS, known=[health(HEBREW, language="he")])

    made = letter(theme, draft)

    links = set(Shape(made.html).links)
    shown = MarkdownIt("commonmark").parse(made.markdown)
    markdown = " ".join(
        "".join(child.content for token in shown for child in (token.children or []) if child.type == "text").split()
    )
    for drafted in (e for s in draft.sections for e in (*s.entries, *s.more)):
        title = " ".join(drafted.title.split())
        assert title in words_of(made.html)
        assert title in " ".join(made.text.split())
        assert title in markdown
        if drafted.url:
            assert drafted.url in links
            assert f"\n{drafted.url}\n" in made.text
            assert f"(<{drafted.url}>)" in made.markdown
    assert VALUES["unsubscribe_url"] in links
