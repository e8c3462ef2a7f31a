"""`feed`: the feeds in newsletter.yaml, and how they are doing."""

import sys
from typing import Annotated

import typer

from newsletter.cli.report import moment, plural, warn_slow
from newsletter.cli.session import Session, command
from newsletter.text import one_line

group = typer.Typer(name="feed", help="Add, list and remove feeds.", no_args_is_help=True, rich_markup_mode=None)


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
    from newsletter.app.status import feeds_with_health

    rows = feeds_with_health(session.app)
    if session.json:
        session.out.data(rows)
        return
    session.out.table(
        ("feed", "address", "state", ">entries", "last good fetch", "note"),
        [(f.title or "", f.url, f.status, f.entries, moment(f.last_success_at), f.last_error or "") for f in rows],
    )


def test(
    session: Session,
    feed: Annotated[str, typer.Argument(help="Its title, any address or file, or - for standard input.")],
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


def remove(session: Session, feed: Annotated[str, typer.Argument(help="Its address or title.")]) -> None:
    """Take a feed out of newsletter.yaml; what was sent stays known."""
    from newsletter.app.edit import remove_feed

    gone = remove_feed(session.app, feed)
    if session.json:
        session.out.data({"url": gone.url})
    session.out.say(f"removed {gone.url}")


def release(
    session: Session,
    feed: Annotated[str, typer.Argument(help="Its address or title.")],
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
