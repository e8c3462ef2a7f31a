"""Whose a shard is, and whether still: what keeps the dead from sending once they wake (`shards`)."""

from collections.abc import Collection
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.errors import BusyError
from newsletter.model import Lease
from newsletter.store import tables as t
from newsletter.store.connect import Database
from newsletter.store.lock import is_free

_s, _i = t.shards.c, t.issues.c
IS_LEASED: Final = _s.until > sa.func.clock_timestamp()
#: Nobody has the canary's shard once the canary is over.
IS_HELD: Final = (
    (_s.issue_id == sa.bindparam("issue", type_=sa.Integer, required=True))
    & (_s.number == sa.bindparam("number", type_=sa.Integer, required=True))
    & (_s.token == sa.bindparam("token", type_=sa.BigInteger, required=True))
    & ((_s.number > 0) | _i.canary.is_not(None))
)
HELD: Final = sa.select(_s.token).join(t.issues, _i.id == _s.issue_id).where(IS_HELD)


def named(lease: Lease) -> dict[str, Any]:
    """A lease, as the statements want to be told."""
    return {"issue": lease.shard.issue_id, "number": lease.shard.number, "token": lease.token}


def holds(connection: Connection, lease: Lease) -> bool:
    """Whether it is still good."""
    return connection.execute(HELD, named(lease)).first() is not None


def dead(connection: Connection, among: Collection[str]) -> set[str]:
    """Whose session with the database is gone."""
    return {holder for holder in among if is_free(connection, holder)}


def holders(connection: Connection, issue_id: int | None = None) -> set[str]:
    """Who has a shard, or one of this issue's, alive or not."""
    wanted = sa.select(_s.holder).where(IS_LEASED).distinct()
    if issue_id is not None:
        wanted = wanted.where(_s.issue_id == issue_id)
    return set(connection.execute(wanted).scalars())


def senders(connection: Connection, issue_id: int | None = None) -> set[str]:
    """Who has a shard, or one of this issue's, and lives."""
    found = holders(connection, issue_id)
    return found - dead(connection, found)


def require_idle(database: Database, connection: Connection) -> None:
    """Raise BusyError if somebody sends from a database; who has locked the shards can be sure of it from then on."""
    if not database.is_sqlite and (sending := senders(connection)):
        who = "a worker or a send is" if len(sending) == 1 else f"{len(sending)} workers and sends are"
        raise BusyError(
            f"{who} sending from the database {database.name}",
            hint="stop them (SIGTERM lets what is in flight end), or wait until they are done",
        )
