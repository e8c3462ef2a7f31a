"""What it costs to read a thousand feeds, beside rss2email and reader: `python -m benchmarks.feeds`.

Every program reads the same feeds (30 entries each, 95 KB) from one nginx on
loopback, in one run: the first time, a day on which three entries of each are
new, and a day on which the server says 304 to all.  The figures are CPU seconds
of the whole program, its start and its child processes included; ours is
`newsletter fetch` in a folder with that many feeds in newsletter.yaml; what one feed
costs is the program's start.  The CPU
of a busy machine swings by a quarter: read the ratios.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.feeds_peers import site
from benchmarks.sink import cache

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = 30
NEW = 3
#: reader 3.26 brings an old feedparser along, which still wants the old name of a package.
PEERS = ("rss2email", "reader", "sgmllib3k")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds, and the most memory of all its processes together, in megabytes."""

    cpu: float
    memory: float
    wall: float


def peers() -> Path:
    """The folder of the peers' environment."""
    return cache() / "feed-peers"


def install_peers() -> None:
    """Install those we are compared with, in an environment of their own."""
    if not (peers() / "bin" / "python").exists():
        venv.create(peers(), with_pip=True)
    pip = [str(peers() / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "-q", "install"]
    subprocess.run([*pip, *PEERS], check=True)


def cost(command: list[str], folder: Path) -> Cost:
    """Run a program, and say what it took; its own words are thrown away unless it fails."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    # What pip installs is compiled; what runs from a checkout should be too, and not anew at each start.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    before, start = os.times(), time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    most = 0.0
    stop = threading.Event()

    def watch() -> None:
        nonlocal most
        while not stop.wait(0.02):
            most = max(most, _memory(process.pid))

    watching = threading.Thread(target=watch)
    watching.start()
    _, errors = process.communicate()
    stop.set()
    watching.join()
    after = os.times()
    if process.returncode:
        sys.exit(f"{command}: status {process.returncode}\n{errors.decode()[-2000:]}")
    return Cost(
        cpu=after.children_user + after.children_system - before.children_user - before.children_system,
        memory=most / 1_000_000,
        wall=time.perf_counter() - start,
    )


def _memory(pid: int) -> float:
    """Resident memory of a process and its children, from /proc; what they share counts for each."""
    total = 0
    with contextlib.suppress(OSError):
        total = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += int(_memory(int(child)))
    return float(total)


class Ours:
    """`newsletter fetch`."""

    def __init__(self, folder: Path, urls: list[str], *, first_run: str) -> None:
        self._folder = folder
        folder.mkdir()
        feeds = "".join(f"  - {{url: {url}, allow_private: true}}\n" for url in urls)
        (folder / "newsletter.yaml").write_text(
            "title: Benchmark\nfrom: Benchmark <bench@example.com>\nlanguage: en\n"
            f"first_run: {first_run}\nsmtp: {{host: 127.0.0.1, port: 25, tls: none}}\nfeeds:\n{feeds}"
        )
        (folder / "subscribers.yaml").write_text("- ada@example.com\n")

    def run(self) -> Cost:
        return cost([sys.executable, "-m", "newsletter", "-q", "fetch"], self._folder)


class Rss2Email:
    """`r2e run --no-send`."""

    def __init__(self, folder: Path, urls: list[str]) -> None:
        self._folder = folder
        folder.mkdir()
        feeds = "".join(f"[feed.f{number}]\nurl = {url}\n\n" for number, url in enumerate(urls))
        (folder / "r2e.cfg").write_text(f"[DEFAULT]\nfrom = bench@example.com\nto = ada@example.com\n\n{feeds}")

    def run(self) -> Cost:
        command = [str(peers() / "bin" / "r2e"), "-c", "r2e.cfg", "-d", "r2e.json", "run", "--no-send"]
        return cost(command, self._folder)


class Reader:
    """`reader`, with ten workers."""

    def __init__(self, folder: Path, urls: list[str]) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "urls").write_text("\n".join(urls))

    def run(self) -> Cost:
        program = ROOT / "benchmarks" / "feeds_peers" / "reader_all.py"
        return cost([str(peers() / "bin" / "python"), str(program), "reader.db", "urls"], self._folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=1000)
    parser.add_argument("--install-peers", action="store_true", help="install those we are compared with, in a cache")
    parser.add_argument("--only", choices=("ours", "rss2email", "reader"), action="append")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.install_peers:
        install_peers()
    with TemporaryDirectory(prefix="newsletter-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        www = folder / "www"
        www.mkdir()
        site.write(www, options.feeds, range(ENTRIES))
        size = sum(file.stat().st_size for file in www.iterdir()) / options.feeds / 1000
        with site.served(www, folder / "server") as port:
            urls = [f"http://{site.HOST}:{port}/{number}.xml" for number in range(options.feeds)]
            table = run(folder, www, urls, options.only or ["ours", "rss2email", "reader"])
    if options.json:
        print(json.dumps({name: {day: one.cpu for day, one in days.items()} for name, days in table.items()}))
        return
    kind = "nginx" if site.nginx() else "our own server"
    print(f"{options.feeds} feeds of {ENTRIES} entries, {size:.0f} KB each, from {kind} on loopback; CPU seconds\n")
    show(table)


DAYS = ("first run", f"{NEW} of {ENTRIES} new", "304 for all")


def run(folder: Path, www: Path, urls: list[str], only: list[str]) -> dict[str, dict[str, Cost]]:
    """All programs, day by day."""
    makers: dict[str, Callable[[], Ours | Rss2Email | Reader]] = {}
    if "ours" in only:
        makers["newsletter"] = lambda: Ours(folder / "default", urls, first_run="3")
        makers["newsletter, one feed"] = lambda: Ours(folder / "one", urls[:1], first_run="3")
        makers["newsletter, first_run: all"] = lambda: Ours(folder / "all", urls, first_run="all")
    if "rss2email" in only and (peers() / "bin" / "r2e").exists():
        makers["rss2email"] = lambda: Rss2Email(folder / "rss2email", urls)
    if "reader" in only and (peers() / "bin" / "python").exists():
        makers["reader"] = lambda: Reader(folder / "reader", urls)
    programs = {name: make() for name, make in makers.items()}
    table: dict[str, dict[str, Cost]] = {name: {} for name in programs}
    for day in DAYS:
        if day == DAYS[1]:
            # A server tells time in seconds: the files must be younger than what was fetched.
            time.sleep(1.5)
            site.write(www, len(urls), range(NEW, ENTRIES + NEW))
        for name, program in programs.items():
            table[name][day] = program.run()
            print(f"{name}: {day}: {table[name][day]}", file=sys.stderr)
    return table


def show(table: dict[str, dict[str, Cost]]) -> None:
    """The table, with our ratios."""
    print(f"{'':<28}" + "".join(f"{day:>16}" for day in DAYS) + f"{'most memory':>16}")
    for name, days in table.items():
        memory = max(one.memory for one in days.values())
        print(f"{name:<28}" + "".join(f"{days[day].cpu:>16.2f}" for day in DAYS) + f"{memory:>13.0f} MB")
    for name in ("newsletter", "newsletter, first_run: all"):
        for peer in ("rss2email", "reader"):
            if name in table and peer in table:
                ratios = "".join(f"{table[peer][day].cpu / table[name][day].cpu:>15.1f}x" for day in DAYS)
                print(f"{name + ' / ' + peer:<38}{ratios[10:]}")


if __name__ == "__main__":
    main()
