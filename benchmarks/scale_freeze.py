"""What it costs to freeze an issue for a list in PostgreSQL: `python -m benchmarks.scale_freeze`.

As many people as one likes are put into the table of a server of its own, started from
its wheel with the settings that it comes with, on disk and with fsync.  Then issues are
frozen for them: the rows made where the people are, once when no link is known and once
when all are, and the rows streamed through Python.  Each with its seconds, the CPU seconds
of the server's session and of ours, and what a delivery takes on disk.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks import letter
from benchmarks.postgresql import cpu_of, postgresql
from newsletter.clock import Ids, SystemClock
from newsletter.delivery.links import SECRET_NAME, Tokens
from newsletter.model import NewDelivery
from newsletter.store import Store
from newsletter.store.addressing import Alike, Listed
from newsletter.store.keyed import Keyed

#: Half of them have a name that is not ASCII, a third each reads in one of three languages.
_PEOPLE = """
INSERT INTO people (email, wire_email, key, name, digests, language, format, timezone, tags, attributes)
SELECT e, e, e, CASE n % 2 WHEN 0 THEN 'Émilie Reader ' ELSE 'Ada Reader ' END || n, '[]',
       (ARRAY['de', 'fr', NULL])[n % 3 + 1], CASE n % 10 WHEN 0 THEN 'text' ELSE 'html' END, NULL, '[]',
       '{"city":"Town ' || n % 3000 || '"}'
  FROM (SELECT n, 'reader' || substr(md5(n::text), 1, 8) || n || '@mail' || n % 500 || '.example' AS e
          FROM generate_series(1, %s) AS n) AS numbered
"""
_FIELDS = ("subscriber.name",)
_LANGUAGE = "en"


def freeze(store: Store, *, here: bool) -> int:
    """An issue in three languages for everybody; its id."""
    token = store.secret("bench").hex()
    one = letter.rendering(token, 20)
    tokens = Tokens(store.secret(SECRET_NAME), "daily")

    def alike(language: str | None, _: str | None) -> Alike:
        return Alike(rendering=language or _LANGUAGE, fields=_FIELDS, timezone=None, not_before=None)

    def streamed() -> Iterator[NewDelivery]:
        for person in store.people("daily"):
            yield NewDelivery(
                email=person.email,
                wire_email=person.wire_email,
                key=person.key,
                name=person.name,
                format=person.format,
                rendering=person.language or _LANGUAGE,
                merge={"subscriber.name": person.name},
            )

    keyed = Keyed(secret=store.secret(SECRET_NAME), prefix=tokens.prefix)
    number = store.next_number("daily")
    return store.freeze(
        digest="daily",
        number=number,
        slot=str(number),
        subject=letter.SUBJECT,
        envelope=letter.envelope(token, token),
        renderings=[replace(one, key=key) for key in ("en", "de", "fr")],
        consumed=[],
        mentioned=[],
        deliveries=streamed(),
        link_of=tokens.of,
        listed=Listed(alike=alike, by_timezone=False, without_reserved=False, tokens=keyed) if here else None,
    ).id


def measured(url: str, work: Callable[[Store], object]) -> tuple[float, float, float]:
    """Seconds, CPU seconds of the server for this session, and ours."""
    import psycopg

    with (
        Store.open(url, clock=SystemClock(), ids=Ids()) as store,
        psycopg.connect(url, autocommit=True) as watcher,
    ):
        store.links_secret()
        begun, ours = time.perf_counter(), time.process_time()
        work(store)
        seconds, ours = time.perf_counter() - begun, time.process_time() - ours
        sessions = watcher.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        ).fetchall()
        return seconds, sum(cpu_of(pid) for (pid,) in sessions), ours


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--no-stream", action="store_true", help="leave out the slow way")
    options = parser.parse_args()
    import psycopg

    with postgresql() as server:
        url = server.make("bench")
        Store.open(url, clock=SystemClock(), ids=Ids()).close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_PEOPLE.replace("%s", str(int(options.people))))
            connection.execute("INSERT INTO people_home VALUES (1, 'database', '', '', false)")
            connection.execute("VACUUM ANALYZE people")
        ways = {"in place, new links": True, "in place, known links": True, "streamed, known links": False}
        print(f"{'':<24} {'people':>10} {'s':>8} {'rows/s':>9} {'server CPU s':>13} {'our CPU s':>10}")
        for way, here in ways.items():
            if options.no_stream and not here:
                continue
            seconds, theirs, ours = measured(url, lambda store, here=here: freeze(store, here=here))  # type: ignore[misc]
            rate = options.people / seconds
            print(
                f"{way:<24} {options.people:>10,} {seconds:>8.1f} {rate:>9,.0f} {theirs:>13.1f} {ours:>10.1f}",
                flush=True,
            )
        with psycopg.connect(url) as connection:
            sizes = "SELECT pg_table_size('deliveries'), pg_indexes_size('deliveries'), count(*) FROM deliveries"
            table, indexes, rows = connection.execute(sizes).fetchone() or (0, 0, 1)
            links = connection.execute("SELECT pg_total_relation_size('links')").fetchone() or (0,)
        print(f"a delivery: {table / rows:.0f} bytes of table, {indexes / rows:.0f} of indexes; ", end="")
        print(f"a link: {links[0] / options.people:.0f} bytes")


if __name__ == "__main__":
    main()
