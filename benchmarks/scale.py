"""Whether twice the workers send twice as much: `python -m benchmarks.scale`.

One project on PostgreSQL, a list in the database, an issue for each run that is
frozen by `send --enqueue` and sent by 1, 2, 4, 8 processes of `newsletter worker`.
The sink takes a fixed time over each message on each connection, so a worker's
rate is set by its connections and not by this machine's cores; then the same
with a sink that takes only so many a second in all.  Every worker has the same
work in every run.  At the end of each run every recipient must be in the sink's
list exactly once.  `--quick` is a look at it in under a minute.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.endurance import publish
from benchmarks.postgresql import Server, cpu_of, postgresql
from benchmarks.sink import Sink, Taken, built_fastsink, fastsink, taken
from newsletter.store.sharing import SIZE

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "scale"
#: Of how much it should be: what was asked for.
WANTED = 0.8
#: Seconds after which workers are given up.
_LONGEST = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """The time while as many connections were at it as ever were, and how many messages were taken in it."""

    connections: int
    begin: float
    end: float
    messages: int

    @property
    def rate(self) -> float:
        return self.messages / max(self.end - self.begin, 0.001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One issue sent by so many workers.

    `first` is how long after their start the first message was taken, `tail` how long the last ones took when not
    all connections had work any more, in seconds; of CPU, of the busy `cores`, of `sessions` with
    the database (the most there were), and of `commits` and bytes of `log`
    it says how much: CPU seconds and cores while it was steady, the others for a message.
    """

    workers: int
    messages: int
    steady: Steady
    first: float
    tail: float
    rate: float
    worker_cpu: float
    server_cpu: float
    cores: float
    sessions: int
    commits: float
    log: float


# ------------------------------------------------------------------------------------ the project


class Project:
    """A project whose digests are named by how many workers send them, each with work for so many."""

    def __init__(
        self, folder: Path, url: str, workers: Sequence[int], each: int, *, connections: int, concurrency: int
    ) -> None:
        self.folder, self.url, self.each = folder, url, each
        self._workers, self._connections, self._concurrency, self._stories = workers, connections, concurrency, 0
        self.configure(25)
        with (folder / "people.csv").open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(["email", "name", "digests", "timezone"])
            for number in range(max(workers) * each):
                digests = ",".join(f"by{many}" for many in workers if number < many * each)
                rows.writerow([self.person(number), f"Reader {number}", digests, ""])
        self.run("subscriber", "import", str(folder / "people.csv"))

    @staticmethod
    def person(number: int) -> str:
        return f"reader{number}@mail{number % 500}.example"

    def configure(self, port: int) -> None:
        digests = "".join(f"  by{many}: {{}}\n" for many in self._workers)
        (self.folder / "newsletter.yaml").write_text(
            "title: The Morning Wire\nfrom: The Morning Wire <wire@example.com>\nsubscribers: database\n"
            f"first_run: all\nfeeds:\n  - {self.folder / 'feed.xml'}\ndigests:\n{digests}"
            f"smtp: {{host: 127.0.0.1, port: {port}, tls: none, connections: {self._connections}}}\n",
            encoding="utf-8",
        )

    def publish(self) -> None:
        """Put a new story in front, so that there is something to send."""
        self._stories += 1
        publish(self.folder / "feed.xml", self._stories)

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "newsletter", *words, "-c", str(self.folder)]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "NEWSLETTER_STORE": self.url}

    def run(self, *words: str) -> None:
        """Run a command to its end; exits with its words if it fails."""
        done = subprocess.run(
            self.command(*words), env=self.environment, capture_output=True, text=True, timeout=_LONGEST, check=False
        )
        if done.returncode:
            sys.exit(f"error: newsletter {' '.join(words)} ended with {done.returncode}\n{done.stdout}{done.stderr}")

    @contextmanager
    def workers(self, many: int) -> Iterator[list["subprocess.Popen[bytes]"]]:
        """Start so many workers; whichever still runs at the end of the block is stopped."""
        processes: list[subprocess.Popen[bytes]] = []
        try:
            for number in range(many):
                with (self.folder / f"worker{number}.log").open("wb") as log:
                    command = self.command("worker", "--until-idle", "--concurrency", str(self._concurrency))
                    processes.append(
                        subprocess.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
                    )
            yield processes
        finally:
            for process in processes:
                if process.poll() is None:
                    process.terminate()
            for process in processes:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)


# ----------------------------------------------------------------------------------------- one run


def steady(listed: Sequence[Taken]) -> Steady:
    """From when the most connections were at it until the first of them had no more."""
    first: dict[int, float] = {}
    last: dict[int, float] = {}
    for one in listed:
        first.setdefault(one.connection, one.at)
        last[one.connection] = one.at
    changes = sorted([(at, 1) for at in first.values()] + [(at, -1) for at in last.values()])
    count, counts = 0, []
    for _, change in changes:
        count += change
        counts.append(count)
    most = max(counts)
    at_most = [number for number, count in enumerate(counts) if count == most]
    begin, end = changes[at_most[0]][0], changes[at_most[-1] + 1][0]
    within = sum(begin < one.at <= end for one in listed)
    return Steady(connections=most, begin=begin, end=end, messages=within)


def everybody_once(project: Project, listed: Sequence[Taken], many: int) -> None:
    """Exit unless the sink has every recipient exactly once, and nobody else."""
    found = Counter(one.email for one in listed)
    expected = Counter(project.person(number) for number in range(many))
    if found != expected:
        missing, more = expected - found, found - expected
        sys.exit(f"error: {missing.total()} of {many} recipients are missing, {more.total()} messages are too many")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Seconds so far: on the clock, of the workers' CPU, of the server's, and of cores that had nothing to do."""

    at: float
    workers: float
    server: float
    idle: float


class Watch:
    """Looks at the processes a few times a second, so that the steady part can be told from the rest."""

    def __init__(self, server: Server, pids: Sequence[int]) -> None:
        self._server, self._cpu = server, dict.fromkeys(pids, 0.0)
        self._samples: list[Sample] = []
        self.sessions = 0

    def look(self) -> None:
        for pid, before in self._cpu.items():
            # Of one that has ended nothing is to be seen any more.
            self._cpu[pid] = max(before, cpu_of(pid))
        self.sessions = max(self.sessions, self._server.sessions(DATABASE))
        idle = int(Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=5)[4]) / os.sysconf("SC_CLK_TCK")
        self._samples.append(
            Sample(at=time.monotonic(), workers=sum(self._cpu.values()), server=self._server.cpu(), idle=idle)
        )

    def between(self, begin: float, end: float) -> Sample:
        """How much of each there was from one moment to the other, as nearly as it was looked at."""
        one, other = (min(self._samples, key=lambda sample: abs(sample.at - at)) for at in (begin, end))
        return Sample(
            at=max(other.at - one.at, 0.001),
            workers=other.workers - one.workers,
            server=other.server - one.server,
            idle=other.idle - one.idle,
        )


def one_run(project: Project, server: Server, sink: Sink, log: Path, many: int) -> Run:
    """Freeze an issue for so many workers and have them send it."""
    project.configure(sink.port)
    project.publish()
    project.run("send", f"by{many}", "--enqueue", "-y")
    commits = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    counted, written = server.one(commits, project.url), server.written()
    begun = time.monotonic()
    with project.workers(many) as processes:
        watch = Watch(server, [process.pid for process in processes])
        while any(process.poll() is None for process in processes):
            watch.look()
            if time.monotonic() > begun + _LONGEST:
                sys.exit(f"error: {sink.accepted()} messages after {_LONGEST:.0f} s")
            time.sleep(0.25)
        for number, process in enumerate(processes):
            if process.returncode:
                told = (project.folder / f"worker{number}.log").read_text("utf-8", "replace")
                sys.exit(f"error: a worker ended with {process.returncode}\n{told[-2000:]}")
    messages = many * project.each
    sink.accepted()
    listed = taken(log)
    everybody_once(project, listed, messages)
    phase = steady(listed)
    used = watch.between(phase.begin, phase.end)
    return Run(
        workers=many,
        messages=messages,
        steady=phase,
        first=listed[0].at - begun,
        tail=listed[-1].at - phase.end,
        rate=messages / (listed[-1].at - listed[0].at),
        worker_cpu=used.workers / max(phase.messages, 1),
        server_cpu=used.server / max(phase.messages, 1),
        cores=(os.cpu_count() or 1) - used.idle / used.at,
        sessions=watch.sessions,
        commits=(server.one(commits, project.url) - counted) / messages,
        log=(server.written() - written) / messages,
    )


# ------------------------------------------------------------------------------------------ report


def series(project: Project, server: Server, many: Sequence[int], sink_options: Sequence[str]) -> list[Run]:
    """Runs with ever more workers, and a line of the table for each."""
    program = built_fastsink()
    if program is None:
        sys.exit("error: there is no C compiler (cc) for fastsink")
    print(
        f"  {'workers':>7} {'messages':>9} {'connections':>12} {'steady s':>9} {'messages/s':>11} {'of linear':>10}"
        f" {'begin s':>8} {'tail s':>7} {'whole/s':>8} {'cores':>6} {'sessions':>9} {'CPU µs':>7} {'server µs':>10} {'commits':>8} {'WAL':>6}"
    )
    runs: list[Run] = []
    for number in many:
        log = project.folder / f"taken-{'-'.join(sink_options)}-{number}"
        with fastsink(program, *sink_options, "--log", str(log)) as sink:
            run = one_run(project, server, sink, log, number)
        runs.append(run)
        share = run.steady.rate / (run.workers / runs[0].workers * runs[0].steady.rate)
        print(
            f"  {run.workers:>7} {run.messages:>9,} {run.steady.connections:>12} {run.steady.end - run.steady.begin:>9.1f}"
            f" {run.steady.rate:>11.1f} {share:>10.2f} {run.first:>8.1f} {run.tail:>7.1f} {run.rate:>8.1f} {run.cores:>6.2f} {run.sessions:>9}"
            f" {run.worker_cpu * 1e6:>7,.0f} {run.server_cpu * 1e6:>10,.0f} {run.commits:>8.3f} {run.log:>6,.0f}",
            flush=True,
        )
    return runs


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--connections", type=int, default=4, help="of each worker")
    parser.add_argument("--service-ms", type=float, default=400, help="what the sink takes over a message")
    parser.add_argument("--concurrency", type=int, default=2, help="shards that a worker sends at once")
    parser.add_argument("--shards", type=int, default=2, help="for each worker, of 500 deliveries")
    parser.add_argument("--limit", type=float, default=30, help="messages a second of the sink in all; 0: leave it out")
    parser.add_argument("--limited", type=int, nargs="+", default=[1, 2, 4], help="workers for that")
    parser.add_argument("--quick", action="store_true", help="1 and 2 workers, one shard each, a faster sink")
    options = parser.parse_args()
    if options.quick:
        options.workers, options.concurrency, options.shards = [1, 2], 1, 1
        options.service_ms, options.limit = 40, 0
    return options


def main() -> None:
    options = arguments()
    workers, limited = sorted(options.workers), sorted(options.limited) if options.limit else []
    service = ["--service-ms", str(options.service_ms)]
    with TemporaryDirectory(prefix=".bench-", dir=ROOT) as name, postgresql() as server:
        project = Project(
            Path(name),
            server.make(DATABASE),
            sorted({*workers, *limited}),
            options.shards * SIZE,
            connections=options.connections,
            concurrency=options.concurrency,
        )
        print(server.described())
        print(
            f"a worker has {options.connections} connections for {options.concurrency} shards at once, the sink takes {options.service_ms:g} ms over a message: "
            f"{options.connections / options.service_ms * 1000:.1f} messages/s at most from each\n"
        )
        runs = series(project, server, workers, service)
        worst = min(run.steady.rate / (run.workers / runs[0].workers * runs[0].steady.rate) for run in runs)
        print(f"\nevery recipient has it once; {worst:.2f} of linear at the least, wanted {WANTED}: ", end="")
        print("reached" if worst >= WANTED else "MISSED")
        if options.limit:
            print(f"\nthe same, and the sink takes {options.limit:g} messages/s in all\n")
            runs = series(project, server, limited, [*service, "--rate", str(options.limit)])
            best = max(run.steady.rate for run in runs)
            print(
                f"\nevery recipient has it once; {best:.1f} messages/s at the most, {best / options.limit:.2f} of the limit"
            )


if __name__ == "__main__":
    main()
