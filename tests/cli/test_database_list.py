"""The same commands on a list in the database: they say and do the same as on one in a file."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import subscribers
from tests.cli.conftest import Done, Wire, a_wire

PEOPLE = """\
- ada@example.com
- email: grace@example.com
  name: Grace Hopper
  digests: [weekly]
  language: de-AT
  tags: [vip, navy]
  attributes: {town: Arlington, age: "36"}
- email: mary@example.com
  format: text
  timezone: Europe/London
- konrad@bücher.example
"""
LIST = """\
email,name,status,tags,city,language
new@example.com,New,subscribed,a,Rome,
grace@example.com,Admiral,subscribed,new,Paris,
ada@example.com,,unsubscribed,,,
bad@,X,subscribed,,,
gone@example.com,Gone,bounced,,,
new@example.com,Again,subscribed,,,
"=1+1@example.com",Formula,subscribed,,,fr
mary@example.com,Mary,who knows,,,
other@example.com,Other,pending,,,
"""
STEPS = [
    "subscriber list",
    "subscriber list --json",
    "subscriber list --csv --tag vip",
    "subscriber list --digest weekly --where town=arlington --json",
    "subscriber add rosa@example.com --name Rosa --digest daily --tag x --attribute town=Bonn",
    "subscriber add ROSA@example.com",
    "subscriber add new@example.com --digest nightly",
    "subscriber edit rosa@example.com --email Luxemburg@example.com --unset attributes.town --add-tag y",
    "subscriber edit luxemburg@example.com --email ada@example.com",
    "subscriber edit luxemburg@example.com --add-tag y",
    "suppression add mary@example.com",
    "subscriber show GRACE@example.com",
    "subscriber import list.csv --dry-run",
    "subscriber import list.csv --rejects wrong.csv --json",
    "subscriber import list.csv --update",
    "subscriber export --format yaml",
    "subscriber export -o people.csv",
    "subscriber remove luxemburg@example.com",
    "subscriber erase konrad@xn--bcher-kva.example -y",
    "subscriber erase konrad@bücher.example -y",
    "subscriber consents",
    "explain grace@example.com",
    "send weekly -y",
    "issue resend 1 --digest weekly --to new@example.com --force",
    "subscriber list --json",
]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[tuple[Wire, Wire]]:
    """Two projects of the same people: in a file, and in the database."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with a_wire(tmp_path / "one") as one, a_wire(tmp_path / "two") as two:
        for wire in (one, two):
            url = wire.web.feed("/rss", "First", "Second")
            wire.configure(url, people=PEOPLE, more="digests: {daily: {}, weekly: {}}\nlanguage: en\n")
            (wire.folder / "list.csv").write_text(LIST, encoding="utf-8")
        yield one, two


def told(done: Done, wire: Wire) -> tuple[int, list[str]]:
    """What a command said, but for where the list is, and what differs anyway."""
    text = f"{done.out}\n{done.err}"
    text = re.sub(r"(in )?(\S*subscribers\.yaml(:\d+)?|the database|the file)", "THE LIST", text)
    text = re.sub(r'"line": (\d+|null)', '"line": N', text)
    text = re.sub(r"in 'line': \d+", "", text)
    text = re.sub(r"127\.0\.0\.1:\d+|message of [\d,]+ bytes|[0-9a-f]{32}|in [\d.]+ s\b|\d+ of [\d,]+ bytes", "N", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[ T][\d:.+Z]+", "THEN", text.replace(str(wire.folder), ""))
    return done.code, [" ".join(line.split()) for line in text.splitlines()]


def test_every_command_says_the_same_of_a_list_in_the_database(pair: tuple[Wire, Wire]) -> None:
    in_file, in_database = pair
    assert 0 == in_database("subscriber", "move", "--to", "database").code
    (in_database.folder / "subscribers.yaml.moved").unlink()

    for step in STEPS:
        one, other = (wire(*step.split()) for wire in pair)

        assert told(one, in_file) == told(other, in_database), step
        assert "unexpected" not in one.err + other.err, step
    assert sorted(in_file.inbox()) == sorted(in_database.inbox())
    assert 2 <= len(in_file.inbox())
    assert not (in_database.folder / "subscribers.yaml").exists()
    assert (in_file.folder / "wrong.csv").read_bytes() == (in_database.folder / "wrong.csv").read_bytes()
    assert (in_file.folder / "people.csv").read_bytes() == (in_database.folder / "people.csv").read_bytes()


def test_a_list_that_begins_in_the_database_needs_no_file(wire: Wire) -> None:
    wire.configure(more="subscribers: database\n")
    (wire.folder / "subscribers.yaml").unlink()

    assert "0 people: 0 mailed\n" == wire("subscriber", "list").err
    assert not (wire.folder / ".newsletter").exists()
    assert 0 == wire("subscriber", "add", "ada@example.com").code
    assert "1 person: 1 mailed\n" == wire("subscriber", "list").err


def test_a_file_that_nobody_moved_is_not_forgotten(wire: Wire) -> None:
    """`subscribers: database` alone does not bring anybody there, and nobody is mailed before they are."""
    wire.configure(wire.web.feed("/rss", "First"), more="subscribers: database\n")

    for words in (["subscriber", "list"], ["send", "-y"], ["subscriber", "add", "x@example.com"]):
        done = wire(*words)
        assert 2 == done.code, done.err
        assert (
            "newsletter.yaml: subscribers: says database, and the people are still, or again, in subscribers.yaml"
            in done.err
        )
        assert "hint: newsletter subscriber move --to database\n" in done.err
    assert [] == wire.inbox()

    assert 0 == wire("subscriber", "move", "--to", "database").code
    assert 0 == wire("send", "-y").code
    assert ["ada@example.com"] == wire.inbox()


def test_check_tells_of_people_whom_nobody_reads(wire: Wire) -> None:
    wire.configure()
    wire("subscriber", "move", "--to", "database")
    wire("subscriber", "add", "mary@example.com")
    config, file = wire.folder / "newsletter.yaml", wire.folder / "subscribers.yaml"
    file.write_text("- rosa@example.com\n")
    assert "subscribers.yaml is there and is not read" in wire("check").out

    config.write_text(config.read_text().replace("subscribers: database\n", ""))

    assert "the database has a list of its own, 2 in all" in wire("check").out
    assert ["rosa@example.com"] == [row["subscriber"]["email"] for row in wire("subscriber", "list", "--json").data]


@pytest.mark.soak
def test_ten_times_the_rows_take_no_more_memory(tmp_path: Path) -> None:
    most = {}
    for rows in (5_000, 50_000):
        folder = subscribers.project(tmp_path / str(rows), "subscribers: database\n")
        subscribers.write_csv(folder / "list.csv", rows)
        count, _, most[rows] = subscribers.measured(folder, "import")
        assert rows == count
        assert subscribers.measured(folder, "freeze")[0] >= rows * 0.97

    assert most[50_000] < most[5_000] + 20
