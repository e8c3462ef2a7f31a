"""Past issues made again, byte for byte: `issue rebuild`, and `preview --as-of`."""

import re
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from newsletter.app import App
from newsletter.app.exports import in_form
from newsletter.app.rebuild import rebuild
from tests.cli.conftest import Wire, a_wire

PEOPLE = "- {email: zoe@example.com, name: Zoe, language: de}\n- bob@example.com\n"
#: Everything that may go into a letter: caps, filters, an edit, a note, a theme, a template of the project's own.
MORE = """\
edits: mention
digests:
  daily: {theme: compact, max_entries: 3, per_feed: 2, group_by: none, sort: oldest}
"""


def edited(wire: Wire, path: str, old: str, new: str) -> None:
    status, body = wire.web.pages[path]
    wire.web.pages[path] = (status, body.replace(old.encode(), new.encode()))


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """Three issues of two feeds that change their names, and whose entries were edited again and again."""
    with a_wire(tmp_path_factory.mktemp("sent")) as wire:
        feeds = [
            wire.web.feed("/a", "One", "Two", "Three"),
            wire.web.feed("/b", "Four", "Five", link="https://b.example"),
        ]
        wire.configure(*feeds, people=PEOPLE, more=MORE)
        config = wire.folder / "newsletter.yaml"
        private = "    allow_private: true\n"
        config.write_text(config.read_text().replace(private, f"{private}    exclude: [Two]\n"))
        (wire.folder / "templates" / "compact").mkdir(parents=True)
        own = (
            '{% extends "compact/issue.txt.j2" %}{% block masthead %}{% include "mine.j2" %}{{ super() }}{% endblock %}'
        )
        (wire.folder / "templates" / "compact" / "issue.txt.j2").write_text(own)
        (wire.folder / "templates" / "mine.j2").write_text("mine\n")
        for number in (1, 2, 3):
            done = wire("send", "-y", "--note", f"Note *{number}*")
            assert 0 == done.code, done.err
            wire.web.feed("/a", "One", "Two", "Three", f"New {number}")
            wire.web.feed("/b", "Four", "Five", f"Other {number}", link="https://b.example")
            edited(wire, "/a", "About One.", f"About One, edit {number}.")
            edited(wire, "/b", "<title>News", f"<title>News {number}")
        yield wire


@pytest.fixture
def past(sent: Wire, tmp_path: Path) -> Wire:
    """The same project in a folder of the test's own."""
    shutil.copytree(sent.folder, tmp_path / "wire")
    return Wire(tmp_path / "wire", sent.web, sent.mail)


def test_every_past_issue_comes_out_the_same_whatever_has_changed_since(past: Wire) -> None:
    wire = past
    (wire.folder / "templates" / "mine.j2").write_text("changed\n")
    (wire.folder / "templates" / "compact" / "issue.md.j2").write_text("nothing")
    wire.configure(wire.web.url + "/a", people="[]\n", more="language: fr\n")
    assert 0 == wire("fetch").code

    for number in (1, 2, 3):
        done = wire("issue", "rebuild", str(number), "--json")

        assert 0 == done.code, done.err
        assert done.data["same"]
        assert ["de", "en"] == [one["key"] for one in done.data["renderings"]]
    changes = {one["what"]: (one["then"], one["now"]) for one in done.data["changes"]}
    assert ("en", "fr") == changes["rules.language"]
    assert ("compact", "default") == changes["theme"]
    assert (3, None) == changes["rules.max_entries"]
    assert changes.keys() >= {"templates/mine.j2", "templates/issue.txt.j2", f"feeds.{wire.web.url}/b"}
    assert [] == [place for place in changes if "prefix" in place or place == "masthead.generator"]


def test_the_message_that_was_sent_is_in_what_is_made_again(past: Wire) -> None:
    app = App.open(past.folder)
    try:
        for issue in app.store.issues():
            for one in rebuild(app, issue).renderings:
                assert in_form(app, issue, one.frozen, "eml") == in_form(app, issue, one.rebuilt, "eml")
                assert "mine\n" in one.rebuilt.text
    finally:
        app.close()


def test_with_the_templates_of_now_it_says_where_they_differ(past: Wire) -> None:
    (past.folder / "templates" / "mine.j2").write_text("ours\n")

    done = past("issue", "rebuild", "2", "--now")

    assert 1 == done.code
    assert "-mine\n+ours\n" in done.out
    assert "-News 1\n+News 2\n" in done.out, "a feed has another name by now"
    assert "they differ" in done.err
    assert "since then: templates/mine.j2 has changed" in done.err
    assert 0 == past("issue", "rebuild", "2").code


def test_another_selection_is_named(past: Wire) -> None:
    config = past.folder / "newsletter.yaml"
    config.write_text(config.read_text().replace("[Two]", "[Three]"))

    done = past("issue", "rebuild", "1", "--now")

    assert 1 == done.code
    assert (
        "Three: headline (over max_entries: 3 of the digest) then, excluded (excluded by the rule Three) now"
        in done.out
    )
    assert re.search(r"^Two: excluded \(.*\) then, (shown|headline)", done.out, re.MULTILINE)


def test_an_issue_may_be_named_by_a_time(past: Wire) -> None:
    rows = past("issue", "list", "--json").data
    moment = datetime.fromisoformat(rows[1]["frozen_at"])

    assert 2 == past("issue", "rebuild", "--as-of", moment.isoformat(), "--json").data["issue"]
    before = (moment - timedelta(microseconds=1)).isoformat()
    assert 1 == past("issue", "rebuild", "--as-of", before, "--json").data["issue"]
    for words in (("--as-of", "2001-01-01"), (), ("1", "--as-of", "2001-01-01"), ("9",)):
        assert 2 == past("issue", "rebuild", *words).code, words


def test_what_is_made_again_is_written_as_files(past: Wire) -> None:
    done = past("issue", "rebuild", "1", "--out", "again")
    past("issue", "export", "1", "--format", "html", "--out", "frozen")

    assert 0 == done.code
    assert (past.folder / "frozen" / "daily-1.html").read_bytes() == (
        past.folder / "again" / "daily-1.en.html"
    ).read_bytes()
    assert 8 == len(list((past.folder / "again").iterdir()))


def test_an_issue_of_an_older_version_is_made_with_what_there_is(past: Wire) -> None:
    app = App.open(past.folder)
    with app.store._database.write() as connection:
        connection.execute(sa.text("DELETE FROM recipes"))
    app.close()

    done = past("issue", "rebuild", "3")

    assert 0 == done.code
    assert "did not keep what an issue is made from" in done.err


def test_the_preview_as_of_a_time_shows_what_went_out_then(past: Wire) -> None:
    """A second before issue 2, entries that were edited since read as they did."""
    rows = past("issue", "list", "--json").data
    moment = datetime.fromisoformat(rows[1]["frozen_at"]) - timedelta(milliseconds=1)

    done = past(
        "preview", "--no-fetch", "--out", "then", "--as", "bob@example.com", "--note", "Note *2*",
        "--as-of", moment.isoformat(),
    )  # fmt: skip

    past("issue", "export", "2", "--format", "text", "--out", "frozen")
    assert 0 == done.code, done.err
    frozen = (past.folder / "frozen" / "daily-2.txt").read_text().replace("reader@", "bob@").splitlines()
    then = (past.folder / "then" / "issue.txt").read_text().splitlines()
    personal = ("mailto:", "Unsubscribe")
    assert [x for x in frozen if not x.startswith(personal)] == [x for x in then if not x.startswith(personal)]
    assert "## Updated since you got them" in then


def test_no_secret_of_a_feed_is_kept_with_an_issue(past: Wire) -> None:
    app = App.open(past.folder)
    recipe = app.store.recipe(app.store.issues()[0].id)
    app.close()

    assert recipe is not None
    assert "exclude" in recipe.made["feeds"][0]
    assert [] == [key for feed in recipe.made["feeds"] for key in feed if key == "headers"]


# -------------------------------------------------------------------- template check --diff


def test_without_a_change_a_template_changes_nothing(past: Wire) -> None:
    done = past("template", "check", "--diff", "9")

    assert 0 == done.code
    assert "" == done.out
    assert "6 renderings compared, 0 would change" in done.err


def test_a_change_of_a_template_is_shown_in_the_last_issues(past: Wire) -> None:
    """Settings and feeds' names have changed, too; only the template's change is told."""
    (past.folder / "templates" / "mine.j2").write_text("ours\nfor you\n")
    config = past.folder / "newsletter.yaml"
    config.write_text(config.read_text().replace("max_entries: 3", "max_entries: 30"))

    done = past("template", "check", "--diff", "2")

    hunk = "@@ -1,3 +1,4 @@\n-mine\n+ours\n+for you\n # The Morning Wire\n \n"
    files = [f"{number}.{language}.text" for number in (3, 2) for language in ("de", "en")]
    assert "".join(f"--- frozen/daily-{name}\n+++ now/daily-{name}\n{hunk}" for name in files) == done.out
    assert "daily-3.de in compact: text +2 −1 lines\n" in done.err
    assert 0 == done.code


def test_findings_that_a_change_brings_and_takes_are_told(past: Wire) -> None:
    html = '{% extends "compact/issue.html.j2" %}{% block masthead %}<img src="https://x.example/i.png">{% endblock %}'
    (past.folder / "templates" / "compact" / "issue.html.j2").write_text(html)

    done = past("template", "check", "--diff", "1", "--json")

    one = done.data[0]
    assert 1 == done.code, "a new error"
    assert ("error", "a picture without alt") in [(found["level"], found["what"]) for found in one["new"]]
    assert "opening the letter calls no host" in [found["what"] for found in one["gone"]]
    assert ["html"] == [part["part"] for part in one["parts"]]
    assert one["html_then"] > one["html_now"]
    assert done.data[0].keys() >= {"digest", "number", "key", "theme"}


def test_a_template_that_fails_on_a_past_issue_is_named(past: Wire) -> None:
    (past.folder / "templates" / "mine.j2").write_text("{{ nonsense.x }}")

    done = past("template", "check", "--diff", "1")

    assert 1 == done.code
    assert "error    daily-3.en: templates/mine.j2:1" in done.out


def test_another_theme_is_tried_on_the_last_issues(past: Wire) -> None:
    done = past("template", "check", "plain", "--diff", "1", "--json")

    assert {"plain"} == {one["theme"] for one in done.data}
    assert all(one["parts"] for one in done.data)
    assert 2 == past("template", "check", "plaim", "--diff", "1").code
    assert 2 == past("template", "check", "--out", "x").code


def test_both_versions_are_written_side_by_side(past: Wire) -> None:
    (past.folder / "templates" / "mine.j2").write_text("<b>ours</b>\n")

    assert 0 == past("template", "check", "--diff", "1", "--out", "pair").code

    folder = past.folder / "pair"
    assert {"index.html", "daily-3.en.html", "daily-3.en.then.html", "daily-3.en.now.html"} <= {
        path.name for path in folder.iterdir()
    }
    page = (folder / "daily-3.en.html").read_text()
    assert 2 == page.count('<iframe sandbox=""')
    assert "<ins>+&lt;b&gt;ours&lt;/b&gt;</ins>" in page
    assert 'href="daily-3.en.html"' in (folder / "index.html").read_text()


def test_before_the_first_issue_there_is_nothing_to_compare(wire: Wire) -> None:
    wire.configure()

    done = wire("template", "check", "--diff", "3")

    assert 2 == done.code
    assert "there is no issue yet" in done.err
