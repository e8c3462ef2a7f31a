"""The database looked after, as a person types it: nothing is sent twice, whatever becomes of the folder."""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.app.upkeep import tidy_daily
from newsletter.store import schema
from newsletter.store.connect import SqliteFile
from tests.cli.conftest import Wire, call
from tests.conftest import FakeClock


@pytest.fixture
def sent(wire: Wire) -> Wire:
    """A project that has sent an issue, and of whose feed something is new."""
    wire.configure(wire.web.feed("/rss", "First"))
    assert 0 == wire("send", "-y").code
    wire.web.feed("/rss", "Second", "First")
    return wire


def test_a_cloned_project_looks_but_does_not_send_until_it_is_adopted(sent: Wire, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(sent.folder, clone)

    refused = call("send", "-y", cwd=clone)
    due = call("send", "--due", cwd=clone)
    looked = [call(*words, cwd=clone) for words in (("status",), ("preview", "--out", "p"), ("check",))]

    assert 1 == refused.code
    assert f"error: nothing is sent: the database {clone}/.newsletter/newsletter.db was copied here from" in refused.err
    assert "hint: see to it that the other one sends no more, then: newsletter db adopt" in refused.err
    assert 0 != due.code
    assert ["ada@example.com"] == sent.inbox()
    assert [0, 0, 1] == [done.code for done in looked]
    assert "was copied here from" in looked[0].err
    assert "error    store: nothing is sent: " in looked[2].out
    assert 2 == call("db", "adopt", cwd=clone).code
    assert 0 == call("db", "adopt", "-y", cwd=clone).code
    assert 0 == call("send", "-y", cwd=clone).code
    assert ["ada@example.com"] * 2 == sent.inbox()


def test_a_project_that_says_so_sends_from_wherever_it_was_copied_to(sent: Wire, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(sent.folder, clone)
    with (clone / "newsletter.yaml").open("a") as file:
        file.write("on_copy: send\n")

    assert 0 == call("send", "-y", cwd=clone).code


def test_a_project_that_was_moved_goes_on(sent: Wire, tmp_path: Path) -> None:
    sent.folder.rename(tmp_path / "moved")

    assert 0 == call("send", "-y", cwd=tmp_path / "moved").code


def test_a_backup_that_is_put_back_sends_nothing_twice(sent: Wire) -> None:
    made = sent("db", "backup", "--json")
    assert 0 == made.code, made.err
    assert 0 == sent("send", "-y").code
    sent.web.feed("/rss", "Third", "Second", "First")
    assert 0 == sent("send", "-y").code
    before = sent.inbox()

    restored = sent("db", "restore", made.data["path"], "-y")
    refused = sent("send", "-y")
    undecided = sent("db", "adopt", "-y")

    assert 0 == restored.code
    assert "warning: that one froze 2 issues after the last thing the backup knows" in restored.err
    assert (1, 2) == (refused.code, undecided.code)
    assert "newsletter db adopt --sent if issues went out since then" in undecided.err
    adopted = sent("db", "adopt", "--sent", "-y")
    assert 0 == adopted.code, adopted.err
    assert "2 entries taken to be sent" in adopted.err
    assert "nothing is new" in sent("send", "-y").err.lower() or before == sent.inbox()
    sent.web.feed("/rss", "Fourth", "Third", "Second", "First")
    assert 0 == sent("send", "-y").code
    assert len(before) + 1 == len(sent.inbox())


def test_a_backup_of_which_nothing_went_out_since_goes_on(sent: Wire) -> None:
    sent("db", "backup", "kept.db")
    shutil.rmtree(sent.folder / ".newsletter")

    assert 0 == sent("db", "restore", "kept.db", "-y").code
    assert 0 == sent("db", "adopt", "--unsent", "-y").code
    assert 0 == sent("send", "-y").code
    assert 2 == len(sent.inbox())


def test_backups_are_kept_up_to_a_number_and_those_of_other_names_stay(sent: Wire) -> None:
    folder = sent.folder / ".newsletter" / "backups"
    folder.mkdir()
    names = [f"newsletter-2025010{day}T000000Z.db" for day in (1, 2, 3)]
    for name in (*names, "newsletter-before-0013-20250101T000000Z.db", "mine.db"):
        (folder / name).touch()

    done = sent("db", "backup", "--keep", "2")

    assert "removed 2 older backups" in done.err
    left = sorted(path.name for path in folder.iterdir())
    assert ["mine.db", names[2]] == left[:2]
    assert "newsletter-before-0013-20250101T000000Z.db" in left
    assert 4 == len(left)
    assert 2 == sent("db", "backup", "my.db", "--keep", "2").code
    assert 2 == sent("db", "backup", ".newsletter/newsletter.db").code


def test_an_older_database_is_backed_up_before_it_is_migrated(wire: Wire) -> None:
    wire.configure()
    path = wire.folder / ".newsletter" / "newsletter.db"
    older(path)

    done = wire("db", "migrate", "--json")

    assert 0 == done.code, done.err
    with closing(sqlite3.connect(done.data["backup"])) as connection:
        assert [("0012",)] == connection.execute("SELECT version_num FROM newsletter_schema").fetchall()
    assert 0o600 == Path(done.data["backup"]).stat().st_mode & 0o777
    assert None is wire("db", "migrate", "--json").data["backup"]


def older(path: Path) -> None:
    """A database as revision 0012 had it."""
    path.parent.mkdir()
    database = SqliteFile(path)
    with database.write() as connection:
        schema._upgrade(connection, "0012")
    database.close()


def test_a_project_is_taken_to_a_server_and_back_and_its_file_says_so(sent: Wire, postgres_url: str) -> None:
    text = (sent.folder / "newsletter.yaml").read_text()
    old = sent.folder / ".newsletter" / "newsletter.db"

    postgres_url = postgres_url.replace("postgres:@", "postgres@")
    there = sent("db", "copy", "--to", postgres_url, "--json")
    assert 0 == there.code, there.err
    assert there.data["written"]
    assert f"store: {postgres_url}" in (sent.folder / "newsletter.yaml").read_text()
    assert 0 == sent("send", "-y").code
    assert 2 == len(sent.inbox())
    left = sent("send", "-y", NEWSLETTER_STORE=str(old))
    assert (1, True) == (left.code, "has moved to postgresql://" in left.err)
    assert 1 == sent("db", "copy", "--to", str(old)).code

    back = sent("db", "copy", "--to", str(old), "--replace", "-y")

    assert 0 == back.code, back.err
    assert 'store: ".newsletter/newsletter.db"' in (sent.folder / "newsletter.yaml").read_text()
    assert text == "".join(
        line
        for line in (sent.folder / "newsletter.yaml").read_text().splitlines(keepends=True)
        if not line.startswith("store:")
    )
    sent.web.feed("/rss", "Third", "Second", "First")
    assert 0 == sent("send", "-y").code
    assert 3 == len(sent.inbox())
    assert [3, 2, 1] == [row["number"] for row in sent("issue", "list", "--json").data]


def test_a_copy_that_cannot_be_made_leaves_nothing_behind(sent: Wire) -> None:
    other = sent.folder / "other.db"
    with closing(App.open(sent.folder)) as app, app.store.lock():
        assert 75 == sent("db", "copy", "--to", "other.db").code

    assert not other.exists()
    assert 2 == sent("db", "copy", "--to", ".newsletter/newsletter.db").code
    assert 0 == sent("send", "-y").code


def test_where_the_environment_names_the_store_a_person_must_change_it(sent: Wire) -> None:
    found = sent("db", "copy", "--to", "other.db", NEWSLETTER_STORE=str(sent.folder / ".newsletter" / "newsletter.db"))

    assert "hint: NEWSLETTER_STORE names the old one: set it to the new one" in found.err
    assert "other.db" not in (sent.folder / "newsletter.yaml").read_text()


def test_tidying_says_how_much_it_is_and_a_look_does_it_once_a_day(sent: Wire) -> None:
    clock = FakeClock()
    assert 0 == sent("send", "-y").code
    with closing(sqlite3.connect(sent.folder / ".newsletter" / "newsletter.db")) as connection, connection:
        connection.execute("UPDATE issues SET frozen_at = '2020-01-01T00:00:00.000000+00:00'")

    planned = sent("db", "tidy", "-n", "--json").data
    assert (1, 1) == (planned["deliveries"], planned["issues"])
    assert planned == sent("db", "tidy", "-n", "--json").data
    assert planned == sent("db", "tidy", "--json").data
    assert 0 == sent("db", "tidy", "--json").data["deliveries"]
    assert [1, 1] == [row["sent"] for row in sent("issue", "list", "--json").data]

    with closing(App.open(sent.folder, clock=clock)) as app:
        clock.time = app.store.belonging().tidied_at + timedelta(hours=23)  # type: ignore[union-attr, operator, assignment]
        assert tidy_daily(app) is not None
        assert None is tidy_daily(app)
    assert 0 == sent("db", "vacuum").code


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{entries: 1y}", "keep.entries: must be at least 731d"),
        ("{deliveries: 30d}", "keep.deliveries: must be at least 366d"),
        ("{pictures: soon}", "keep.pictures: must be a time such as 90d or 2y, or always"),
        ("{ticks: 900y}", "keep.ticks: must be at most 100y"),
        ("{picture: 90d}", "keep.picture: "),
    ],
)
def test_what_would_be_forgotten_too_early_is_refused_with_its_line(wire: Wire, written: str, words: str) -> None:
    wire.configure(more=f"keep: {written}\n")

    done = wire("db", "info")

    assert 2 == done.code
    assert f"newsletter.yaml:4: {words}" in done.err
