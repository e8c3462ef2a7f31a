"""What a large list costs to read and to bring in: `python -m benchmarks.subscribers`.

A hundred thousand people in a YAML file: PyYAML's loaders, ours the first time,
and ours when the file has not changed since.  Then a table of a million brought
into the database, and an issue frozen for them.  Each in a process of its own, with its CPU
seconds and the most memory it had; `--safe-load` adds PyYAML's slow loader.
"""

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
_FIRST = ("Ada", "Grace", "Mary", "Konrad", "Rosa", "Émilie", "Alan", "Sofia", "Blaise", "Hedy")
_LAST = ("Lovelace", "Hopper", "Somerville", "Zuse", "O'Neil", "Châtelet", "Turing", "Pascal", "Lamarr", "van Dyke")
_CONFIG = "title: T\nfrom: wire@example.com\nfeeds: []\ndigests: {daily: {}, weekly: {}}\n"


def entry(number: int, chance: random.Random) -> str:
    """Somebody of whom five things are known; one in twenty is written in another way."""
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    name = f'"{last}, {first}"' if number % 20 == 0 else f"{first} {last}"
    attributes = f"{{city: Town {chance.randrange(3000)}, plan: {chance.choice(('free', 'paid'))}, id: c{number}}}"
    return (
        f"- email: reader{number}@mail{number % 500}.example\n  name: {name}\n  digests: [daily, weekly]\n"
        f"  language: {chance.choice(('de', 'en', 'fr'))}\n  attributes: {attributes}\n"
    )


def write_yaml(path: Path, count: int) -> None:
    """A file with so many people."""
    chance = random.Random(1)
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(entry(number, chance) for number in range(count))


def write_csv(path: Path, count: int) -> None:
    """A table with so many people; one in fifty has unsubscribed, one in a thousand has no address."""
    chance = random.Random(2)
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["email", "name", "status", "tags", "city"])
        for number in range(count):
            email = "nobody" if number % 1000 == 999 else f"reader{number}@mail{number % 500}.example"
            status = "unsubscribed" if number % 50 == 49 else "subscribed"
            name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
            rows.writerow([email, name, status, "vip" if number % 10 == 0 else "", f"Town {chance.randrange(3000)}"])


# ------------------------------------------------------------------ what is measured, each in its own process


def safe_load(folder: Path, loader: str) -> int:
    """PyYAML, all at once."""
    import yaml

    with (folder / "subscribers.yaml").open("rb") as stream:
        return len(yaml.load(stream, getattr(yaml, loader)))


def first_read(folder: Path) -> int:
    """Everybody, each checked."""
    from newsletter.people.file import FileRoster

    return sum(1 for _ in FileRoster(folder / "subscribers.yaml", ["daily", "weekly"]).people())


def with_app(folder: Path, work: Callable[..., int]) -> int:
    """Something done with the project."""
    from newsletter.app import App

    with closing(App.open(folder)) as app:
        assert app.store
        return work(app)


def frozen(app: object) -> int:
    """An issue for everybody."""
    from benchmarks import letter
    from newsletter.app import App
    from newsletter.model import NewDelivery

    assert isinstance(app, App)
    token = app.ids.token()
    app.store.freeze(
        digest="daily",
        number=1,
        slot="one",
        subject=letter.SUBJECT,
        envelope=letter.envelope(token, app.ids.token()),
        renderings=[letter.rendering(token, 5)],
        consumed=[],
        mentioned=[],
        deliveries=(
            NewDelivery(
                email=one.email,
                wire_email=one.wire_email,
                key=one.key,
                name=one.name,
                format=one.format,
                rendering="en",
                merge={"subscriber.name": one.name},
            )
            for one in app.people("daily")
        ),
    )
    [issue] = app.store.issues()
    return sum(app.store.counts(issue.id).values())


def imported(app: object, files: list[Path], *, dry_run: bool = False) -> int:
    """A table brought in; how many were added."""
    from newsletter.app import App
    from newsletter.app.exchange import import_lists

    assert isinstance(app, App)
    rejects = files[0].with_name("rejects.csv")
    report = import_lists(app, files, rejects_to=None if dry_run else rejects, dry_run=dry_run)
    return sum(report.counts.values())


WORK: dict[str, Callable[[Path], int]] = {
    "nothing but the imports": lambda folder: with_app(folder, lambda _: 1),
    "yaml.safe_load": lambda folder: safe_load(folder, "SafeLoader"),
    "yaml.CSafeLoader": lambda folder: safe_load(folder, "CSafeLoader"),
    "ours, reading alone": first_read,
    "ours, first read, kept in the store": lambda folder: with_app(folder, lambda app: app.recipients("daily")),
    "ours, unchanged file: how many": lambda folder: with_app(folder, lambda app: app.recipients("daily")),
    "ours, unchanged file: everybody": lambda folder: with_app(folder, lambda app: sum(1 for _ in app.people("daily"))),
    "import, dry run": lambda folder: with_app(folder, lambda app: imported(app, [folder / "list.csv"], dry_run=True)),
    "import": lambda folder: with_app(folder, lambda app: imported(app, [folder / "list.csv"])),
    "import once more": lambda folder: with_app(folder, lambda app: imported(app, [folder / "list.csv"])),
    "freeze": lambda folder: with_app(folder, frozen),
}


def child(folder: Path, what: str) -> None:
    """Do one thing, and print what it took beside what it took to start."""
    work = WORK[what]
    if not what.startswith(("yaml", "ours, reading")):
        import newsletter.app.exchange
        import newsletter.people.file
        import newsletter.store  # noqa: F401 - what is measured is the work
    start = time.process_time()
    count = work(folder)
    taken = time.process_time() - start
    print(json.dumps([count, taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))


def measured(folder: Path, what: str) -> tuple[int, float, float]:
    """How many, CPU seconds, peak memory in MB."""
    words = [sys.executable, "-m", "benchmarks.subscribers", "--child", what, "--folder", str(folder)]
    done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    count, seconds, most = json.loads(done.stdout)
    return count, seconds, most


def project(folder: Path, more: str = "") -> Path:
    """A project without people."""
    folder.mkdir()
    (folder / "newsletter.yaml").write_text(_CONFIG + more)
    return folder


def line(what: str, count: int, seconds: float, most: float, ratio: str = "") -> None:
    print(f"{what:<40} {count:>10,} {seconds:>10.2f} {most:>9.0f}  {ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=100_000, help="in the YAML file")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="of the table")
    parser.add_argument("--safe-load", action="store_true", help="with PyYAML's slow loader, which takes a minute")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        child(options.folder, options.child)
        return
    with TemporaryDirectory(prefix=".bench-", dir=ROOT) as scratch:
        print(f"{'':<40} {'people':>10} {'CPU s':>10} {'peak MB':>9}")
        folder = project(Path(scratch) / "file")
        write_yaml(folder / "subscribers.yaml", options.people)
        line("nothing but the imports", *measured(folder, "nothing but the imports"))
        if options.safe_load:
            line("yaml.safe_load", *measured(folder, "yaml.safe_load"))
        reference = measured(folder, "yaml.CSafeLoader")
        line("yaml.CSafeLoader", *reference)
        for what in WORK:
            if what.startswith("ours"):
                found = measured(folder, what)
                line(what, *found, f"1/{reference[1] / found[1]:.1f} of CSafeLoader's time")
        for rows in options.rows:
            folder = project(Path(scratch) / str(rows), "subscribers: database\n")
            write_csv(folder / "list.csv", rows)
            more = ("import, dry run", "import", "import once more") if rows == min(options.rows) else ("import",)
            for what in (*more, "freeze"):
                line(f"{what}, {rows:,} rows", *measured(folder, what))


if __name__ == "__main__":
    main()
