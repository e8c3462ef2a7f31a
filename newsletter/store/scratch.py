"""A copy in memory, for what must change nothing: preview, dry run, test mail.

It knows all that deciding about the next issue needs, and nobody's address but
those that must not be mailed.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from newsletter.store import schema
from newsletter.store import tables as t
from newsletter.store.connect import Database, Memory, SqliteFile
from newsletter.store.rows import in_chunks
from newsletter.store.trouble import explained

#: In the order of their foreign keys; renderings, pictures and deliveries stay behind.
_COPIED: Final = (
    t.feeds,
    t.entries,
    t.entry_keys,
    t.entry_notes,
    t.sent_elsewhere,
    t.polls,
    t.digest_feeds,
    t.issues,
    t.issue_entries,
    t.mentions,
    t.offers,
    t.suppressions,
    t.pauses,
    t.secrets,
    t.drafts,
    t.draft_entries,
)


def scratch_copy(source: Database, since: datetime | None = None) -> Memory:
    """Copy what deciding needs, as one moment of `source` has it.

    Args:
        source: the original; of a copy all is copied.
        since: keep also the texts of what issues frozen after this moment used up, now and then.
    """
    target = Memory()
    try:
        with explained(source.name):
            if isinstance(source, SqliteFile):
                _copy_file(source, target, since)
            elif isinstance(source, Memory):
                _copy_copy(source, target)
            else:
                _copy_rows(source, target, since)
    except BaseException:
        target.close()
        raise
    return target


def _copy_copy(source: Memory, target: Memory) -> None:
    """Let SQLite copy its pages: a preview makes one for every letter it shows."""
    with source.engine.connect() as there, target.engine.connect() as here:
        original: Any = there.connection.driver_connection
        original.backup(here.connection.driver_connection)


def _copy_file(source: SqliteFile, target: Memory, since: datetime | None) -> None:
    """Let SQLite itself copy: a hundred thousand rows in a blink."""
    with target.engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("ATTACH DATABASE ? AS original", (str(source.path),)).close()
        original = sa.MetaData()
        for table in t.metadata.tables.values():
            table.to_metadata(original, schema="original")
        with target.write() as writing:
            schema.create(writing)
            tables = {name.partition(".")[2]: one for name, one in original.tables.items()}
            for table, wanted in _selections(tables, since):
                writing.execute(sa.insert(table).from_select([column.name for column in table.columns], wanted))
        driver.execute("DETACH DATABASE original").close()


def _copy_rows(source: Database, target: Memory, since: datetime | None) -> None:
    """Read from any database and write row by row, in one snapshot of the source."""
    with target.write() as writing, source.engine.connect() as connection:
        schema.create(writing)
        if not source.is_sqlite:
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            for table, wanted in _selections(dict(t.metadata.tables), since):
                for rows in in_chunks(connection.execution_options(yield_per=1000).execute(wanted)):
                    _insert(writing, table, rows)


def _insert(connection: Connection, table: sa.Table, rows: Sequence[sa.Row[Any]]) -> None:
    connection.execute(sa.insert(table), [dict(row._mapping) for row in rows])  # noqa: SLF001 - public


def _selections(
    tables: dict[str, sa.Table], since: datetime | None
) -> list[tuple[sa.Table, sa.Select[tuple[Any, ...]]]]:
    """Each table of the copy, with the query on the original that fills it."""
    selections = [(table, sa.select(tables[table.name])) for table in _COPIED]
    offers, entries, texts, issues = (tables[name] for name in ("offers", "entries", "entry_texts", "issues"))
    # Only an entry that may still be shown needs its text: waiting, or edited since.
    wanted = sa.exists().where(
        offers.c.entry_id == entries.c.id,
        sa.or_(
            offers.c.issue_id.is_(None) & offers.c.skipped.is_(None),
            entries.c.version > offers.c.version,
            sa.false()
            if since is None
            else offers.c.issue_id.in_(sa.select(issues.c.id).where(issues.c.frozen_at > since)),
        ),
    )
    text_of = sa.case((wanted, texts.c.summary), else_=""), sa.case((wanted, texts.c.content), else_="")
    selections.append(
        (
            t.entry_texts,
            sa.select(
                entries.c.id.label("entry_id"), text_of[0].label("summary"), text_of[1].label("content")
            ).join_from(entries, texts, texts.c.entry_id == entries.c.id),
        )
    )
    if since is not None:
        versions, used = tables["entry_versions"], tables["issue_entries"]
        carried = sa.select(issues.c.id).where(issues.c.frozen_at > since)
        of = (sa.select(table.c.entry_id).where(table.c.issue_id.in_(carried)) for table in (used, tables["mentions"]))
        selections.append((t.entry_versions, sa.select(versions).where(versions.c.entry_id.in_(sa.union_all(*of)))))
        recipes = tables["recipes"]
        selections.append((t.recipes, sa.select(recipes).where(recipes.c.issue_id.in_(carried))))
    return selections
