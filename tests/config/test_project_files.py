"""The files of a project: feeds that come and go, the starter's two files, and the sample at the root."""

from pathlib import Path

import pytest

from newsletter.address import is_reserved
from newsletter.config import Config, add_feed, load_project, parse_project, remove_feed, starter_config, starter_people
from newsletter.errors import ConfigError, UsageError
from newsletter.model import Feed, Rule
from newsletter.people.file import FileRoster
from tests.conftest import ROOT

TEXT = """\
# The wire
title: Wire          # short
from: wire@example.com
feeds:
  # the big one
  - https://news.example.com/feed.xml
  - url: https://blog.example.org/atom   # the blog
    title: The Blog
    tags: [tech]

digests:
  daily:
  weekly: {tags: [tech]}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "newsletter.yaml").write_text(TEXT)
    return load_project()


def test_a_feed_is_added_in_one_line_or_with_what_is_said_about_it(config: Config) -> None:
    after = add_feed(config, "https://one.example/feed")
    after = add_feed(
        after, "https://two.example/feed", title="Two: the second", tags=["a b"], max_entries=5, allow_private=True
    )

    assert (
        TEXT.replace(
            "    tags: [tech]\n",
            "    tags: [tech]\n"
            "  - https://one.example/feed\n"
            "  - url: https://two.example/feed\n"
            '    title: "Two: the second"\n'
            "    tags: [a b]\n"
            "    max_entries: 5\n"
            "    allow_private: true\n",
        )
        == config.path.read_text()
    )
    expected = Feed(
        url="https://two.example/feed", title="Two: the second", tags=("a b",), max_entries=5, allow_private=True
    )
    assert expected == after.feeds[-1]
    assert load_project() == after


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://www.news.example.com/feed.xml/", "is the same feed as feeds[0] in line 6"),
        ("ftp://news.example.com", "feeds are read over http and https and from files, not over ftp"),
        ("news.example.com/feed.xml", "write https:// in front of an address"),
        ("https://", "is not a web address"),
    ],
)
def test_a_feed_that_cannot_be_is_not_added(config: Config, url: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        add_feed(config, url)

    assert f"newsletter.yaml cannot take {url}: " in str(caught.value)
    assert said in str(caught.value)
    assert TEXT == config.path.read_text()


def test_a_file_is_named_from_the_project(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "feeds"
    folder.mkdir()
    (folder / "local.xml").write_text("<rss/>")
    monkeypatch.chdir(folder)

    after = add_feed(config, "local.xml")

    assert "  - feeds/local.xml\n" in config.path.read_text()
    assert str(folder / "local.xml") == after.feeds[-1].url
    gone, _ = remove_feed(after, "local.xml")
    assert str(folder / "local.xml") == gone.url
    assert TEXT == config.path.read_text()


def test_a_feed_is_removed_with_its_comment(config: Config) -> None:
    gone, after = remove_feed(config, "https://news.example.com/feed.xml")

    assert "https://news.example.com/feed.xml" == gone.url
    assert TEXT.replace("  # the big one\n  - https://news.example.com/feed.xml\n", "") == config.path.read_text()
    assert 1 == len(after.feeds)


def test_rules_with_names_survive_edits(config: Config) -> None:
    rules = "  - url: https://b.example/feed\n    exclude:\n      # ours\n      ads: 'a|b'   # kept\n    include: [x, {y: z}]\n"
    text = TEXT.replace("\ndigests:", f"{rules}\ndigests:")
    config.path.write_text(text, encoding="utf-8")

    added = add_feed(config, "https://c.example/feed", tags=["tech"])
    _, left = remove_feed(added, "https://c.example/feed")

    assert text == config.path.read_text()
    assert (Rule(name="ads", pattern="a|b"),) == left.feed("https://b.example/feed").exclude


def test_a_feed_that_a_digest_needs_stays(config: Config) -> None:
    with pytest.raises(UsageError, match=r"the blog is still named in digests\.weekly\.tags\[0\]") as caught:
        remove_feed(config, "the blog")

    assert "take it out there first" == caught.value.hint
    assert TEXT == config.path.read_text()


def test_a_feed_that_is_not_there_is_named_with_the_nearest(config: Config) -> None:
    with pytest.raises(UsageError, match=r"did you mean The Blog\?"):
        remove_feed(config, "The Blag")


def test_a_file_that_is_wrong_already_is_not_made_worse(config: Config) -> None:
    config.path.write_text(TEXT + "x: 1\n")

    with pytest.raises(ConfigError, match="x: no such setting"):
        add_feed(config, "https://one.example/feed")
    assert TEXT + "x: 1\n" == config.path.read_text()


# --------------------------------------------------------------------------- starters


@pytest.mark.parametrize("feeds", [[], ["https://news.example.com/feed.xml?a=b#c", "feeds/x.xml"]])
@pytest.mark.parametrize(
    "smtp", [None, "localhost:1025", "mail.example.com", "mail.example.com:465", "[::1]:2525", "::1"]
)
@pytest.mark.parametrize(
    ("title", "sender"),
    [
        ("The Morning Wire", "The Morning Wire <wire@example.com>"),
        ("no", "a@example.com"),
        ("{x}: #1 'or' \"2\"", '"Wire: The, \\"#1\\"" <wire@example.com>'),
        ("Größe 中", "Größe <g@bücher.example>"),
        ("12:30", "12 <a@example.com>"),
    ],
)
def test_a_new_project_is_right_from_the_start(
    tmp_path: Path, title: str, sender: str, smtp: str | None, feeds: list[str]
) -> None:
    text = starter_config(
        title=title,
        from_=sender,
        feeds=feeds,
        timezone="America/New_York",
        language="pt-BR",
        smtp=smtp,
        username="a: b",
    )
    config = parse_project(text, tmp_path / "newsletter.yaml")

    assert (title, "America/New_York", "pt-BR") == (config.title, config.timezone, config.language)
    assert len(feeds) == len(config.feeds)
    assert (smtp is None) == (config.smtp is None)
    if config.smtp is not None:
        tls = "implicit" if config.smtp.port == 465 else "none" if config.smtp.is_loopback else "starttls"
        assert (tls, "a: b") == (config.smtp.tls, config.smtp.username)


def test_a_new_project_takes_its_first_feed_and_person(tmp_path: Path) -> None:
    path = tmp_path / "newsletter.yaml"
    text = starter_config(title="Wire", from_="wire@example.com")
    path.write_text(text)
    people = tmp_path / "subscribers.yaml"
    people.write_text(starter_people())

    after = add_feed(load_project(path), "https://news.example.com/feed.xml")
    assert 1 == len(after.feeds)
    remove_feed(after, "https://news.example.com/feed.xml")
    assert [line for line in text.splitlines() if "feeds:" not in line] == [
        line for line in path.read_text().splitlines() if "feeds:" not in line
    ]
    assert "ada@example.com" == FileRoster(people).add("ada@example.com").email
    FileRoster(people).remove("ada@example.com")
    assert starter_people() == people.read_text().rstrip("\n") + "\n"


@pytest.mark.parametrize("email", [None, "ada@example.com"])
def test_the_people_of_a_new_project_are_right_from_the_start(tmp_path: Path, email: str | None) -> None:
    path = tmp_path / "subscribers.yaml"
    path.write_text(starter_people(email))

    assert ([] if email is None else [email]) == [person.email for person in FileRoster(path).people()]


@pytest.mark.parametrize("smtp", [None, "mail.example.com"])
def test_what_the_starter_shows_in_comments_works_without_the_comment_signs(tmp_path: Path, smtp: str | None) -> None:
    text = starter_config(title="Wire", from_="wire@example.com", smtp=smtp)
    shown = (
        "# base_url",
        "# postal_address",
        "# digests",
        "#   daily",
        "#   weekly",
        "# smtp",
        "#   host",
        "#   port",
        "#   tls",
    )
    lines = [
        line.removeprefix("# ") if line.startswith((*shown, "#   username", "#   password_env")) else line
        for line in text.splitlines()
    ]
    with_tag = "\n".join(lines).replace("feeds: []", "feeds: [{url: https://example.org/feed.xml, tags: [tech]}]")

    config = parse_project(with_tag, tmp_path / "newsletter.yaml")

    assert ("daily", "weekly") == config.digest_names
    assert ("https://wire.example.com", "1 Example Street, Berlin") == (config.base_url, config.postal_address)
    assert "mail.example.com" == config.require_smtp().host


# --------------------------------------------------------------- the repository's own


def test_the_repository_is_a_project_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEWSLETTER_STORE", raising=False)
    config = load_project(ROOT)
    assert config.subscribers is not None
    people = list(FileRoster(config.subscribers, config.digest_names).people())

    assert ("daily", "weekly") == config.digest_names
    assert config.require_smtp().is_loopback
    assert 3 == len(people)


def test_nobody_real_is_in_the_sample() -> None:
    config = load_project(ROOT)
    assert config.subscribers is not None
    people = [person.key.rpartition("@")[2] for person in FileRoster(config.subscribers).people()]
    hosts = [feed.url.split("/")[2] for feed in config.feeds]

    assert [] == [host for host in [*people, *hosts, config.from_address.domain] if not is_reserved(host)]
