"""As few renderings as the templates allow, and each person gets the right one."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import TemplateError
from newsletter.issues.merge import LogicOnSubscriber, fill, fill_subject, merge_values
from newsletter.issues.render import Renderings, Templates, render_issue
from newsletter.model import Subscriber
from tests.issues.samples import MASTHEAD, TOKEN, draft_of, entry, project, reader

DRAFT = draft_of([entry(1), entry(2)])
ADDRESSES = {
    "unsubscribe_url": "https://wire.example.com/u",
    "preferences_url": "https://wire.example.com/p",
    "view_url": "https://wire.example.com/v",
}


def renderings(folder: Path, text: str, **files: str) -> Renderings:
    files = {"issue_html": "", "issue_md": "", **files}
    return Renderings(DRAFT, MASTHEAD, project(folder, issue_txt=text, **files), token=TOKEN)


def text_for(found: Renderings, person: Subscriber) -> str:
    rendering = found.for_subscriber(person)
    return fill(rendering.text, TOKEN, merge_values(rendering.fields, person) | ADDRESSES)


def test_the_default_templates_render_once_for_everybody() -> None:
    found = Renderings(DRAFT, MASTHEAD, Templates(), token=TOKEN)

    ada, grace = found.for_subscriber(reader()), found.for_subscriber(reader("Grace", "grace@example.com"))

    assert ada is grace is found.for_nobody()
    assert ["en-GB"] == [rendering.key for rendering in found]
    assert not found.is_personal


def test_each_language_renders_once() -> None:
    found = Renderings(DRAFT, MASTHEAD, Templates(), token=TOKEN)

    keys = {
        found.for_subscriber(reader(), language=language).key for language in ("de", None, "EN-gb", "nonsense!", "de")
    }

    assert {"de", "en-GB"} == keys == {rendering.key for rendering in found}


LOGIC = [
    ("{% if subscriber.name %}Hello{% endif %}", "Hello", ""),
    ("{{ subscriber.name or 'friend' }}", "Ada", "friend"),
    ("{{ subscriber.name|default('friend', true) }}", "Ada", "friend"),
    ("{{ subscriber.name if subscriber.name != 'Ada' else 'you' }}", "you", ""),
    ("{{ subscriber.name|upper }}", "ADA", ""),
    ("{{ subscriber.name|length }}", "3", "0"),
    ("{{ subscriber.name[0:1] }}", "A", ""),
    ("{{ subscriber.name.split()|first|default('nobody', true) }}", "Ada", "nobody"),
    ("{{ subscriber.name ~ '!' if ('x' ~ subscriber.name) == 'xAda' else '?' }}", "Ada!", "?"),
    ("{% set n = 'Dear ' ~ subscriber.name %}{% if n == 'Dear Ada' %}yes{% else %}no{% endif %}", "yes", "no"),
    ("{% set n %}Dear {{ subscriber.name }}{% endset %}{% if n == 'Dear Ada' %}yes{% else %}no{% endif %}", "yes", "no"),
    ("{% set n %}Dear {{ subscriber.name }}{% endset %}{{ n }}{{ n|length }}", "Dear Ada8", "Dear 5"),
    ("{% set n | upper %}Dear {{ subscriber.name }}{% endset %}{{ n }}", "DEAR ADA", "DEAR "),
    ("{% macro m() %}<{{ subscriber.name }}>{% endmacro %}{{ m() }}{{ m()|length }}", "<Ada>5", "<>2"),
    ("{% macro m() %}<{{ subscriber.name }}>{% endmacro %}{% if m() == '<Ada>' %}yes{% else %}no{% endif %}", "yes", "no"),
    ("{% filter upper %}Dear {{ subscriber.name }}{% endfilter %}", "DEAR ADA", "DEAR "),
    ("{% block b %}{{ subscriber.name }}{% endblock %}{% if self.b() == 'Ada' %}!{% endif %}", "Ada!", ""),
    ("{% for c in subscriber.name %}{{ c }}.{% endfor %}", "A.d.a.", ""),
    ("{{ 'Hi %s' % subscriber.name }}", "Hi Ada", "Hi "),
    ("{{ 'Hi {}'.format(subscriber.name) }}", "Hi Ada", "Hi "),
    ("{{ ['x', subscriber.name]|join('-') }}", "x-Ada", "x-"),
    ("{{ {'Ada': 'Countess'}[subscriber.name]|default('reader') }}", "Countess", "reader"),
    ("{{ subscriber.name is string }}{{ subscriber.name is defined }}", "TrueTrue", "TrueTrue"),
    ("{{ 'Ad' in subscriber.name }}", "True", "False"),
    ("{{ subscriber.name < 'B' }}", "True", "True"),
    ("{{ subscriber.attributes|length }}", "1", "0"),
    ("{% for k, v in subscriber.attributes.items() %}{{ k }}={{ v }};{% endfor %}", "city=Rome;", ""),
    ("{{ 'city' in subscriber.attributes }}", "True", "False"),
    ("{{ subscriber.attributes.get('city', 'nowhere') }}", "Rome", "nowhere"),
    ("{{ subscriber.name|e }}{{ subscriber.name|safe }}", "AdaAda", ""),
    ("{% set ns = namespace(n='') %}{% set ns.n %}{{ subscriber.name }}{% endset %}{{ ns.n|lower }}", "ada", ""),
]  # fmt: skip


@pytest.mark.parametrize(("template", "for_ada", "for_none"), LOGIC)
def test_a_template_that_decides_on_the_reader_decides_right(
    tmp_path: Path, template: str, for_ada: str, for_none: str
) -> None:
    found = renderings(tmp_path, template)
    ada, nobody = reader("Ada", city="Rome"), reader("", "x@example.com")

    assert [for_ada, for_none, for_ada] == [text_for(found, person) for person in (ada, nobody, ada)]
    if for_ada != for_none:
        with pytest.raises(LogicOnSubscriber):
            found.for_everybody()
        assert found.is_personal


def test_two_people_with_the_same_answers_share_a_rendering(tmp_path: Path) -> None:
    found = renderings(
        tmp_path,
        "Hello {{ subscriber.name or 'friend' }}{% if subscriber.attributes.city == 'Rome' %}, ciao{% endif %}",
    )
    people = [reader(name, f"{n}@example.com", city=city) for n, (name, city) in enumerate(
        [("Ada", "Rome"), ("Grace", "Rome"), ("", "Oslo"), ("Alan", "Oslo"), ("Edith", ""), ("", "Rome")] * 20)]  # fmt: skip

    texts = [text_for(found, person) for person in people]

    assert [
        "Hello Ada, ciao",
        "Hello Grace, ciao",
        "Hello friend",
        "Hello Alan",
        "Hello Edith",
        "Hello friend, ciao",
    ] * 20 == texts
    assert 4 == len([rendering for rendering in found if rendering.key.startswith("en-GB:")])
    # And one for nobody in particular, for the web.
    assert ["Hello friend"] == [rendering.text for rendering in found if rendering.key == "en-GB"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "Ada", "Grace", "<b>"]), st.sampled_from(["", "Rome", "Oslo"])), max_size=12
    )
)
@settings(max_examples=40)
def test_whoever_was_rendered_before_each_person_gets_their_own_letter(
    tmp_path_factory: pytest.TempPathFactory, people: list[tuple[str, str]]
) -> None:
    template = """{% if subscriber.name %}{{ subscriber.name|upper if subscriber.attributes.city == "Rome" else subscriber.name }}
{%- else %}{% for c in subscriber.attributes.city %}{{ c }}{% endfor %}{% endif %} {{ subscriber.attributes.city or "-" }}"""
    found = renderings(tmp_path_factory.mktemp("p"), template)

    for name, city in people:
        expected = (name.upper() if city == "Rome" else name) if name else city
        assert f"{expected} {city or '-'}" == text_for(found, reader(name, city=city))


def test_what_inlining_takes_apart_is_rendered_for_each_person(tmp_path: Path) -> None:
    html = '<html><head><style>p {margin: 0}</style></head><body><p style="color: {{ subscriber.attributes.colour }}">x {{ unsubscribe_url }}</p></body></html>'
    found = renderings(tmp_path, "", issue_html=html)

    blue = found.for_subscriber(reader(colour="blue"))
    red = found.for_subscriber(reader(colour="red"))

    assert "color:blue" in fill(blue.html, TOKEN, ADDRESSES).replace(" ", "")
    assert "color:red" in fill(red.html, TOKEN, ADDRESSES).replace(" ", "")
    assert ADDRESSES["unsubscribe_url"] in fill(red.html, TOKEN, ADDRESSES)


def test_an_address_made_for_one_person_can_be_printed_and_tested_for_and_nothing_else(tmp_path: Path) -> None:
    for number, template in enumerate(
        ("{{ unsubscribe_url|upper }}", "{{ view_url|length }}", "{% if view_url == 'x' %}{% endif %}")
    ):
        found = renderings(tmp_path / str(number), template)
        with pytest.raises(TemplateError, match=r"templates/issue.txt.j2:1: .*_url can be printed and tested"):
            found.for_subscriber(reader())


def test_a_list_of_issues_shows_the_subject_without_anybodys_name(tmp_path: Path) -> None:
    found = renderings(
        tmp_path, "", subject_txt="{{ subscriber.name }}{% if subscriber.name %}: {% endif %}{{ entries[0].title }}"
    )

    assert "Title number 1" == found.subject
    assert "en-GB" == found.for_nobody().key
    ada = found.for_subscriber(reader("Ada"))
    assert "Ada: Title number 1" == fill_subject(ada.subject, TOKEN, {"subscriber.name": "Ada"})


def test_the_same_issue_renders_to_the_same_bytes() -> None:
    assert render_issue(DRAFT, MASTHEAD, Templates(), token=TOKEN) == render_issue(
        DRAFT, MASTHEAD, Templates(), token=TOKEN
    )


def test_chance_has_no_place_in_a_template(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"issue.txt.j2:1: No filter named 'random'"):
        renderings(tmp_path, "{{ entries|random }}").for_everybody()
