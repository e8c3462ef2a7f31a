"""Whose a personal link is."""

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.bulk import insert_new


class Links(Part):
    """The personal links of every message that was ever frozen.

    A token proves that its bearer got the message: it is made with a keyed hash,
    and this table says whose it is, also when the person is in no file any more
    or the key has been replaced since.
    """

    def whose(self, digest: str, token: str) -> str | None:
        """The key of the person who has this token in this digest; None for a token that is nobody's.

        Transaction: one read.
        """
        mine = (t.links.c.token == token) & (t.links.c.digest == digest)
        with self._database.read() as connection:
            return connection.execute(sa.select(t.links.c.key).where(mine)).scalar()

    def remember_link(self, digest: str, token: str, key: str) -> None:
        """Know a token from now on, for a message that belongs to no issue.

        Transaction: one write.
        """
        with self._database.write() as connection:
            self._remember_links(connection, digest, {token: key})

    def _remember_links(self, connection: Connection, digest: str, keys_by_token: Mapping[str, str]) -> None:
        rows = [{"token": token, "digest": digest, "key": key} for token, key in keys_by_token.items()]
        if rows:
            insert_new(self._database, connection, t.links, rows, unique=["token"])
