"""What a feed's settings may be, beside each other, and where its new address is written."""

from pathlib import Path

import pytest

from newsletter.config import move_feeds, parse_project
from newsletter.errors import ConfigError, NewsletterError

HEAD = "title: Wire\nfrom: wire@example.com\nfeeds:\n  - url: https://a.example/feed\n"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("    username: ada\n", "newsletter.yaml:5: feeds[0].username: needs a password_env"),
        ("    password_env: X\n", "newsletter.yaml:5: feeds[0].password_env: is of no use without a username"),
        (
            "    username: 'a:b'\n    password_env: X\n",
            "newsletter.yaml:5: feeds[0].username: cannot have a colon in it",
        ),
        (
            "    username: a\n    password_env: X\n    password_file: y\n",
            "feeds[0].password_file: there is password_env",
        ),
        ("    headers: {X: '{password}'}\n", "feeds[0].headers: {password} needs a password_env"),
        ("    password: hunter2\n", "feeds[0].password: "),
        ("    poll: 1m\n", "feeds[0].poll: must be at least 5m"),
        ("    poll: 99d\n", "feeds[0].poll: must be at most 30d"),
        ("    poll: often\n", "feeds[0].poll: must be a time such as 30m, 6h or 2d, or auto"),
        ("  - url: file.xml\n    username: a\n    password_env: X\n", "feeds[1].password_env: is of no use for a file"),
        ("  - https://www.a.example/feed/\n", "newsletter.yaml:5: feeds[1]: is the same feed as feeds[0] in line 4"),
        ("failing_after: 0\n", "newsletter.yaml:5: failing_after: must be at least 1"),
    ],
)
def test_a_mistake_is_named_at_its_place(lines: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_project(HEAD + lines, Path("newsletter.yaml").absolute())

    assert words in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "seconds"), [("auto", None), ("5m", 300), ("90m", 5400), ("6h", 21600), ("2d", 172800)]
)
def test_how_often(written: str, seconds: float | None) -> None:
    [feed] = parse_project(HEAD + f"    poll: {written}\n", Path("newsletter.yaml").absolute()).feeds

    assert seconds == feed.poll


def test_no_password_is_in_what_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPER", "hunter2")
    config = parse_project(
        HEAD + "    headers: {X-Key: 'key {password}', X-Plain: p}\n    password_env: PAPER\n",
        Path("newsletter.yaml").absolute(),
    )

    [secret] = config.feed_secrets.values()
    assert {"X-Key": "key hunter2"} == secret.headers()
    assert {"X-Plain": "p"} == config.feeds[0].headers
    assert "hunter2" not in f"{config!r} {config.feeds!r} {secret!r}"


@pytest.mark.parametrize("password", ["a\tb", "gr\u00fc\u00df"])
def test_a_password_that_no_header_can_carry_is_refused(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("PAPER", password)
    lines = "    headers: {X-Key: '{password}'}\n    password_env: PAPER\n"
    config = parse_project(HEAD + lines, Path("newsletter.yaml").absolute())

    with pytest.raises(NewsletterError, match="no header can carry") as caught:
        config.feed_secrets["https://a.example/feed"].headers()
    assert password not in str(caught.value)


def test_the_smtp_password_is_not_a_feeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_SMTP_PASSWORD", "hunter2")
    monkeypatch.setenv("NEWSLETTER_FEED_PASSWORD", "hunter2")
    config = parse_project(HEAD + "    username: a\n    password_env: PAPER\n", Path("newsletter.yaml").absolute())

    with pytest.raises(NewsletterError, match="the environment variable PAPER is not set") as caught:
        config.feed_secrets["https://a.example/feed"].headers()
    assert "password_file or password_command under feeds[0]" in (caught.value.hint or "")


def test_addresses_are_written_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "newsletter.yaml"
    before = HEAD + "  - https://b.example/feed   # b\ndigests: {daily: {feeds: ['https://www.a.example/feed']}}\n"
    path.write_text(before, encoding="utf-8")
    config = parse_project(before, path)
    moves = {
        "https://a.example/feed": "https://new.example/a?x=1&y=2",
        "https://b.example/feed": "https://new.example/a/?y=2&x=1",
        "https://c.example/feed": "https://new.example/c",
    }
    done, left, now = move_feeds(config, moves)

    assert {"https://a.example/feed": "https://new.example/a?x=1&y=2"} == done
    assert ["https://b.example/feed"] == list(left)
    assert ["https://new.example/a?x=1&y=2", "https://b.example/feed"] == [feed.url for feed in now.feeds]
    expected = before.replace("https://a.example/feed", moves["https://a.example/feed"], 1).replace(
        "https://www.a.example/feed", moves["https://a.example/feed"]
    )
    assert expected == path.read_text(encoding="utf-8")
