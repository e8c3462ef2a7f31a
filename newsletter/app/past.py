"""A frozen issue again, as one reader got it or would have got it."""

from dataclasses import replace

from newsletter.app.letters import Copy
from newsletter.app.project import App
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.related import picture_parts
from newsletter.issues.illustrate import standalone
from newsletter.issues.merge import merge_values
from newsletter.model import Delivery, DeliveryState, Format, Issue, Rendering, Subscriber


def addressed(issue: Issue, rendering: Rendering, reader: Subscriber) -> Delivery:
    """A delivery of a frozen issue that no outbox has: to somebody who did not get it, or to nobody."""
    return Delivery(
        id=0,
        issue_id=issue.id,
        email=reader.email,
        wire_email=reader.wire_email,
        key=reader.key,
        name=reader.name,
        format=reader.format,
        rendering=rendering.key,
        merge=merge_values(rendering.fields, reader),
        message_id=f"issue-{issue.number}@{issue.envelope.from_email.rpartition('@')[2]}",
        state=DeliveryState.queued,
        attempts=0,
        last_code=None,
        last_reply="",
        queued_at=issue.frozen_at,
        next_attempt_at=None,
        settled_at=None,
    )


def past_copy(app: App, issue: Issue, reader: Subscriber, *, as_sent: bool) -> tuple[Copy, Delivery | None]:
    """Compose a frozen issue for a reader.

    Args:
        app: the project.
        issue: one of its.
        reader: a person.
        as_sent: give the very message of the outbox where there is one, rather than for the language and
            format that `reader` says.

    Returns:
        the copy, and the row of the outbox it is of; None where the reader was not among the recipients.
    """
    store = app.store
    row = next(iter(store.deliveries(issue_id=issue.id, email_key=reader.key)), None) if as_sent else None
    if row is not None:
        rendering, delivery = store.rendering(issue.id, row.rendering), row
    else:
        rendering = closest(store.renderings(issue.id), reader.language, issue.envelope.language)
        delivery = addressed(issue, rendering, reader)
    pictures = store.pictures(issue.id)
    signers, unsigned = app.signers_to_show()
    skeleton = Skeleton.build(
        issue,
        rendering,
        delivery.format,
        secret=store.secret(issue.envelope.links_secret),
        pictures=picture_parts(pictures),
        signers=signers,
    )
    copy = Copy(
        reader=reader,
        subject=skeleton.subject(delivery),
        html=standalone(skeleton.html(delivery), pictures) if delivery.format is Format.html else "",
        text=skeleton.text(delivery),
        markdown=skeleton.markdown(delivery),
        message=skeleton.message(delivery),
        unsigned=unsigned,
        marked=lambda mark: skeleton.message(replace(delivery, message_id=mark + delivery.message_id)),
    )
    return copy, row


def closest(renderings: list[Rendering], wanted: str | None, usual: str) -> Rendering:
    """The rendering in a language, else in the issue's own; those for nobody in particular first."""

    def rank(rendering: Rendering) -> tuple[bool, bool, bool]:
        return (rendering.language != wanted, rendering.language != usual, ":" in rendering.key)

    return min(renderings, key=rank)
