"""The next issue before it is one: preview, dry run, test send; none of them changes any state.

They run the real stages, freeze included, on a scratch copy of the memory, and
show what the delivery would have put on the wire.
"""

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from newsletter import pipeline
from newsletter.address import parse_address
from newsletter.app.project import App
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.deliver import send_one
from newsletter.delivery.links import SECRET_NAME
from newsletter.delivery.related import picture_parts
from newsletter.demo.feeds import SAMPLES
from newsletter.errors import NewsletterError
from newsletter.issues.illustrate import standalone
from newsletter.issues.render import SizeReport
from newsletter.model import DeliveryState, Draft, Feed, FetchResult, Subscriber
from newsletter.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One message as it would leave, and the parts it is made of, filled in for its reader.

    Without new entries there is a draft but no letter: `message` is empty.
    `html` is a page that can be shown by itself, pictures and all; in the
    message they are parts of their own.  `is_personal` says that a template decides on the subscriber, `size` what
    the size budget did.
    """

    draft: Draft
    fetched: tuple[FetchResult, ...]
    reader: Subscriber
    subject: str = ""
    html: str = ""
    text: str = ""
    markdown: str = ""
    message: bytes = b""
    is_personal: bool = False
    size: SizeReport | None = None

    def write(self, folder: Path) -> list[Path]:
        """Write the parts as files; returns their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        contents = {
            "issue.html": self.html.encode(),
            "issue.txt": self.text.encode(),
            "issue.md": self.markdown.encode(),
            "issue.eml": self.message,
        }
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in contents]


async def preview(app: App, digest: str | None, *, as_email: str | None, fetch_first: bool) -> Letter:
    """Build the next issue's message for one reader.

    Args:
        app: the project.
        digest: its name, or None for the only one.
        as_email: a subscriber's address; None takes the digest's first.
        fetch_first: poll the feeds and get the pictures, so that the letter holds what a send would
            find now; else nobody is asked for anything.

    Raises:
        UsageError: no such digest or person.
        TemplateError: a template cannot be rendered.
    """
    publication = app.publication(digest)
    reader = app.subscriber(as_email) if as_email else _first_reader(app, publication.rules.name)
    return await letter(app, digest, reader, fetch_first=fetch_first, with_pictures=fetch_first)


async def sample_letter(app: App, digest: str | None, reader: Subscriber) -> Letter:
    """Build a message of the bundled sample feeds in this digest's looks, for where nothing is new."""
    folder = files("newsletter.demo") / "samples"
    feeds = tuple(Feed(url=str(folder / sample.name)) for sample in SAMPLES)
    publication = replace(app.publication(digest), feeds=feeds)
    with Store.in_memory(clock=app.clock, ids=app.ids) as store:
        return await _letter(app, publication, reader, store, fetch_first=True, with_pictures=False)


async def letter(
    app: App, digest: str | None, reader: Subscriber, *, fetch_first: bool, with_pictures: bool = True
) -> Letter:
    """Build the next issue's message for this reader.

    Args:
        app: the project.
        digest: its name, or None for the only one.
        reader: who gets it.
        fetch_first: poll the feeds.
        with_pictures: get the pictures that the letter is to bring along; else it has none.
    """
    with app.scratch() as store:
        return await _letter(
            app, app.publication(digest), reader, store, fetch_first=fetch_first, with_pictures=with_pictures
        )


async def _letter(
    app: App,
    publication: pipeline.Publication,
    reader: Subscriber,
    store: Store,
    *,
    fetch_first: bool,
    with_pictures: bool,
) -> Letter:
    name = publication.rules.name
    parts = replace(
        app.parts(store, people=lambda _: [reader]), digests_of={feed.url: (name,) for feed in publication.feeds}
    )
    fetched = tuple(await pipeline.fetch(parts, publication.feeds)) if fetch_first else ()
    draft = pipeline.build(parts, publication)
    if draft.total == 0:
        return Letter(draft=draft, fetched=fetched, reader=reader)
    if with_pictures:
        draft = await pipeline.illustrate(parts, publication, draft)
    # The scratch copy forgets whom it must not mail: this one letter goes nowhere.
    store.unsuppress(reader.key)
    sizes: dict[str, SizeReport] = {}
    issue = pipeline.freeze(
        parts, publication, draft, slot="preview", on_rendered=lambda renderings: sizes.update(renderings.sizes)
    )
    delivery = store.deliveries(issue.id)[0]
    rendering = store.rendering(issue.id, delivery.rendering)
    skeleton = Skeleton.build(
        issue,
        rendering,
        delivery.format,
        secret=store.secret(SECRET_NAME),
        pictures=picture_parts(draft.pictures),
    )
    return Letter(
        draft=draft,
        fetched=fetched,
        reader=reader,
        subject=skeleton.subject(delivery),
        html=standalone(skeleton.html(delivery), draft.pictures),
        text=skeleton.text(delivery),
        markdown=skeleton.markdown(delivery),
        message=skeleton.message(delivery),
        is_personal=":" in rendering.key,
        size=sizes.get(rendering.key),
    )


async def send_test(app: App, digest: str | None, email: str) -> tuple[Draft, str | None]:
    """Mail the next issue to one address, as a test; records nothing.

    The message has a Message-ID of its own, so that a mailbox that drops
    repeats keeps the real one when it comes.

    Returns:
        the draft, and the server's reply; None where nothing is new.

    Raises:
        AddressError: that is no address.
        NewsletterError: the address is reserved, or the server refused.
    """
    smtp = app.smtp()
    address = parse_address(email)
    if address.is_reserved and not app.config.require_smtp().is_loopback:
        raise NewsletterError(
            f"{address.email} is at a reserved domain, which is mailed only through a server on this machine",
            hint="give your own address",
        )
    known = [s for s in app.roster.people_of(app.config.digest(digest).name) if s.key == address.key]
    reader = known[0] if known else Subscriber(email=address.email, wire_email=address.wire, key=address.key)
    found = await letter(app, digest, reader, fetch_first=True)
    if not found.message:
        return found.draft, None
    token = app.ids.token()
    message = found.message.replace(b"\r\nMessage-ID: <", f"\r\nMessage-ID: <test-{token[:8]}-".encode(), 1)
    reply = await send_one(message, sender=app.config.from_address.wire, recipient=reader.wire_email, smtp=smtp)
    return found.draft, reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a send would do now; `subject` is None where it would send nothing new.

    `size` is what the size budget did to the rendering that lost most by it.
    """

    draft: Draft
    fetched: tuple[FetchResult, ...]
    subject: str | None
    recipients: int
    suppressed: int
    unfinished: tuple[str, ...]
    size: SizeReport | None = None


async def plan(app: App, digest: str | None) -> Plan:
    """Do a whole send on a scratch copy, up to the first message."""
    publication = app.publication(digest)
    name = publication.rules.name
    waiting = _unfinished(app)
    with app.scratch() as store:
        parts = app.parts(store)
        fetched = tuple(await pipeline.fetch(parts, publication.feeds))
        draft = pipeline.build(parts, publication)
        if draft.total < publication.rules.min_entries:
            return Plan(draft=draft, fetched=fetched, subject=None, recipients=0, suppressed=0, unfinished=waiting)
        if sum(1 for _ in parts.people(name)) == 0:
            raise nobody_to_mail(app, name)
        draft = await pipeline.illustrate(parts, publication, draft)
        sizes: dict[str, SizeReport] = {}
        issue = pipeline.freeze(
            parts, publication, draft, slot="dry run", on_rendered=lambda renderings: sizes.update(renderings.sizes)
        )
        counts = store.counts(issue.id)
        return Plan(
            draft=draft,
            fetched=fetched,
            subject=issue.subject,
            recipients=counts.get(DeliveryState.queued, 0),
            suppressed=counts.get(DeliveryState.suppressed, 0),
            unfinished=waiting,
            size=max(sizes.values(), key=lambda report: (report.counted, report.bytes_before), default=None),
        )


def nobody_to_mail(app: App, digest: str) -> NewsletterError:
    """Say why a digest has no recipients, and what to do."""
    reserved = app.unmailable(digest)
    if reserved:
        return NewsletterError(
            f"nobody to mail: all {len(reserved)} people of {digest} are at reserved domains such as example.com, "
            "which are mailed only through a server on this machine",
            hint="newsletter subscriber add EMAIL, with a real address",
        )
    return NewsletterError(
        f"nobody to mail: {app.config.subscribers.name} has no one for {digest}",
        hint="newsletter subscriber add EMAIL",
    )


def _unfinished(app: App) -> tuple[str, ...]:
    if not Store.exists(app.config.store):
        return ()
    return tuple(f"issue {issue.number} of {issue.digest}" for issue in app.store.unfinished())


def _first_reader(app: App, digest: str) -> Subscriber:
    for subscriber in app.roster.people_of(digest):
        return subscriber
    return Subscriber(email="ada@example.com", wire_email="ada@example.com", key="ada@example.com", name="Ada Lovelace")
