"""Letters speak the reader's language: every fixed word, every plural, right to left where that is the way."""

import asyncio
import re
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import premailer
import pytest
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as st
from jinja2.ext import babel_extract

from newsletter import pipeline
from newsletter.issues import words
from newsletter.issues.language import file_size
from newsletter.issues.merge import fill_subject
from newsletter.issues.render import Renderings, Templates, default_templates, render_issue
from newsletter.issues.words import LAST_RESORT, languages, read_catalog, spoken, words_in
from newsletter.model import Disposition, Draft, Enclosure, Rendering
from tests.conftest import FakeClock, counting_ids
from tests.issues.samples import FEEDS, GARDEN, MASTHEAD, RULES, TOKEN, Shape, draft_of, entry, project, reader
from tests.pipeline.parts import parts_for, publication_for
from tests.pipeline.parts import reader as subscriber

PACKAGE = Path(words.__file__).parent
PAGES = PACKAGE.parent / "web" / "pages"
PROMISED = ("ar", "de", "en", "es", "fr", "he", "ja", "pl", "pt", "ru", "uk", "zh")
FOREIGN = [tag for tag in languages() if tag != LAST_RESORT]
COUNTS = (0, 1, 2, 3, 5, 11, 21, 100)
PLACEHOLDER = re.compile(r"%\(\w+\)s")

Id = str | tuple[str, str]


@cache
def said() -> dict[Id, list[str]]:
    """Every message of the templates and the modules, with the places it stands at."""
    found: dict[Id, list[str]] = {}
    options = {"trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true", "silent": "false"}
    for path in sorted([*default_templates().rglob("*.j2"), *PAGES.rglob("*.j2")]):
        with path.open("rb") as file:
            for line, function, message, _ in babel_extract(file, ("_", "gettext", "ngettext"), [], options):
                found.setdefault(id_of(function, message), []).append(f"{path.name}:{line}")
    for path in sorted([*PACKAGE.rglob("*.py"), *PAGES.parent.glob("*.py")]):
        with path.open("rb") as file:
            for line, called, words_said, _ in extract_python(file, {"one": None, "many": None}, [], {}):
                # `one` and `many` called with something that is no text have no id here.
                if identity := id_of(called, words_said):
                    found.setdefault(identity, []).append(f"{path.name}:{line}")
    return found


def id_of(function: object, message: Any) -> Id:
    texts = [text for text in ((message,) if isinstance(message, str) else message or ()) if text]
    return (texts[0], texts[1]) if function in ("ngettext", "many") and len(texts) > 1 else texts[0] if texts else ""


@cache
def source(tag: str) -> Catalog:
    return read_po(StringIO((PACKAGE / "catalogs" / f"{tag}.po").read_text(encoding="utf-8")), abort_invalid=True)


def messages(tag: str) -> Iterator[Message]:
    return (message for message in source(tag) if message.id)


def forms(message: Message) -> tuple[str, ...]:
    return tuple(map(str, message.string if isinstance(message.string, list | tuple) else (message.string,)))


# --------------------------------------------------------------------------- the catalogs


def test_the_promised_languages_are_all_there() -> None:
    assert set() == set(PROMISED) - set(languages())


def test_the_templates_words_are_found() -> None:
    assert {"Unsubscribe", ("%(n)s entry", "%(n)s entries"), ("and %(num)s more", "and %(num)s more")} <= said().keys()


@pytest.mark.parametrize("tag", languages())
def test_a_catalog_has_every_message_of_the_templates_and_no_other(tag: str) -> None:
    ids = {tuple(message.id) if isinstance(message.id, list | tuple) else message.id for message in messages(tag)}

    missing = {f"{places[0]}: {message}" for message, places in said().items() if message not in ids}
    assert (set(), set()) == (missing, ids - said().keys())


@pytest.mark.parametrize("tag", languages())
def test_a_catalog_is_finished(tag: str) -> None:
    """Nothing is marked as doubtful, left empty, or kept from earlier versions."""
    catalog = source(tag)

    assert [] == [message.id for message in catalog if message.fuzzy]
    assert [] == [message.id for message in messages(tag) if not all(text.strip() for text in forms(message))]
    assert {} == dict(catalog.obsolete)
    assert tag == str(catalog.locale_identifier).replace("_", "-")


@pytest.mark.parametrize("tag", languages())
def test_a_translation_keeps_the_placeholders(tag: str) -> None:
    """A form that stands for one number alone ("two entries") may leave the number out."""
    rule = read_catalog_of(tag)
    numbers = [rule.plural(n) for n in range(1000)]
    for message in messages(tag):
        wanted = sorted(PLACEHOLDER.findall(message.id if isinstance(message.id, str) else message.id[1]))
        for form, text in enumerate(forms(message)):
            only = message.pluralizable and numbers.count(form) == 1
            assert (
                (sorted(PLACEHOLDER.findall(text)) in ([], wanted))
                if only
                else (wanted == sorted(PLACEHOLDER.findall(text)))
            ), (message.id, text)
        assert "%" not in PLACEHOLDER.sub("", "".join(forms(message)))


@pytest.mark.parametrize("tag", languages())
def test_a_translation_keeps_a_colon_at_the_end(tag: str) -> None:
    for message in messages(tag):
        if isinstance(message.id, str) and message.id.endswith(":"):
            assert forms(message)[0].endswith((":", "："))


class read_catalog_of:  # noqa: N801 - reads as a function
    """A catalog's rule for plurals."""

    def __init__(self, tag: str) -> None:
        self._catalog = read_catalog((PACKAGE / "catalogs" / f"{tag}.po").read_text(encoding="utf-8"))
        self.count = source(tag).num_plurals

    def plural(self, number: int) -> int:
        rule = self._catalog.plural  # type: ignore[attr-defined] # typeshed leaves it out
        return int(rule(number))


@pytest.mark.parametrize("tag", languages())
def test_the_rule_for_plurals_is_the_language_s_own(tag: str) -> None:
    """Two numbers share a form if, and only if, Unicode's CLDR puts them into one category."""
    ours, theirs = read_catalog_of(tag), Locale.parse(tag, sep="-").plural_form
    numbers = range(1000)
    pairs = {(theirs(n), ours.plural(n)) for n in numbers}

    assert len(pairs) == len({theirs(n) for n in numbers}) == len({ours.plural(n) for n in numbers}) == ours.count
    assert [len(forms(m)) for m in messages(tag) if m.pluralizable] == [ours.count] * sum(
        m.pluralizable for m in messages(tag)
    )


@pytest.mark.parametrize(
    ("tag", "expected"),
    {
        "en": "0 entries, 1 entry, 2 entries, 3 entries, 5 entries, 11 entries, 21 entries, 100 entries",
        "de": "0 Beiträge, 1 Beitrag, 2 Beiträge, 3 Beiträge, 5 Beiträge, 11 Beiträge, 21 Beiträge, 100 Beiträge",
        "fr": "0 article, 1 article, 2 articles, 3 articles, 5 articles, 11 articles, 21 articles, 100 articles",
        "es": "0 artículos, 1 artículo, 2 artículos, 3 artículos, 5 artículos, 11 artículos, 21 artículos, 100 artículos",
        "pt": "0 artigo, 1 artigo, 2 artigos, 3 artigos, 5 artigos, 11 artigos, 21 artigos, 100 artigos",
        "pl": "0 artykułów, 1 artykuł, 2 artykuły, 3 artykuły, 5 artykułów, 11 artykułów, 21 artykułów, 100 artykułów",
        "ru": "0 публикаций, 1 публикация, 2 публикации, 3 публикации, 5 публикаций, 11 публикаций, 21 публикация, 100 публикаций",
        "uk": "0 публікацій, 1 публікація, 2 публікації, 3 публікації, 5 публікацій, 11 публікацій, 21 публікація, 100 публікацій",
        "ar": "لا مقالات, مقالة واحدة, مقالتان, 3 مقالات, 5 مقالات, 11 مقالة, 21 مقالة, 100 مقالة",
        "he": "0 כתבות, כתבה אחת, שתי כתבות, 3 כתבות, 5 כתבות, 11 כתבות, 21 כתבות, 100 כתבות",
        "ja": "記事0件, 記事1件, 記事2件, 記事3件, 記事5件, 記事11件, 記事21件, 記事100件",
        "zh": "0 篇文章, 1 篇文章, 2 篇文章, 3 篇文章, 5 篇文章, 11 篇文章, 21 篇文章, 100 篇文章",
    }.items(),
)
def test_entries_are_counted_as_people_count(tag: str, expected: str) -> None:
    found = [words_in(tag).many("%(n)s entry", "%(n)s entries", n) % {"n": n} for n in COUNTS]

    assert expected == ", ".join(found)


# ------------------------------------------------------------------------ which language


@pytest.mark.parametrize(
    ("asked", "called", "unsubscribe"),
    [
        ("pt-BR", "pt-BR", "Cancelar a assinatura"),
        ("PT_br", "pt-BR", "Cancelar a assinatura"),
        ("en-GB", "en-GB", "Unsubscribe"),
        ("de-AT-1996", "de-AT", "Abbestellen"),
        ("zh-CN", "zh-CN", "退订"),
        ("zh-TW", "zh-Hant-TW", "取消訂閱"),
        ("zh-Hant", "zh-Hant", "取消訂閱"),
        ("iw", "he", "ביטול ההרשמה"),
        ("en-Shaw", "en", "Unsubscribe"),
        ("es-419", "es-419", "Cancelar la suscripción"),
    ],
)
def test_the_nearest_catalog_speaks(asked: str, called: str, unsubscribe: str) -> None:
    found = words_in(asked, "fr")

    assert (called, unsubscribe) == (found.language, found.one("Unsubscribe"))


@pytest.mark.parametrize("asked", ["nl", "tlh", "xx-YY", "", None, "../../secret", "en" * 5000, "und", "\0"])
def test_a_language_without_a_catalog_falls_back_to_the_next_and_to_english_last(asked: str | None) -> None:
    assert spoken(asked) is None
    assert ("en", "Unsubscribe") == (words_in(asked).language, words_in(asked).one("Unsubscribe"))
    assert ("uk", "Відписатися") == (words_in(asked, "uk").language, words_in(asked, "uk").one("Unsubscribe"))


@given(st.text(max_size=30) | st.from_regex(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}", fullmatch=True))
def test_whatever_a_file_calls_a_language_there_are_words(tag: str) -> None:
    found = words_in(tag)

    assert found.one("Unsubscribe")
    assert spoken(found.language) == found


def test_what_no_catalog_knows_comes_out_as_it_is() -> None:
    found = words_in("de")

    assert ("Hallo?", "%(n)s cats") == (found.one("Hallo?"), found.many("%(n)s cat", "%(n)s cats", 2))
    assert "" == found.one("")


@pytest.mark.parametrize(("tag", "said_as"), [("en", "12 MB"), ("fr", "12\u202fMo"), ("ru", "12 МБ")])
def test_sizes_are_said_as_people_say_them(tag: str, said_as: str) -> None:
    assert said_as == file_size(12_345_678, tag)


# ------------------------------------------------------------------------- whole letters

LOREM = "Lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et dolore. "


def full_draft() -> Draft:
    """One of everything a template says words about, with Latin for the feeds' part of it."""
    waiting = [
        entry(1, title="Lorem I", content=f"<p>{LOREM * 60}</p>", author="Ada Lovelace",
              enclosures=(Enclosure(url="https://gazette.example/1.mp3", media_type="audio/mpeg", length=12_345_678),)),
        *(entry(n, title=f"Lorem {n}", content=f"<p>{LOREM}</p>") for n in range(2, 6)),
        entry(6, GARDEN, title="Lorem I", url="https://gazette.example/posts/1"),
        entry(7, GARDEN, title="Lorem VII", content="<p>Lorem ipsum.</p>"),
    ]  # fmt: skip
    feeds = (FEEDS[0], FEEDS[1])
    rules = type(RULES)(name="daily", title="Lorem", language="la", per_feed=2)
    edited = [entry(90, title="Lorem XC")]
    draft = draft_of(waiting, rules=rules, feeds=feeds, edited=edited)
    assert {Disposition.shown, Disposition.headline, Disposition.duplicate} == {c.disposition for c in draft.consumed}
    return draft


@cache
def letter(tag: str, theme: str = "default") -> Rendering:
    return render_issue(full_draft(), MASTHEAD, Templates((), theme), token=TOKEN, language=tag)


def visible(rendering: Rendering) -> str:
    """Everything that people see or hear of a letter."""
    shape = Shape(rendering.html)
    spoken_too = [attrs.get(name, "") for _, attrs in shape.tags for name in ("aria-label", "alt", "title")]
    html = re.sub(r"<style.*?</style>", "", rendering.html, flags=re.DOTALL)
    return "\n".join((rendering.subject, Shape(html).words, *spoken_too, rendering.text, rendering.markdown))


def themes() -> list[str]:
    return ["default", *sorted(path.name for path in default_templates().iterdir() if path.is_dir())]


@pytest.mark.parametrize("theme", themes())
@pytest.mark.parametrize("tag", FOREIGN)
def test_a_letter_in_another_language_has_no_english_word_of_ours(tag: str, theme: str) -> None:
    text = visible(letter(tag, theme))
    for message in messages(tag):
        for english, own in zip(
            message.id if isinstance(message.id, list | tuple) else (message.id,), forms(message), strict=False
        ):
            for piece in (part.strip(" .:“”") for part in PLACEHOLDER.split(english)):
                # Some words are the same in both: "source" is French too.
                if len(piece) > 2 and not any(piece.lower() in form.lower() for form in (own, *forms(message))):
                    assert not re.search(rf"(?<![\w/.-]){re.escape(piece)}(?![\w/-])", text), piece


@pytest.mark.parametrize("tag", PROMISED)
def test_a_letter_says_what_it_has_to_say_in_each_language(tag: str) -> None:
    own, rendering = words_in(tag), letter(tag)
    html = Shape(rendering.html)

    for part in (html.words, rendering.text):
        for message in ("Unsubscribe", "Sent to:", "Attached:", "Also in:", "Updated since you got them"):
            assert own.one(message) in part, message
        assert own.one("No. %(number)s") % {"number": 12} in part
        assert own.many("%(n)s source", "%(n)s sources", 2) % {"n": 2} in part
    assert own.many("and %(num)s more", "and %(num)s more", 5) % {"num": 5} in fill_subject(
        rendering.subject, TOKEN, {}
    )


@pytest.mark.parametrize("tag", PROMISED)
def test_the_root_is_in_the_letter_s_language_and_the_entries_in_theirs(tag: str) -> None:
    tags = Shape(letter(tag).html).tags
    way = "rtl" if tag in ("ar", "he") else "ltr"
    cells = [attrs for name, attrs in tags if name == "td" and "lang" in attrs]

    assert (tag, way) == (tags[0][1]["lang"], tags[0][1]["dir"])
    assert [("la", "ltr")] * 2 == [(attrs["lang"], attrs["dir"]) for attrs in cells]
    articles = [attrs for _, attrs in tags if attrs.get("role") == "article"]
    assert [(tag, way)] == [(attrs["lang"], attrs["dir"]) for attrs in articles]


@pytest.mark.parametrize("tag", ["ar", "he"])
def test_a_letter_that_runs_right_to_left_stands_on_the_right(tag: str) -> None:
    html = letter(tag).html
    tables = [attrs for name, attrs in Shape(html).tags if name == "table" and "dir" in attrs]
    parts = [attrs for name, attrs in Shape(html).tags if name == "td" and attrs.get("align") in ("left", "right")]

    assert {"rtl"} == {attrs["dir"] for attrs in tables}
    assert {("right", None), ("left", "la")} == {(attrs["align"], attrs.get("lang")) for attrs in parts}
    assert "text-align:left" not in html.replace(" ", "")


@pytest.mark.parametrize("tag", ["ar", "he"])
def test_our_words_amid_an_entry_of_the_other_direction_keep_their_own(tag: str) -> None:
    """The Arabic "Attached:" under a Latin entry is one run from right to left, the file's name within it another."""
    tags = Shape(letter(tag).html).tags
    marked = [name for name, attrs in tags if name in ("a", "span") and attrs.get("lang") == tag]

    assert {"a", "span"} == set(marked)
    assert [] == [attrs for _, attrs in tags if attrs.get("lang") == tag and attrs.get("dir", "rtl") != "rtl"]


def test_a_title_amid_words_of_the_other_direction_is_isolated_in_both_parts() -> None:
    arabic, german = letter("ar"), letter("de")

    assert "تصلكم هذه الرسالة لاشتراككم في \u2068The Morning Wire\u2069." in arabic.text
    assert "<bdi>The Morning Wire</bdi>" in arabic.html
    assert "weil Sie The Morning Wire abonniert haben" in german.text
    assert not re.search("[\u2066-\u2069]", german.text + german.markdown + german.html)


def test_a_digest_in_a_language_without_words_is_called_english_but_its_entries_are_not() -> None:
    rendering = render_issue(full_draft(), MASTHEAD, Templates(), token=TOKEN, language="nl")
    dutch = type(MASTHEAD)(
        **{name: getattr(MASTHEAD, name) for name in MASTHEAD.__slots__} | {"language": "nl"},
    )
    own = Renderings(full_draft(), dutch, Templates(), token=TOKEN).for_nobody()

    assert ("en-GB", "en-GB") == (rendering.language, Shape(rendering.html).tags[0][1]["lang"])
    # The key is the digest's language as the store knows it; the words are what they are.
    assert ("nl", "en", "en") == (own.key, own.language, Shape(own.html).tags[0][1]["lang"])
    assert "Monday, March 2, 2026" in own.text
    assert ' lang="la"' in own.html


def test_an_entry_that_was_edited_is_not_said_to_be_in_the_reader_s_language() -> None:
    html = letter("ja").html

    assert '<bdi lang="en-GB" dir="ltr"><a href="https://gazette.example/posts/90"' in html


def test_the_words_of_an_imported_macro_change_with_the_reader(tmp_path: Path) -> None:
    """Jinja keeps an imported template's module: its words must not be those of whoever came first."""
    (tmp_path / "bits.j2").write_text(
        "{% macro bits(day) %}{{ _('Unsubscribe') }} {{ day|short_date }}{% endmacro %}", encoding="utf-8"
    )
    templates = project(
        tmp_path,
        issue_txt='{% from "bits.j2" import bits %}{{ bits(issue.date) }}',
        issue_html="",
        issue_md="{{ _('Unsubscribe') }}",
        subject_txt="x",
    )
    found = Renderings(draft_of([entry(1)]), MASTHEAD, templates, token=TOKEN)

    texts = [found.for_subscriber(reader(), language=tag).text.strip() for tag in ("de", "en-GB", "ja", "de")]

    expected = ["Abbestellen 02.03.2026", "Unsubscribe 2 Mar 2026", "配信停止 2026/03/02", "Abbestellen 02.03.2026"]
    assert expected == texts


def test_an_embedded_film_is_named_in_the_entry_s_language_as_far_as_there_are_words() -> None:
    film = '<p>x</p><iframe src="https://www.youtube.com/embed/abc12345678"></iframe>'
    tags = ("ru", "tlh", None)

    drafts = [
        draft_of([entry(1, content=film, language=tag)], rules=type(RULES)(name="d", title="D", language="fr"))
        for tag in tags
    ]

    expected = ["Видео: youtube.com", "Vidéo : youtube.com", "Vidéo : youtube.com"]
    assert expected == [re.findall(">([^<>]*youtube.com)<", d.sections[0].entries[0].content)[0] for d in drafts]


# ----------------------------------------------------------------------------- a real run


class _Site:
    """A feed in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        items = "".join(
            f"<item><title>Story {n}</title><link>https://site.example/{n}</link><guid>{n}</guid></item>"
            for n in range(1, 4)
        )
        path.write_text(
            f'<rss version="2.0"><channel><title>Site</title><link>https://site.example/</link>{items}</channel></rss>',
            encoding="utf-8",
        )


def test_fifty_people_in_three_languages_cost_as_much_inlining_as_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the feed to the frozen issue: one rendering, and one premailer run, for each language."""
    pages: list[str] = []

    class Counting(premailer.Premailer):  # type: ignore[misc] # it has no types
        def transform(self, *args: Any, **options: Any) -> Any:
            pages.append(self.html)
            return super().transform(*args, **options)

    monkeypatch.setattr(premailer, "Premailer", Counting)

    def freeze(number: int) -> tuple[int, int, dict[str, int]]:
        folder = tmp_path / str(number)
        folder.mkdir()
        sites = [_Site(folder / "site.xml")]
        people = [
            subscriber(f"p{n}@example.com", f"Person {n}", language=("en", "ar", "ja")[n % 3]) for n in range(number)
        ]
        parts = parts_for(folder, sites, clock=FakeClock(), ids=counting_ids(), people=people)
        pages.clear()
        with parts.store:
            publication = publication_for(sites)
            asyncio.run(pipeline.fetch(parts, publication.feeds))
            issue = pipeline.freeze(parts, publication, pipeline.build(parts, publication), slot="once")
            rows = parts.store.deliveries(issue.id)
            shared = {key: sum(row.rendering == key for row in rows) for key in {row.rendering for row in rows}}
            letters = [page for page in pages if "Story 1" in page]
            assert sorted(shared) == sorted(rendering.key for rendering in parts.store.renderings(issue.id))
            return len(letters), len(pages), shared

    few, all_few, _ = freeze(3)
    many, all_many, shared = freeze(50)

    assert {"en": 17, "ar": 17, "ja": 16} == shared
    assert (3, 3, all_few) == (few, many, all_many)
