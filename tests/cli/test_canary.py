"""`canary:` in a digest and `send --canary`: what may be written, and what a publisher sees."""

from pathlib import Path

import pytest

from newsletter.config import canary_given, parse_project
from newsletter.delivery.canary import canary_for
from newsletter.errors import ConfigError, UsageError
from newsletter.model import Canary, CanaryRule
from tests.cli.conftest import Wire
from tests.cli.servers import Moody


def rule(canary: str) -> CanaryRule | None:
    """What a digest with this setting has."""
    text = f"title: T\nfrom: a@example.com\nfeeds: []\ndigests:\n  daily:\n    canary: {canary}\n"
    return parse_project(text, Path("newsletter.yaml")).digest().canary


@pytest.mark.parametrize(
    ("written", "first", "wait", "stop_at"),
    [
        ("1%", 0.01, 600, 0.05),
        ("0.5%", 0.005, 600, 0.05),
        ("50", 50, 600, 0.05),
        ("{share: 2%}", 0.02, 600, 0.05),
        ("{share: 20, wait: 90s, stop_at: 0%}", 20, 90, 0.0),
        ('{share: "20", wait: 2h, stop_at: 12.5%}', 20, 7200, 0.125),
    ],
)
def test_a_canary_is_written_short_or_long(written: str, first: float, wait: float, stop_at: float) -> None:
    assert CanaryRule(first=first, wait=wait, stop_at=stop_at) == rule(written)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("101%", "canary.share: 101% is more than all of them: at most 100%"),
        ("0%", "canary.share: must be more than 0%"),
        ("0", "canary.share: must be at least 1"),
        ("some", "canary.share: must be a share such as 1%, or a number of people such as 50"),
        ("0.5", "canary"),
        ("true", "canary"),
        ("[1%]", "canary"),
        ("{wait: 10m}", "canary.share: is missing"),
        ("{share: 1%, wait: 10}", "canary.wait: must be a time such as 30s, 10m or 2h"),
        ("{share: 1%, wait: 3d}", "canary.wait: must be a time such as 30s, 10m or 2h"),
        ("{share: 1%, wait: 13h}", "canary.wait: must be at most 12h: the send waits that long"),
        ("{share: 1%, stop_at: 5}", "canary.stop_at: must be a percentage such as 5%"),
        ("{share: 1%, stop-at: 5%}", "canary.stop-at: no such setting: did you mean stop_at?"),
    ],
)
def test_a_canary_that_cannot_be_is_named_with_its_line(written: str, words: str) -> None:
    with pytest.raises(ConfigError) as raised:
        rule(written)

    assert "newsletter.yaml:6: digests.daily." in str(raised.value)
    assert words in str(raised.value)


def test_the_command_line_says_how_many_and_keeps_the_rest_of_the_digests() -> None:
    usual = CanaryRule(first=0.01, wait=90.0, stop_at=0.5)

    assert CanaryRule(first=50, wait=90.0, stop_at=0.5) == canary_given("50", usual)
    assert CanaryRule(first=0.02, wait=600.0, stop_at=0.05) == canary_given("2%", None)
    assert None is canary_given("off", usual)
    for wrong in ("", "150%", "-3", "half", "1e9", "0"):
        with pytest.raises(UsageError):
            canary_given(wrong, usual)


@pytest.mark.parametrize(
    ("first", "recipients", "expected"),
    [(0.01, 1000, 10), (0.01, 1001, 11), (0.01, 3, 1), (50, 51, 50), (50, 50, None), (0.5, 1, None), (1.0, 9, None)],
)
def test_a_share_is_rounded_up_and_everybody_is_no_canary(first: float, recipients: int, expected: int | None) -> None:
    found = canary_for(CanaryRule(first=first, wait=1.0, stop_at=0.1), recipients)

    assert (None if expected is None else Canary(first=expected, wait=1.0, stop_at=0.1)) == found


def people(count: int) -> str:
    return "".join(f"- reader{number}@example.com\n" for number in range(count))


def test_a_bad_canary_stops_the_send_and_a_person_decides(wire: Wire, moody: Moody) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people=people(12),
        smtp=moody.smtp,
        more="digests:\n  daily: {canary: {share: 4, wait: 1s, stop_at: 10%}}\n",
    )
    moody.replies.update({f"reader{number}@example.com": "550 5.1.1 gone" for number in range(12)})

    done = wire("send", "-y")

    assert 1 == done.code
    assert "4 subscribers went first; what servers say is watched until " in done.err
    assert "error: the canary stopped it: 4 of the first 4 were refused (100%, more than 10%)" in done.err
    assert "hint: newsletter issue resume 1 sends it to the others" in done.err
    assert {"queued": 8, "failed": 4} == wire("status", "--json").data["issues"][0]["counts"]
    assert "paused: the canary stopped it" in wire("issue", "list").out

    waiting = wire("delivery", "list", "--status", "queued", "--json").data[0]["email"]
    assert "Issue 1 of daily is paused (the canary stopped it: 4 of the first 4" in wire("explain", waiting).out

    moody.replies.clear()
    assert (0, []) == (wire("send", "-y").code, moody.taken)
    assert 0 == wire("issue", "resume", "1").code
    assert 3 == wire("send", "-y").code
    assert 8 == len(set(moody.taken)) == len(moody.taken)


def test_a_good_canary_is_followed_by_the_others_in_the_same_send(wire: Wire, moody: Moody) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people=people(9),
        smtp=moody.smtp,
        more="digests:\n  daily: {canary: {share: 90%, wait: 1s}}\n",
    )

    done = wire("send", "-y", "--canary", "2")

    assert (0, 9) == (done.code, len(set(moody.taken))), done.err
    assert "2 subscribers went first" in done.err
    assert "9 messages sent in " in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--canary", "120%"], "--canary 120%: 120% is more than all of them"),
        (["--canary", "few"], "--canary few: must be a share such as 1%"),
        (["--canary", "1%", "--test", "me@example.com"], "cannot go with --test"),
        (["--canary", "half", "-n"], "must be a share such as 1%"),
    ],
)
def test_a_canary_that_cannot_be_sends_nothing(wire: Wire, words: list[str], said: str) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))

    done = wire("send", "-y", *words)

    assert (2, True, []) == (done.code, said in done.err, wire.inbox())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "1 subscriber would get it first, watched for 10 min: if more than 5% were refused, the others would not"),
        (["--canary", "4"], "4 subscribers would get it first, watched for 10 min: if more than 5% were refused"),
        (["--canary", "off"], None),
        (["--canary", "100%"], None),
    ],
)
def test_a_dry_run_says_who_would_go_first(wire: Wire, words: list[str], expected: str | None) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"), people=people(12), more="digests:\n  daily: {canary: {share: 1%, wait: 10m}}\n"
    )

    said, data = wire("send", "-n", *words), wire("send", "-n", "--json", *words).data

    assert 0 == said.code, said.err
    assert expected is None or expected in said.out
    assert (expected is None) == ("would get it first" not in said.out)
    assert (expected is None) == (data["canary"] is None)
    assert "to 12 subscribers; nothing has been sent or recorded" in said.out
    assert [] == wire.inbox()
