"""How much memory a send takes, whatever the number of recipients: `python -m benchmarks.memory`.

An issue is frozen and delivered to ever more people, a new process for each
number; the people are made up as they are asked for, so that all that is
measured is ours.  `--recipients 1000000` takes a while.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import letter
from benchmarks.sink import HOST, built_fastsink, fastsink, sink
from newsletter.clock import Ids, SystemClock
from newsletter.delivery.deliver import deliver
from newsletter.delivery.links import SECRET_NAME, Tokens
from newsletter.delivery.smtp import SmtpSettings
from newsletter.model import DeliveryState, Format, NewDelivery, OnUnknown
from newsletter.store.store import Store

ROOT = Path(__file__).resolve().parent.parent


def people(count: int) -> Iterator[NewDelivery]:
    """So many made-up people."""
    for number in range(count):
        email = f"reader{number}@example.com"
        yield NewDelivery(
            email=email,
            wire_email=email,
            key=email,
            name=f"Reader {number}",
            format=Format.html,
            rendering="en",
            merge={"subscriber.name": f"Reader {number}"},
        )


def freeze(store: Store, ids: Ids, count: int, entries: int) -> None:
    """An issue to all of them."""
    token = ids.token()
    store.freeze(
        digest="daily",
        number=1,
        slot="one",
        subject=letter.SUBJECT,
        envelope=letter.envelope(token, ids.token()),
        renderings=[letter.rendering(token, entries)],
        consumed=[],
        mentioned=[],
        deliveries=people(count),
        link_of=Tokens(store.secret(SECRET_NAME), "daily").of,
    )


def peak() -> float:
    """The most memory this process had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(count: int, port: int, window: int, entries: int) -> None:
    """Freeze and deliver in this process, and print what it took."""
    clock, ids = SystemClock(), Ids()
    before = peak()
    with (
        TemporaryDirectory(prefix=".bench-", dir=ROOT) as folder,
        Store.open(f"{folder}/newsletter.db", clock=clock, ids=ids) as store,
    ):
        start = time.perf_counter()
        freeze(store, ids, count, entries)
        frozen, after_freeze = time.perf_counter() - start, peak()
        [issue] = store.issues()
        smtp = SmtpSettings(host=HOST, port=port, tls="none", connections=8, window=window)
        start = time.perf_counter()
        asyncio.run(deliver(issue, store, smtp, clock=clock, on_unknown=OnUnknown.resend))
        sent = time.perf_counter() - start
        if store.counts(issue.id) != {DeliveryState.sent: count}:
            sys.exit(f"error: not everybody was sent it: {store.counts(issue.id)}")
    print(json.dumps([before, frozen, after_freeze, sent, peak()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recipients", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--window", type=int, default=4)
    parser.add_argument("--entries", type=int, default=20, help="of the letter; each is about half a kilobyte")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        one(options.recipients[0], options.one, options.window, options.entries)
        return
    print(
        f"{'recipients':>12} {'start MB':>9} {'freeze s':>9} {'MB':>6} {'send s':>8} {'messages/s':>11} {'peak MB':>8}"
    )
    for count in options.recipients:
        program = built_fastsink()
        with fastsink(program) if program is not None else sink() as target:
            words = ["--recipients", str(count), "--window", str(options.window), "--entries", str(options.entries)]
            command = [sys.executable, "-m", "benchmarks.memory", *words, "--one", str(target.port)]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            taken = target.accepted()
        before, frozen, after_freeze, sent, most = json.loads(done.stdout)
        print(
            f"{count:>12,} {before:>9.0f} {frozen:>9.1f} {after_freeze:>6.0f} {sent:>8.1f} {count / sent:>11,.0f} {most:>8.0f}",
            flush=True,
        )
        if taken < count:
            sys.exit(f"error: the sink has {taken:,} of them")


if __name__ == "__main__":
    main()
