"""What issues were made from beside their entries, so that they can be made again."""

from collections.abc import Sequence
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.model import Recipe, StoredEntry
from newsletter.store import tables as t
from newsletter.store.base import Part
from newsletter.store.bulk import insert_new
from newsletter.store.connect import Database
from newsletter.store.feeds import newest_first
from newsletter.store.rows import STORED_ENTRY, entry_of, entry_of_record


class Recipes(Part):
    """What issues were made from."""

    def recipe(self, issue_id: int) -> Recipe | None:
        """What an issue was made from; None where an earlier version of the program froze it.

        Transaction: one read.
        """
        with self._database.read() as connection:
            row = connection.execute(sa.select(t.recipes).where(t.recipes.c.issue_id == issue_id)).first()
            if row is None:
                return None
            wanted = sa.select(t.template_texts).where(t.template_texts.c.hash.in_(set(row.templates.values())))
            texts = {text.hash: text.text for text in connection.execute(wanted)}
        known = {name: texts[hash_] for name, hash_ in sorted(row.templates.items()) if hash_ in texts}
        return Recipe(made=row.made, templates=known)

    def mentioned(self, issue_id: int) -> list[StoredEntry]:
        """The entries that an issue names as updated, each as it read then, ordered as `edited`.

        Transaction: one read.
        """
        wanted = (
            STORED_ENTRY.add_columns(t.mentions.c.version.label("version_then"), t.entry_versions.c.entry.label("then"))
            .join(t.mentions, t.mentions.c.entry_id == t.entries.c.id)
            .outerjoin(
                t.entry_versions,
                (t.entry_versions.c.entry_id == t.entries.c.id) & (t.entry_versions.c.version == t.mentions.c.version),
            )
            .where(t.mentions.c.issue_id == issue_id)
        )
        with self._database.read() as connection:
            found = [
                StoredEntry(
                    id=row.id,
                    feed_url=row.feed_url,
                    entry=entry_of_record(row.then)
                    if row.version_then != row.version and row.then is not None
                    else entry_of(row),
                    first_seen_at=row.first_seen_at,
                )
                for row in connection.execute(wanted)
            ]
        return sorted(found, key=newest_first)


def keep_recipe(database: Database, connection: Connection, issue_id: int, recipe: Recipe) -> None:
    """Keep what an issue was made from; a template's text is kept once."""
    hashes = {
        name: sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for name, text in recipe.templates.items()
    }
    texts = [{"hash": hashes[name], "text": text} for name, text in recipe.templates.items()]
    if texts:
        insert_new(database, connection, t.template_texts, _once(texts), unique=["hash"])
    connection.execute(sa.insert(t.recipes).values(issue_id=issue_id, made=dict(recipe.made), templates=hashes))


def _once(texts: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return list({text["hash"]: text for text in texts}.values())
