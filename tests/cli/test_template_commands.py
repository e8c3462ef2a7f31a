"""Themes at the command line: which there are, how to change one, whether it works."""

from pathlib import Path

import pytest

from newsletter.issues.render import TEMPLATES, Templates, default_templates, render_issue
from newsletter.issues.trials import trials
from tests.cli.conftest import Done, call
from tests.issues.samples import MASTHEAD, NOW, TOKEN

CONFIG = """\
title: The Morning Wire
from: The Morning Wire <wire@example.com>
digests:
  daily: {theme: THEME}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "subscribers.yaml").write_text("- ada@example.com\n", encoding="utf-8")
    wear(tmp_path, "default")
    return tmp_path


def wear(project: Path, theme: str) -> None:
    (project / "newsletter.yaml").write_text(CONFIG.replace("THEME", theme), encoding="utf-8")


def template(project: Path, *words: str) -> Done:
    return call("template", *words, cwd=project)


def write(project: Path, name: str, text: str) -> None:
    path = project / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_the_list_shows_the_themes_their_files_and_which_are_the_projects(project: Path) -> None:
    wear(project, "compact")
    write(project, "compact/issue.html.j2", '{% extends "compact/issue.html.j2" %}')
    write(project, "mine/issue.txt.j2", "x")

    found = template(project, "list", "--json").data

    assert [(theme["name"], theme["digests"]) for theme in found] == [
        ("default", []),
        ("compact", ["daily"]),
        ("plain", []),
        ("mine", []),
    ]
    assert [file["file"] for file in found[0]["files"]] == list(TEMPLATES)
    own = [f["source"] for theme in found for f in theme["files"] if f["source"] != "built in"]
    assert own == ["templates/compact/issue.html.j2", "templates/mine/issue.txt.j2"]
    shown = template(project, "list").out
    assert "templates/mine/issue.txt.j2" in shown


@pytest.mark.parametrize("theme", ["default", "compact", "plain"])
@pytest.mark.parametrize("file", TEMPLATES)
def test_eject_writes_a_file_that_builds_on_the_built_in_one(project: Path, theme: str, file: str) -> None:
    wear(project, theme)
    done = template(project, "eject", theme, file)

    place = f"templates/{file}" if theme == "default" else f"templates/{theme}/{file}"
    assert (done.code, done.err.splitlines()[0]) == (0, f"wrote {place}")
    text = (project / place).read_text(encoding="utf-8")
    if file in ("archive.md.j2", "subject.txt.j2"):
        assert text == (default_templates() / file).read_text(encoding="utf-8")
    else:
        assert text.startswith(f'{{% extends "{theme}/{file}" %}}\n')
        assert "\n      entry\n" in text


@pytest.mark.parametrize("theme", ["default", "compact", "plain"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_ejected_file_changes_nothing_until_it_is_edited(project: Path, theme: str, whole: bool) -> None:
    for file in TEMPLATES:
        assert template(project, "eject", theme, file, *["--whole"] * whole).code == 0

    draft = next(trials(MASTHEAD, (), now=NOW)).draft
    built_in, ejected = (
        render_issue(draft, MASTHEAD, Templates(folders, theme=theme), token=TOKEN)
        for folders in ((), (project / "templates",))
    )
    assert built_in == ejected


def test_eject_copies_all_of_a_file_if_asked(project: Path) -> None:
    assert template(project, "eject", "plain", "--whole").code == 0

    copied = (project / "templates" / "plain" / "issue.html.j2").read_text(encoding="utf-8")
    assert copied == (default_templates() / "plain" / "issue.html.j2").read_text(encoding="utf-8")


def test_eject_writes_over_nothing(project: Path) -> None:
    write(project, "issue.html.j2", "mine")

    done = template(project, "eject")

    assert (done.code, done.err) == (
        2,
        "error: templates/issue.html.j2 is there already\nhint: edit it, or move it out of the way first\n",
    )
    assert (project / "templates" / "issue.html.j2").read_text(encoding="utf-8") == "mine"


def test_eject_follows_no_link_out_of_the_project(project: Path) -> None:
    (project / "templates").mkdir()
    (project / "templates" / "issue.html.j2").symlink_to(project / "elsewhere")

    assert template(project, "eject").code == 2
    assert not (project / "elsewhere").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["eject", "dark"], "'dark' is no built-in theme\nhint: one of default, compact, plain"),
        (["eject", "../x"], "'../x' is no built-in theme"),
        (["eject", "plain", "../../x"], "'../../x' is no file of a theme\nhint: one of issue.html.j2, "),
        (["check", "dark"], "there is no theme 'dark'\nhint: one of default, compact, plain"),
    ],
)
def test_what_is_not_there_is_named(project: Path, words: list[str], message: str) -> None:
    done = template(project, *words)

    assert done.code == 2
    assert done.err.startswith(f"error: {message}")


def test_a_theme_that_is_not_there_is_a_mistake_in_the_config(project: Path) -> None:
    wear(project, "compct")
    assert "digests.daily.theme: there is no theme compct: did you mean compact?" in template(project, "list").err
    wear(project, "mine")
    assert "there is no theme mine: there are default, compact, plain" in template(project, "list").err
    write(project, "mine/issue.txt.j2", "x")
    assert template(project, "list").code == 0


def test_the_built_in_themes_pass_their_trials(project: Path) -> None:
    done = template(project, "check", "plain", "--json")

    assert done.code == 0, done.out
    assert {("ok", "plain", "")} == {(tried["level"], tried["theme"], tried["text"]) for tried in done.data}
    assert len(done.data) >= 30


def test_a_broken_template_is_named_with_file_and_line(project: Path) -> None:
    write(project, "mine/issue.html.j2", '{% extends "compact/issue.html.j2" %}\n{% block footer %}\n{{ oops }}\n')

    done = template(project, "check", "mine", "--only", "everything")

    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].startswith("error    mine: everything: templates/mine/issue.html.j2:")
    assert all(line.startswith("error ") for line in lines)


def test_a_template_that_only_fails_on_odd_entries_is_found(project: Path) -> None:
    write(
        project,
        "mine/issue.txt.j2",
        '{% extends "default/issue.txt.j2" %}\n{% block meta scoped %}\n{{ entry.published.year }}\n{% endblock %}',
    )

    assert template(project, "check", "mine", "--only", "one entry").code == 0
    done = template(project, "check", "mine", "--only", "no date", "--json")
    assert done.code == 1
    assert [("no date", "error")] == [(tried["trial"], tried["level"]) for tried in done.data]
    assert done.data[0]["text"].startswith("templates/mine/issue.txt.j2:3: ")


def test_a_letter_that_nobody_could_leave_is_an_error(project: Path) -> None:
    write(project, "mine/issue.txt.j2", '{% extends "default/issue.txt.j2" %}{% block footer %}{% endblock %}')

    done = template(project, "check", "mine", "--only", "one entry")

    assert done.code == 1
    assert "mine: one entry: templates/issue.txt.j2: it has no unsubscribe_url: nobody could leave" in done.out


def test_a_letter_without_its_entries_is_a_warning(project: Path) -> None:
    write(project, "mine/issue.txt.j2", '{% extends "default/issue.txt.j2" %}{% block section %}{% endblock %}')

    done = template(project, "check", "mine", "--only", "one entry")

    assert done.code == 0
    assert "warning  mine: one entry: templates/issue.txt.j2: 'Story number 1' is not in it" in done.out
