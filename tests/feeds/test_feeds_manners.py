"""What servers and documents ask for is heard, and granted within limits."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from newsletter.feeds.manners import LONGEST_FRESH, LONGEST_REST, allowed_at, hints_of, rest_words, retry_after, wish_of
from newsletter.model import Hints, Wish
from tests.conftest import START

HOUR = timedelta(hours=1)


def date(ahead: timedelta) -> str:
    return format_datetime(START + ahead, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "fresh"),
    [
        ({}, None),
        ({"Cache-Control": "max-age=3600"}, HOUR),
        ({"cache-control": "public, Max-Age=3600, s-maxage=9"}, HOUR),
        ({"Cache-Control": 'max-age="3600"'}, HOUR),
        ({"Cache-Control": "max-age=3600", "Age": "600"}, timedelta(minutes=50)),
        ({"Cache-Control": "max-age=600", "Age": "3600"}, None),
        ({"Cache-Control": "max-age=31536000"}, LONGEST_FRESH),
        ({"Cache-Control": "max-age=0"}, None),
        ({"Cache-Control": "max-age=-5"}, None),
        ({"Cache-Control": "max-age=3600, no-cache"}, None),
        ({"Cache-Control": "no-store, max-age=3600"}, None),
        ({"Cache-Control": "max-age=" + "9" * 40}, None),
        ({"Expires": date(2 * HOUR), "Date": date(timedelta())}, 2 * HOUR),
        # A server whose clock is a day behind: only the difference counts.
        ({"Expires": date(-22 * HOUR), "Date": date(-24 * HOUR)}, 2 * HOUR),
        ({"Expires": date(2 * HOUR)}, 2 * HOUR),
        ({"Expires": date(-HOUR)}, None),
        ({"Expires": "0"}, None),
        ({"Expires": "-1"}, None),
        ({"Expires": date(2 * HOUR), "Cache-Control": "max-age=60"}, timedelta(minutes=1)),
        ({"Expires": date(timedelta(days=900))}, LONGEST_FRESH),
    ],
)
def test_how_long_an_answer_holds(headers: dict[str, str], fresh: timedelta | None) -> None:
    from multidict import CIMultiDict

    for status in (200, 304):
        wish = wish_of(CIMultiDict(headers), status, now=START)

        assert Wish(fresh_until=None if fresh is None else START + fresh) == wish


@pytest.mark.parametrize("status", [200, 301, 304, 429, 503])
@pytest.mark.parametrize(
    ("value", "rest"),
    [("120", timedelta(minutes=2)), (date(3 * HOUR), 3 * HOUR), ("999999999", LONGEST_REST)],
)
def test_a_rest_is_granted_whatever_the_status(status: int, value: str, rest: timedelta) -> None:
    assert START + rest == wish_of({"Retry-After": value}, status, now=START).retry_at


def test_too_often_means_an_hour_where_nothing_is_said() -> None:
    assert START + HOUR == wish_of({}, 429, now=START).retry_at
    assert Wish() == wish_of({"Cache-Control": "max-age=600"}, 503, now=START)


@given(st.text(max_size=60))
def test_no_field_is_too_strange(value: str) -> None:
    wish = wish_of(dict.fromkeys(("Retry-After", "Cache-Control", "Expires", "Date", "Age"), value), 200, now=START)

    assert wish.retry_at is None or START < wish.retry_at <= START + LONGEST_REST
    assert wish.fresh_until is None or START < wish.fresh_until <= START + LONGEST_FRESH
    assert retry_after(value, START) == wish.retry_at


RSS = (
    b"<?xml version='1.0'?><rss><channel><title>x</title>%b<item><ttl>1</ttl><title>a</title></item>%b</channel></rss>"
)


@pytest.mark.parametrize(
    ("about", "hints"),
    [
        (b"", Hints()),
        (b"<ttl>60</ttl>", Hints(ttl=3600)),
        (b"<ttl> 60\n</ttl>", Hints(ttl=3600)),
        (b"<ttl>0</ttl>", Hints()),
        (b"<ttl>-60</ttl>", Hints()),
        (b"<ttl>soon</ttl>", Hints()),
        (b"<ttl>1</ttl><sy:updatePeriod>hourly</sy:updatePeriod>", Hints(ttl=3600)),
        (
            b"<sy:updatePeriod>\n daily </sy:updatePeriod><sy:updateFrequency>4</sy:updateFrequency>",
            Hints(ttl=21600),
        ),
        (b"<syn:updatePeriod>weekly</syn:updatePeriod>", Hints(ttl=604800)),
        (b"<sy:updatePeriod>often</sy:updatePeriod>", Hints()),
        (b"<sy:updatePeriod>daily</sy:updatePeriod><sy:updateFrequency>0</sy:updateFrequency>", Hints(ttl=86400)),
        (b"<skipHours><hour>0</hour><hour>24</hour><hour>5</hour></skipHours>", Hints(hours=(0, 5))),
        (b"<skipDays><day>Sunday</day><day>SATURDAY</day><day>Someday</day></skipDays>", Hints(weekdays=(5, 6))),
        (b"<skipHours>" + b"".join(b"<hour>%d</hour>" % n for n in range(24)) + b"</skipHours>", Hints()),
    ],
)
def test_a_document_says_how_often_it_wants_to_be_asked_for(about: bytes, hints: Hints) -> None:
    """At its head or its foot; what stands in an entry says nothing."""
    assert hints == hints_of(RSS % (about, b"")) == hints_of(RSS % (b"", about))


@given(st.binary(max_size=400))
def test_any_bytes_give_some_hints(body: bytes) -> None:
    hints_of(b"<rss><skipHours>" + body + b"</skipHours><ttl>" + body)


def test_hints_cost_nothing_in_a_large_document() -> None:
    """What is looked at is bounded, however the document is made to be slow."""
    for evil in (
        b"<skipHours>" * 400_000,
        b"<link " * 800_000,
        b"<ttl>" + b" " * 4_000_000,
        b"<a:updatePeriod>" * 250_000,
    ):
        assert Hints() == hints_of(evil)


@given(
    st.sets(st.integers(0, 23), max_size=23),
    st.sets(st.integers(0, 6), max_size=6),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - they get their zone below
)
def test_the_first_allowed_moment_is_allowed_and_the_first(hours: set[int], days: set[int], moment: datetime) -> None:
    moment = moment.replace(tzinfo=UTC)
    hints = Hints(hours=tuple(sorted(hours)), weekdays=tuple(sorted(days)))
    found = allowed_at(moment, hints)

    assert found >= moment
    assert found.hour not in hours
    assert found.weekday() not in days
    before = moment
    while before < found:
        assert before.hour in hours or before.weekday() in days
        before += HOUR


@pytest.mark.parametrize(
    ("rest", "words"), [(0, "1 second"), (59, "59 seconds"), (60, "1 minute"), (7_000, "2 hours"), (200_000, "2 days")]
)
def test_a_rest_in_words(rest: float, words: str) -> None:
    assert words == rest_words(timedelta(seconds=rest))
