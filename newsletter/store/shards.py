"""The parts of an issue that several machines send: shared out once, leased for a while, taken over from the dead.

A shard is the deliveries of an issue between two ids.  Whoever leases it gets a
token, higher than all before it; the outbox writer asks for it in every
transaction, so that somebody who was believed dead, and wakes, opens no gate any
more (`outbox`).  A lease ends when it is given back, when its holder's session
with the database is gone, or when nothing was heard of the holder for `LEASED`;
all by the clock of the database (docs/adr/0030-shards.md).
"""

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import MovedError
from newsletter.model import UNSETTLED, DeliveryState, IssueState, Lease, OnUnknown, Shard, Shares
from newsletter.store import schema
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.belonging import read
from newsletter.store.canaries import may_go_on
from newsletter.store.deliveries import is_ready, recover
from newsletter.store.fence import IS_LEASED, dead, holders, senders
from newsletter.store.issues import locked
from newsletter.store.leased import Leased
from newsletter.store.sharing import CANARY, share_out

#: How long a lease lasts that nobody renews.
LEASED: Final = timedelta(seconds=30)

_s, _d, _i = t.shards.c, t.deliveries.c, t.issues.c
#: Tokens grow with the database's clock, so that they go on growing where a row was deleted and made again.
_MICROSECONDS: Final = sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()) * 1_000_000, sa.BigInteger)
#: An issue's canary goes before all others, and alone.
_HAS_ITS_TURN: Final = sa.case((_s.number == CANARY, _i.canary.is_not(None)), else_=_i.canary.is_(None))


class Shards(Part):
    """Sharing out issues, on PostgreSQL."""

    def share_out(self, issue_id: int) -> None:
        """Make shards of what is left of an issue and is in none yet.

        That is all of it once it is frozen (`freeze` does so), and later what was
        added for single people, or came from another database.

        Transaction: one read; one write where there is something to share out.
        """
        with self._database.read() as connection:
            if not _has_rest(connection, issue_id):
                return
        with self._database.write() as connection:
            locked(connection, issue_id)
            share_out(connection, issue_id)

    def ready_shards(self, issue_id: int | None = None, limit: int | None = None) -> list[Shard]:
        """Shards of open issues, or of one, of which something may go now and that nobody is sending, oldest first.

        Transaction: one read.
        """
        wanted = (
            sa.select(_s.issue_id, _s.number, _s.first_id, _s.last_id, _i.canary)
            .join(t.issues, _i.id == _s.issue_id)
            .where(_i.state == IssueState.open, _HAS_ITS_TURN, (_s.number == CANARY) | self._something_ready())
            .order_by(_s.issue_id, _s.number)
            .limit(limit)
        )
        if issue_id is not None:
            wanted = wanted.where(_s.issue_id == issue_id)
        with self._database.read() as connection:
            gone = dead(connection, holders(connection))
            is_free = _s.until.is_(None) | (_s.until <= sa.func.clock_timestamp()) | _s.holder.in_(gone)
            now = self._clock.now()
            free = [
                row
                for row in connection.execute(wanted.where(is_free)).all()
                if row.number != CANARY or may_go_on(connection, row.issue_id, row.canary["first"], now)
            ]
        return [
            Shard(issue_id=row.issue_id, number=row.number, first_id=row.first_id, last_id=row.last_id) for row in free
        ]

    def lease_shard(self, issue_id: int, number: int, holder: str, on_unknown: OnUnknown) -> Lease | None:
        """Take a shard, if it is nobody's and its turn, and settle what its last holder left open.

        A row found `sending` is one whose fate nobody knows (RFC 1047), as in `recover`.

        Args:
            issue_id: whose.
            number: its number.
            holder: the worker's id, whose lock is held (`Working.at_work`).
            on_unknown: what becomes of a message of which nobody knows whether it arrived.

        Returns:
            None where somebody else has it, or the issue is not open.

        Transaction: one write.

        Raises:
            SchemaError: the database is another version's by now: this process must take no more.
            MovedError: nothing may be sent from this database any more.
        """
        mine = (_s.issue_id == issue_id) & (_s.number == number)
        with self._database.write() as connection:
            self._require_ours(connection)
            issue = connection.execute(
                sa.select(_i.state, _i.canary).where(_i.id == issue_id).with_for_update(read=True)
            ).first()
            if issue is None or issue.state is not IssueState.open or (issue.canary is None) == (number == CANARY):
                return None
            row = connection.execute(
                sa.select(t.shards, IS_LEASED.label("is_leased")).where(mine).with_for_update()
            ).first()
            if row is None or (row.is_leased and not dead(connection, {row.holder})):
                return None
            if number != CANARY and self._canary_is_out(connection, issue_id):
                return None
            until = sa.func.clock_timestamp() + LEASED
            token = connection.execute(_taken(mine, holder=holder, until=until).returning(_s.token)).scalar_one()
            shard = Shard(issue_id=issue_id, number=number, first_id=row.first_id, last_id=row.last_id)
            self._recover(connection, shard, on_unknown)
        return Lease(shard=shard, holder=holder, token=token)

    def renew_leases(self, leases: Collection[Lease]) -> set[Lease]:
        """Keep shards for longer; returns those that are somebody else's by now.

        Transaction: one write.
        """
        if not leases:
            return set()
        with self._database.write() as connection:
            kept = {
                tuple(row)
                for row in connection.execute(
                    sa.update(t.shards)
                    .where(sa.tuple_(_s.issue_id, _s.number, _s.token).in_(_names(leases)))
                    .values(until=sa.func.clock_timestamp() + LEASED)
                    .returning(_s.issue_id, _s.number, _s.token)
                )
            }
        return {lease for lease in leases if _name(lease) not in kept}

    def give_back(self, lease: Lease) -> None:
        """Let others have a shard; nothing happens if they have it already.

        Transaction: one write.
        """
        with self._database.write() as connection:
            connection.execute(
                sa.update(t.shards)
                .where(sa.tuple_(_s.issue_id, _s.number, _s.token).in_(_names([lease])))
                .values(holder=None, until=None)
            )

    def recover_left(self, issue_id: int, on_unknown: OnUnknown) -> None:
        """Settle what the dead left open of an issue, as `recover` does; what the living are sending stays theirs.

        Transaction: one write.
        """
        with self._database.write() as connection:
            locked(connection, issue_id)
            share_out(connection, issue_id)
            wanted = sa.select(t.shards, IS_LEASED.label("is_leased")).where(_s.issue_id == issue_id)
            rows = connection.execute(wanted.order_by(_s.number).with_for_update()).all()
            gone = dead(connection, {row.holder for row in rows if row.is_leased})
            taken = [row for row in rows if row.is_leased and row.holder not in gone]
            if any(row.number == CANARY for row in taken):
                # Its rows are in the others.
                return
            for row in rows:
                if row.number != CANARY and row not in taken:
                    # Whoever had it opens no gate any more, should they wake.
                    mine = (_s.issue_id == issue_id) & (_s.number == row.number)
                    connection.execute(_taken(mine, holder=None, until=None))
                    shard = Shard(issue_id=issue_id, number=row.number, first_id=row.first_id, last_id=row.last_id)
                    self._recover(connection, shard, on_unknown)

    def is_being_sent(self, issue_id: int) -> bool:
        """Whether somebody has a shard of an issue, or its canary's.

        Transaction: two reads.
        """
        with self._database.read() as connection:
            return bool(senders(connection, issue_id))

    def leased(self, lease: Lease) -> Leased:
        """The outbox of a shard, for its holder."""
        return Leased(self._database, self._clock, self._ids, lease)

    def shard_of(self, issue_id: int, delivery_id: int) -> Shard | None:
        """The shard that a delivery is in.

        Transaction: one read.
        """
        wanted = sa.select(t.shards).where(
            _s.issue_id == issue_id, _s.first_id <= delivery_id, _s.last_id >= delivery_id
        )
        with self._database.read() as connection:
            row = connection.execute(wanted).first()
        if row is None:
            return None
        return Shard(issue_id=issue_id, number=row.number, first_id=row.first_id, last_id=row.last_id)

    def shares(self) -> list[Shares]:
        """How far the shards of each issue are that is in any, oldest first; none on SQLite.

        Transaction: one read.
        """
        if not self.is_shared:
            return []
        # For each shard a look at the index.  Whether an issue has anything left must not be asked here: the first such
        # row of a large one may be far away, and PostgreSQL would look for it once for each shard.
        left = sa.exists().where(_d.issue_id == _s.issue_id, _d.id.between(_s.first_id, _s.last_id), _UNSETTLED)
        is_leased = sa.func.coalesce(IS_LEASED, sa.false())
        wanted = (
            sa.select(
                _s.issue_id,
                sa.func.count(),
                sa.func.count().filter(~is_leased, left.correlate(t.shards)),
                sa.func.count().filter(is_leased),
            )
            .where(_s.number != CANARY)
            .group_by(_s.issue_id)
            .order_by(_s.issue_id)
        )
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
        return [Shares(issue_id=row[0], total=row[1], left=row[2], leased=row[3]) for row in rows]

    def forget_shards(self) -> int:
        """Let go of the shards of issues that are finished; returns how many.

        Transaction: one write.
        """
        left = sa.exists().where(_d.issue_id == _s.issue_id, _UNSETTLED)
        with self._database.write() as connection:
            return connection.execute(sa.delete(t.shards).where(~left, _s.until.is_(None))).rowcount

    def senders(self) -> int:
        """How many are sending just now; none that could be seen on SQLite.

        Transaction: two reads.
        """
        with self._database.read() as connection:
            return len(senders(connection))

    def _something_ready(self) -> sa.ColumnElement[bool]:
        now = self._clock.now()
        unsure = _d.state.in_((DeliveryState.sending, DeliveryState.unknown))
        # One walk along the index for each state: OR over them would read the whole range.
        conditions = (is_ready(DeliveryState.queued, now), is_ready(DeliveryState.deferred, now), unsure)
        mine = (_d.issue_id == _s.issue_id) & _d.id.between(_s.first_id, _s.last_id)
        return sa.or_(*(sa.exists().where(mine, one).correlate(t.shards) for one in conditions))

    def _require_ours(self, connection: Connection) -> None:
        schema.require_revision(connection, self._database.name)
        belonging = read(connection)
        if belonging is not None and (belonging.moved_to or belonging.held):
            raise MovedError(
                f"nothing is sent any more from the database {self._database.name}: "
                + (f"its content has moved to {belonging.moved_to}" if belonging.moved_to else f"it {belonging.held}"),
                hint="newsletter db info",
            )

    def _canary_is_out(self, connection: Connection, issue_id: int) -> bool:
        """Whether somebody who sent to the first few may still be at it."""
        wanted = sa.select(_s.holder).where(_s.issue_id == issue_id, _s.number == CANARY, IS_LEASED)
        holder = connection.execute(wanted).scalar()
        return holder is not None and not dead(connection, {holder})

    def _recover(self, connection: Connection, shard: Shard, on_unknown: OnUnknown) -> None:
        mine = _d.issue_id == shard.issue_id
        if shard.number != CANARY:
            mine &= _d.id.between(shard.first_id, shard.last_id)
        recover(connection, mine, resend=on_unknown is OnUnknown.resend, now=self._clock.now())


_UNSETTLED: Final = _d.state.in_(UNSETTLED)


def _taken(mine: sa.ColumnElement[bool], *, holder: str | None, until: Any) -> sa.Update:
    """A shard with a new token, higher than all before it."""
    token = sa.func.greatest(_s.token + 1, _MICROSECONDS)
    return sa.update(t.shards).where(mine).values(token=token, holder=holder, until=until)


def _has_rest(connection: Connection, issue_id: int) -> bool:
    last = sa.select(sa.func.coalesce(sa.func.max(_s.last_id), 0)).where(_s.issue_id == issue_id).scalar_subquery()
    rest = sa.select(_d.id).where(_d.issue_id == issue_id, _UNSETTLED, _d.id > last).limit(1)
    return connection.execute(rest).first() is not None


def _name(lease: Lease) -> tuple[int, int, int]:
    return lease.shard.issue_id, lease.shard.number, lease.token


def _names(leases: Collection[Lease]) -> Sequence[Any]:
    return [_name(lease) for lease in leases]
