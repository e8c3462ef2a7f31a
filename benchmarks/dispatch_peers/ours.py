"""Ours: a frozen issue of a real store, delivered with the ledger on, as `newsletter send` does it.

    ours.py JOB PORT CONNECTIONS [--window N] [--no-ledger]

`--no-ledger` answers every intent at once and writes nothing: what is left of
the difference is the price of the promises.
"""

import asyncio
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.dispatch_peers.common import HOST, NAME, NAME_HTML, URL, Job, job, measure
from newsletter.clock import Ids, SystemClock
from newsletter.delivery.compose import Skeleton
from newsletter.delivery.deliver import deliver
from newsletter.delivery.ports import Writer
from newsletter.delivery.smtp import SmtpSettings
from newsletter.issues.merge import make_token
from newsletter.model import (
    Delivery,
    DeliveryState,
    Envelope,
    Format,
    Issue,
    NewDelivery,
    OnUnknown,
    Rendering,
    Settlement,
)
from newsletter.store import Store

ROOT = Path(__file__).resolve().parents[2]


def freeze(store: Store, ids: Ids, letter: Job) -> Issue:
    """The letter as an issue with its outbox."""
    token = ids.token()
    envelope = Envelope(
        from_name=letter.from_name,
        from_email=letter.from_email,
        reply_to=None,
        list_id="daily.wire.example.com",
        list_name=letter.from_name,
        base_url="https://wire.example.com",
        unsubscribe_email=letter.from_email,
        language="en",
        date=parsedate_to_datetime(letter.date),
        boundary=ids.token(),
        merge_token=token,
    )
    url = "unsubscribe_url"
    rendering = Rendering(
        key="en",
        language="en",
        subject=letter.subject,
        html=letter.html.replace(NAME_HTML, make_token(token, "subscriber.name", "h")).replace(
            URL, make_token(token, url, "u")
        ),
        text=letter.text.replace(NAME, make_token(token, "subscriber.name")).replace(URL, make_token(token, url)),
        markdown="",
        fields=("subscriber.name", url),
    )
    return store.freeze(
        digest="daily",
        number=12,
        slot="by hand",
        subject=letter.subject,
        envelope=envelope,
        renderings=[rendering],
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
            for person in letter.people
        ),
    )


class _NoLedger:
    """The store without its outbox writer."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._given = 0
        self.issue, self.rendering, self.pictures = store.issue, store.rendering, store.pictures
        self.counts, self.next_attempt, self.pause = store.counts, store.next_attempt, store.pause
        self.settled_since, self.postponed, self.postpone = store.settled_since, store.postponed, store.postpone
        self.server_limits, self.learn_limits = store.server_limits, store.learn_limits
        self.is_shared, self.allow, self.taken_since = store.is_shared, store.allow, store.taken_since
        self.hold_server, self.server_worked = store.hold_server, store.server_worked

    def secret(self, name: str) -> bytes:
        return self._store.secret(name)

    def due(self, issue_id: int, *, after_id: int, limit: int) -> list[Delivery]:
        rows = self._store.due(issue_id, after_id=max(after_id, self._given), limit=limit)
        # Nothing is written down, so a second pass would find everybody again.
        self._given = rows[-1].id if rows else self._given
        return rows

    def may_go(self, delivery_id: int) -> bool:  # noqa: ARG002
        return True

    @contextmanager
    def outbox_writer(self, trace: Callable[[str], None], *, loop: asyncio.AbstractEventLoop) -> Iterator[Writer]:  # noqa: ARG002
        yield _Forgetful(loop)


class _Forgetful:
    """Says yes at once and keeps nothing."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def intend(self, delivery_id: int) -> "asyncio.Future[bool]":  # noqa: ARG002
        future: asyncio.Future[bool] = self._loop.create_future()
        future.set_result(True)
        return future

    renew = intend

    def settle(self, settlement: Settlement) -> "asyncio.Future[None]":  # noqa: ARG002
        future: asyncio.Future[None] = self._loop.create_future()
        future.set_result(None)
        return future


def compose_cost(store: Store, issue: Issue, count: int = 500) -> float:
    """Microseconds of CPU to make one message of a skeleton, the best of five turns."""
    rows = store.due(issue.id, limit=count)
    skeleton = Skeleton.build(
        issue,
        store.rendering(issue.id, "en"),
        Format.html,
        secret=store.secret(issue.envelope.links_secret),
        pictures=(),
    )
    turns = []
    for _ in range(5):
        before = time.thread_time()
        for row in rows:
            skeleton.pieces(row)
        turns.append((time.thread_time() - before) / len(rows) * 1e6)
    return min(turns)


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("job", nargs=3)
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--no-ledger", action="store_true")
    parser.add_argument("--compose", action="store_true", help="say what composing costs, and send nothing")
    options = parser.parse_args()
    letter = job()
    clock, ids = SystemClock(), Ids()
    # Beside the checkout, not in /tmp: there a commit may cost nothing.
    with (
        TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder,
        Store.open(f"{folder}/newsletter.db", clock=clock, ids=ids) as store,
    ):
        issue = freeze(store, ids, letter)
        if options.compose:
            print(compose_cost(store, issue))
            return
        smtp = SmtpSettings(
            host=HOST, port=letter.port, tls="none", connections=letter.connections, window=options.window
        )
        outbox = _NoLedger(store) if options.no_ledger else store
        measure(lambda: _ignore(asyncio.run(deliver(issue, outbox, smtp, clock=clock, on_unknown=OnUnknown.resend))))
        if not options.no_ledger and store.counts(issue.id) != {DeliveryState.sent: len(letter.people)}:
            sys.exit(f"not everybody was sent it: {store.counts(issue.id)}")


def _ignore(_: object) -> None:
    """A report that nobody reads."""


if __name__ == "__main__":
    main()
