"""`explain`: why an entry, an issue, a feed or a person did or did not …, and what comes next."""

from typing import TYPE_CHECKING, Annotated

import typer

from newsletter.cli.output import Output
from newsletter.cli.report import moment, plural
from newsletter.cli.session import Session, command
from newsletter.text import one_line

if TYPE_CHECKING:
    from newsletter.app.why.entries import EntryExplained
    from newsletter.app.why.feeds import FeedExplained
    from newsletter.app.why.issues import IssueExplained


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "explain")(explain)


def explain(
    session: Session,
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="An address, guid or words of the title of an entry; an issue (12, daily/12); a feed; a person's e-mail address.",
            show_default=False,
        ),
    ],
) -> None:
    """Explain why an entry, an issue, a feed or a person did or did not …, and what comes next."""
    from newsletter.app.why.finding import is_person

    if is_person(what):
        _person(session, what)
    else:
        _thing(session, what)


def _person(session: Session, what: str) -> None:
    from newsletter.app.explain import explain as look

    found = look(session.app, what)
    if session.json:
        session.out.data(found)
        return
    out, place = session.out, found.place
    out.line(found.email)
    if place is not None:
        name = f" ({place.name})" if place.name else ""
        where = f"{place.file}:{place.line}" if place.line else place.file
        out.line(f"  in {where}{name}: {', '.join(place.digests)}; {place.language}, {place.format}")
    else:
        out.line("  not in the list of subscribers")
    for one in found.suppressions:
        note = f": {one.note}" if one.note else ""
        out.line(f"  suppressed{_of(one.digest)}: {one.reason}, since {moment(one.since)}{note}")
    for pause in found.pauses:
        out.line(f"  pauses{_of(pause.digest)} until {moment(pause.until)}")
    for line in found.consents:
        note = f" ({line.note})" if line.note else ""
        out.line(f"  {moment(line.at)} {line.event}{_of(line.digest)}: {line.source}{note}")
    if found.at_reserved_domain:
        out.line("  at a reserved domain, which is mailed only through a server on this machine")
    if found.deliveries:
        out.line("")
        out.table(
            (">id", "issue", "state", ">tries", "last answer", "settled", "next attempt", "Message-ID"),
            [
                (
                    r.id,
                    r.issue,
                    r.state,
                    r.attempts,
                    r.answer,
                    moment(r.settled_at),
                    moment(r.next_attempt_at),
                    f"<{r.message_id}>",
                )
                for r in found.deliveries
            ],
        )
    else:
        out.line("  no message was ever addressed to this person")
    if found.bounces:
        out.line("")
        out.table(
            ("came back", "kind", "status", "words", "proof", ">report"),
            [
                (
                    moment(r.at),
                    r.kind if r.counts or not r.proof else f"{r.kind} (forgiven)",
                    r.status,
                    one_line(r.words, 120),
                    r.proof or "none",
                    r.report or "—",
                )
                for r in found.bounces
            ],
        )
    out.line("")
    if found.bounce_story:
        out.line(found.bounce_story)
    out.line(found.next_send)


def _of(digest: str) -> str:
    return f" for {digest}" if digest else ""


def _thing(session: Session, what: str) -> None:
    from newsletter.app.why.feeds import FeedExplained
    from newsletter.app.why.finding import Several, explain_thing
    from newsletter.app.why.issues import IssueExplained

    found = explain_thing(session.app, what)
    if session.json:
        kind = {IssueExplained: "issue", FeedExplained: "feed", Several: "several"}.get(type(found), "entries")
        session.out.data({kind: found})
    elif isinstance(found, IssueExplained):
        _issue(session.out, found)
    elif isinstance(found, FeedExplained):
        _feed(session.out, found)
    elif isinstance(found, Several):
        session.out.table(("entry", "address", "feed"), [(one.title, one.url or "", one.feed) for one in found.entries])
        session.out.say(f"{plural(found.total, 'entry fits', 'entries fit')}: say more of the title, or the address")
    else:
        for number, entry in enumerate(found):
            if number:
                session.out.line("")
            _entry(session.out, entry)


def _entry(out: Output, found: "EntryExplained") -> None:
    out.line(one_line(found.title, 200) or "(without a title)")
    for line in filter(None, (found.url, f"guid {found.guid}" if found.guid else "")):
        out.line(f"  {one_line(line, 300)}")
    out.line(f"  of {one_line(found.feed_title or found.feed, 100)} ({found.feed})")
    for sentence in found.life:
        out.line(f"  {sentence}")
    for one in found.digests:
        where = f"issue {one.issue} ({moment(one.at)}), " if one.issue is not None else ""
        out.line(f"{one.digest}: {where}{one.sentence}")


def _issue(out: Output, found: "IssueExplained") -> None:
    issue = found.issue
    out.line(f"issue {issue.number} of {issue.digest}: {issue.subject}")
    out.line(f"  frozen {moment(issue.frozen_at)}; {issue.words}; {plural(issue.sent, 'message')} sent")
    for title, rows in (("entry", found.entries), ("kept back then", found.kept_back)):
        if rows:
            out.line("")
            out.table((title, "feed", "what became of it"), [(r.title, r.feed, r.sentence) for r in rows])
    for down in found.feeds_down:
        out.line(f"{down.feed} could not be read then: {down.error} (since {moment(down.since)})")


def _feed(out: Output, found: "FeedExplained") -> None:
    from newsletter.app.why.feeds import outage_words

    out.line(f"{found.title} ({found.url})" if found.title else found.url)
    if not found.in_project:
        out.line("  not in the project any more")
    out.line(
        f"  {found.status}: {plural(found.entries, 'entry', 'entries')} known, last read {moment(found.last_success_at)}"
    )
    for fact in (*found.facts, *found.rules):
        out.line(f"  {fact}")
    for one in found.digests:
        since = f"since {moment(one.joined_at)}" if one.joined_at else "not read yet"
        gone = "" if one.has_it else ", which does not have it any more"
        fates = "; ".join(f"{number} {word}" for word, number in one.fates.items()) or "no entry yet"
        settling = f"; {one.settling} of the waiting are settling" if one.settling else ""
        out.line(f"{one.digest}{gone}, {since}: {fates}{settling}")
    if found.outages:
        out.line("could not be read:")
        for outage in found.outages:
            out.line(f"  {outage_words(outage)}")
