"""Changes to a project's two files and to what its memory forbids."""

from contextlib import suppress as suppress_error
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from newsletter.address import parse_address
from newsletter.app.project import App
from newsletter.config import add_feed as write_feed
from newsletter.config import remove_feed as erase_feed
from newsletter.dispatch import hand_on
from newsletter.errors import BusyError, FetchError, ParseError, UsageError
from newsletter.feeds.discover import address_of, choices
from newsletter.feeds.fetch import fetch_all
from newsletter.feeds.wire import Job
from newsletter.feeds.workers import workers
from newsletter.model import (
    EVERY_DIGEST,
    Document,
    Failed,
    Feed,
    Fetched,
    Issue,
    OnUnknown,
    Suppression,
    SuppressionReason,
    Validators,
)

#: How many of the feeds of a page are named.
_NAMED = 8


async def add_feed(
    app: App,
    url: str,
    *,
    title: str | None,
    tags: tuple[str, ...],
    max_entries: int | None,
    allow_private: bool,
    look: bool,
) -> tuple[Feed, Document | None]:
    """Add a feed to newsletter.yaml, after a look at what is there.

    Args:
        app: the project.
        url: its address, a file, a folder of files, or a page that names its feed.
        title: what to call it instead of its own title.
        tags: for digests that choose by tag.
        max_entries: how many of its entries an issue shows in full.
        allow_private: whether it may be on this machine or a private network.
        look: fetch and parse it first, so that a wrong address is noticed now.

    Raises:
        FetchError, ParseError: there is no feed; nothing has been written.
        UsageError: it is in the file already, or is not allowed.
    """
    if url == "-":
        raise UsageError("standard input cannot be asked again", hint="newsletter feed test - looks at it once")
    document = None
    url = address_of(url) or url
    if look:
        try:
            url, document = await find_feed(app, Feed(url=url, allow_private=allow_private))
        except FetchError as error:
            if "allow_private" not in (error.hint or ""):
                raise
            raise FetchError(error.message, hint="if that is meant, add --allow-private") from error
    config = write_feed(app.config, url, title=title, tags=tags, max_entries=max_entries, allow_private=allow_private)
    return config.feeds[-1], document


async def look_at(app: App, feed: Feed) -> Document:
    """Fetch and parse a feed without recording anything.

    Raises:
        FetchError, ParseError: there is no feed.
    """
    return await _parsed(await _fetched(app, feed))


async def look_into(app: App, feed: Feed, body: BinaryIO) -> Document:
    """Parse what a stream has, as `look_at` does what an address has.

    Raises:
        FetchError, ParseError: there is no feed.
    """
    data = body.read(app.limits.max_bytes + 1)
    if len(data) > app.limits.max_bytes:
        raise FetchError(f"{feed.url}: it is larger than {app.limits.max_bytes / 1_000_000:g} MB")
    return await _parsed(
        Fetched(feed=feed, final_url=feed.url, body=data, content_type=None, validators=Validators(), seconds=0.0)
    )


async def find_feed(app: App, feed: Feed) -> tuple[str, Document]:
    """Fetch and parse a feed, or the one feed that the page at its address names; records nothing.

    Returns:
        the feed's address, and what is there.

    Raises:
        FetchError, ParseError: there is no feed, or there are several to choose from.
    """
    fetched = await _fetched(app, feed)
    try:
        return feed.url, await _parsed(fetched)
    except ParseError:
        found = choices(fetched.body, url=fetched.final_url, content_type=fetched.content_type)
        if not found or "://" not in feed.url:
            raise
    if len(found) > 1:
        named = "; ".join(f"{url} ({title})" if title else url for url, title in list(found.items())[:_NAMED])
        raise ParseError(f"the page names {len(found)} feeds: add the one you mean", hint=named)
    [url] = found
    return url, await _parsed(await _fetched(app, replace(feed, url=url)))


async def _parsed(fetched: Fetched) -> Document:
    job = Job(body=fetched.body, url=fetched.final_url, content_type=fetched.content_type, known={})
    return await workers().read(job)


async def _fetched(app: App, feed: Feed) -> Fetched:
    url = feed.url if "://" in feed.url else _file(app.config.folder, Path(feed.url))
    outcomes = await fetch_all([replace(feed, url=url)], {}, limits=app.limits, clock=app.clock, secrets=app.secrets)
    match outcomes[0]:
        case Fetched() as fetched:
            return fetched
        case Failed() as failed:
            raise FetchError(f"{feed.url}: {failed.reason}", hint=failed.hint)
        case _:
            raise FetchError(f"{feed.url}: the server says it has not changed, though we never saw it")


def _file(folder: Path, path: Path) -> str:
    """Where a file is that was named from the current folder, or from the project's."""
    return str(path.absolute() if path.exists() else folder / path)


def remove_feed(app: App, which: str) -> Feed:
    """Take a feed out of newsletter.yaml.

    Raises:
        UsageError: there is no such feed.
    """
    feed, _ = erase_feed(app.config, which)
    return feed


def release_feed(app: App, which: str, *, discard: bool) -> tuple[str, int]:
    """Let a feed's held entries go out with the next issue, or mark them as never to be sent.

    Returns:
        the feed's address, and how many entries there were.
    """
    feed = app.config.feed(which)
    digests = app.config.digests_of.get(feed.url, ())
    return feed.url, app.store.release_held(feed.url, digests, discard=discard)


def suppress(app: App, email: str, reason: SuppressionReason, note: str, digest: str | None) -> Suppression:
    """Forbid mail to an address, from the next message on: of one digest, or (None) at all.

    Raises:
        AddressError: that is no address.
        UsageError: there is no such digest.
    """
    address = parse_address(email)
    name = EVERY_DIGEST if digest is None else app.config.digest(digest).name
    app.store.suppress(address.key, address.email, reason, note, digest=name)
    found = app.store.suppression(address.key, name)
    assert found is not None
    return found


def unsuppress(app: App, email: str, digest: str | None) -> None:
    """Allow mail to an address again, whatever forbade it, or (with a digest) what forbade that digest alone.

    Raises:
        AddressError: that is no address.
        UsageError: it was not forbidden, or there is no such digest.
    """
    name = None if digest is None else app.config.digest(digest).name
    if not app.store.unsuppress(parse_address(email).key, name):
        raise UsageError(f"{email} is not suppressed", hint="newsletter suppression list shows who is")


def cancel(app: App, issue: Issue) -> bool:
    """Send no more of an issue; if nothing of it went out, its entries wait again.

    What a run that died left on the wire is held first: nobody knows whether it
    arrived.  Where a send is at work it is stopped within one message per connection.

    Returns:
        whether the entries wait for the next issue again.
    """
    with suppress_error(BusyError), app.store.lock():
        (app.store.recover_left if app.store.is_shared else app.store.recover)(issue.id, OnUnknown.hold)
    return app.store.cancel(issue.id)


def resume(app: App, issue: Issue) -> bool:
    """Let a paused issue go on; whether workers do so by themselves."""
    app.store.resume(issue.id)
    hand_on(app.parts(), issue)
    return bool(app.store.workers())


def write_new(folder: Path, files: dict[str, str]) -> list[Path]:
    """Write the files of a new project, none over an existing one.

    Raises:
        UsageError: one of them is there already; nothing has been written.
    """
    paths = {folder / name: text for name, text in files.items()}
    for path in paths:
        if path.exists():
            raise UsageError(f"{path} is there already", hint="name another folder, or edit that file")
    for path, text in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if path.name == "subscribers.yaml":
            # Other people's addresses are nobody else's business.
            path.chmod(0o600)
    return list(paths)
