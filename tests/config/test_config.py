"""newsletter.yaml: what it may say, and how every mistake in it is told at once."""

import os
from pathlib import Path
from typing import Any

import pytest

from newsletter.config import Config, find_project, load_project, parse_project
from newsletter.config.schema import DigestBlock, FeedBlock, NotifyBlock, ProjectBlock, SmtpBlock
from newsletter.errors import ConfigError, UsageError
from newsletter.model import Feed, OnUnknown, Rule

HEAD = "title: Wire\nfrom: Wire <wire@example.com>\n"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NEWSLETTER_STORE", raising=False)
    monkeypatch.delenv("NEWSLETTER_SMTP_PASSWORD", raising=False)
    monkeypatch.chdir(tmp_path)


def parse(text: str) -> Config:
    return parse_project(text, Path("newsletter.yaml").absolute())


def said(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return str(caught.value).splitlines()


def test_two_lines_are_a_project_and_the_rest_has_its_default(tmp_path: Path) -> None:
    config = parse(HEAD)

    assert ("Wire", "wire@example.com") == (config.from_name, config.from_address.email)
    assert ("en", "UTC", 3, False, OnUnknown.resend) == (
        config.language,
        config.timezone,
        config.first_run,
        config.mention_edits,
        config.on_unknown,
    )
    assert str(tmp_path / ".newsletter/newsletter.db") == config.store
    assert tmp_path / "subscribers.yaml" == config.subscribers
    assert tmp_path / "templates" == config.templates
    assert () == config.feeds
    assert ["daily"] == list(config.digest_names)
    assert "daily.example.com" == config.digest().list_id


FULL = """\
title: The Morning Wire
from: '"Wire, The" <wire@bücher.example>'
reply_to: editors@example.com
language: de-at
timezone: Europe/Berlin
base_url: https://wire.example.com/news/
postal_address: |
  1 Example Street,
  Berlin
list_id: wire.example.com
user_agent: wire/1.0 (+https://wire.example.com)
first_run: all
edits: mention
on_unknown: hold
store: state/wire.db
subscribers: people.yaml
feeds:
  - https://news.example.com/feed.xml
  - feeds/local.xml
  - url: https://blog.example.org/atom
    title: The Blog
    language: fr
    tags: [tech, 'no']
    max_entries: 5
    include: [a, b]
    exclude: (?i)sponsored
    headers: {Authorization: Bearer x}
    allow_private: yes
digests:
  daily:
  weekly:
    schedule: sun 18:00
    tags: [tech]
    feeds: [feeds/local.xml]
    timezone: Asia/Tokyo
    theme: default
    max_entries: 40
    per_feed: 10
    min_entries: 3
    sort: oldest
    group_by: tag
  blog: {feeds: [the blog]}
smtp:
  host: mail.example.com
  tls: implicit
  username: wire
  password_file: secret
  connections: 8
  rate: 50/s
  per_connection: 100
  window: 4
  timeout: 30
"""


def test_every_setting_reaches_its_place(tmp_path: Path) -> None:
    config = parse(FULL)

    assert ("Wire, The", "wire@xn--bcher-kva.example") == (config.from_name, config.from_address.wire)
    assert config.reply_to is not None
    assert "editors@example.com" == config.reply_to.email
    assert ("de-AT", "https://wire.example.com/news", "1 Example Street, Berlin") == (
        config.language,
        config.base_url,
        config.postal_address,
    )
    assert (None, True, OnUnknown.hold) == (config.first_run, config.mention_edits, config.on_unknown)
    assert (str(tmp_path / "state/wire.db"), tmp_path / "people.yaml") == (config.store, config.subscribers)
    assert "wire/1.0 (+https://wire.example.com)" == config.user_agent
    local = Feed(url=str(tmp_path / "feeds/local.xml"))
    blog = Feed(
        url="https://blog.example.org/atom",
        title="The Blog",
        language="fr",
        tags=("tech", "no"),
        max_entries=5,
        include=(Rule(name="a", pattern="a"), Rule(name="b", pattern="b")),
        exclude=(Rule(name="(?i)sponsored", pattern="(?i)sponsored"),),
        headers={"Authorization": "Bearer x"},
        allow_private=True,
    )
    assert (Feed(url="https://news.example.com/feed.xml"), local, blog) == config.feeds
    daily, weekly, by_title = config.digests
    assert (config.feeds, (local, blog), (blog,)) == (daily.feeds, weekly.feeds, by_title.feeds)
    assert ("Europe/Berlin", "daily.wire.example.com") == (daily.timezone, daily.list_id)
    assert ("sun 18:00", "Asia/Tokyo", 40, 10, 3, "oldest", "tag") == (
        weekly.schedule,
        weekly.timezone,
        weekly.max_entries,
        weekly.per_feed,
        weekly.min_entries,
        weekly.sort,
        weekly.group_by,
    )
    assert ("daily", "weekly", "blog") == config.digests_of[blog.url]
    smtp = config.require_smtp()
    assert ("mail.example.com", 465, "implicit", 8, ("50/s",), 100, 4, 30.0) == (
        smtp.host,
        smtp.port,
        smtp.tls,
        smtp.connections,
        smtp.rates,
        smtp.per_connection,
        smtp.window,
        smtp.timeout,
    )


def test_every_mistake_is_told_at_once_with_its_line_and_the_nearest_right_word() -> None:
    text = """\
title: no
from: Wire <wire@exa mple.com>
langauge: en
timezone: Berlin
base_url: http://wire.example.com
feeds:
  - https://a.example/feed
  - url: https://www.a.example/feed/
    titel: x
    max_entries: many
  - url: https://b.example/feed
    tags: [tech, 12:30]
    poll: 1s
    include: '('
  - example.com/feed.xml
  - url: gopher://a.example
digests:
  daily: {schedule: x, canary: 0}
  weekly: {sort: newset}
  Bad Name:
smtp:
  hosst: x
  password: hunter2
  rate: 50/fortnight
  tls: tsl
  port: 70000
connections: 4
first_run: some
store: mysql://x
"""
    assert (
        """\
newsletter.yaml:1: title: no means yes or no in YAML: quote it if it is text: "no"
newsletter.yaml:2: from: 'wire@exa mple.com' is not an e-mail address: The part after the @-sign contains invalid characters: SPACE
newsletter.yaml:3: langauge: no such setting: did you mean language?
newsletter.yaml:4: timezone: 'Berlin' is not a time zone such as Europe/Berlin: did you mean Europe/Berlin?
newsletter.yaml:5: base_url: must begin with https://: the links in it are personal
newsletter.yaml:9: feeds[1].titel: no such setting: did you mean title?
newsletter.yaml:10: feeds[1].max_entries: must be a whole number, not many
newsletter.yaml:12: feeds[2].tags[1]: 12:30 means a number in YAML: quote it if it is text: "12:30"
newsletter.yaml:13: feeds[2].poll: must be a time such as 30m, 6h or 2d, or auto
newsletter.yaml:14: feeds[2].include[0]: is not a regular expression: missing ) at position 1
newsletter.yaml:15: feeds[3]: example.com/feed.xml is no file: write https:// in front of an address
newsletter.yaml:16: feeds[4].url: feeds are read over http and https and from files, not over gopher
newsletter.yaml:18: digests.daily.schedule: 'x' is not a schedule: write daily 07:30, mon-fri 07:00, 1st mon 09:00, every 6h, or cron's five fields
newsletter.yaml:18: digests.daily.canary.share: must be at least 1 and at most 1,000,000 people
newsletter.yaml:19: digests.weekly.sort: must be newest or oldest: did you mean newest?
newsletter.yaml:20: digests.Bad Name: a digest's name is of small letters, digits, - and _, such as daily
newsletter.yaml:21: smtp.host: is missing
newsletter.yaml:22: smtp.hosst: no such setting: did you mean host?
newsletter.yaml:23: smtp.password: does not belong in this file: put it into an environment variable and name that with password_env, or use password_file or password_command
newsletter.yaml:24: smtp.rate: must be a number per second, minute, hour or day, such as 50/s or 1000/h, or a list of such
newsletter.yaml:25: smtp.tls: must be starttls, implicit or none
newsletter.yaml:26: smtp.port: must be at most 65,535
newsletter.yaml:27: connections: no such setting here: it belongs under smtp
newsletter.yaml:28: first_run: must be a whole number up to 1000, or all
newsletter.yaml:29: store: must be a path, or an address that begins with postgresql://
""".splitlines()
        == said(text)
    )


FEED = HEAD + "feeds:\n  - url: https://a.example/feed\n"


def test_a_rule_may_have_a_name() -> None:
    text = (
        FEED
        + "    exclude:\n      sponsored: (?i)sponsored|advertorial\n      'no': '12:30'\n    include: [ferry, {boats: b.at}, ferry]\n"
    )
    feed = parse(text).feeds[0]

    assert [("sponsored", "(?i)sponsored|advertorial"), ("no", "12:30")] == [(r.name, r.pattern) for r in feed.exclude]
    assert [("ferry", "ferry"), ("boats", "b.at")] == [(r.name, r.pattern) for r in feed.include]


def test_every_mistake_in_a_rule_is_told_with_its_name() -> None:
    text = FEED + (
        "    exclude:\n"
        "      sponsored: '('\n"
        "      sports: 12:30\n"
        "      quiet:\n"
        "    include: ['[', {boats: '*'}, {a: b, c: d}, [x], '']\n"
        "  - url: https://b.example/feed\n"
        "    exclude: {name: ads, pattern: advert}\n"
        "    include: [{a: x}, {a: y}]\n"
        "    exlcude: x\n"
        "  - url: https://c.example/feed\n"
        "    exclude: 5\n"
    )

    assert (
        """\
newsletter.yaml:6: feeds[0].exclude.sponsored: is not a regular expression: missing ) at position 1
newsletter.yaml:7: feeds[0].exclude.sports: 12:30 means a number in YAML: quote it if it is text: "12:30"
newsletter.yaml:8: feeds[0].exclude.quiet: is empty: give it a value, or take the line out
newsletter.yaml:9: feeds[0].include[0]: is not a regular expression: unterminated character set at position 1
newsletter.yaml:9: feeds[0].include[1].boats: is not a regular expression: nothing to repeat at position 0
newsletter.yaml:9: feeds[0].include[2]: must be one pattern, or one `name: pattern`
newsletter.yaml:9: feeds[0].include[3]: must be text
newsletter.yaml:9: feeds[0].include[4]: is empty: it would match everything
newsletter.yaml:11: feeds[1].exclude: needs no name and pattern: write the name as the key, `the name: the pattern`
newsletter.yaml:12: feeds[1].include: two rules are called a
newsletter.yaml:13: feeds[1].exlcude: no such setting: did you mean exclude?
newsletter.yaml:15: feeds[2].exclude: must be a list, such as [a, b], not 5
""".splitlines()
        == said(text)
    )


def test_what_is_right_alone_may_be_wrong_together() -> None:
    text = HEAD + (
        "feeds:\n"
        "  - https://a.example/feed\n"
        "  - {url: https://b.example/feed, title: Bee, tags: [tech]}\n"
        "  - {url: https://c.example/feed, title: Bee}\n"
        "  - https://a.example/feed/?utm_source=x\n"
        "digests:\n"
        "  daily: {tags: [tach]}\n"
        "  weekly:\n"
        "    feeds: [https://a.example/fed, bea, bee]\n"
        "  empty: {feeds: []}\n"
        "smtp:\n"
        "  host: mail.example.com\n"
        "  password_file: x\n"
        "  password_env: X\n"
        "  tls: none\n"
        "store: postgresql://u:hunter2@h/x\n"
    )
    found = said(text)

    assert (
        """\
newsletter.yaml:7: feeds[3]: is the same feed as feeds[0] in line 4
newsletter.yaml:9: digests.daily.tags[0]: no feed has the tag tach: did you mean tech?
newsletter.yaml:11: digests.weekly.feeds[0]: there is no feed https://a.example/fed: did you mean https://a.example/feed?
newsletter.yaml:11: digests.weekly.feeds[1]: there is no feed bea: did you mean Bee?
newsletter.yaml:11: digests.weekly.feeds[2]: 2 feeds are called bee: write the address instead
newsletter.yaml:12: digests.empty.feeds: is empty: leave it out for all feeds
newsletter.yaml:15: smtp.password_file: there is password_env as well: keep one of them
newsletter.yaml:16: smtp.password_env: is of no use without a username
newsletter.yaml:17: smtp.tls: sends mail and password in clear: use starttls or implicit, or say `insecure: true` as well
newsletter.yaml:18: store: has a password in it, which does not belong in this file: leave it to ~/.pgpass, or set NEWSLETTER_STORE to the whole address
""".splitlines()
        == found
    )
    assert "hunter2" not in "".join(found)


def test_mistakes_of_yaml_and_of_settings_are_told_together() -> None:
    assert [
        "newsletter.yaml:2: `title` stands here twice: first in line 1",
        "newsletter.yaml:3: `*me` is an alias, which is not supported: write the value out, or quote it if it is text",
        "newsletter.yaml:4: langauge: no such setting: did you mean language?",
    ] == said("title: Wire\ntitle: x\nfrom: *me\nlangauge: en\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "newsletter.yaml: is empty"),
        ("# nothing\n", "newsletter.yaml: is empty"),
        ("- a\n", "newsletter.yaml:1: must be settings, one `key: value` a line"),
        ("from: a@example.com\n", "newsletter.yaml: title: is missing: what the newsletter is called"),
        ("title: x\n", "newsletter.yaml: from: is missing: who sends it, as Name <address>"),
        (HEAD + "language:\n", "newsletter.yaml:3: language: is empty: give it a value, or take the line out"),
        (
            HEAD + "language: german\n",
            "newsletter.yaml:3: language: 'german' is not a language tag such as en or pt-BR",
        ),
        (HEAD + "reply_to: A <a@b.cc>\n", "newsletter.yaml:3: reply_to: 'A <a@b.cc>' is not an e-mail address"),
        (
            "title: x\nfrom: Jürgen <jürgen@example.com>\n",
            "newsletter.yaml:2: from: the part before the @ must be ASCII",
        ),
        (HEAD + "feeds: x\n", "newsletter.yaml:3: feeds: must be a list, such as [a, b], not x"),
        (HEAD + "feeds:\n  - [a]\n", "newsletter.yaml:4: feeds[0]: must be settings, one `key: value` a line"),
        (HEAD + "feeds:\n  - 12:30\n", "newsletter.yaml:4: feeds[0]: must be settings"),
        (HEAD + "feeds: ['file:x.xml']\n", "newsletter.yaml:3: feeds[0]: write the path alone, or file:///path"),
        (
            HEAD + "feeds: ['feed://a.example']\n",
            "newsletter.yaml:3: feeds[0]: feed: is no real address: write https://",
        ),
        (HEAD + "feeds:\n  - title: x\n", "newsletter.yaml:4: feeds[0].url: is missing"),
        (HEAD + "digests: {}\n", "newsletter.yaml:3: digests: is empty"),
        (HEAD + "digests: {a: {min_entries: 0}}\n", "newsletter.yaml:3: digests.a.min_entries: must be at least 1"),
        (
            HEAD + "digests: {a: {theme: dark}}\n",
            "newsletter.yaml:3: digests.a.theme: there is no theme dark: there are default, compact, plain",
        ),
        (
            HEAD + "smtp: mail.example.com\n",
            "newsletter.yaml:3: smtp: must be settings, one `key: value` a line, not mail",
        ),
        (
            HEAD + "smtp: {host: 'mail.example.com:25'}\n",
            "newsletter.yaml:3: smtp.host: must be the name alone: write `host:",
        ),
        (HEAD + "smtp: {host: -x}\n", "newsletter.yaml:3: smtp.host: is not a host name such as mail.example.com"),
        (
            HEAD + "smtp: {host: x, insecure: maybe}\n",
            "newsletter.yaml:3: smtp.insecure: must be true or false, not maybe",
        ),
        (HEAD + "smtp: {host: x, port: 25.5}\n", "newsletter.yaml:3: smtp.port: must be a whole number, not 25.5"),
        (
            HEAD + 'smtp: {host: x, username: u, password_command: "\'x"}\n',
            "password_command: cannot be split into words",
        ),
        (
            HEAD + "feeds: [{url: https://a.example, headers: {A b: c}}]\n",
            "feeds[0].headers: A b is not a header of one line",
        ),
        (
            HEAD + "feeds: [{url: https://a.example, headers: {Host: c}}]\n",
            "feeds[0].headers: Host is set by the program",
        ),
        (HEAD + "store: ':memory:'\n", "newsletter.yaml:3: store: must name a file: what is sent has to be remembered"),
        (HEAD + "store: sqlite://\n", "newsletter.yaml:3: store: must name a file"),
        (HEAD + "settle: soon\n", "newsletter.yaml:3: settle: must be a time such as 30s, 10m or 2h"),
        (HEAD + "settle: 49h\n", "newsletter.yaml:3: settle: must be at most 48h"),
        (HEAD + "settle: -1m\n", "newsletter.yaml:3: settle: must be a time"),
        (HEAD + "settle: off\n", "newsletter.yaml:3: settle: must be a time"),
        (HEAD + "settle: true\n", "newsletter.yaml:3: settle: must be a time"),
        (HEAD + "feeds: [{url: https://a.example, settle: 5}]\n", "newsletter.yaml:3: feeds[0].settle: must be a time"),
        (HEAD + "max_entries: 3\n", "newsletter.yaml:3: max_entries: no such setting here: it belongs under feeds"),
        (
            HEAD + "digests: {a: {send_window: x}}\n",
            "newsletter.yaml:3: digests.a.send_window[0]: 'x' names no hours: write mon-fri 08:00-18:00",
        ),
        (HEAD + 'title2: "\\e[31m"\n', "newsletter.yaml:3: the control character U+001B is not allowed here"),
    ],
)
def test_one_mistake_is_one_clear_line(text: str, expected: str) -> None:
    found = said(text)

    assert expected in found[0]


def test_everything_the_design_names_is_followed() -> None:
    design: dict[Any, str] = {
        ProjectBlock: "title from language timezone base_url postal_address feeds digests smtp store subscribers "
        "first_run edits settle on_unknown reply_to list_id user_agent bounces subscribe failing_after "
        "on_copy keep owner notify archive",
        FeedBlock: "url title language tags max_entries include exclude headers allow_private settle poll username "
        "password_env password_file password_command",
        DigestBlock: "feeds tags schedule timezone subject theme max_entries per_feed min_entries sort group_by "
        "sections pictures note send_window quiet_hours clock catch_up max_lateness canary approve",
        SmtpBlock: "host port tls username password_env password_file password_command connections rate window timeout "
        "per_connection per_domain insecure dkim",
        NotifyBlock: "apprise_env apprise_file apprise_command failures overdue per_day",
    }
    for block, words in design.items():
        known = {field.alias or name for name, field in block.model_fields.items()}
        assert set(words.split()) == known


def test_a_feed_settles_as_long_as_the_project_says_unless_it_says_otherwise() -> None:
    feeds = "[https://a.example, {url: https://b.example, settle: 2h}, {url: https://c.example, settle: 0}]"

    assert [1800.0, 7200.0, 0.0] == [feed.settle for feed in parse(HEAD + f"settle: 30m\nfeeds: {feeds}\n").feeds]
    assert [0.0] == [feed.settle for feed in parse(HEAD + "feeds: [https://a.example]\n").feeds]


@pytest.mark.parametrize(
    ("smtp", "port"),
    [("{host: a.example}", 587), ("{host: a.example, tls: implicit}", 465), ("{host: localhost, tls: none}", 25)],
)
def test_the_port_follows_from_tls(smtp: str, port: int) -> None:
    assert port == parse(HEAD + f"smtp: {smtp}\n").require_smtp().port


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.8.8.8", "'::1'", "'[::1]'", "mail.localhost", "LOCALHOST."]
)
def test_a_server_on_this_machine_needs_no_tls(host: str) -> None:
    assert parse(HEAD + f"smtp: {{host: {host}, tls: none}}\n").require_smtp().is_loopback


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example.com", "'::2'", "mail", "127.0.0.1.example.com"])
def test_any_other_does_unless_somebody_insists(host: str) -> None:
    assert said(HEAD + f"smtp: {{host: {host}, tls: none}}\n")[0].startswith("newsletter.yaml:3: smtp.tls: sends mail")
    assert not parse(HEAD + f"smtp: {{host: {host}, tls: none, insecure: true}}\n").require_smtp().is_loopback


def test_without_a_server_nothing_is_mailed() -> None:
    with pytest.raises(ConfigError, match="smtp: is missing: nothing can be mailed") as caught:
        parse(HEAD).require_smtp()

    assert "smtp: {host: mail.example.com}" in str(caught.value.hint)


# --------------------------------------------------------------------- the environment


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://u:p@db.example/wire", "postgresql://u:p@db.example/wire"),
        ("postgres://db.example/wire", "postgresql://db.example/wire"),
        ("other.db", "FOLDER/other.db"),
        ("/var/lib/wire.db", "/var/lib/wire.db"),
        ("sqlite:///other.db", "FOLDER/other.db"),
        ("sqlite:////var/lib/wire.db", "/var/lib/wire.db"),
    ],
)
def test_the_environment_names_another_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str, expected: str
) -> None:
    monkeypatch.setenv("NEWSLETTER_STORE", given)
    config = parse(HEAD)

    assert expected.replace("FOLDER", str(tmp_path)) == config.store
    assert "u:p" not in repr(config)


def test_a_wrong_store_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_STORE", "redis://x")

    assert ["NEWSLETTER_STORE: must be a path, or an address that begins with postgresql://"] == said(HEAD)


# -------------------------------------------------------------------- finding a project


def test_a_project_is_found_from_any_folder_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "newsletter.yaml").write_text(HEAD)
    inside = tmp_path / "templates" / "deep"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)

    assert tmp_path == load_project().folder
    assert tmp_path == load_project(tmp_path).folder
    assert tmp_path / "newsletter.yaml" == load_project(Path("../../newsletter.yaml").resolve()).path


def test_without_a_project_the_way_to_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path / "nowhere")
    assert ("newsletter init makes a new project", "no such file") == (caught.value.hint, caught.value.problems[0].text)

    if not any((folder / "newsletter.yaml").exists() for folder in tmp_path.parents):
        with pytest.raises(ConfigError, match="there is none in this folder or above it"):
            find_project()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_project_that_somebody_else_left_in_a_folder_above_is_not_taken_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "newsletter.yaml").write_text(HEAD)
    os.chown(tmp_path / "newsletter.yaml", 12345, 12345)
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path / "mine")

    with pytest.raises(ConfigError, match="belongs to another user"):
        load_project()
    assert "Wire" == load_project(tmp_path).title


def test_the_places_in_messages_are_short_and_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "newsletter.yaml").write_text(HEAD + "x: 1\n")
    (tmp_path / "templates").mkdir()
    monkeypatch.chdir(tmp_path / "templates")

    with pytest.raises(ConfigError, match=r"^\.\./newsletter\.yaml:3: x: no such setting"):
        load_project()


# ------------------------------------------------------------------ asking a project


def test_digests_and_feeds_are_found_by_what_people_call_them(tmp_path: Path) -> None:
    config = parse(FULL)

    assert "weekly" == config.digest("weekly").name
    for name in ("https://blog.example.org/atom", "http://www.blog.example.org/atom/", "THE BLOG"):
        assert "https://blog.example.org/atom" == config.feed(name).url
    assert str(tmp_path / "feeds/local.xml") == config.feed("feeds/local.xml").url
    with pytest.raises(UsageError, match=r"there is no digest weakly: did you mean weekly\?"):
        config.digest("weakly")
    with pytest.raises(UsageError, match="more than one digest"):
        config.digest()
    with pytest.raises(UsageError, match=r"there is no feed the blogg: did you mean The Blog\?"):
        config.feed("the blogg")


def test_a_hostile_file_is_refused() -> None:
    for text in (
        "feeds: " + "[" * 20_000,
        "a: " + "x" * 900_000,
        "? " * 5_000,
        "- " * 5_000,
        "{" * 50_000,
        "&a " * 9000,
    ):
        with pytest.raises(ConfigError):
            parse(HEAD + text)


def test_rates_for_all_and_for_domains() -> None:
    smtp = parse(
        "title: Wire\nfrom: wire@example.com\nsmtp:\n  host: mail.example.com\n  rate: [50/s, 20000/d]\n"
        '  per_domain: {Bücher.example: 5/s, "*": [20/s, 100/m]}\n'
    ).require_smtp()

    assert ("50/s", "20000/d") == smtp.rates
    rate = "a number per second, minute, hour or day, such as 50/s or 1000/h, or a list of such"
    assert {"xn--bcher-kva.example": ("5/s",), "*": ("20/s", "100/m")} == smtp.per_domain
    assert [
        f"newsletter.yaml:5: smtp.rate: must be {rate}",
        "newsletter.yaml:6: smtp.per_domain.a b: is not a domain such as mail.example.com, or * for all others",
    ] == said(
        "title: Wire\nfrom: wire@example.com\nsmtp:\n  host: mail.example.com\n  rate: [50/s, 3]\n"
        "  per_domain: {a b: 5/s}\n"
    )
