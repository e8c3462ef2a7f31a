"""The letter both senders send: the same words, the same personal values, about 60 KB on the wire."""

from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from newsletter.issues.merge import make_token
from newsletter.model import Envelope, Rendering

FROM_NAME, FROM_EMAIL = "The Port Merrow Courier", "wire@example.com"
SUBJECT = "Issue 12: the ferry, the comet – and a piano"
DATE = datetime(2026, 3, 14, 7, 0, tzinfo=UTC)

_WORDS = (
    "Eleven months after her boiler gave out in the middle of the bay, the ferry crossed it again with ninety "
    "passengers, a brass band and one goat – four minutes early, which the harbour office has asked us to report as "
    "“on time”. The café on the pier stayed open until midnight; the baker’s seventh vote is still being counted. "
)
_STYLE = "margin:0 0 16px 0;font-family:Georgia,'Times New Roman',serif;font-size:16px;line-height:1.5;color:#222222"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One reader: what differs from letter to letter."""

    name: str
    email: str

    @property
    def unsubscribe_url(self) -> str:
        return f"https://wire.example.com/u/daily/{self.email.partition('@')[0]:x<22}"


def people(count: int) -> list[Person]:
    return [Person(name=f"Reader № {number} & Søn", email=f"reader{number}@example.com") for number in range(count)]


def html_part(name: str, url: str, entries: int) -> str:
    """The HTML part, with whatever stands for the name and the address (already escaped)."""
    story = "".join(
        f'<h3 style="{_STYLE}"><a href="https://courier.example.com/{n}" style="color:#0b5394">Story {n}</a></h3>\n'
        f'<p style="{_STYLE}">{escape(_WORDS)}</p>\n'
        for n in range(entries)
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(SUBJECT)}</title></head>\n'
        f"<body><p>Good morning, {name}.</p>\n{story}"
        f'<p><a href="{url}">Unsubscribe</a></p></body></html>\n'
    )


def text_part(name: str, url: str, entries: int) -> str:
    """The text part, with whatever stands for the name and the address."""
    story = "".join(f"Story {n}\nhttps://courier.example.com/{n}\n\n{_WORDS}\n\n" for n in range(entries))
    return f"Good morning, {name}.\n\n{story}Unsubscribe: {url}\n"


def rendering(token: str, entries: int) -> Rendering:
    """The letter as an issue has it; `token` marks the places that differ from person to person."""
    name, url = "subscriber.name", "unsubscribe_url"
    return Rendering(
        key="en",
        language="en",
        subject=SUBJECT,
        html=html_part(make_token(token, name, "h"), make_token(token, url, "u"), entries),
        text=text_part(make_token(token, name), make_token(token, url), entries),
        markdown="",
        fields=(name, url),
    )


def envelope(token: str, boundary: str) -> Envelope:
    """What stands in the headers of all its messages."""
    return Envelope(
        from_name=FROM_NAME,
        from_email=FROM_EMAIL,
        reply_to=None,
        list_id="daily.wire.example.com",
        list_name=FROM_NAME,
        base_url="https://wire.example.com",
        unsubscribe_email=FROM_EMAIL,
        language="en",
        date=DATE,
        boundary=boundary,
        merge_token=token,
    )
