"""`approve`, `owner` and `notify`: what may be written, and what is refused with its line."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.config import Config, parse_project
from newsletter.errors import ConfigError
from newsletter.model import ApprovalRule, WithoutAnswer
from tests.cli.conftest import Wire, a_wire

HEAD = "title: Wire\nfrom: Wire <wire@example.com>\nfeeds: [https://a.example/rss]\n"


def parse(text: str) -> Config:
    return parse_project(HEAD + text, Path("newsletter.yaml"))


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("2h", ApprovalRule(ahead=timedelta(hours=2), without_answer=WithoutAnswer.hold)),
        ("true", ApprovalRule(ahead=timedelta(hours=2), without_answer=WithoutAnswer.hold)),
        ("false", None),
        (
            "{ahead: 30m, without_answer: send}",
            ApprovalRule(ahead=timedelta(minutes=30), without_answer=WithoutAnswer.send),
        ),
        ("{without_answer: cancel}", ApprovalRule(ahead=timedelta(hours=2), without_answer=WithoutAnswer.cancel)),
    ],
)
def test_approve_says_how_long_ahead_and_what_follows(written: str, rule: ApprovalRule | None) -> None:
    assert rule == parse(f"digests: {{daily: {{schedule: daily 07:00, approve: {written}}}}}\n").digest().approve


def test_the_owner_is_an_address_or_several_and_notices_have_usual_bounds() -> None:
    one = parse("owner: editor@example.com\n").notify
    more = parse(
        "owner: [a@example.com, b@example.com]\nnotify: {failures: 10%, overdue: 2d, per_day: 3, apprise_env: MINE}\n"
    ).notify

    assert ["editor@example.com"] == [owner.email for owner in one.owners]
    assert (0.05, timedelta(hours=26), 10, None) == (one.failures, one.overdue, one.per_day, one.apprise)
    assert ["a@example.com", "b@example.com"] == [owner.email for owner in more.owners]
    assert (0.1, timedelta(days=2), 3) == (more.failures, more.overdue, more.per_day)
    assert more.apprise is not None
    assert "MINE" == more.apprise.variable
    assert () == parse("").notify.owners


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("digests:\n  daily: {approve: 2h}\n", "newsletter.yaml:5: digests.daily.approve: needs a schedule"),
        ("digests:\n  daily: {schedule: daily 07:00, approve: 1m}\n", "approve.ahead: must be at least 5m"),
        ("digests:\n  daily: {schedule: daily 07:00, approve: soon}\n", "must be a time such as 30m, 6h or 2d"),
        ("digests:\n  daily: {schedule: daily 07:00, approve: {without_answer: ask}}\n", "without_answer"),
        ("owner: nobody\n", "newsletter.yaml:4: owner"),
        ("notify: {failures: 5}\n", "notify.failures: must be a percentage such as 5%"),
        ("notify: {apprise_env: A, apprise_file: b}\n", "notify.apprise_file: there is apprise_env as well"),
        ("notify: {apprise: 'json://x'}\n", "notify.apprise"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)

    assert said in str(caught.value)


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    with a_wire(tmp_path) as made:
        yield made


def test_a_digest_may_have_a_subject_of_its_own(wire: Wire) -> None:
    subject = "subject: '{{ entries[0].title }}, and {{ issue.total }} in all'"
    wire.configure(wire.web.feed("/rss", "First", "Second"), more=f"digests:\n  daily:\n    {subject}\n")

    planned = wire("send", "-n", "--json").data
    wire.configure(wire.web.feed("/rss", "First"), more="digests:\n  daily:\n    subject: '{{ entries[0'\n")
    wrong = wire("send", "-n")

    assert "First, and 2 in all" == planned["subject"]
    assert (2, True) == (wrong.code, wrong.err.startswith("error: subject:1: "))
