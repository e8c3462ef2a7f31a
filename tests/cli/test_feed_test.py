"""`feed test`: what a feed holds now, and what its rules make of it."""

from tests.cli.conftest import Wire


def test_each_entry_is_listed_with_the_rule_that_hits_it(wire: Wire) -> None:
    url = wire.web.feed("/rss", "Ferry strike", "Pears", "Advert")
    wire.configure(url)
    settings = wire.folder / "newsletter.yaml"
    rules = "    allow_private: true\n    title: Harbour\n    include: [ferry, advert]\n    exclude: Advert\n"
    settings.write_text(settings.read_text().replace("    allow_private: true\n", rules))

    done = wire("feed", "test", "harbour", "--json")

    assert 0 == done.code, done.err
    assert [
        ("Ferry strike", True, "include 'ferry' matches"),
        ("Pears", False, "no include rule matches"),
        ("Advert", False, "exclude 'Advert' matches"),
    ] == [(e["title"], e["passes"], e["why"]) for e in done.data["entries"]]
    shown = wire("feed", "test", url)
    assert "include 'ferry' matches" in shown.out
    assert "Harbour: 3 entries, 1 passes the rules; nothing is recorded" in shown.err + shown.out
    assert not (wire.folder / ".newsletter").exists()


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
