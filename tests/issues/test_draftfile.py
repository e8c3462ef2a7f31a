"""A draft as a file: what was not touched stays as it was, and what a feed writes is not taken for ours."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import ConfigError
from newsletter.issues.digest import DigestRules, build
from newsletter.issues.draftfile import read_draft, write_draft
from newsletter.model import Draft, DraftChanges, Entry, EntryEdit, Feed, StoredEntry

NOW = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
FEED = "https://feed.example.com/rss"


def stored(id_: int, title: str, html: str) -> StoredEntry:
    entry = Entry(guid=str(id_), url=f"https://feed.example.com/{id_}", title=title, summary="", content=html)
    return StoredEntry(id=id_, feed_url=FEED, entry=entry, first_seen_at=NOW)


def drafted(entries: list[StoredEntry], changes: DraftChanges, *, max_entries: int | None = None) -> Draft:
    return build(
        DigestRules(name="daily", title="Daily", language="en", max_entries=max_entries),
        [Feed(url=FEED, title="A feed -- or -->")],
        {},
        entries,
        [],
        number=1,
        now=NOW,
        note=changes.note,
        hidden=changes.hidden,
        order=changes.order,
        edits=changes.edits,
    )


def reread(text: str, entries: list[StoredEntry], changes: DraftChanges, **more: int) -> DraftChanges:
    return read_draft(text, drafted(entries, changes, **more), changes, entries, path="draft.md")


def written(entries: list[StoredEntry], changes: DraftChanges, **more: int) -> str:
    return write_draft(drafted(entries, changes, **more), changes, entries, name="The draft")


PIECES = st.sampled_from(
    [
        "<p>Words</p>",
        "<pre>&lt;!-- hidden --&gt;\n&lt;!-- entry 1 --&gt;\n## x</pre>",
        "<h2>Head</h2>",
        "plain",
        "<br>",
        "# no",
        "<ul><li>a",
    ]
)


@settings(max_examples=12)
@given(
    st.lists(st.tuples(st.text(max_size=30), st.lists(PIECES, max_size=4)), min_size=1, max_size=5),
    st.text(alphabet="ab \n*#", max_size=20),
    st.sets(st.integers(1, 5)),
)
def test_a_file_that_was_only_opened_changes_nothing(
    given_entries: list[tuple[str, list[str]]], note: str, hidden: set[int]
) -> None:
    entries = [stored(n, title, "".join(html)) for n, (title, html) in enumerate(given_entries, 1)]
    changes = DraftChanges(
        note=note.strip(),
        hidden=frozenset(hidden & {one.id for one in entries}),
        edits={1: EntryEdit(title="Mine", markdown="*Mine* too")},
    )

    text = written(entries, changes)

    assert changes == reread(text, entries, changes)
    stripped = "\n".join(line.rstrip() for line in text.splitlines())
    assert changes == reread(stripped.replace("\n", "\r\n"), entries, changes)


def test_entries_are_moved_hidden_and_shown_again() -> None:
    entries = [stored(1, "One", "<p>1</p>"), stored(2, "Two", "<p>2</p>"), stored(3, "Three", "<p>3</p>")]
    text = "<!-- entry 3 -->\n## Three\n\n3\n<!-- entry 1 -->\n# Uno\n\n1\n"

    found = reread(text, entries, DraftChanges())

    assert DraftChanges(hidden=frozenset({2}), order=(3, 1), edits={1: EntryEdit(title="Uno")}) == found
    again = reread(text + "<!-- entry 2 -->\n## Two\n", entries, found)
    assert replace(found, hidden=frozenset(), order=(3, 1, 2)) == again
    assert ["Three", "Uno", "Two"] == [entry.title for entry in drafted(entries, again).entries]


def test_mistakes_are_named_all_at_once_with_their_lines() -> None:
    entries = [stored(1, "One", "<p>1</p>"), stored(2, "Two", "<p>2</p>")]
    text = (
        "<!-- note -->\n[x](/y)\n<!-- entry 1 -->\n## One\n\n[z](z)\n"
        "<!-- entry 1 -->\n## One\n<!-- entry 9 -->\n## Nine\n<!-- entry 2 -->\nno title\n"
    )

    with pytest.raises(ConfigError) as caught:
        reread(text, entries, DraftChanges())

    said = [str(problem) for problem in caught.value.problems]
    assert ["draft.md:7: entry 1 is there twice", "draft.md:11: entry 2 has no title"] == [
        one.partition(": the line")[0] for one in said[:2]
    ]
    assert "draft.md:9: there is no entry 9 in this draft" in said
    assert any("note: the link to /y needs a whole address" in one for one in said)


def test_a_headline_has_no_text_to_change() -> None:
    entries = [stored(1, "One", "<p>1</p>"), stored(2, "Two", "<p>2</p>")]
    text = written(entries, DraftChanges(), max_entries=1)

    assert "as a headline only" in text
    with pytest.raises(ConfigError, match="raise max_entries"):
        reread(text.replace("## Two", "## Two\n\nMore"), entries, DraftChanges(), max_entries=1)
