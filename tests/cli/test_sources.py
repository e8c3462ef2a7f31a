"""Where feeds may be: a page that names one, a file, a folder of files, standard input."""

import subprocess
import sys
from pathlib import Path

from newsletter.feeds.bundle import MAX_FILES
from tests.cli.conftest import Wire
from tests.conftest import ROOT

LINK = '<link rel="alternate" type="application/rss+xml" title="{}" href="{}">'


def site(wire: Wire, *feeds: tuple[str, str], path: str = "/") -> str:
    links = "".join(LINK.format(title, href) for title, href in feeds)
    wire.web.pages[path] = (200, f"<!doctype html><html><head>{links}</head><body>Hello</body></html>".encode())
    return wire.web.url + path


def test_a_site_is_added_by_its_own_address(wire: Wire) -> None:
    wire.configure()
    feed = wire.web.feed("/feed.xml", "One", "Two")

    added = wire(
        "feed", "add", site(wire, ("News", "/feed.xml"), ("Comments on News", "/comments.xml")), "--allow-private"
    )

    assert 0 == added.code, added.err
    assert "added News: 2 entries" in added.err
    assert [feed] == [one["url"] for one in wire("feed", "list", "--json").data]
    # The feed of comments was not asked for, nor anything that the page does not name.
    assert ["/", "/feed.xml"] == wire.web.asked


def test_a_site_with_several_feeds_asks_which(wire: Wire) -> None:
    wire.configure()

    done = wire("feed", "add", site(wire, ("News", "/news.xml"), ("Sport", "/sport.xml")), "--allow-private")

    assert 1 == done.code
    assert "names 2 feeds" in done.err
    assert f"hint: {wire.web.url}/news.xml (News); {wire.web.url}/sport.xml (Sport)" in done.err
    assert [] == wire("feed", "list", "--json").data
    assert ["/"] == wire.web.asked


def test_a_profile_that_names_its_feed_is_enough(wire: Wire) -> None:
    """As pages of YouTube and Mastodon do for an address with @name."""
    wire.configure()
    feed = wire.web.feed("/@ada.rss", "Toot")

    added = wire("feed", "add", site(wire, ("RSS", "/@ada.rss"), path="/@ada"), "--allow-private")

    assert 0 == added.code, added.err
    assert [feed] == [one["url"] for one in wire("feed", "list", "--json").data]


def test_a_page_that_names_a_page_is_no_feed(wire: Wire) -> None:
    wire.configure()
    site(wire, path="/other")

    done = wire("feed", "add", site(wire, ("News", "/other")), "--allow-private")

    assert 1 == done.code
    assert "this is a web page, not a feed" in done.err


def test_a_rule_of_a_known_site_is_applied_unseen(wire: Wire) -> None:
    wire.configure()

    added = wire("feed", "add", "https://github.com/example/news/releases", "--no-fetch")

    assert 0 == added.code, added.err
    assert ["https://github.com/example/news/releases.atom"] == [
        one["url"] for one in wire("feed", "list", "--json").data
    ]


def folder_of_feeds(wire: Wire) -> Path:
    folder = wire.folder / "incoming"
    folder.mkdir()
    for name, titles in (("b.xml", ("Three",)), ("a.xml", ("One", "Two"))):
        wire.web.feed("/rss", *titles)
        (folder / name).write_bytes(wire.web.pages["/rss"][1])
    return folder


def test_a_folder_is_a_feed_of_all_its_files(wire: Wire) -> None:
    wire.configure()
    folder = folder_of_feeds(wire)
    (folder / "notes.txt").write_text("no feed")
    (folder / ".hidden").write_text("no feed")
    (folder / "sub").mkdir()

    assert 0 == wire("feed", "add", "incoming").code
    tried = wire("feed", "test", "incoming", "--json")
    assert ["One", "Two", "Three"] == [entry["title"] for entry in tried.data["entries"]]
    first = wire("fetch", "--json")
    assert [3] == [one["new"] for one in first.data], first.out
    wire.web.feed("/rss", "Four")
    (folder / "c.xml").write_bytes(wire.web.pages["/rss"][1])
    assert [1] == [one["new"] for one in wire("fetch", "--json").data]
    assert [0] == [one["new"] for one in wire("fetch", "--json").data]


def test_a_folder_without_a_feed_is_named(wire: Wire) -> None:
    wire.configure()
    folder = wire.folder / "incoming"
    folder.mkdir()

    assert "there is no file in this folder" in wire("feed", "add", "incoming").err
    (folder / "notes.txt").write_text("no feed")
    assert "notes.txt: this is text, but not a feed" in wire("feed", "add", "incoming").err
    for number in range(MAX_FILES):
        (folder / f"{number}.xml").write_text("")
    assert f"has {MAX_FILES + 1} files" in wire("feed", "add", "incoming").err


def test_the_web_cannot_send_a_folder(wire: Wire) -> None:
    wire.configure()
    wire.web.pages["/rss"] = (200, b'newsletter folder\n\0\0\0\x10[["../../a", 3]]abc')

    assert "this is text, but not a feed" in wire("feed", "add", wire.web.url + "/rss", "--allow-private").err


def test_standard_input_can_be_tried_but_not_added(wire: Wire) -> None:
    wire.configure()
    wire.web.feed("/rss", "One")

    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "newsletter", "feed", "test", "-"],
        cwd=wire.folder,
        input=wire.web.pages["/rss"][1],
        capture_output=True,
        env={"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )

    assert (0, "News: 1 entry, 1 passes the rules") == (done.returncode, done.stderr.decode().partition(";")[0])
    refused = wire("feed", "add", "-")
    assert 2 == refused.code
    assert "newsletter feed test -" in refused.err
