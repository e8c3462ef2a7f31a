"""What servers and documents ask of whoever polls them, as far as it is granted.

Header fields are those of RFC 9110 (Retry-After) and RFC 9111 (Cache-Control,
Expires, Age); `ttl`, `skipHours` and `skipDays` come from RSS 2.0, `updatePeriod`
and `updateFrequency` from RSS 1.0's Syndication module.  All of it was written by
strangers: nothing is believed beyond the limits below.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from newsletter.model import Hints, Wish

#: An answer holds no longer than this, whatever it says: a shared cache's year is not meant for a feed.
LONGEST_FRESH: Final = timedelta(hours=12)
#: A server may send us away for so long, and a slip of its clock does not silence a feed for good.
LONGEST_REST: Final = timedelta(days=7)
#: What a server that says "too often" and not until when is granted.
USUAL_REST: Final = timedelta(hours=1)
# A number of seconds with more digits than this is not one.
_MAX_DIGITS: Final = 9
# Where a document speaks of itself: before its first entry, or behind the last.
_HEAD: Final = 65_536
_TAIL: Final = 4_096
_ENTRY: Final = re.compile(rb"<(?:\w{1,20}:)?(?:item|entry)[\s>]")
_LAST_ENTRY: Final = re.compile(rb"</(?:\w{1,20}:)?(?:item|entry)\s*>")
_TTL: Final = re.compile(rb"<ttl>\s*(\d{1,9})\s*</ttl>")
_HOURS: Final = re.compile(rb"<skipHours>(.{0,2000}?)</skipHours>", re.DOTALL)
_HOUR: Final = re.compile(rb"<hour>\s*(\d{1,2})\s*</hour>")
_DAYS: Final = re.compile(rb"<skipDays>(.{0,2000}?)</skipDays>", re.DOTALL)
_DAY: Final = re.compile(rb"<day>\s*([A-Za-z]{6,9})\s*</day>")
_PERIOD: Final = re.compile(rb"<\w{1,20}:updatePeriod>\s*([a-z]{1,10})\s*</")
_FREQUENCY: Final = re.compile(rb"<\w{1,20}:updateFrequency>\s*(\d{1,6})\s*</")
_PERIODS: Final = {
    b"hourly": 3_600,
    b"daily": 86_400,
    b"weekly": 7 * 86_400,
    b"monthly": 30 * 86_400,
    b"yearly": 365 * 86_400,
}
_WEEK: Final = (b"monday", b"tuesday", b"wednesday", b"thursday", b"friday", b"saturday", b"sunday")


def wish_of(headers: Mapping[str, str], status: int, *, now: datetime) -> Wish:
    """Read from an answer when its server wants to be asked again.

    Args:
        headers: case does not count.
        status: `Retry-After` holds with any; one of "too often" means a rest also without it.
        now: when the answer came.
    """
    retry_at = retry_after(headers.get("Retry-After"), now)
    if retry_at is None and status == HTTPStatus.TOO_MANY_REQUESTS:
        retry_at = now + USUAL_REST
    if status >= HTTPStatus.BAD_REQUEST:
        return Wish(retry_at=retry_at)
    return Wish(retry_at=retry_at, fresh_until=_fresh_until(headers, now))


def retry_after(value: str | None, now: datetime) -> datetime | None:
    """The moment that `Retry-After` names, in seconds or as a date (RFC 9110 §10.2.3); None where it is not ahead."""
    text = (value or "").strip()[:40]
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        rest = timedelta(seconds=int(text))
    elif (until := _date(text)) is not None:
        rest = until - now
    else:
        return None
    return now + min(rest, LONGEST_REST) if rest > timedelta() else None


def hints_of(body: bytes) -> Hints:
    """Read from a document how often it wants to be asked for.

    Looks only at what stands before the first entry and behind the last, in any
    encoding that keeps ASCII.
    """
    about = envelope_of(body)
    ttl = [int(found[1]) * 60 for found in [_TTL.search(about)] if found]
    if found := _PERIOD.search(about):
        often = _FREQUENCY.search(about)
        ttl.append(_PERIODS.get(found[1], 0) // max(int(often[1]) if often else 1, 1))
    hours = {int(hour) % 24 for block in _HOURS.findall(about) for hour in _HOUR.findall(block)}
    days = {day.lower() for block in _DAYS.findall(about) for day in _DAY.findall(block)}
    weekdays = {_WEEK.index(day) for day in days if day in _WEEK}
    return Hints(
        ttl=max(ttl, default=0) or None,
        # Every hour, or every day, would mean never.
        hours=tuple(sorted(hours)) if len(hours) < 24 else (),  # noqa: PLR2004
        weekdays=tuple(sorted(weekdays)) if len(weekdays) < len(_WEEK) else (),
    )


def envelope_of(body: bytes) -> bytes:
    """What of an XML document is not its entries, at most some kilobytes."""
    head = body[:_HEAD]
    first = _ENTRY.search(head)
    if first is None:
        return head
    tail = body[max(len(body) - _TAIL, first.start()) :]
    ends = [found.end() for found in _LAST_ENTRY.finditer(tail)]
    return head[: first.start()] + tail[ends[-1] if ends else len(tail) :]


def allowed_at(moment: datetime, hints: Hints) -> datetime:
    """The first moment from `moment` on that is in no hour and on no day which the feed wants skipped."""
    found = moment.astimezone(UTC)
    for _ in range(24 * 8):
        if found.hour not in hints.hours and found.weekday() not in hints.weekdays:
            return found
        found = found.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return moment


def rest_words(rest: timedelta) -> str:
    """How long, in words: `30 seconds`, `2 hours`."""
    seconds = max(rest.total_seconds(), 1)
    sizes = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
    size, name = next(one for one in sizes if seconds >= one[0])
    count = round(seconds / size)
    return f"{count} {name}{'s' * (count != 1)}"


def _fresh_until(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """How long an answer holds (RFC 9111 §4.2.1): max-age less Age, else Expires less Date."""
    told = [word.strip().lower() for word in headers.get("Cache-Control", "")[:1000].split(",")]
    if "no-cache" in told or "no-store" in told:
        return None
    ages = [word.removeprefix("max-age=").strip('"') for word in told if word.startswith("max-age=")]
    if ages:
        fresh = timedelta(seconds=_seconds(ages[0])) - timedelta(seconds=_seconds(headers.get("Age", "").strip()))
    elif (expires := _date(headers.get("Expires"))) is not None:
        fresh = expires - (_date(headers.get("Date")) or now)
    else:
        return None
    return now + min(fresh, LONGEST_FRESH) if fresh > timedelta() else None


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0


def ahead_of(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """How much later it is by the clock of who answered (RFC 9110 §6.6.1); None where that is not known.

    What comes out of a cache (Age, RFC 9111 §5.1) tells of another time.
    """
    dated = None if headers.get("Age", "0").strip() != "0" else _date(headers.get("Date"))
    return None if dated is None else dated - now


def _date(text: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime((text or "").strip()[:40])
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        return None
