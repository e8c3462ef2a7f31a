"""`feed import` and `feed export`: lists of feeds in and out of newsletter.yaml."""

from pathlib import Path

import pytest

from tests.cli.conftest import Wire

LIST = """<?xml version="1.0"?>
<opml version="2.0"><head><title>Mine</title></head><body>
<outline text="Tech"><outline text="Deep">
<outline text="One, two: three" xmlUrl="https://one.example.com/rss"/>
</outline></outline>
<outline text="Two" xmlUrl="http://www.two.example.com/rss/" htmlUrl="https://two.example.com/"/>
<outline text="Two again" xmlUrl="https://two.example.com/rss"/>
<outline text="Gopher" xmlUrl="gopher://old.example.com/"/>
<outline text="Passwords" xmlUrl="/etc/no-such-file"/>
</body></opml>
"""


@pytest.fixture
def file(wire: Wire) -> Path:
    path = wire.folder / "list.opml"
    path.write_text(LIST, encoding="utf-8")
    return path


def project(wire: Wire) -> str:
    return (wire.folder / "newsletter.yaml").read_text(encoding="utf-8")


def test_a_list_goes_into_the_project_and_its_comments_stay(wire: Wire, file: Path) -> None:
    wire.configure(more="# who we read\n")
    done = wire("feed", "import", str(file))

    assert 3 == done.code
    assert "2 feeds added, 1 there already, 2 refused" == done.err.splitlines()[-1]
    assert "not over gopher" in done.out
    assert "# who we read\nfeeds:" in project(wire)
    listed = wire("feed", "list", "--json").data
    assert [
        ("https://one.example.com/rss", "One, two: three"),
        ("http://www.two.example.com/rss/", "Two"),
    ] == [(row["url"], row["title"]) for row in listed]
    assert "tags: [Tech, Deep]" in project(wire)


def test_a_dry_run_says_the_same_and_changes_nothing(wire: Wire, file: Path) -> None:
    wire.configure()
    before = project(wire)
    trial = wire("feed", "import", str(file), "--dry-run", "--json")

    assert (before, 3) == (project(wire), trial.code)
    assert ["added", "added", "there already", "refused", "refused"] == [one["became"] for one in trial.data["feeds"]]
    assert [4, 6, 7, 8, 9] == [one["line"] for one in trial.data["feeds"]]
    done = wire("feed", "import", str(file), "--json")
    assert {**trial.data, "dry_run": False} == done.data


def test_what_is_there_is_told_and_not_added_again(wire: Wire, file: Path) -> None:
    wire.configure()
    wire("feed", "import", str(file))
    before = project(wire)
    done = wire("feed", "import", str(file))

    assert "0 feeds added, 3 there already, 2 refused" == done.err.splitlines()[-1]
    assert "there already: as http://www.two.example.com/rss/" in done.out
    assert before == project(wire)


def test_what_is_exported_can_be_imported_elsewhere(wire: Wire, file: Path) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    wire("fetch")
    wire("feed", "import", str(file))
    out = wire.folder / "out.opml"
    printed, written = wire("feed", "export"), wire("feed", "export", "--out", str(out))
    assert printed.out == out.read_text(encoding="utf-8")
    assert "wrote out.opml" in written.err
    first = wire("feed", "list", "--json").data

    wire.configure()
    wire("feed", "import", str(out), "--allow-private")

    again = wire("feed", "list", "--json").data
    assert [(row["url"], row["title"]) for row in first] == [(row["url"], row["title"]) for row in again]
    assert 'text="News" title="News"' in printed.out
    assert 'htmlUrl="https://news.example.com/"' in printed.out
    assert printed.out == wire("feed", "export").out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("cannot be read: No such file", None),
        ("is no OPML, but a web page", "<html/>"),
        ("names no feeds", "<opml><body/></opml>"),
        ("declares entities", '<!DOCTYPE a [<!ENTITY b "c">]><opml/>'),
    ],
)
def test_a_file_that_is_no_list_is_refused_and_nothing_changes(words: str, text: str | None, wire: Wire) -> None:
    wire.configure()
    before = project(wire)
    path = wire.folder / "list.opml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    done = wire("feed", "import", str(path))

    assert (2, before, "") == (done.code, project(wire), done.out)
    assert done.err.startswith("error: ")
    assert words in done.err


def test_only_tools_that_are_known_can_be_come_from(wire: Wire) -> None:
    wire.configure()
    done = wire("import-from", "feedletter", ".")

    assert (2, "hint: there is one from rss2email, goeland, matcha, opml") == (done.code, done.err.splitlines()[-1])


def test_a_list_can_be_come_from_too(wire: Wire, file: Path) -> None:
    wire.configure()

    assert "2 feeds added" in wire("import-from", "opml", str(file)).err
