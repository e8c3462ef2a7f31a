"""Coming from goeland: its database is read page by page; the sample was written by bbolt itself, as goeland writes it."""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.errors import UsageError
from newsletter.feeds.keys import foreign_keys, seen_keys
from newsletter.feeds.moving.bolt import BoltError, buckets
from newsletter.feeds.moving.goeland import bring
from newsletter.model import Entry
from tests.cli.conftest import Wire, a_wire
from tests.moving.test_rss2email import document
from tests.pipeline.life import Item

DATABASE = gzip.decompress((Path(__file__).parent / "goeland.db.gz").read_bytes())
CONFIG = """
loglevel = "none"
[email]
host = "smtp.example.com"
[sources.Small]
url = "https://small.example.com/rss"
type = "feed"
filters = ["unseen", "first(3)"]
[sources.large]
url = "https://large.example.com/rss"
type = "feed"
filters = ["all"]
[sources.everything]
type = "merge"
sources = ["small", "LARGE"]
filters = ["digest", "unseen"]
[sources.forgetful]
url = "https://forgetful.example.com/rss"
type = "feed"
[sources.pictures]
type = "imgur"
tag = "otters"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "goeland.db").write_bytes(DATABASE)
    return tmp_path


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        made.configure(more="first_run: 1\n")
        yield made


def test_every_bucket_of_a_real_database_is_read_small_and_large() -> None:
    """Inline buckets, buckets of many pages, a key that takes two pages, an empty bucket."""
    found = dict(buckets(DATABASE))

    assert [b"large", b"long", b"nothing", b"small"] == list(found)
    assert [b"small/https://small.example.com/2", b"small/tag:small.example.com,2026:1"] == found[b"small"]
    assert {b"large/https://large.example.com/?p=%d" % n for n in range(900)} == set(found[b"large"])
    assert [b"long/short", b"long/" + b"x" * 6000] == found[b"long"]
    assert [] == found[b"nothing"]


@settings(max_examples=60)
@given(st.integers(0, len(DATABASE) - 1), st.binary(min_size=1, max_size=16), st.booleans())
def test_a_damaged_database_ends_in_one_error_never_in_a_loop(place: int, bytes_: bytes, cut: bool) -> None:
    """Most damage to the pages that count is noticed; what is not gives keys, and nothing else happens."""
    broken = DATABASE[:place] if cut else DATABASE[:place] + bytes_ + DATABASE[place + len(bytes_) :]
    try:
        found = list(buckets(broken))
    except BoltError:
        return
    assert all(isinstance(name, bytes) for name, _ in found)


def test_a_page_that_leads_to_itself_is_refused() -> None:
    data = bytearray(DATABASE)
    for number in range(len(data) // 4096):
        at = number * 4096
        _, kind, children, _ = struct.unpack_from("<QHHI", data, at)
        if kind == 1:  # a branch
            for index in range(children):
                struct.pack_into("<Q", data, at + 16 + index * 16 + 8, number)

    with pytest.raises(BoltError, match="lead to themselves"):
        list(buckets(bytes(data)))


def test_sources_become_feeds_with_what_the_filter_unseen_let_pass(folder: Path) -> None:
    brought = bring(folder, None, feeds_only=False)
    small, large = "https://small.example.com/rss", "https://large.example.com/rss"

    assert [small, large, "https://forgetful.example.com/rss"] == [feed.url for feed in brought.feeds]
    assert {"tag:small.example.com,2026:1", "https://small.example.com/2"} <= brought.sent[small]
    assert 900 <= len(brought.sent[large])
    assert "https://forgetful.example.com/rss" not in brought.sent
    assert [
        "source forgetful has no filter `unseen`: what was sent is not known",
        "source pictures is no feed (imgur) and stays behind",
    ] == [remark.text for remark in brought.remarks]


def test_an_entry_without_a_guid_is_known_by_the_sum_of_its_link() -> None:
    """FNV-1a of 64 bits: the published value for "foobar" is 85944171f73967e8."""
    one = Entry(guid="", url="foobar", title="")

    assert "f:85944171f73967e8" in set(foreign_keys(one))
    assert "f:85944171f73967e8" in set(seen_keys("85944171f73967e8"))


def test_day_one_sends_what_goeland_has_not_let_pass_and_stands_above_it(wire: Wire, folder: Path) -> None:
    """What stands below all that goeland had sent was passed over by its filters, and is older."""
    items = [Item(title=f"Story {n}", guid=f"https://large.example.com/?p={n}") for n in (902, 901, 899, 898, 1000)]
    wire.web.pages["/large"] = (200, document(*items))
    text = CONFIG.replace("https://large.example.com/rss", f"{wire.web.url}/large")
    (folder / "config.toml").write_text(text, encoding="utf-8")

    done = wire("import-from", "goeland", str(folder), "--allow-private")
    wire("fetch")
    told = {n: wire("explain", f"Story {n}").out.splitlines()[-1] for n in (902, 899, 1000)}

    assert (0, "3 feeds added, 0 there already") == (done.code, done.err.splitlines()[-2])
    assert "waits; the next issue would have it shown" in told[902]
    assert "goeland had sent it before the project came from there" in told[899]
    assert "older than what goeland had sent, which had passed it over" in told[1000]
    assert 2 == wire("status", "--json").data["digests"][0]["waiting"]


@pytest.mark.parametrize(
    ("config", "data", "words"),
    [
        ("sources = [", b"", "is no configuration of goeland"),
        ("loglevel = 1", b"", "names no sources"),
        (CONFIG, b"", "has no page that says what it is"),
        (CONFIG, b"SQLite format 3\x00" + bytes(9000), "is no database of goeland"),
    ],
)
def test_files_that_are_not_goeland_s_are_refused(config: str, data: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(config, encoding="utf-8")
    (tmp_path / "goeland.db").write_bytes(data)

    with pytest.raises(UsageError, match=words):
        bring(tmp_path, None, feeds_only=False)
