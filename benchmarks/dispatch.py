"""How fast mail goes out, beside those who send mail in Python, in Node and in C: `python -m benchmarks.dispatch`.

The same letter (60 KB, text and HTML, three values a person) to the same people
through the same sinks, in turns, in one run.  Ours keeps its ledger: every
intent is on disk before its message can be accepted.  Client and sink share the
machine, so read the ratios, not the rates.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from email.utils import format_datetime
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import letter
from benchmarks.dispatch_peers import senders as who
from benchmarks.dispatch_peers.common import NAME, NAME_HTML, URL, Person
from benchmarks.dispatch_peers.senders import SENDERS, Sender
from benchmarks.sink import Sink, built_fastsink, fastsink, sink, smtp_sink

ROOT = Path(__file__).resolve().parent.parent
#: Seconds after which a sender is given up.
_LONGEST = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one sender took for one message, in seconds on the clock and of its CPU."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A sink to send to; `lacks` says why not."""

    name: str
    is_delayed: bool = False
    lacks: str | None = None

    def open(self) -> AbstractContextManager[Sink]:
        if self.name == who.SMTP_SINK:
            return sink()
        program = built_fastsink()
        assert program is not None
        delay = {who.DELAYED: "20", who.NEAR: "5"}.get(self.name)
        return fastsink(program, *([] if delay is None else ["--delay-ms", delay]))


# -------------------------------------------------------------------------------- the job


@contextmanager
def job_files(counts: set[int], size: int) -> Iterator[dict[int, Path]]:
    """The letter and so many people, a file for each number of them."""
    entries = _entries(size)
    everybody = [
        Person(
            email=one.email,
            name=one.name,
            name_html=escape(one.name, quote=False),
            url=one.unsubscribe_url,
        )
        for one in letter.people(max(counts))
    ]
    job = {
        "from_name": letter.FROM_NAME,
        "from_email": letter.FROM_EMAIL,
        "subject": letter.SUBJECT,
        "date": format_datetime(letter.DATE),
        "text": letter.text_part(NAME, URL, entries),
        "html": letter.html_part(NAME_HTML, URL, entries),
    }
    with TemporaryDirectory() as folder:
        files = {}
        for count in counts:
            files[count] = Path(folder, f"{count}.json")
            files[count].write_text(json.dumps({**job, "people": [asdict(one) for one in everybody[:count]]}), "utf-8")
        yield files


def _entries(size: int) -> int:
    """How many entries make a message of about this size on the wire."""

    def length(entries: int) -> int:
        # Quoted-printable writes three bytes for one that is not ASCII.
        parts = letter.text_part("", "", entries) + letter.html_part("", "", entries)
        return sum(1 if char.isascii() and char != "=" else 3 * len(char.encode()) for char in parts)

    return max(1, round((size - length(0)) / (length(1) - length(0))))


# --------------------------------------------------------------------------------- one turn


def turn(sender: Sender, target: Target, job: Path, messages: int, connections: int) -> Cost:
    """Let one sender send the job once; exits if the sink has not got all of it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **sender.environment}
    with target.open() as running:
        before = running.accepted()
        command = sender.command(job, running.port, connections, messages)
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = process.stdout.read(), process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        process.stderr.close()
        taken = running.accepted() - before
    if process.returncode or taken != messages:
        sys.exit(f"error: {sender.name} to {target.name}: {taken} of {messages} messages\n{errors.decode()[-2000:]}")
    if sender.tells:
        told = json.loads(output.splitlines()[-1])
        return Cost(wall=told["wall"] / messages, cpu=told["cpu"] / messages)
    return Cost(wall=wall / messages, cpu=(used.ru_utime + used.ru_stime) / messages)


def compose_cost(job: Path) -> float:
    """Microseconds of CPU to personalise one message of ours."""
    command = [sys.executable, str(who.FOLDER / "ours.py"), str(job), "0", "1", "--compose"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=_LONGEST)
    return float(done.stdout)


# ------------------------------------------------------------------------------- the report

Costs = dict[tuple[str, str], list[Cost]]


def median(costs: Costs, target: str, sender: str) -> Cost | None:
    found = costs.get((target, sender))
    if not found:
        return None
    return Cost(wall=statistics.median(one.wall for one in found), cpu=statistics.median(one.cpu for one in found))


def table(target: Target, senders: list[Sender], costs: Costs) -> None:
    ours = median(costs, target.name, who.OURS)
    assert ours is not None
    print(f"\nto {target.name}")
    print(f"  {'':<42} {'messages/s':>10} {'CPU µs/message':>15} {'ours is':>9} {'in CPU':>9}")
    for sender in senders:
        if target.name not in sender.targets:
            continue
        cost = median(costs, target.name, sender.name)
        if cost is None:
            print(f"  {sender.name:<42} {'skipped':>10}  {sender.lacks()}")
            continue
        ratios = f"{cost.wall / ours.wall:>8.2f}x {cost.cpu / ours.cpu:>8.2f}x"
        print(f"  {sender.name:<42} {1 / cost.wall:>10,.0f} {cost.cpu * 1e6:>15,.0f} {ratios}")


def verdicts(costs: Costs, compose: float) -> None:
    """The ratios that are asked for, and those that were reached."""

    def ratio(what: str, target: str, ours: str, other: str, wanted: float) -> None:
        mine, theirs = median(costs, target, ours), median(costs, target, other)
        if mine is None or theirs is None:
            print(f"  {what:<64} {'':>8} not measured")
            return
        reached = theirs.wall / mine.wall
        print(f"  {what:<64} {reached:>7.2f}x of {wanted:g}x  {'reached' if reached >= wanted else 'MISSED'}")

    print("\nasked for, and reached in this run")
    for target in (who.SMTP_SINK, who.FAST):
        for peer in who.PYTHON:
            ratio(f"{peer}, {target}", target, who.OURS, peer, 15)
        ratio(f"{who.NODEMAILER}, {target}", target, who.OURS, who.NODEMAILER, 5)
    ratio("smtp-source into smtp-sink", who.SMTP_SINK, who.OURS, who.LIMIT, 0.9)
    ratio("smtp-source into fastsink", who.FAST, who.OURS, who.LIMIT, 1.2)
    ratio("smtp-source into fastsink, window 4", who.FAST, who.OURS_WINDOW, who.LIMIT, 1.2)
    for pool in (who.POOL, who.POOL_READY):
        ratio(f"{pool}, 20 ms, PIPELINING", who.DELAYED, who.OURS, pool, 3.8)
        ratio(f"{pool}, 20 ms, CHUNKING", who.DELAYED, who.OURS_WINDOW, pool, 12)
    for target in (who.NEAR, who.DELAYED):
        ratio(f"without ledger, {target}", target, who.OURS, who.OURS_NO_LEDGER, 0.85)
        ratio(f"without ledger, window 4, {target}", target, who.OURS_WINDOW, who.OURS_WINDOW_NO_LEDGER, 0.85)
    print(f"  {'personalisation, µs of CPU a message':<64} {compose:>7.1f}  of 10    ", end="")
    print("reached" if compose <= 10 else "MISSED")


# ----------------------------------------------------------------------------------- a run


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--messages", type=int, default=2000, help="for the fast senders; slow ones get a share")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--size", type=int, default=60_000, help="bytes of one message on the wire, about")
    parser.add_argument("--only", default="", help="senders whose name has this in it, and ours")
    parser.add_argument("--install-peers", action="store_true", help="install those we are compared with, in a cache")
    return parser.parse_args()


def targets() -> list[Target]:
    no_fastsink = None if built_fastsink() else "there is no C compiler (cc) for fastsink"
    return [
        Target(name=who.SMTP_SINK, lacks=None if smtp_sink() else "there is no smtp-sink (Debian: postfix)"),
        Target(name=who.FAST, lacks=no_fastsink),
        Target(name=who.DELAYED, is_delayed=True, lacks=no_fastsink),
        Target(name=who.NEAR, is_delayed=True, lacks=no_fastsink),
    ]


def main() -> None:
    options = arguments()
    if options.install_peers:
        who.install_peers()
    chosen = [one for one in SENDERS if options.only in one.name or one.name == who.OURS]
    usable = [target for target in targets() if target.lacks is None]

    def messages(sender: Sender, target: Target) -> int:
        share = sender.share_delayed if target.is_delayed else sender.share
        return max(16, int(options.messages * share))

    costs: Costs = defaultdict(list)
    turns = [
        (target, sender, messages(sender, target))
        for target in usable
        for sender in chosen
        if target.name in sender.targets and sender.lacks() is None
    ]
    with job_files({options.messages, *(count for _, _, count in turns)}, options.size) as files:
        compose = compose_cost(files[options.messages])
        for number in range(options.rounds):
            for target, sender, count in turns:
                print(
                    f"\r\033[Kround {number + 1}: {sender.name} to {target.name}", end="", file=sys.stderr, flush=True
                )
                cost = turn(sender, target, files[count], count, options.connections)
                costs[target.name, sender.name].append(cost)
    print("\r\033[K", end="", file=sys.stderr, flush=True)
    print(f"{options.size // 1000} KB a message, {options.connections} connections, median of {options.rounds} rounds")
    print("client and sink share this machine: read the ratios, not the rates")
    for target in targets():
        if target.lacks is None:
            table(target, chosen, costs)
        else:
            print(f"\nto {target.name}: skipped, {target.lacks}")
    verdicts(costs, compose)


if __name__ == "__main__":
    main()
