"""Templates that are wrong, hostile, overridden or elsewhere."""

from pathlib import Path

import pytest

from newsletter.errors import TemplateError
from newsletter.issues.render import TEMPLATES, Masthead, Templates, default_templates, render_issue
from newsletter.model import Rendering
from tests.issues.samples import MASTHEAD, TOKEN, draft_of, entry, project

DRAFT = draft_of([entry(1, title="A <b> title & more"), entry(2)])


def render(templates: Templates, masthead: Masthead = MASTHEAD) -> Rendering:
    return render_issue(DRAFT, masthead, templates, token=TOKEN)


def failure(folder: Path, **files: str) -> str:
    with pytest.raises(TemplateError) as caught:
        render(project(folder, **{"issue_html": "", **files}))
    return str(caught.value)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a\nb\n{% if x %}", "3: Unexpected end of template"),
        ("a\n\n{{ 1 + }}", "3: unexpected 'end of print statement'"),
        ("a\n{{ nothing }}", "2: 'nothing' is undefined"),
        ("{% for e in entries %}\n\n{{ e.titel }}\n{% endfor %}", "3: entry has no 'titel'; did you mean 'title'?"),
        ("{{ issue.numbr }}", "1: issue has no 'numbr'; did you mean 'number'?"),
        ("\n{{ subscriber.nickname }}", "2: subscriber has no 'nickname'; did you mean 'name'?"),
        ("\n{{ subscriber }}", "2: subscriber itself cannot be printed: use subscriber.name or subscriber.email"),
        ("\n{{ 1 / 0 }}", "2: division by zero"),
        ("\n{{ entries|nonsense }}", "2: No filter named 'nonsense'."),
        ("\n{{ issue.date|date('x', 'y') }}", "2: "),
        ("{{ ''.__class__ }}", "1: "),
        ("{{ ''|attr('__class__') }}", "1: "),
        ("{{ entries|map(attribute='__class__')|first }}", "1: "),
        ("{{ subscriber._reader }}", "1: "),
        ("{{ subscriber.name._reader }}", "1: "),
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "1: "),
        ("{{ '{0.__class__.__mro__}'.format(1) }}", "1: "),
        ("{{ self.__init__.__globals__ }}", "1: "),
        ("{{ entries[0].title.format.__self__ }}", "1: "),
        ("{{ cycler.__init__.__globals__.os }}", "1: "),
        ("{% set x = [] %}\n{{ x.append(1) }}", "2: "),
        ("{% include 'gone.j2' %}", "1: there is no template 'gone.j2'"),
        ("{% include '../../../etc/passwd' %}", "1: there is no template '../../../etc/passwd'"),
        ("\n{% include 'issue.txt.j2' %}", "2: it includes or calls itself without end"),
        ("{% macro m() %}\n{{ m() }}{% endmacro %}{{ m() }}", "2: it includes or calls itself without end"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, template: str, message: str) -> None:
    assert failure(tmp_path, issue_txt=template).startswith(f"templates/issue.txt.j2:{message}")


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ 'x' * 100 }}{% endfor %}",
        "{% set ns = namespace(x='x') %}{% for a in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=2) %}{% for a in range(60) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
        "{{ 'x' * 10 ** 12 }}",
        "{{ [0] * 999999999 }}",
        "{{ 9 ** 999 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '%999999999d'|format(1) }}",
        "{{ 'x'.ljust(999999999) }}",
        "{{ issue.date.strftime('%999999999d') }}",
        "{{ 'x'|center(999999999) }}",
        "{{ [1]|batch(999999999, 'x')|list }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    ],
)
def test_endless_work_ends_with_its_place_named(tmp_path: Path, template: str) -> None:
    assert failure(tmp_path, issue_txt=template).startswith("templates/issue.txt.j2:1: ")


def test_a_mistake_in_an_included_file_is_named_there(tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_text("ok\n{{ oops }}\n")

    assert "templates/part.j2:2: 'oops' is undefined" == failure(tmp_path, issue_txt="{% include 'part.j2' %}")


def test_a_template_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "issue.md.j2").write_bytes(b"\xff\xfe\x00bad")

    assert "templates/issue.md.j2: it is not UTF-8 text" == failure(tmp_path)


def test_a_mistake_in_the_projects_subject_is_named_as_such() -> None:
    from dataclasses import replace

    with pytest.raises(TemplateError, match=r"^subject:1: entry has no 'titl'; did you mean 'title'"):
        render(Templates(), replace(MASTHEAD, subject="{{ entries[0].titl }}"))
    assert "News 12" == render(Templates(), replace(MASTHEAD, subject="News {{ issue.number }}\n")).subject


def test_a_style_sheet_from_the_network_is_not_loaded(tmp_path: Path) -> None:
    html = '<html><head><link rel="stylesheet" href="https://x.example/a.css"></head><body><style>@import url(https://x.example/b.css); p {color: red}</style><p>a</p></body></html>'

    rendering = render(project(tmp_path, issue_html=html))

    assert '<p style="color:red">a</p>' in rendering.html


def test_a_project_overrides_one_block_and_keeps_the_rest(tmp_path: Path) -> None:
    override = '{% extends "default/issue.html.j2" %}{% block footer %}<p>Bye {{ subscriber.name }}</p>{{ super() }}{% endblock %}'

    rendering = render(project(tmp_path, issue_html=override))

    assert "Bye" in rendering.html
    assert "Unsubscribe" in rendering.html
    assert "subscriber.name" in rendering.fields


def test_an_override_that_fails_within_the_packaged_template_names_the_projects_line(tmp_path: Path) -> None:
    override = '{% extends "default/issue.html.j2" %}\n{% block footer %}\n{{ oops }}{% endblock %}'

    assert "templates/issue.html.j2:3: 'oops' is undefined" == failure(tmp_path, issue_html=override)


def test_a_theme_is_a_folder_and_what_it_lacks_comes_from_the_default(tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "issue.txt.j2").write_text("bare {{ issue.number }}")

    rendering = render(Templates([tmp_path], theme="bare"))

    assert "bare 12" == rendering.text
    assert "Title number 2" in rendering.html
    with pytest.raises(TemplateError, match="a theme is named by letters"):
        Templates([tmp_path], theme="../bare")
    with pytest.raises(TemplateError, match=r"templates/none: there is no theme 'none'"):
        Templates([tmp_path], theme="none")


def test_the_packaged_templates_are_all_there() -> None:
    assert set(TEMPLATES) <= {path.name for path in default_templates().iterdir()}


def test_titles_are_escaped_in_html_without_the_template_doing_anything(tmp_path: Path) -> None:
    rendering = render(project(tmp_path, issue_html="<p>{{ entries[0].title }}</p>"))

    assert "<p>A &lt;b&gt; title &amp; more</p>" in rendering.html
