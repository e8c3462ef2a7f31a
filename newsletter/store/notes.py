"""What was decided about an entry, where its rows do not tell: each kind of note once, for `explain`."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.engine import Connection

from newsletter.store import tables as t
from newsletter.store.connect import Database
from newsletter.store.rows import in_chunks


def note(database: Database, connection: Connection, notes: Iterable[tuple[int, str, str]], *, now: datetime) -> None:
    """Write down (entry, kind, words) of decisions; a kind that an entry has already stays as it is."""
    statement = database.insert(t.entry_notes).on_conflict_do_nothing(index_elements=["entry_id", "kind"])
    for chunk in in_chunks(notes):
        connection.execute(
            statement, [{"entry_id": id_, "kind": kind, "at": now, "words": words} for id_, kind, words in chunk]
        )
