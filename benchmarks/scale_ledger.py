"""What a million deliveries cost on PostgreSQL: `python -m benchmarks.scale_ledger`.

One issue of so many rows, written by one INSERT, and the jobs that bring it to
workers; then several processes lease shards and announce and settle what is in
them through the store's own outbox writer, as fast as the database takes it
(nothing is mailed).  Beside the rates: bytes of tables and of the log (WAL) for
a delivery, the row versions left behind, and how long a vacuum takes.
`--quick` does it with 20,000 rows.
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.connection import Connection

import sqlalchemy as sa

from benchmarks.memory import freeze
from benchmarks.postgresql import Server, postgresql
from newsletter import jobs
from newsletter.clock import Ids, SystemClock
from newsletter.model import DeliveryState, OnUnknown, Settlement, Shard
from newsletter.store import Store
from newsletter.store.leased import Leased
from newsletter.store.sharing import SIZE, share_out

#: The id of the one issue.
ISSUE = 1
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
    """Write all rows and their jobs in one transaction; seconds for rows, for links, and for shards with their jobs."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        jobs.prepare(connection)
    with engine.begin() as connection:
        begun = time.perf_counter()
        connection.exec_driver_sql(_COPIES, {"rows": rows})
        written = time.perf_counter()
        connection.exec_driver_sql(_LINKS)
        linked = time.perf_counter()
        jobs.hand_out(connection, share_out(connection, ISSUE))
        deferred = time.perf_counter()
    engine.dispose()
    return written - begun, linked - written, deferred - linked


# -------------------------------------------------------------------------------------- acknowledge


async def acknowledge(outbox: Leased, ids: range, at_once: int) -> None:
    """Announce and settle each, so many on the way at a time, as so many connections would."""
    todo = iter(ids)

    async def connection() -> None:
        for id_ in todo:
            if not await writer.intend(id_):
                sys.exit(f"error: delivery {id_} may not go")
            await writer.settle(
                Settlement(delivery_id=id_, state=DeliveryState.sent, code=250, reply="2.0.0 Ok: queued as 4Xk2Lm0Zq9")
            )

    with outbox.outbox_writer(loop=asyncio.get_running_loop()) as writer:
        await asyncio.gather(*(connection() for _ in range(at_once)))


def _child(pipe: Connection, url: str, shards: Sequence[Shard], at_once: int) -> None:
    who = Ids().token()
    with (
        Store.open(url, clock=SystemClock(), ids=Ids()) as store,
        store.at_work(who, host="here", pid=os.getpid(), version="0", concurrency=1),
    ):
        pipe.send(0)
        pipe.recv()
        before = time.process_time()
        for shard in shards:
            lease = store.lease_shard(shard.issue_id, shard.number, who, OnUnknown.resend)
            if lease is None:
                sys.exit(f"error: shard {shard.number} is somebody else's")
            ids = range(lease.shard.first_id, lease.shard.last_id + 1)
            asyncio.run(acknowledge(store.leased(lease), ids, at_once))
            store.give_back(lease)
        pipe.send(time.process_time() - before)


def acknowledged(url: str, shards: Sequence[Shard], processes: int, at_once: int) -> tuple[float, float]:
    """Let so many processes settle the deliveries of these shards, a part each; seconds on the clock, and of their CPU."""
    spawn = get_context("spawn")
    children = []
    try:
        for number in range(processes):
            ours, theirs = spawn.Pipe()
            part = shards[len(shards) * number // processes : len(shards) * (number + 1) // processes]
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


def measure_freeze(server: Server, url: str, rows: int) -> None:
    """Write an issue of so many rows, and say what it took."""
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
    parts = -(-rows // SIZE)
    for what, count, took in zip(("deliveries", "links", "shards and jobs"), (rows, rows, parts), seconds, strict=True):
        print(f"  {count:>11,} {what:<26} {took:>9.2f} {count / took:>11,.0f}")
    print(f"  {'all':<38} {sum(seconds):>9.2f} {rows / sum(seconds):>11,.0f}")
    print(f"\nbytes a delivery{'':<22} {'table':>9} {'with indexes':>13} {'log (WAL)':>10}")
    print(f"  {'frozen':<36} {frozen.heap / rows:>9.0f} {frozen.total / rows:>13.0f} {log / rows:>10.0f}")
    print(f"  {'its link':<36} {'':>9} {links / rows:>13.0f}")
    print(f"  {'the whole database':<36} {'':>9} {whole / rows:>13.0f}", flush=True)


def measure_settling(server: Server, url: str, options: argparse.Namespace) -> None:
    """Have processes settle shards, in ever other numbers, and say what is left behind."""
    with Store.open(url, clock=SystemClock(), ids=Ids()) as store:
        shards = store.ready_shards(ISSUE, limit=-(-min(options.settle or options.rows, options.rows) // SIZE))
    frozen = table(server, url)
    runs = [(processes, at_once) for at_once in options.at_once for processes in options.processes]
    before = server.written()
    print(
        f"\nintent and result{'':<5} {'at once':>9} {'deliveries':>11} {'a second':>9} {'CPU µs':>8} {'server µs':>10}"
        f" {'commits each':>13} {'WAL each':>9}"
    )
    # Each has about as long to do: the more at once, the more in all.
    ends = [sum(at_once for _, at_once in runs[:number]) for number in range(len(runs) + 1)]
    for (processes, at_once), (begin, end) in zip(runs, pairwise(ends), strict=True):
        part = shards[len(shards) * begin // ends[-1] : len(shards) * end // ends[-1]]
        if not part:
            sys.exit(f"error: {len(shards)} shards of {SIZE} are too few for {len(runs)} runs")
        commits = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
        counted, cpu, log = server.one(commits, url), server.cpu(), server.written()
        took, own = acknowledged(url, part, processes, at_once)
        many = sum(shard.last_id - shard.first_id + 1 for shard in part)
        print(
            f"  {processes} process{'es' if processes > 1 else '':<11} {at_once:>9} {many:>11,} {many / took:>9,.0f}"
            f" {own / many * 1e6:>8.0f} {(server.cpu() - cpu) / many * 1e6:>10.0f}"
            f" {(server.one(commits, url) - counted) / many:>13.3f} {(server.written() - log) / many:>9,.0f}",
            flush=True,
        )
    rows = sum(shard.last_id - shard.first_id + 1 for shard in shards)
    done = server.one("SELECT count(*) FROM deliveries WHERE state = 'sent' AND attempts = 1", url)
    if done != rows:
        sys.exit(f"error: {done:,} of {rows:,} deliveries are as they should be")
    log, sent = server.written() - before, table(server, url)
    begun = time.perf_counter()
    server.one("VACUUM (ANALYZE) deliveries", url)
    vacuumed, tidy = time.perf_counter() - begun, table(server, url)
    print(f"\nafterwards, before any vacuum: {rows:,} are sent, each announced once; for each of them")
    print(f"  {'log (WAL), bytes':<44} {log / rows:>9,.0f}")
    print(f"  {'row versions written':<44} {sent.updates / rows:>9.2f}, {sent.hot / rows:.2f} without indexes")
    print(f"  {'of them left behind':<44} {sent.dead / rows:>9.2f}")
    print(f"  {'table and indexes have grown by bytes':<44} {(sent.total - frozen.total) / rows:>9,.0f}")
    print(f"  {'and after the vacuum by':<44} {(tidy.total - frozen.total) / rows:>9,.0f}")
    print(f"  {'vacuum':<44} {vacuumed:>9.2f} s, {sent.dead / vacuumed:,.0f} row versions a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--settle", type=int, help="only so many of them; all by default")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--at-once", type=int, nargs="+", default=[8, 64], help="on the way at a time, in each process")
    parser.add_argument("--quick", action="store_true", help="20,000 rows")
    options = parser.parse_args()
    if options.quick:
        options.rows, options.processes = 20_000, [1, 2]
    with postgresql() as server:
        url = server.make("ledger")
        measure_freeze(server, url, options.rows)
        measure_settling(server, url, options)


if __name__ == "__main__":
    main()
