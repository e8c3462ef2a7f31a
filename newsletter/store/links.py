"""Whose a personal link is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.bulk import insert_new

#: The first secret's name; later ones are numbered.
_FIRST: Final = "links"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """The name of the new secret, and how many links are good for nothing any more."""

    secret: str
    forgotten: int


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

    def links_secret(self) -> str:
        """The name of the secret that new links are made with (`secret`, `Envelope.links_secret`).

        Transaction: one read.
        """
        with self._database.read() as connection:
            return _newest(connection)

    def rotate_links(self, *, revoke: bool) -> Rotated:
        """Make new links with a new secret from now on; known ones go on working, unless they are revoked.

        Transaction: one write.
        """
        with self._database.write() as connection:
            name = _name(_number(_newest(connection)) + 1)
            new = sa.insert(t.secrets).values(name=name, value=self._ids.key(), created_at=self._clock.now())
            connection.execute(new)
            forgotten = connection.execute(sa.delete(t.links)).rowcount if revoke else 0
        return Rotated(secret=name, forgotten=forgotten)

    def remember_links(self, digest: str, keys_by_token: Mapping[str, str]) -> None:
        """Know tokens from now on, of messages that are to be sent.

        Transaction: one write.
        """
        with self._database.write() as connection:
            self._remember_links(connection, digest, keys_by_token)

    def remember_link(self, digest: str, token: str, key: str) -> None:
        """Know a token from now on, for a message that belongs to no issue.

        Transaction: one write.
        """
        self.remember_links(digest, {token: key})

    def _remember_links(self, connection: Connection, digest: str, keys_by_token: Mapping[str, str]) -> None:
        rows = [{"token": token, "digest": digest, "key": key} for token, key in keys_by_token.items()]
        if rows:
            insert_new(self._database, connection, t.links, rows, unique=["token"])


def _newest(connection: Connection) -> str:
    wanted = sa.select(t.secrets.c.name).where((t.secrets.c.name == _FIRST) | t.secrets.c.name.startswith(f"{_FIRST}-"))
    return max(connection.execute(wanted).scalars(), key=_number, default=_FIRST)


def _number(name: str) -> int:
    return int(name.partition("-")[2] or 1)


def _name(number: int) -> str:
    return f"{_FIRST}-{number}"
