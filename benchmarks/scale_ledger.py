"""What a million deliveries cost on PostgreSQL: `python -m benchmarks.scale_ledger`.

One issue of so many rows, written by one INSERT, and the jobs that bring it to
workers; then several processes, each with the store's own outbox writer,
announce and settle rows of their own as fast as the database takes them
(nothing is mailed).  Beside the rates: bytes of tables and of the log (WAL) for
a delivery, the row versions left behind, and how long a vacuum takes.
`--quick` does it with 20,000 rows.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from multiprocessing import get_context
from multiprocessing.connection import Connection

from benchmarks.memory import freeze
from benchmarks.postgresql import Server, postgresql
from newsletter.clock import Ids, SystemClock
from newsletter.model import DeliveryState, Settlement
from newsletter.store import Store

#: Deliveries in a shard, as `newsletter worker` leases them.
SHARD = 500
#: Seconds after which a process is given up.
_LONGEST = 900.0

# The copies differ from the one that was frozen in what differs between people.
_COPIES = """
INSERT INTO deliveries (issue_id, email, wire_email, key, name, format, rendering, merge, message_id, state, attempts,
                        last_reply, queued_at)
SELECT d.issue_id, who, who, who, 'Reader ' || n, d.format, d.rendering,
       json_build_object('subscriber.name', 'Reader ' || n), md5(who) || '@example.com', d.state, 0, '', d.queued_at
FROM deliveries AS d, LATERAL (SELECT n, format('reader%%s@mail%%s.example', n, n %% 500) AS who
                               FROM generate_series(2, %(rows)s) AS n) AS people
"""
_LINKS = """
INSERT INTO links (token, digest, key) SELECT left(md5('link' || key), 22), 'daily', key FROM deliveries
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What PostgreSQL counts of the deliveries: bytes with and without indexes, and row versions."""

    heap: int
    total: int
    dead: int
    updates: int
    hot: int


def table(server: Server, url: str) -> Table:
    server.one("SELECT pg_stat_force_next_flush()", url)
    found = server.one(
        "SELECT json_build_object('heap', pg_relation_size(relid), 'total', pg_total_relation_size(relid),"
        " 'dead', n_dead_tup, 'updates', n_tup_upd, 'hot', n_tup_hot_upd)"
        " FROM pg_stat_user_tables WHERE relname = 'deliveries'",
        url,
    )
    return Table(**{field.name: found[field.name] for field in fields(Table)})


# ------------------------------------------------------------------------------------------- freeze


def fill(url: str, rows: int) -> tuple[float, float, float]:
    """Write all rows and their jobs in one transaction; seconds for rows, for links, and for jobs."""
    import procrastinate
    import psycopg
    from procrastinate.types import JSONValue

    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url))
    with app.open():
        if not app.check_connection():
            app.schema_manager.apply_schema()
    with psycopg.connect(url) as connection:
        begun = time.perf_counter()
        connection.execute(_COPIES, {"rows": rows})
        written = time.perf_counter()
        connection.execute(_LINKS)
        linked = time.perf_counter()
        jobs: list[dict[str, JSONValue]] = [{"issue": 1, "shard": number} for number in range(1, -(-rows // SHARD) + 1)]
        app.configure_task("deliver_shard", queue="shards", connection=connection).batch_defer(*jobs)
        deferred = time.perf_counter()
    return written - begun, linked - written, deferred - linked


# -------------------------------------------------------------------------------------- acknowledge


async def acknowledge(store: Store, ids: Sequence[int], at_once: int) -> None:
    """Announce and settle each, so many on the way at a time, as so many connections would."""
    todo = iter(ids)

    async def connection() -> None:
        for id_ in todo:
            if not await writer.intend(id_):
                sys.exit(f"error: delivery {id_} may not go")
            await writer.settle(
                Settlement(delivery_id=id_, state=DeliveryState.sent, code=250, reply="2.0.0 Ok: queued as 4Xk2Lm0Zq9")
            )

    with store.outbox_writer(loop=asyncio.get_running_loop()) as writer:
        await asyncio.gather(*(connection() for _ in range(at_once)))


def _child(pipe: Connection, url: str, ids: range, at_once: int) -> None:
    with Store.open(url, clock=SystemClock(), ids=Ids()) as store:
        pipe.send(0)
        pipe.recv()
        before = time.process_time()
        asyncio.run(acknowledge(store, ids, at_once))
        pipe.send(time.process_time() - before)


def acknowledged(url: str, ids: range, processes: int, at_once: int) -> tuple[float, float]:
    """Let so many processes settle these deliveries, a part each; seconds on the clock, and of their CPU."""
    spawn = get_context("spawn")
    children = []
    try:
        for number in range(processes):
            ours, theirs = spawn.Pipe()
            part = ids[len(ids) * number // processes : len(ids) * (number + 1) // processes]
            child = spawn.Process(target=_child, args=(theirs, url, part, at_once), daemon=True)
            child.start()
            theirs.close()
            children.append((child, ours))
        for _, pipe in children:
            _hear(pipe)
        begun = time.perf_counter()
        for _, pipe in children:
            pipe.send("go")
        cpu = sum(_hear(pipe) for _, pipe in children)
        return time.perf_counter() - begun, cpu
    finally:
        for child, _ in children:
            child.join(10)
            if child.is_alive():
                child.kill()


def _hear(pipe: Connection) -> float:
    """What a process says next, a number or that it is ready (0)."""
    if not pipe.poll(_LONGEST):
        sys.exit("error: a process does not answer")
    try:
        return float(pipe.recv())
    except EOFError:
        sys.exit("error: a process has failed; it says above why")


# ------------------------------------------------------------------------------------------- report


def measure(server: Server, options: argparse.Namespace) -> None:
    rows: int = options.rows
    url = server.make("ledger")
    with Store.open(url, clock=SystemClock(), ids=Ids()) as store:
        freeze(store, Ids(), 1, 20)
    # What an issue leaves behind is looked at when it is over: the server must not tidy meanwhile.
    server.one("ALTER TABLE deliveries SET (autovacuum_enabled = false)", url)
    empty, before = server.one("SELECT pg_database_size(current_database())", url), server.written()
    seconds = fill(url, rows)
    frozen, log = table(server, url), server.written() - before
    links = server.one("SELECT pg_total_relation_size('links')", url)
    whole = server.one("SELECT pg_database_size(current_database())", url) - empty
    server.one("ANALYZE", url)
    print(f"{server.described()}\n\nfreeze, one transaction{'':<17} {'seconds':>9} {'a second':>11}")
    jobs = -(-rows // SHARD)
    for what, count, took in zip(("deliveries", "links", "jobs"), (rows, rows, jobs), seconds, strict=True):
        print(f"  {count:>11,} {what:<26} {took:>9.2f} {count / took:>11,.0f}")
    print(f"  {'all':<38} {sum(seconds):>9.2f} {rows / sum(seconds):>11,.0f}")
    print(f"\nbytes a delivery{'':<22} {'table':>9} {'with indexes':>13} {'log (WAL)':>10}")
    print(f"  {'frozen':<36} {frozen.heap / rows:>9.0f} {frozen.total / rows:>13.0f} {log / rows:>10.0f}")
    print(f"  {'its link':<36} {'':>9} {links / rows:>13.0f}")
    print(f"  {'the whole database':<36} {'':>9} {whole / rows:>13.0f}", flush=True)

    first = server.one("SELECT min(id) FROM deliveries", url)
    runs = [(processes, at_once) for at_once in options.at_once for processes in options.processes]
    before = server.written()
    print(
        f"\nintent and result{'':<5} {'at once':>9} {'deliveries':>11} {'a second':>9} {'CPU µs':>8} {'server µs':>10}"
        f" {'commits each':>13} {'WAL each':>9}"
    )
    for number, (processes, at_once) in enumerate(runs):
        ids = range(first + rows * number // len(runs), first + rows * (number + 1) // len(runs))
        commits = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        counted, cpu, log = server.one(commits, url), server.cpu(), server.written()
        took, own = acknowledged(url, ids, processes, at_once)
        many = len(ids)
        print(
            f"  {processes} process{'es' if processes > 1 else '':<11} {at_once:>9} {many:>11,} {many / took:>9,.0f}"
            f" {own / many * 1e6:>8.0f} {(server.cpu() - cpu) / many * 1e6:>10.0f}"
            f" {(server.one(commits, url) - counted) / many:>13.3f} {(server.written() - log) / many:>9,.0f}",
            flush=True,
        )
    left = server.one("SELECT count(*) FROM deliveries WHERE state <> 'sent' OR attempts <> 1", url)
    if left:
        sys.exit(f"error: {left:,} deliveries are not as they should be")
    log, sent = server.written() - before, table(server, url)
    begun = time.perf_counter()
    server.one("VACUUM (ANALYZE) deliveries", url)
    vacuumed, tidy = time.perf_counter() - begun, table(server, url)
    print(f"\nafterwards, before any vacuum: all {rows:,} are sent, each announced once")
    print(f"  {'log (WAL) a delivery':<44} {log / rows:>9,.0f} bytes")
    print(
        f"  {'row versions written a delivery':<44} {sent.updates / rows:>9.2f}, {sent.hot / rows:.2f} without indexes"
    )
    print(f"  {'of them left behind':<44} {sent.dead / rows:>9.2f}")
    print(f"  {'table and indexes, a delivery':<44} {sent.total / rows:>9,.0f} bytes")
    print(f"  {'vacuum':<44} {vacuumed:>9.2f} s, {sent.dead / vacuumed:,.0f} row versions a second")
    print(f"  {'table and indexes after it':<44} {tidy.total / rows:>9,.0f} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--at-once", type=int, nargs="+", default=[8, 64], help="on the way at a time, in each process")
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.processes = 20_000, [1, 2]
    with postgresql() as server:
        measure(server, options)


if __name__ == "__main__":
    main()
