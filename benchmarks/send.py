"""How fast a send is, beside the standard library: `make bench`.

Both senders mail the same letter (about 60 KB, text and HTML, three personal
values) to the same people through the same sink, in turns, in one run.  Ours
keeps its ledger: every intent is durable before the message goes, every result
after it.  Theirs is what one would write by hand: an `EmailMessage` per person
through one `smtplib` connection, nothing remembered.  Client and sink share the
machine, so read the ratios, not the rates.
"""

import argparse
import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from html import escape
from pathlib import Path
from smtplib import SMTP
from tempfile import TemporaryDirectory

from benchmarks import letter, startup
from benchmarks.letter import Person
from benchmarks.sink import HOST, Sink, sink
from newsletter.clock import Ids, SystemClock
from newsletter.delivery.deliver import deliver
from newsletter.delivery.smtp import SmtpSettings
from newsletter.model import DeliveryState, Format, NewDelivery, OnUnknown
from newsletter.store.store import Store

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a piece of work took: seconds on the clock, and of this process's CPU."""

    wall: float
    cpu: float

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(wall=self.wall + other.wall, cpu=self.cpu + other.cpu)


def measured(work: Callable[[], None]) -> Cost:
    """Do it, and say what it cost."""

    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    wall, before = time.perf_counter(), cpu()
    work()
    return Cost(wall=time.perf_counter() - wall, cpu=cpu() - before)


# ------------------------------------------------------------------------ the two senders


def by_hand(person: Person, entries: int) -> EmailMessage:
    """The letter to one person, as the standard library makes it."""
    message = EmailMessage()
    message["From"] = f"{letter.FROM_NAME} <{letter.FROM_EMAIL}>"
    message["To"] = person.email
    message["Subject"] = letter.SUBJECT
    message["Date"] = format_datetime(letter.DATE)
    message["Message-ID"] = f"<12.{person.email.replace('@', '.')}@example.com>"
    message["List-Unsubscribe"] = f"<{person.unsubscribe_url}>"
    message.set_content(letter.text_part(person.name, person.unsubscribe_url, entries), cte="quoted-printable")
    message.add_alternative(
        letter.html_part(escape(person.name), escape(person.unsubscribe_url), entries),
        subtype="html",
        cte="quoted-printable",
    )
    return message


def stdlib(target: Sink, people: list[Person], entries: int) -> Cost:
    """One connection, one `EmailMessage` per person, no memory of who got it."""

    def work() -> None:
        with SMTP(HOST, target.port) as client:
            for person in people:
                client.send_message(by_hand(person, entries), to_addrs=[person.email])

    return measured(work)


def ours(target: Sink, people: list[Person], entries: int, connections: int) -> tuple[Cost, Cost]:
    """A new database, the issue frozen (first cost) and delivered (second cost)."""
    clock = SystemClock()
    ids = Ids()
    # Beside the checkout, not in /tmp: there a commit may cost nothing.
    with TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder:
        store = Store.open(f"{folder}/newsletter.db", clock=clock, ids=ids)
        try:
            frozen = measured(lambda: _freeze(store, ids, people, entries))
            [issue] = store.issues()
            settings = SmtpSettings(host=HOST, port=target.port, tls="none", connections=connections)

            def work() -> None:
                asyncio.run(deliver(issue, store, settings, clock=clock, on_unknown=OnUnknown.resend))

            sent = measured(work)
            counts = store.counts(issue.id)
        finally:
            store.close()
    if counts.get(DeliveryState.sent) != len(people):
        sys.exit(f"error: not everybody was sent it: {dict(counts)}")
    return frozen, sent


def _freeze(store: Store, ids: Ids, people: list[Person], entries: int) -> None:
    token = ids.token()
    store.freeze(
        digest="daily",
        number=12,
        slot="2026-03-14",
        subject=letter.SUBJECT,
        envelope=letter.envelope(token, ids.token()),
        renderings=[letter.rendering(token, entries)],
        consumed=[],
        mentioned=[],
        deliveries=(
            NewDelivery(
                email=person.email,
                wire_email=person.email,
                key=person.email,
                name=person.name,
                format=Format.html,
                rendering="en",
                merge={"subscriber.name": person.name},
            )
            for person in people
        ),
    )


# ---------------------------------------------------------------------------- the report


def row(label: str, costs: list[Cost], messages: int, base: list[Cost]) -> str:
    """One line of the table: the median of the rounds, and how often it goes into the base's."""
    wall, cpu = (statistics.median(getattr(cost, part) for cost in costs) for part in ("wall", "cpu"))
    base_wall, base_cpu = (statistics.median(getattr(cost, part) for cost in base) for part in ("wall", "cpu"))
    figures = f"{messages / wall:>10,.0f} {cpu / messages * 1e6:>14,.0f}"
    return f"{label:<42} {figures} {base_wall / wall:>9.1f}x {base_cpu / cpu:>9.1f}x"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--size", type=int, default=60_000, help="bytes of one message on the wire, about")
    parser.add_argument("--no-start", action="store_true", help="leave out how long --help takes")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    people = letter.people(options.messages)
    base, one = (len(by_hand(people[0], entries).as_bytes()) for entries in (0, 1))
    entries = max(1, round((options.size - base) / (one - base)))
    size = len(by_hand(people[0], entries).as_bytes())

    theirs: list[Cost] = []
    freezing: list[Cost] = []
    sending: list[Cost] = []
    with sink() as target:
        print(f"{options.messages:,} messages of {size / 1000:.0f} KB to {target.name}, median of {options.rounds}")
        print("client and sink share this machine: read the ratios, not the rates\n")
        before = target.accepted()
        for _ in range(options.rounds):
            theirs.append(stdlib(target, people, entries))
            frozen, sent = ours(target, people, entries, options.connections)
            freezing.append(frozen)
            sending.append(sent)
        accepted = target.accepted() - before
    expected = 2 * options.rounds * options.messages
    if accepted != expected:
        sys.exit(f"error: the sink counted {accepted:,} messages, not {expected:,}")

    print(f"{'':<42} {'messages/s':>10} {'CPU µs/message':>14} {'rate':>10} {'CPU':>10}")
    print(row("EmailMessage + smtplib", theirs, options.messages, theirs))
    whole = [frozen + sent for frozen, sent in zip(freezing, sending, strict=True)]
    print(row(f"newsletter, {options.connections} connections, freeze too", whole, options.messages, theirs))
    print(row("  of it the send, ledger on", sending, options.messages, theirs))
    print(f"\nthe sink counted {accepted:,} messages; rate and CPU: how many times better than the standard library")
    if not options.no_start:
        print()
        startup.main()


if __name__ == "__main__":
    main()
