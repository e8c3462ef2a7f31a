"""What must hold at every moment of every life, told from the rows and from what the server has."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from itertools import product

from newsletter.delivery.limits import Rate
from newsletter.delivery.settling import COPIES, PATIENCE
from newsletter.hours import Hours
from newsletter.model import Delivery, DeliveryState, Issue, IssueState, OnUnknown, SuppressionReason
from newsletter.store.store import Store
from tests.simulation.process import Process
from tests.simulation.server import Copy, Server

_SETTLED = (DeliveryState.sent, DeliveryState.failed, DeliveryState.held, DeliveryState.suppressed)


@dataclass
class Judge:
    """Knows what was promised to whom, and when.

    Args:
        store: the database, as anybody sees it.
        server: what it has taken, and what it said.
        people: the list.
        on_unknown: what becomes of a message of which nobody knows whether it arrived.
        connections: how many there may be.
        window: how many messages may be on each of them without an answer.
    """

    store: Store
    server: Server
    people: list[str]
    on_unknown: OnUnknown
    _: KW_ONLY
    connections: int
    window: int
    #: How many attempts a row had when its person left, or its issue was cancelled: no more may begin.
    _barred: dict[int, int] = field(default_factory=dict)
    _paused: dict[int, dict[int, int]] = field(default_factory=dict)
    _gone: set[str] = field(default_factory=set)
    #: Processes that were killed.
    _killed: set[int] = field(default_factory=set)

    # ----------------------------------------------------------- what it is told

    def unsubscribed(self, email: str) -> None:
        self._gone.add(email)
        for row in self.store.deliveries(email_key=email):
            self._barred.setdefault(row.id, row.attempts)

    def paused(self, issue: Issue) -> None:
        self._paused.setdefault(issue.id, {row.id: row.attempts for row in self.store.deliveries(issue.id)})

    def resumed(self, issue: Issue) -> None:
        self._look_at_attempts()
        self._paused.pop(issue.id, None)

    def cancelled(self, issue: Issue, *, released: bool) -> None:
        rows = self.store.deliveries(issue.id)
        for row in rows:
            self._barred.setdefault(row.id, row.attempts)
        if released:
            ids = {row.message_id for row in rows}
            assert [] == [copy for copy in self.server.copies if copy.message_id in ids], (
                "the stories of an issue that somebody has got go into another one"
            )

    # --------------------------------------------------------- what it looks at

    def look_at_the_wire(self) -> None:
        """Judge a moment at which a message has arrived."""
        on_the_wire = Counter(id(copy.wire) for copy in self.server.copies if copy.is_open)
        assert max(on_the_wire.values(), default=0) <= self.window, "more on the wire than the window has places"
        assert len(on_the_wire) <= self.connections, "more connections than allowed"

    def look_at_connections(self, before: int) -> None:
        """On a day on which nothing goes wrong, no connection is opened for nothing; those that were there before aside."""
        for_nothing = [session for session in self.server.sessions[before:] if not session.messages]
        # Who has left meanwhile, or was found not to exist by the issue before, is known only when it is their turn.
        barred = self.store.deliveries(state=DeliveryState.suppressed, limit=1)
        assert self._gone or barred or not for_nothing, "a connection for nothing"

    def look(self, process: Process) -> None:
        """Judge what a process has left behind."""
        if process.is_dead:
            self._killed.add(process.number)
        assert [] == self.server.breaches
        rows = {row.message_id: row for row in self.store.deliveries()}
        copies: defaultdict[str, list[Copy]] = defaultdict(list)
        for copy in self.server.copies:
            assert copy.message_id in rows, "a message that the outbox does not have"
            assert copy.recipient == rows[copy.message_id].wire_email, "somebody else's message"
            copies[copy.message_id].append(copy)
        # What a dead run left of an issue that a person has stopped since is looked at when they let it go on.
        stopped = {issue.id for issue in self.store.issues("daily") if issue.waits_for_a_person}
        on_the_wire = [row for row in rows.values() if row.state is DeliveryState.sending]
        sending = {row.message_id for row in on_the_wire if row.issue_id not in stopped}
        assert process.is_dead or not sending, "a run ended, and somebody's message is still on the wire"
        doubtful = {copy.message_id for copy in self.server.copies if copy.process == process.number} & sending
        assert len(doubtful) <= self.connections * self.window, (
            "a crash that makes more copies than the windows have places"
        )
        # One more on each: announced on a connection that has ended, and not written anywhere since.
        assert len(sending) <= self.connections * (self.window + 1), "more intents than lanes have work"
        for id_, row in rows.items():
            self._look_at(row, copies[id_], process)
        self._look_at_attempts()
        self._look_at_entries(copies)

    def _look_at(self, row: Delivery, copies: list[Copy], process: Process) -> None:
        who = f"issue {row.issue_id}, {row.email}"
        assert len({copy.sha256 for copy in copies}) <= 1, f"two messages under one Message-ID: {who}"
        assert len(copies) <= row.attempts, f"a copy without an intent: {who}"
        certain = [copy for copy in copies if copy.heard and copy.process not in self._killed]
        assert len(certain) <= 1, f"sent again although the server's 250 was read: {who}"
        if self.on_unknown is OnUnknown.hold:
            assert len(copies) <= 1, f"a copy although it should be held: {who}"
        if certain and not process.is_dead:
            assert row.state is DeliveryState.sent, f"the server took it and said so, but it is {row.state}: {who}"
        if row.state is DeliveryState.sent:
            assert copies, f"sent, but the server has none: {who}"
            assert any(copy.heard for copy in copies), f"sent, but the server has not said so: {who}"
        if row.state is DeliveryState.failed:
            said = self.server.refusals[row.wire_email]
            age = self.server.timeline.now() - row.queued_at
            assert (row.last_reply.startswith("expired after 5 days") and age >= PATIENCE) or any(
                row.last_reply and row.last_reply in one for one in said
            ), f"failed for no reason: {who}"
        if row.state is DeliveryState.held:
            assert self.on_unknown is OnUnknown.hold or row.attempts >= COPIES, f"held, but nobody asked for it: {who}"
        if row.state is DeliveryState.suppressed:
            # A mailbox that does not exist is written to once.
            found = self.store.suppression(row.key)
            bounced = found is not None and found.reason is SuppressionReason.bounced
            assert row.email in self._gone or (bounced and self.server.refusals[row.wire_email]), (
                f"suppressed, but nobody asked for it: {who}"
            )
        if row.email in self._gone:
            # A row that came after the person had left.
            self._barred.setdefault(row.id, 0)

    def _look_at_attempts(self) -> None:
        for row in self.store.deliveries():
            paused = self._paused.get(row.issue_id, {})
            most = min(self._barred.get(row.id, row.attempts), paused.get(row.id, row.attempts))
            assert row.attempts <= most, f"sent to {row.email} although somebody had said no"

    def look_at_hours(self, process: Process, hours: Hours) -> None:
        """A message begins in its hours; one whose intent was on its way when they closed is up to a minute late."""
        zones = {row.wire_email: row.timezone for row in self.store.deliveries()}
        now = self.server.timeline.now()
        for at, who in (start for starts in process.starts for start in starts):
            began = now - timedelta(seconds=self.server.timeline.seconds - at)
            assert hours.are_open(began, zones[who]) or hours.are_open(began - timedelta(minutes=1), zones[who]), (
                f"mailed {who} outside of the hours"
            )

    def look_at_rates(self, process: Process, rates: Sequence[Rate], *, domain: str = "") -> None:
        """No window of a rate's length may see more people for the first time than it allows.

        A second try over another connection goes at once, and from one issue to the next whoever was told to come
        later is forgotten: that is not looked at here.
        """
        for all_starts, rate in product(process.starts, rates):
            first_seen: dict[str, float] = {}
            for at, who in all_starts:
                if who.endswith(domain):
                    first_seen.setdefault(who, at)
            starts = sorted(first_seen.values())
            for earlier, later in zip(starts, starts[rate.count :], strict=False):
                assert later - earlier > rate.seconds - 1e-3, f"faster than {rate}"

    def _look_at_entries(self, copies: dict[str, list[Copy]]) -> None:
        carried: Counter[int] = Counter()
        for issue in self.store.issues("daily"):
            reached = any(copies.get(row.message_id) for row in self.store.deliveries(issue.id))
            if issue.state is not IssueState.cancelled or reached:
                carried.update(stored.id for stored, _ in self.store.issue_entries(issue.id))
        assert [] == [entry for entry, times in carried.items() if times > 1], "a story in two issues"

    def at_last(self) -> None:
        """Everything is well and nothing is left: is nobody missing?"""
        for issue in self.store.issues("daily"):
            if issue.state is IssueState.cancelled:
                continue
            rows = {row.email: row for row in self.store.deliveries(issue.id)}
            assert set(self.people) == set(rows), "somebody has no row"
            open_ = {email: row.state for email, row in rows.items() if row.state not in _SETTLED}
            assert {} == open_, "somebody is still waiting"

    def rows(self) -> list[str]:
        """The outbox, a line for each issue."""
        return [
            f"issue {issue.number} {issue.state} {issue.state_reason!r}: "
            + " ".join(f"{row.state}/{row.attempts}" for row in self.store.deliveries(issue.id))
            for issue in reversed(self.store.issues("daily"))
        ]
