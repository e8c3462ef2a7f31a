"""`explain`: why a person did or did not get something, and what comes next."""

from typing import Annotated

import typer

from newsletter.cli.report import moment
from newsletter.cli.session import Session, command
from newsletter.text import one_line


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "explain")(explain)


def explain(
    session: Session,
    what: Annotated[str, typer.Argument(metavar="EMAIL", help="Whom to explain.", show_default=False)],
) -> None:
    """Explain a person: their place in the list, every message, and what the next send does."""
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
