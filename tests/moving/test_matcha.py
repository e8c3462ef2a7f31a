"""Coming from matcha: feeds from its YAML and its OPML, what it showed from its SQLite database."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Wire, a_wire
from tests.moving.test_rss2email import document
from tests.pipeline.life import Item

CONFIG = """markdown_dir_path:
feeds:
  - {url}/a 3
  - {url}/b
google_news_keywords: otters,badgers
weather_latitude: 37.77
terminal_mode: false
opml_file_path: more.opml
"""
OPML = '<opml version="2.0"><body><outline text="C" xmlUrl="{url}/c"/></body></opml>'


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        made.configure(more="first_run: 1\n")
        yield made


@pytest.fixture
def folder(tmp_path: Path, wire: Wire) -> Path:
    """matcha's files in their form: one table for all feeds."""
    (tmp_path / "config.yaml").write_text(CONFIG.format(url=wire.web.url), encoding="utf-8")
    (tmp_path / "more.opml").write_text(OPML.format(url=wire.web.url), encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "matcha.db")) as connection, connection:
        connection.execute("CREATE TABLE seen (url TEXT, date TEXT, summary TEXT)")
        links = ["https://a.example.com/1", "https://a.example.com/2", "https://b.example.com/1"]
        connection.executemany("INSERT INTO seen VALUES (?, '2026-03-01', '')", [(link,) for link in links])
    return tmp_path


def items(host: str, *numbers: int) -> bytes:
    return document(
        *(Item(title=f"{host} {n}", guid=f"{host}{n}", link=f"https://{host}.example.com/{n}") for n in numbers)
    )


def test_day_one_sends_what_matcha_has_not_shown_and_would_have(wire: Wire, folder: Path) -> None:
    """It looks at the first few entries of a feed only: those below are no news."""
    wire.web.pages = {
        "/a": (200, items("a", 4, 3, 2, 1, 0)),
        "/b": (200, items("b", 2, 1)),
        "/c": (200, items("c", 9, 8)),
    }
    done = wire("import-from", "matcha", str(folder), "--allow-private")
    sent = wire("send", "-y")

    assert (0, "3 feeds added, 0 there already") == (done.code, done.err.splitlines()[-2])
    assert "google_news_keywords are no feed and stay behind" in done.err
    assert 0 == sent.code
    shown = [row["title"] for row in wire("issue", "show", "1", "--json").data["list"]]
    assert ["a 3", "a 4", "b 2"] == sorted(shown)
    # Of this one nothing was shown: nobody can tell whether it was ever read.
    assert "none of the 2 entries is one that matcha remembers" in sent.err


def test_its_database_is_not_touched_and_may_be_elsewhere(wire: Wire, folder: Path) -> None:
    moved = folder / "state"
    moved.mkdir()
    (folder / "matcha.db").rename(moved / "m.db")
    before = (moved / "m.db").read_bytes()

    missing = wire("import-from", "matcha", str(folder))
    done = wire("import-from", "matcha", str(folder), "--seen", str(moved / "m.db"))

    assert (2, 0, before) == (missing.code, done.code, (moved / "m.db").read_bytes())
    assert "--seen FILE" in missing.err
    assert ["m.db"] == [path.name for path in moved.iterdir()]


@pytest.mark.parametrize(
    ("data", "words"), [(b"no database at all, but long enough to be read as one" * 20, "is no database of matcha")]
)
def test_a_database_that_is_none_is_named(data: bytes, words: str, wire: Wire, folder: Path) -> None:
    (folder / "matcha.db").write_bytes(data)
    done = wire("import-from", "matcha", str(folder))

    assert (2, True) == (done.code, words in done.err)


def test_a_folder_without_its_configuration_is_named(wire: Wire, tmp_path: Path) -> None:
    done = wire("import-from", "matcha", str(tmp_path))

    assert (2, "has no config.yaml and no config.yml") == (
        done.code,
        done.err.splitlines()[0].partition(" ")[2].partition(" ")[2],
    )
