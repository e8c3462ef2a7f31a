"""The editor's desk: it shows what would leave, says why, and changes nothing."""

import email
import hashlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from newsletter.app.desk import EditorsDesk
from newsletter.errors import UsageError
from newsletter.preview.answers import LetterView
from newsletter.preview.choice import Choice, read_choice
from tests.cli.conftest import Wire


@contextmanager
def desk(wire: Wire, **given: Any) -> Iterator[EditorsDesk]:
    opened = EditorsDesk(wire.folder, **given)
    try:
        yield opened
    finally:
        opened.close()


def shown(wire: Wire, **choice: Any) -> LetterView:
    with desk(wire) as opened:
        return opened.letter(read_choice({"digest": "daily", **choice}))


def state(folder: Path) -> dict[str, object]:
    """All that a project keeps: every file but the database byte by byte, the database row by row."""
    found: dict[str, object] = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != ".newsletter"
    }
    database = folder / ".newsletter" / "newsletter.db"
    if database.exists():
        with closing(sqlite3.connect(database)) as connection:
            tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                found[table] = sorted(map(repr, connection.execute(f"SELECT * FROM {table}")))
    return found


def fates(view: LetterView) -> dict[str, str]:
    return {row.title: row.fate for row in view.entries}


def parts(raw: bytes) -> dict[str, str]:
    """A message's leaves, decoded."""
    return {
        part.get_content_type(): part.get_payload(decode=True).decode().replace("\r\n", "\n")  # type: ignore[union-attr]
        for part in email.message_from_bytes(raw).walk()
        if not part.is_multipart()
    }


def test_what_is_shown_is_what_is_sent(wire: Wire) -> None:
    people = "- email: ada@example.com\n  name: Ada\n  language: de\n- {email: grace@example.com, format: text}\n"
    wire.configure(wire.web.feed("/rss", "First"), people=people)
    wire("send", "-y")
    wire.web.feed("/rss", "Third", "Second", "First")

    views = {address: shown(wire, **{"as": address}) for address in ("ada@example.com", "grace@example.com")}
    wire("send", "-y")

    for caught in wire.mail.caught[2:]:
        view = views[caught.recipients[0]]
        sent = parts(caught.path.read_bytes())
        assert view.problem is None
        # The two were built a moment apart, and the HTML part says when to the microsecond.
        html = [re.sub(r'(datetime=")[^"]*', r"\1", page) for page in (sent.get("text/html", ""), view.html)]
        assert (sent["text/plain"], html[0]) == (view.text, html[1])
        assert email.message_from_bytes(caught.path.read_bytes())["List-Unsubscribe"] in {h.raw for h in view.headers}
    assert {"html", ""} == {"html" if view.html else "" for view in views.values()}
    assert "Abbestellen" in views["ada@example.com"].text


def test_looking_changes_nothing(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    wire("send", "-y")
    wire.web.feed("/rss", "Second", "First")
    before = state(wire.folder)

    with desk(wire) as opened:
        for choice in ({}, {"issue": 1}, {"language": "he"}, {"format": "text"}, {"as_of": "2020-01-01T00:00:00Z"}):
            opened.letter(read_choice(choice))
            opened.findings(read_choice({}))
        opened.project()
        opened.status()
        opened.people("ada", "daily")
        opened.fetch()
        opened.test(Choice(), "ada@example.com")
        opened.reload()

    assert before == state(wire.folder)
    assert 2 == len(wire.mail.caught)


def test_a_project_without_a_memory_gets_none_by_looking(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))

    with desk(wire) as opened:
        view = opened.letter(opened.start)
        opened.project()
        opened.status()

    assert {"First": "shown"} == fates(view)
    assert not (wire.folder / ".newsletter").exists()


def test_every_entry_says_why_it_is_in_or_out(wire: Wire) -> None:
    url = wire.web.feed("/rss", "In", "A sponsored one", "Over the cap")
    other = wire.web.feed("/other", "In", "Older", "Oldest", "Too old for the first run")
    wire.configure(url, other, more="edits: mention\n")
    config = (wire.folder / "newsletter.yaml").read_text(encoding="utf-8")
    config = config.replace(
        "    allow_private: true\n", "    allow_private: true\n    exclude: sponsored\n    max_entries: 1\n", 1
    )
    (wire.folder / "newsletter.yaml").write_text(config, encoding="utf-8")

    view = shown(wire)

    found = {(row.title, row.fate, row.why.partition(":")[0]) for row in view.entries}
    assert {
        ("In", "shown", ""),
        ("Over the cap", "headline", "over max_entries"),
        ("A sponsored one", "excluded"),
        ("In", "duplicate", "the same story stands under News"),
        ("Too old for the first run", "skipped", "not among the newest 3 when the digest first read the feed"),
    } <= found | {(title, fate) for title, fate, _ in found}
    assert [("News", 2), ("News", 2)] == [(section.title, section.entries) for section in view.sections]


def test_hiding_and_sorting_hold_in_the_preview_and_can_be_kept(wire: Wire) -> None:
    one, two = wire.web.feed("/one", "A (b)?", "C"), wire.web.feed("/two", "D", link="https://two.example.com")
    wire.configure(one, two)

    with desk(wire) as opened:
        first = opened.letter(opened.start)
        hidden = next(row.id for row in first.entries if row.title == "A (b)?")
        choice = read_choice({"hidden": [hidden], "order": [two]})
        view = opened.letter(choice)
        kept = opened.snippet(choice)

    assert [one, two] == [section.word for section in first.sections]
    assert [two, one] == [section.word for section in view.sections]
    assert {"A (b)?": "hidden", "C": "shown", "D": "shown"} == fates(view)
    assert "A (b)?" not in view.text
    assert "A (b)?" in first.text
    config = (wire.folder / "newsletter.yaml").read_text(encoding="utf-8")
    rule = kept.yaml.split("exclude:\n  - ")[1].split("\n")[0].strip()
    settings = "digests:" + kept.yaml.split("digests:")[1]
    config = config.replace("allow_private: true\n", f"allow_private: true\n    exclude: {rule}\n", 1) + settings
    (wire.folder / "newsletter.yaml").write_text(config, encoding="utf-8")
    assert {"A (b)?": "excluded", "C": "shown", "D": "shown"} == fates(shown(wire))
    assert [section.title for section in view.sections] == [section.title for section in shown(wire).sections]


def test_nothing_left_to_show_is_said(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    with desk(wire) as opened:
        only = opened.letter(opened.start).entries[0].id

        problem = opened.letter(read_choice({"hidden": [only]})).problem

    assert problem is not None
    assert "every entry is hidden" == problem.message


def test_where_nothing_is_new_older_entries_stand_in(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First", "Second"))
    wire("send", "-y")

    view = shown(wire)

    assert view.sample
    assert "nothing is new for daily: a sample of its last 2 entries" == view.notices[0]
    assert {"First": "shown", "Second": "shown"} == fates(view)
    assert "About First." in view.text


def test_where_there_is_nothing_at_all_the_bundled_samples_stand_in(wire: Wire) -> None:
    wire.configure(people="[]\n")

    view = shown(wire)

    assert view.sample
    assert "daily has no entries yet: the bundled samples stand in" == view.notices[0]
    assert "there are no subscribers yet: shown as an invented reader would get it" in view.notices
    assert "ada@example.com" in view.text


def test_a_past_issue_is_shown_as_it_was_sent(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"), people="- ada@example.com\n- grace@example.com\n")
    wire("send", "-y")
    wire.web.feed("/rss", "Second", "First")
    wire("send", "-y")
    sent = next(c.path.read_bytes() for c in wire.mail.caught if c.recipients == ("grace@example.com",))

    view = shown(wire, issue=1, **{"as": "grace@example.com"})

    assert view.past
    assert sent.decode().replace("\r\n", "\n").split("\n\n", 1)[1].strip() == view.source.split("\n\n", 1)[1].strip()
    assert ("as grace@example.com got it: sent",) == view.notices
    assert {"First": "shown"} == fates(view)
    german = shown(wire, issue=1, format="text")
    assert ("as ada@example.com would have got it",) == german.notices
    assert (german.html, len(german.parts)) == ("", 1)


def test_as_of_a_moment_between_two_issues_the_second_is_the_next(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    wire("send", "-y")
    wire.web.feed("/rss", "Second", "First")
    wire("fetch")
    between = datetime.now(UTC)
    wire("send", "-y")
    wire.web.feed("/rss", "Third", "Second", "First")
    wire("fetch")

    then, now, before = (shown(wire, as_of=moment) for moment in (between.isoformat(), None, "2020-01-01T00:00:00Z"))

    assert ({"Second": "shown"}, 2) == (fates(then), then.issue and then.issue.number)
    assert between == (then.issue and then.issue.date)
    assert "About Second." in then.text
    assert ({"Third": "shown"}, 3) == (fates(now), now.issue and now.issue.number)
    assert before.sample


def test_the_suppressed_are_shown_and_named(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"), people="- ada@example.com\n- grace@example.com\n")
    wire("fetch")
    wire("suppression", "add", "grace@example.com")

    view = shown(wire, **{"as": "grace@example.com"})

    assert view.reader is not None
    assert "manual" == view.reader.status
    assert "grace@example.com is suppressed (manual): a send leaves them out" in view.notices
    with desk(wire) as opened:
        assert [("grace@example.com", "manual")] == [(r.email, r.status) for r in opened.people("GRACE", "daily")[1]]
        assert 2 == opened.people("", None)[0]


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"issue": 7}, "there is no issue 7 of daily"),
        ({"as": "nobody@example.com"}, "nobody@example.com is not in subscribers.yaml"),
        ({"as": "nonsense"}, "nonsense"),
        ({"digest": "dayly"}, "there is no digest dayly: did you mean daily?"),
    ],
)
def test_what_is_not_there_is_said_plainly(wire: Wire, choice: dict[str, Any], words: str) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    wire("fetch")

    problem = shown(wire, **choice).problem

    assert problem is not None
    assert words in problem.message


@pytest.mark.parametrize(
    "document",
    [{"digest": 3}, {"hidden": ["x"]}, {"as_of": "2026-01-01"}, {"format": "pdf"}, {"x": 1}, [], {"issue": 0}],
)
def test_what_is_no_choice_is_refused(document: object) -> None:
    with pytest.raises(UsageError):
        read_choice(document)


def test_a_mistake_is_shown_with_its_lines_and_mended_by_the_next_save(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    template = wire.folder / "templates" / "issue.html.j2"
    template.parent.mkdir()
    with desk(wire) as opened:
        template.write_text(
            '{% extends "default/issue.html.j2" %}\n\n{% block masthead %}\n{{ nothing.there }}\n{% endblock %}\n'
        )
        opened.reload()
        problem = opened.letter(opened.start).problem
        template.write_text('{% extends "default/issue.html.j2" %}\n{% block masthead %}MENDED{% endblock %}\n')
        opened.reload()
        mended = opened.letter(opened.start)
        config = (wire.folder / "newsletter.yaml").read_text(encoding="utf-8")
        (wire.folder / "newsletter.yaml").write_text(config + "smpt: {}\n", encoding="utf-8")
        opened.reload()
        broken = opened.letter(opened.start).problem
        (wire.folder / "newsletter.yaml").write_text(config.replace("Morning", "Evening"), encoding="utf-8")
        (wire.folder / "subscribers.yaml").write_text("- grace@example.com\n")
        opened.reload()
        last = opened.letter(opened.start)

    assert problem is not None
    assert ("template", "templates/issue.html.j2", 4) == (problem.kind, problem.path, problem.line)
    assert [(1, '{% extends "default/issue.html.j2" %}'), (4, "{{ nothing.there }}")] == [
        (line.line, line.text) for line in problem.excerpt if line.line in (1, 4)
    ]
    assert "MENDED" in mended.html
    assert broken is not None
    assert ("config", len(config.splitlines()) + 1) == (broken.kind, broken.line)
    assert "smpt: {}" == broken.excerpt[-1].text
    assert "The Evening Wire" in last.subject
    assert last.reader is not None
    assert "grace@example.com" == last.reader.email


def test_no_subscribers_file_is_nobody_and_a_broken_one_is_a_problem(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    (wire.folder / "subscribers.yaml").unlink()
    with desk(wire) as opened:
        view, project = opened.letter(opened.start), opened.project()
        (wire.folder / "subscribers.yaml").write_text("- ada@example.com\n- nonsense\n", encoding="utf-8")
        opened.reload()
        problem, then = opened.letter(opened.start).problem, opened.project()

    assert (None, 0) == (view.problem, project["subscribers"])
    assert "there are no subscribers yet: shown as an invented reader would get it" in view.notices
    assert problem is not None
    assert ("config", 2, 0) == (problem.kind, problem.line, then["subscribers"])


def test_a_vanished_project_is_said(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    with desk(wire) as opened:
        opened.letter(opened.start)
        (wire.folder / "newsletter.yaml").rename(wire.folder / "elsewhere.yaml")
        opened.reload()

        problem = opened.letter(opened.start).problem

    assert problem is not None
    assert "newsletter.yaml: no such file" in problem.message


def test_a_test_message_goes_to_one_address_and_is_what_is_shown(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First", "Second"))
    with desk(wire) as opened:
        hidden = next(row.id for row in opened.letter(opened.start).entries if row.title == "Second")
        words = opened.test(read_choice({"hidden": [hidden]}), "me@example.com")

    assert ["me@example.com"] == wire.inbox()
    raw = wire.mail.caught[0].path.read_bytes()
    assert email.message_from_bytes(raw)["Message-ID"].startswith("<test-")
    assert "Second" not in parts(raw)["text/plain"]
    assert words.startswith("sent issue 1 of daily to me@example.com as a test: 250")


def test_a_feed_that_is_added_is_polled_and_one_that_fails_is_named(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    with desk(wire) as opened:
        opened.letter(opened.start)
        wire.configure(wire.web.url + "/rss", wire.web.feed("/more", "More"), wire.web.url + "/gone")
        opened.reload()

        view = opened.letter(opened.start)

    assert {"First": "shown", "More": "shown"} == fates(view)
    assert any("/gone could not be read: " in notice for notice in view.notices)


def test_the_dashboard_has_the_data_of_status(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"))
    wire("send", "-y")

    said = wire("status", "--json").data

    assert [{"digest": "daily", "number": 1, "recipients": 1}] == [
        {key: row[key] for key in ("digest", "number", "recipients")} for row in said["growth"]
    ]
    [feed] = said["feeds"]
    assert (30, 1) == (len(feed["per_day"]), sum(day["entries"] for day in feed["per_day"]))
    assert datetime.now(UTC).date().isoformat() == feed["per_day"][-1]["day"]
