"""Whether a shard is still whose lease it was: what keeps the dead from sending once they wake (`shards`)."""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import Lease
from newsletter.store import tables as t

_s, _i = t.shards.c, t.issues.c
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
