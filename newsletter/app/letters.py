"""The next issue before it is one: preview, dry run, test send; none of them changes any state.

They run the real stages, freeze included, on a scratch copy of the memory, and
show what the delivery would have put on the wire.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from newsletter import pipeline
from newsletter.address import parse_address
from newsletter.app.project import App
from newsletter.config import canary_given
from newsletter.delivery.canary import canary_for
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.deliver import send_one
from newsletter.delivery.related import picture_parts
from newsletter.delivery.smtp import SmtpSettings
from newsletter.demo.feeds import SAMPLES
from newsletter.errors import NewsletterError
from newsletter.issues.illustrate import standalone
from newsletter.issues.render import SizeReport
from newsletter.model import Canary, DeliveryState, Draft, Feed, FetchResult, Format, StoredDraft, Subscriber
from newsletter.people.roster import gets
from newsletter.stages import Publication
from newsletter.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One message as it leaves, and the parts it is made of, filled in for its reader.

    `html` is a page that can be shown by itself, pictures and all; in the
    message they are parts of their own.  It is empty for a reader who wants
    plain text only.  `unsigned` says why the message lacks the DKIM signature that
    it would leave with.
    """

    reader: Subscriber
    subject: str = ""
    html: str = ""
    text: str = ""
    markdown: str = ""
    message: bytes = b""
    unsigned: str = ""
    #: The message again, with a Message-ID that begins with this.
    marked: Callable[[str], bytes] | None = field(default=None, repr=False, compare=False)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter(Copy):
    """The message of an issue that is not frozen yet.

    Without new entries there is a draft but no letter: `message` is empty.
    `is_personal` says that a template decides on the subscriber, `size` what
    the size budget did.
    """

    draft: Draft
    fetched: tuple[FetchResult, ...]
    is_personal: bool = False
    size: SizeReport | None = None


async def sample_letter(app: App, digest: str | None, reader: Subscriber, *, note: str | None = None) -> Letter:
    """Build a message of the bundled sample feeds in this digest's looks, for where nothing is new."""
    folder = files("newsletter.demo") / "samples"
    feeds = tuple(Feed(url=str(folder / sample.name)) for sample in SAMPLES)
    publication = replace(app.publication(digest, note=note), feeds=feeds)
    with Store.in_memory(clock=app.clock, ids=app.ids) as store:
        return await _letter(app, publication, reader, store, fetch_first=True, with_pictures=False)


async def letter(
    app: App,
    digest: str | None,
    reader: Subscriber,
    *,
    fetch_first: bool,
    with_pictures: bool = True,
    note: str | None = None,
) -> Letter:
    """Build the next issue's message for this reader.

    Args:
        app: the project.
        digest: its name, or None for the only one.
        reader: who gets it.
        fetch_first: poll the feeds.
        with_pictures: get the pictures that the letter is to bring along; else it has none.
        note: the editor's, instead of the file that the project names (`App.publication`).
    """
    publication = app.publication(digest, note=note)
    with app.scratch() as store:
        return await _letter(app, publication, reader, store, fetch_first=fetch_first, with_pictures=with_pictures)


async def _letter(
    app: App,
    publication: Publication,
    reader: Subscriber,
    store: Store,
    *,
    fetch_first: bool,
    with_pictures: bool,
) -> Letter:
    digests_of = {feed.url: (publication.rules.name,) for feed in publication.feeds}
    parts = replace(app.parts(store), digests_of=digests_of)
    fetched = tuple(await pipeline.fetch(parts, publication.feeds)) if fetch_first else ()
    shelf: pipeline.PictureShelf | None = {} if with_pictures else None
    kept = store.open_draft(publication.rules.name)
    return await next_letter(app, publication, reader, store, fetched, shelf=shelf, kept=kept)


async def next_letter(
    app: App,
    publication: Publication,
    reader: Subscriber,
    store: Store,
    fetched: tuple[FetchResult, ...] = (),
    *,
    shelf: pipeline.PictureShelf | None,
    kept: StoredDraft | None = None,
) -> Letter:
    """Build, freeze and compose the next issue for one reader, in a scratch copy that is spoilt by it.

    Args:
        app: the project.
        publication: the digest.
        reader: who gets it; also who is suppressed.
        store: the copy; it has what the feeds said.
        fetched: how the feeds answered, to be passed on.
        shelf: where pictures that were fetched before are, and go; None: the letter brings none along.
        kept: the draft that it is to be built from, instead of what waits now.

    Raises:
        TemplateError: a template cannot be rendered.
    """
    parts = app.parts(store, people=lambda _: [reader])
    draft = pipeline.build(parts, publication, kept)
    if draft.total == 0:
        return Letter(draft=draft, fetched=fetched, reader=reader)
    if shelf is not None:
        draft = await pipeline.illustrate(parts, publication, draft, shelf=shelf)
    # The scratch copy forgets whom it must not mail: this one letter goes nowhere.
    store.unsuppress(reader.key)
    sizes: dict[str, SizeReport] = {}
    issue = pipeline.freeze(
        parts, publication, draft, slot="preview", on_rendered=lambda renderings: sizes.update(renderings.sizes)
    )
    delivery = store.deliveries(issue.id)[0]
    rendering = store.rendering(issue.id, delivery.rendering)
    signers, unsigned = app.signers_to_show()
    skeleton = Skeleton.build(
        issue,
        rendering,
        delivery.format,
        secret=store.secret(issue.envelope.links_secret),
        pictures=picture_parts(draft.pictures),
        signers=signers,
    )
    return Letter(
        draft=draft,
        fetched=fetched,
        reader=reader,
        subject=skeleton.subject(delivery),
        html=standalone(skeleton.html(delivery), draft.pictures) if delivery.format is Format.html else "",
        text=skeleton.text(delivery),
        markdown=skeleton.markdown(delivery),
        message=skeleton.message(delivery),
        unsigned=unsigned,
        marked=lambda mark: skeleton.message(replace(delivery, message_id=mark + delivery.message_id)),
        is_personal=":" in rendering.key,
        size=sizes.get(rendering.key),
    )


async def send_test(app: App, digest: str | None, email: str, *, note: str | None = None) -> tuple[Draft, str | None]:
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
    reader = recipient_of_test(app, digest, email)
    found = await letter(app, digest, reader, fetch_first=True, note=note)
    if not found.message:
        return found.draft, None
    return found.draft, await mail_test(app, found, smtp)


def recipient_of_test(app: App, digest: str | None, email: str) -> Subscriber:
    """Who gets a test message: the subscriber with that address, or somebody new.

    Raises:
        AddressError: that is no address.
        NewsletterError: it is at a reserved domain, and the mail server is not on this machine.
    """
    address = parse_address(email)
    if address.is_reserved and not app.config.require_smtp().is_loopback:
        raise NewsletterError(
            f"{address.email} is at a reserved domain, which is mailed only through a server on this machine",
            hint="give your own address",
        )
    name, known = app.config.digest(digest).name, app.roster.find(address.email)
    if known is not None and gets(known, name):
        return known
    return Subscriber(email=address.email, wire_email=address.wire, key=address.key)


async def mail_test(app: App, found: Copy, smtp: SmtpSettings) -> str:
    """Mail a built message to its reader, under a Message-ID of its own; returns the server's reply.

    Raises:
        NewsletterError: the server refused, or could not be reached.
    """
    if found.marked is None:
        raise NewsletterError("there is no message to send")
    message = found.marked(f"test-{app.ids.token()[:8]}-")
    return await send_one(message, sender=app.config.from_address.wire, recipient=found.reader.wire_email, smtp=smtp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a send would do now; `subject` is None where it would send nothing new.

    `size` is what the size budget did to the rendering that lost most by it;
    `canary` is who would go first, `kept` the draft that it would be made from.
    """

    draft: Draft
    fetched: tuple[FetchResult, ...]
    subject: str | None
    recipients: int
    suppressed: int
    unfinished: tuple[str, ...]
    size: SizeReport | None = None
    canary: Canary | None = None
    kept: StoredDraft | None = None


async def plan(app: App, digest: str | None, *, note: str | None = None, canary: str | None = None) -> Plan:
    """Do a whole send on a scratch copy, up to the first message.

    Args:
        app: the project.
        digest: its name, or None for the only one.
        note: the editor's, instead of the file that the project names.
        canary: how many would get it first, instead of what the digest says (see `send`).

    Raises:
        ConfigError: a send would end at once, because a DKIM key cannot be used.
        UsageError: that is no canary.
    """
    publication = app.publication(digest, note=note)
    rule = publication.canary if canary is None else canary_given(canary, publication.canary)
    app.signers()
    name = publication.rules.name
    waiting = _unfinished(app)
    with app.scratch() as store:
        parts = app.parts(store)
        fetched = tuple(await pipeline.fetch(parts, publication.feeds))
        kept = store.open_draft(name)
        draft = pipeline.build(parts, publication, kept)
        if draft.total < (publication.rules.min_entries if kept is None else 1):
            return Plan(draft=draft, fetched=fetched, subject=None, recipients=0, suppressed=0, unfinished=waiting)
        people = parts.recipients(name)
        if people == 0:
            raise nobody_to_mail(app, name)
        draft = await pipeline.illustrate(parts, publication, draft)
        sizes: dict[str, SizeReport] = {}
        issue = pipeline.freeze(
            parts,
            publication,
            draft,
            slot="dry run",
            canary=canary_for(rule, people),
            on_rendered=lambda renderings: sizes.update(renderings.sizes),
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
            canary=issue.canary,
            kept=kept,
        )


def nobody_to_mail(app: App, digest: str) -> NewsletterError:
    """Say why a digest has no recipients, and what to do."""
    reserved = app.roster.count(digest)
    if reserved:
        return NewsletterError(
            f"nobody to mail: all {reserved:,} people of {digest} are at reserved domains such as example.com, "
            "which are mailed only through a server on this machine",
            hint="newsletter subscriber add EMAIL, with a real address",
        )
    return NewsletterError(
        f"nobody to mail: {app.roster.shown} has no one for {digest}",
        hint="newsletter subscriber add EMAIL",
    )


def _unfinished(app: App) -> tuple[str, ...]:
    if not Store.exists(app.config.store):
        return ()
    return tuple(f"issue {issue.number} of {issue.digest}" for issue in app.store.unfinished(ready=True))


def invented_reader() -> Subscriber:
    """Who letters are shown to where a digest has nobody, at an address that nobody can have (RFC 2606)."""
    return Subscriber(email="ada@example.com", wire_email="ada@example.com", key="ada@example.com", name="Ada Lovelace")
