"""`explain` for entries, issues and feeds: why something is in an issue, or in none."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Wire, a_wire


def feed(wire: Wire, path: str, *titles: str, host: str = "news.example.com", body: str = "") -> str:
    """Publish a feed; returns its settings in newsletter.yaml's short form."""
    items = "".join(
        f"<item><title>{title}</title><link>https://{host}/{title.replace(' ', '-')}</link>"
        f'<guid isPermaLink="false">{path}:{title}</guid><description>About {title}. {body}</description></item>'
        for title in titles
    )
    wire.web.pages[path] = (
        200,
        (
            f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed {path}</title>'
            f"<link>https://{host}/</link><description/>{items}</channel></rss>"
        ).encode(),
    )
    return wire.web.url + path


def configure(wire: Wire, feeds: str, *, more: str = "", people: str = "- ada@example.com\n") -> None:
    wire.configure(people=people)
    path = wire.folder / "newsletter.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("feeds: []\n", f"{more}feeds:\n{feeds}"), encoding="utf-8")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """One issue of two feeds, out of which every rule has taken something."""
    with a_wire(tmp_path_factory.mktemp("base")) as wire:
        first = feed(wire, "/a", "Ads sponsored", "Alpha one", "Alpha two", "Alpha three", "Shared story", "Older")
        second = feed(wire, "/b", "Shared story", "Beta one", "Beta two")
        configure(
            wire,
            f"  - {{url: {first}, title: First, max_entries: 2, allow_private: true, exclude: [{{no ads: sponsored}}]}}\n"
            f"  - {{url: {second}, title: Second, allow_private: true}}\n",
            more="first_run: 5\non_copy: send\n",
        )
        assert 0 == wire("send", "-y").code
        yield wire


@pytest.fixture
def sent(base: Wire, tmp_path: Path) -> Iterator[Wire]:
    """A copy of that project, with the same servers."""
    pages = dict(base.web.pages)
    folder = shutil.copytree(base.folder, tmp_path / "wire")
    yield Wire(folder, base.web, base.mail)
    base.web.pages = pages


def last(wire: Wire, what: str) -> str:
    """The line about the digest."""
    done = wire("explain", what)
    assert 0 == done.code, done.err
    return re.sub(r"^daily: issue \d+ \([^)]*\), ", "", done.out.splitlines()[-1])


def test_an_entry_says_which_rule_put_it_in_or_left_it_out(sent: Wire) -> None:
    assert "left out: excluded by the rule no ads" == last(sent, "ads sponsored")
    assert "shown" == last(sent, "https://news.example.com/Alpha-one")
    assert "as a headline only: over max_entries: 2 of First" == last(sent, "news.example.com/Alpha-two")
    assert "never to be sent: not among the newest 5 when the digest first read the feed" in last(sent, "Older")
    one, two = sent("explain", "Shared Story", "--json").data["entries"]
    assert {"headline", "duplicate"} == {one["digests"][0]["word"], two["digests"][0]["word"]}
    assert "not shown by itself: the same story stands under First" in (
        one["digests"][0]["sentence"],
        two["digests"][0]["sentence"],
    )


def test_an_entry_is_found_by_guid_address_and_words(sent: Wire) -> None:
    titles = [
        [one["title"] for one in sent("explain", what, "--json").data["entries"]]
        for what in ("/b:Beta one", "http://www.news.example.com/Beta-one?utm_source=x", "beta ONE", "one beta")
    ]

    assert [["Beta one"]] * 4 == titles


def test_more_entries_than_can_be_told_are_listed(wire: Wire) -> None:
    configure(wire, f"  - {{url: {feed(wire, '/a', *(f'News {n}' for n in range(9)))}, allow_private: true}}\n")
    wire("fetch")
    done, told = wire("explain", "news"), wire("explain", "news", "--json").data["several"]

    assert (9, 9) == (told["total"], len(told["entries"]))
    assert "9 entries fit: say more of the title, or the address" in done.err
    assert "News 8" in done.out


def test_an_entry_tells_how_it_was_known_again_and_changed(sent: Wire) -> None:
    body = sent.web.pages["/b"][1].replace(b"/b:Beta one", b"new-guid").replace(b"About Beta two", b"Corrected")
    sent.web.pages["/b"] = (200, body)
    sent("fetch")

    assert "known again by its link, with a new guid" in sent("explain", "Beta one").out
    assert "changed by its feed once, last " in sent("explain", "Beta two").out
    feed(sent, "/b", "Beta three")
    sent("fetch")
    assert "gone from the feed; last seen " in sent("explain", "Beta one").out


def test_a_waiting_entry_says_what_the_next_issue_would_do(sent: Wire) -> None:
    feed(sent, "/a", "Later sponsored", "Alpha five", "Alpha one")
    sent("fetch")

    assert "daily: waits; the next issue would have it left out: excluded by the rule no ads" == last(
        sent, "later sponsored"
    )
    assert "daily: waits; the next issue would have it shown" == last(sent, "alpha five")


def test_an_entry_that_is_settling_says_until_when(sent: Wire) -> None:
    path = sent.folder / "newsletter.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("first_run", "settle: 30m\nfirst_run"), encoding="utf-8")
    feed(sent, "/b", "Beta three", "Beta one")
    dry = sent("send", "-n")
    sent("fetch")

    assert "1 entry is settling (may still change): the first can go after " in dry.err
    assert "daily: waits until it has not changed for a while (settle): until " in last(sent, "beta three")
    assert "settling" == sent("explain", "beta three", "--json").data["entries"][0]["digests"][0]["word"]
    assert "1, 1 settling" in sent("status").out
    assert 1 == sent("status", "--json").data["digests"][0]["settling"]
    assert "1 of the waiting are settling" in sent("explain", "Second").out
    assert "settle: an entry waits until it is the same for 30 min" in sent("explain", "Second").out


def test_held_entries_name_the_flood_guard_and_who_let_them_go(sent: Wire) -> None:
    feed(sent, "/b", *(f"Flood {n}" for n in range(30)), host="elsewhere.example.org")
    sent("fetch")
    assert "daily: held back: 30 of 30 entries look new all at once" in last(sent, "Flood 7")
    assert "30 held: 30 of 30 entries look new all at once" in sent("explain", "Second").out
    sent("feed", "release", "Second", "--discard")

    told = sent("explain", "Flood 7").out
    assert "discarded by hand: never to be sent" in told
    assert "daily: never to be sent: held by the flood guard and discarded" in told


def test_an_issue_tells_each_entry_what_was_kept_back_and_which_feeds_failed(sent: Wire) -> None:
    sent.web.pages["/b"] = (500, b"no")
    feed(sent, "/a", "Alpha six", "Alpha one")
    assert 0 == sent("send", "-y").code
    told = sent("explain", "daily/2")

    assert told.out.startswith("issue 2 of daily: ")
    assert "Alpha six" in told.out
    assert "could not be read then: " in told.out.splitlines()[-1]
    [down] = sent("explain", "2", "--json").data["issue"]["feeds_down"]
    assert down["feed"].endswith("/b")
    [entry] = sent("explain", "2", "--json").data["issue"]["entries"]
    assert ("Alpha six", "shown", "shown") == (entry["title"], entry["word"], entry["sentence"])


def test_a_feed_tells_its_rules_its_entries_and_when_it_failed(sent: Wire) -> None:
    page = sent.web.pages["/a"]
    sent.web.pages["/a"] = (500, b"no")
    sent("fetch")
    sent("fetch")
    sent.web.pages["/a"] = page
    sent("fetch")
    told = sent("explain", "First").out
    data = json.loads(sent("explain", sent.web.url + "/a", "--json").out)["feed"]

    assert told.startswith(f"First ({sent.web.url}/a)")
    for words in ("exclude: no ads", "max_entries: 2 in full an issue", "first_run: a digest", "could not be read:"):
        assert words in told
    assert {"shown": 2, "headline": 2, "excluded": 1} == {
        word: n for word, n in data["digests"][0]["fates"].items() if word in ("shown", "headline", "excluded")
    }
    [outage] = data["outages"]
    assert 2 == outage["times"]
    assert outage["ended_at"] is not None


def test_a_feed_that_the_project_had_once_is_still_explained(sent: Wire) -> None:
    sent("feed", "remove", "Second")

    assert "not in the project any more" in sent("explain", f"{sent.web.url}/b").out
    assert "daily, which does not have it any more" in sent("explain", "feed /b").out


@pytest.mark.parametrize(
    ("what", "error", "hint"),
    [
        ("7", "there is no issue 7", "the last one is daily/1"),
        ("daily/7", "there is no issue 7 of daily", "the last one is daily/1"),
        ("alpa oen", "there is no entry, issue or feed that 'alpa oen' fits", "Alpha one"),
        ("https://nowhere.example.com/x", "there is no entry, issue or feed", ""),
        ("daily", "daily is a digest", "newsletter explain daily/1"),
        ("   ", "nothing is named", "newsletter explain EMAIL, ENTRY, ISSUE or FEED"),
        ("\x1b[31mred", "there is no entry, issue or feed", ""),
    ],
)
def test_what_is_not_there_is_one_error_with_what_comes_nearest(sent: Wire, what: str, error: str, hint: str) -> None:
    done = sent("explain", what)

    assert (2, "") == (done.code, done.out)
    assert error in done.err
    assert hint in done.err
    assert "\x1b" not in done.err


def test_two_digests_with_the_same_number_have_to_be_told_apart(wire: Wire) -> None:
    configure(
        wire,
        f"  - {{url: {feed(wire, '/a', 'One')}, allow_private: true}}\n",
        more="digests: {daily: {}, weekly: {}}\n",
    )
    wire("send", "daily", "-y")
    wire("send", "weekly", "-y")
    done = wire("explain", "1")

    assert (2, "hint: say which: daily/1, weekly/1") == (done.code, done.err.splitlines()[-1])
    assert "issue 1 of weekly" in wire("explain", "weekly/1").out
    assert ["daily", "weekly"] == [
        one["digest"] for one in wire("explain", "One", "--json").data["entries"][0]["digests"]
    ]


def test_a_title_that_is_a_number_is_found_where_no_issue_has_it(wire: Wire) -> None:
    configure(wire, f"  - {{url: {feed(wire, '/a', '1984', 'Of 1985')}, allow_private: true}}\n")
    wire("fetch")

    assert "1984" == wire("explain", "1984", "--json").data["entries"][0]["title"]
    assert "there is no issue 1985" in wire("explain", "1985").err


def test_looking_changes_nothing(sent: Wire) -> None:
    before = [(row["name"], row["waiting"]) for row in sent("status", "--json").data["digests"]]
    for what in ("First", "1", "Alpha one", "nothing like it"):
        sent("explain", what)

    assert before == [(row["name"], row["waiting"]) for row in sent("status", "--json").data["digests"]]
