"""An issue to deliver, and the people who get it; made through the real store."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from newsletter.delivery.smtp import SmtpSettings
from newsletter.issues.merge import make_token
from newsletter.model import (
    Canary,
    Delivery,
    DeliveryState,
    Envelope,
    Format,
    Issue,
    IssueState,
    NewDelivery,
    Picture,
    Rendering,
)
from newsletter.store import Store
from tests.conftest import START
from tests.delivery.sink import Sink

MERGE_TOKEN = "5eed" * 8
SECRET = b"0123456789abcdef0123456789abcdef"

ENVELOPE = Envelope(
    from_name="The Morning Wire",
    from_email="wire@example.com",
    reply_to=None,
    list_id="daily.wire.example.com",
    list_name="The Morning Wire",
    base_url="https://wire.example.com",
    unsubscribe_email="wire+leave@example.com",
    language="en",
    date=START,
    boundary="b0a7" * 8,
    merge_token=MERGE_TOKEN,
)
ISSUE = Issue(
    id=1,
    digest="daily",
    number=12,
    slot="2026-03-02",
    state=IssueState.open,
    state_reason="",
    subject="Twelve",
    entries=3,
    envelope=ENVELOPE,
    frozen_at=START,
)


def token(field: str, kind: str = "t") -> str:
    """A merge token as it stands in the samples' renderings."""
    return make_token(MERGE_TOKEN, field, kind)


RENDERING = Rendering(
    key="en",
    language="en",
    subject="The Morning Wire no. 12: Grüße aus Łódź",
    html=(
        f"<html><body><p>Good morning, {token('subscriber.name', 'h')}!</p>\n<p>Käse &amp; Brot — 東京</p>\n"
        f'<p><a href="{token("unsubscribe_url", "u")}">Unsubscribe</a></p></body></html>\n'
    ),
    text=f"Good morning, {token('subscriber.name')}!\n\n.A line with a dot\nFrom here\nKäse = Brot — 東京\n\n{token('unsubscribe_url')}\n",
    markdown=f"# Good morning, {token('subscriber.name')}\n",
    fields=("subscriber.name", "unsubscribe_url"),
)


def delivery(email: str = "ada@example.com", name: str = "Ada Lovelace", **other: object) -> Delivery:
    """One row as the outbox has it."""
    row = Delivery(
        id=1,
        issue_id=ISSUE.id,
        email=email,
        wire_email=email,
        key=email,
        name=name,
        format=Format.html,
        rendering=RENDERING.key,
        merge={"subscriber.name": name},
        message_id="5c0ffee@example.com",
        state=DeliveryState.queued,
        attempts=0,
        last_code=None,
        last_reply="",
        queued_at=START,
        next_attempt_at=None,
        settled_at=None,
    )
    return replace(row, **other)  # type: ignore[arg-type]


def people(count: int) -> list[str]:
    """That many addresses."""
    return [f"reader{number}@example.com" for number in range(1, count + 1)]


def freeze(
    store: Store,
    emails: Iterable[str],
    *,
    rendering: Rendering = RENDERING,
    wanted: Format = Format.html,
    number: int = 1,
    pictures: Sequence[Picture] = (),
    canary: Canary | None = None,
    trace: Callable[[str], None] = lambda _: None,
) -> Issue:
    """Freeze an issue for these people."""
    return store.freeze(
        digest="daily",
        number=number,
        slot=f"slot {number}",
        subject="One",
        envelope=ENVELOPE,
        renderings=[rendering],
        consumed=[],
        mentioned=[],
        pictures=pictures,
        canary=canary,
        deliveries=(
            NewDelivery(
                email=email,
                wire_email=email,
                key=email,
                name=email.partition("@")[0],
                format=wanted,
                rendering=rendering.key,
                merge={"subscriber.name": email.partition("@")[0]},
            )
            for email in emails
        ),
        trace=trace,
    )


def settings(sink: Sink, **other: object) -> SmtpSettings:
    """How to reach the sink; quick to give up."""
    defaults = SmtpSettings(
        host="127.0.0.1", port=sink.port, tls="none", timeout=5.0, after_dot=5.0, back_off=0.01, connections=2
    )
    return replace(defaults, **other)  # type: ignore[arg-type]
