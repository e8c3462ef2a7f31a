"""`feed test`: what a feed holds now, and what its rules make of it."""

from collections import Counter

from tests.cli.conftest import Wire


def harbour(wire: Wire, rules: str, *titles: str) -> str:
    """A project of one feed, called Harbour, that has these rules."""
    url = wire.web.feed("/rss", *titles)
    wire.configure(url)
    settings = wire.folder / "newsletter.yaml"
    lines = f"    allow_private: true\n    title: Harbour\n{rules}"
    settings.write_text(settings.read_text().replace("    allow_private: true\n", lines))
    return url


def test_each_entry_is_listed_with_the_rules_that_hit_it_and_where(wire: Wire) -> None:
    rules = "    include: [ferry, about p]\n    exclude: {ads: advert, sports: football}\n"
    url = harbour(wire, rules, "Ferry strike", "Pears", "Plums", "Advert", "Fog")

    done = wire("feed", "test", "harbour", "--json")

    assert 0 == done.code, done.err
    assert [
        ("Ferry strike", True, "let in by the rule ferry", [("include", "ferry", "title", "Ferry", "Ferry strike")]),
        ("Pears", True, "let in by the rule about p", [("include", "about p", "text", "About P", "About Pears.")]),
        ("Plums", True, "let in by the rule about p", [("include", "about p", "text", "About P", "About Plums.")]),
        ("Advert", False, "excluded by the rule ads", [("exclude", "ads", "title", "Advert", "Advert")]),
        ("Fog", False, "no include rule matches", []),
    ] == [
        (
            e["title"],
            e["passes"],
            e["why"],
            [(h["kind"], h["rule"]["name"], h["where"], h["matched"], h["excerpt"]) for h in e["hits"]],
        )
        for e in done.data["entries"]
    ]
    assert [("exclude", "ads", 1), ("exclude", "sports", 0), ("include", "ferry", 1), ("include", "about p", 2)] == [
        (rule["kind"], rule["name"], rule["hits"]) for rule in done.data["rules"]
    ]
    shown = wire("feed", "test", url)
    assert "ads: title “Advert”" in shown.out
    assert "Harbour: 5 entries, 3 pass the rules; nothing is recorded\nhits nothing: exclude sports\n" == shown.err
    assert not (wire.folder / ".newsletter").exists()


def test_a_rule_that_runs_out_of_time_is_warned_of_once_wherever_it_matters(wire: Wire) -> None:
    trap = "a" * 5_000 + "!"
    url = harbour(wire, "    exclude: {trap: '(a+)+$'}\n", trap, trap + "?", "Ferry strike")
    warning = f"warning: {url}: the exclude rule trap ran out of time on 2 entries and counts as not matching there"

    tried = wire("feed", "test", "harbour")
    dry_run = wire("send", "--dry-run")
    fetched = wire("fetch")
    checked = wire("check")
    sent = wire("send", "-y")

    assert (0, 0, 0) == (tried.code, dry_run.code, fetched.code)
    for done in (tried, dry_run, sent):
        assert 1 == done.err.count(warning), done.err
        assert 1 == done.err.count("hint: write it without one repetition inside another"), done.err
    assert "hits nothing" not in tried.err
    assert 1 == checked.out.count(warning.removeprefix("warning: "))
    assert [True, True] == ["newsletter feed test tries it" in out for out in (checked.out, sent.err)]
    assert 0 == sent.code
    issue = wire("issue", "show", "1", "--json")
    assert {"ran out of time: the rule trap": 2, "": 1} == Counter(entry["why"] for entry in issue.data["list"])


def test_a_feed_that_is_not_in_the_project_can_be_tried_too(wire: Wire) -> None:
    wire.web.feed("/rss", "One")
    (wire.folder / "feed.xml").write_bytes(wire.web.pages["/rss"][1])
    wire.configure()

    done = wire("feed", "test", "feed.xml", "--json")

    assert 0 == done.code, done.err
    assert not done.data["in_project"]
    assert ["One"] == [e["title"] for e in done.data["entries"]]


def test_what_is_neither_is_an_error_with_a_way_on(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "One"))

    done = wire("feed", "test", "Harbor")

    assert 2 == done.code
    assert "there is no feed Harbor" in done.err
