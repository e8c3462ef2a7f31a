"""`feed`: the feeds in newsletter.yaml, and how they are doing; lists of them are in `moving`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.completing import feed_names
from newsletter.cli.options import FeedArgument
from newsletter.cli.report import moment, plural, warn_slow
from newsletter.cli.session import PARTLY, Session, command
from newsletter.text import one_line

if TYPE_CHECKING:
    from newsletter.app.status import FeedRow

_FORTNIGHT = 14

group = typer.Typer(
    name="feed", help="Add, list, import, pause and remove feeds.", no_args_is_help=True, rich_markup_mode=None
)


def add(
    session: Session,
    url: Annotated[str, typer.Argument(help="The feed's address, a page that names it, a file, or a folder.")],
    title: Annotated[
        str | None, typer.Option(help="What to call it instead of its own title.", show_default=False)
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag; may be given again.", show_default=False)
    ] = None,
    max_entries: Annotated[
        int | None, typer.Option(min=1, help="At most so many entries of it in full per issue.", show_default=False)
    ] = None,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="It may be on this machine or a private network.", show_default=False),
    ] = False,
    fetch_first: Annotated[bool, typer.Option("--fetch/--no-fetch", help="Try the address first.")] = True,
) -> None:
    """Add a feed to newsletter.yaml, after a look at it."""
    import asyncio

    from newsletter.app.edit import add_feed

    feed, document = asyncio.run(
        add_feed(
            session.app,
            url,
            title=title,
            tags=tuple(tag or ()),
            max_entries=max_entries,
            allow_private=allow_private,
            look=fetch_first,
        )
    )
    if session.json:
        session.out.data(
            {"url": feed.url, "title": feed.title, "entries": None if document is None else len(document.entries)}
        )
    elif document is None:
        session.out.say(f"added {feed.url}, unseen")
    else:
        session.out.say(
            f"added {feed.title or document.title or feed.url}: {plural(len(document.entries), 'entry', 'entries')}"
        )


def list_(session: Session) -> None:
    """List the feeds with their health."""
    from newsletter.app.status import feed_rows
    from newsletter.cli.polled import sparkline

    rows = list(feed_rows(session.app))
    if session.json:
        session.out.data(rows)
        return
    session.out.table(
        ("feed", "address", "state", ">entries", ">a day", "last 14 days", "last good fetch", "due", "note"),
        [
            (
                f.title or "",
                f.url,
                f.status,
                f.entries,
                f"{f.a_day:g}",
                sparkline([day.entries for day in f.per_day[-_FORTNIGHT:]]),
                moment(f.last_success_at),
                "—" if f.paused else moment(f.next_at),
                _what_of(f),
            )
            for f in rows
        ],
    )


def _what_of(feed: "FeedRow") -> str:
    """What to know of a feed: its troubles, else why it is paused, or what went wrong the last time."""
    told = [item.words for item in feed.troubles]
    if feed.paused == "by hand":
        told.append("paused by hand")
    if not told and feed.last_error:
        told.append(feed.last_error)
    return "; ".join(told)


def pause(session: Session, feed: FeedArgument) -> None:
    """Ask a feed no more; what it brought already goes out all the same."""
    _pause(session, feed, pause=True)


def resume(session: Session, feed: FeedArgument) -> None:
    """Ask a paused feed again, from the next fetch on."""
    _pause(session, feed, pause=False)


def _pause(session: Session, which: str, *, pause: bool) -> None:
    from newsletter.app.feeds import pause_feed

    feed, changed = pause_feed(session.app, which, pause=pause)
    if session.json:
        session.out.data({"url": feed.url, "paused": pause, "changed": changed})
    if pause:
        words = "is paused: newsletter feed resume asks it again" if changed else "is paused already"
    else:
        words = "is asked again from the next fetch on" if changed else "is not paused"
    session.out.say(f"{feed.url} {words}")


def update_addresses(session: Session) -> int:
    """Write the new addresses of feeds that have moved for good into newsletter.yaml."""
    from newsletter.app.feeds import update_addresses as update

    moves = update(session.app)
    if session.json:
        session.out.data({"updated": moves.done, "left": moves.left})
    for old, new in moves.done.items():
        session.out.say(f"{old} is now {new}")
    for old, why in moves.left.items():
        session.out.warn(f"{old}: {why}")
    if not moves.done and not moves.left:
        session.out.say("no feed has moved for good")
    return PARTLY if moves.left else 0


def test(
    session: Session,
    feed: Annotated[
        str, typer.Argument(help="Its title, any address or file, or - for standard input.", autocompletion=feed_names)
    ],
) -> None:
    """Fetch a feed now and show what it holds and which rule hits what; records nothing."""
    import asyncio

    from newsletter.app.trial import try_feed

    found = asyncio.run(try_feed(session.app, feed, body=sys.stdin.buffer if feed == "-" else None))
    warn_slow(session.out, found.slow_rules)
    if session.json:
        session.out.data(found)
        return
    session.out.table(
        ("entry", "published", "passes", "rule", "where it hits"),
        [
            (
                entry.title,
                moment(entry.published_at),
                "yes" if entry.passes else "no",
                entry.why,
                "; ".join(f"{one_line(hit.rule.name, 60)}: {hit.where} “{hit.excerpt}”" for hit in entry.hits),
            )
            for entry in found.entries
        ],
    )
    passing = sum(1 for entry in found.entries if entry.passes)
    session.out.say(
        f"{found.title}: {plural(len(found.entries), 'entry', 'entries')}, {plural(passing, 'passes', 'pass')} the rules; nothing is recorded"
    )
    slow = {(rule.kind, rule.name) for rule in found.slow_rules}
    for rule in found.rules:
        if not rule.hits and (rule.kind, rule.name) not in slow:
            session.out.say(f"hits nothing: {rule.kind} {one_line(rule.name, 100)}")


def remove(session: Session, feed: FeedArgument) -> None:
    """Take a feed out of newsletter.yaml; what was sent stays known."""
    from newsletter.app.edit import remove_feed

    gone = remove_feed(session.app, feed)
    if session.json:
        session.out.data({"url": gone.url})
    session.out.say(f"removed {gone.url}")


def release(
    session: Session,
    feed: FeedArgument,
    discard: Annotated[
        bool, typer.Option("--discard", help="Do not send them: they are old.", show_default=False)
    ] = False,
) -> None:
    """Let held entries of a feed go out with the next issue, or discard them."""
    from newsletter.app.edit import release_feed

    url, number = release_feed(session.app, feed, discard=discard)
    if session.json:
        session.out.data({"url": url, "entries": number, "discarded": discard})
    words = "will never be sent" if discard else "will be in the next issue"
    session.out.say(f"{plural(number, 'held entry', 'held entries')} of {url} {words}")


command(group, "add")(add)
command(group, "list")(list_)
command(group, "test")(test)
command(group, "remove")(remove)
command(group, "release")(release)
command(group, "pause")(pause)
command(group, "resume")(resume)
command(group, "update-addresses")(update_addresses)
