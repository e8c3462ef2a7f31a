"""How long a letter takes to build and to render: `python -m benchmarks.render`.

Three issues of invented entries (100 to 1,000, a few hundred words each), built
from what a store would hand out and rendered the way a freeze does it: all
parts, styles inlined, kept under the size budget; the first for twelve
languages, as its readers would ask for them.  CPU seconds and peak memory of
one process per row.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from newsletter.issues.digest import DigestRules, build
from newsletter.issues.render import Masthead, Renderings, Templates, default_templates
from newsletter.model import Entry, Feed, StoredEntry

_NOW = datetime(2026, 3, 14, 7, 0, tzinfo=UTC)
_FEEDS = tuple(Feed(url=f"https://news{number}.example.com/feed", title=f"News {number}") for number in range(5))
_WORDS = (
    "Eleven months after her boiler gave out in the middle of the bay, the ferry crossed it again with ninety "
    "passengers, a <em>brass band</em> and <a href='/goat'>one goat</a> – four minutes early. "
)
_LANGUAGES = ("en", "de", "fr", "es", "pt", "pl", "ru", "uk", "ar", "he", "ja", "zh")
_ROWS = ((100, _LANGUAGES), (100, ("en",)), (500, ("en",)), (1_000, ("en",)))


def _entry(number: int) -> StoredEntry:
    feed = _FEEDS[number % len(_FEEDS)]
    text = "".join(f"<p>{_WORDS * 3}</p>" for _ in range(1 + number % 4))
    entry = Entry(
        guid=str(number),
        url=f"https://news{number % 5}.example.com/{number}",
        title=f"Story {number}: the ferry and the goat",
        published_at=_NOW - timedelta(minutes=number),
        content=text,
        base_url=feed.url,
    )
    return StoredEntry(id=number + 1, feed_url=feed.url, entry=entry, first_seen_at=_NOW)


def _measure(entries: int, languages: tuple[str, ...]) -> dict[str, float]:
    stored = [_entry(number) for number in range(entries)]
    masthead = Masthead(
        title="The Wire",
        language="en",
        timezone="Europe/Berlin",
        from_email="wire@example.com",
        digest_name="daily",
        digest_title="The Wire",
    )
    templates = Templates((default_templates(),))
    began = time.process_time()
    draft = build(
        DigestRules(name="daily", title="The Wire", language="en"), _FEEDS, {}, stored, [], number=1, now=_NOW
    )
    built = time.process_time()
    renderings = Renderings(draft, masthead, templates, token="0" * 32)
    sizes = [len(renderings.for_everybody(language).html.encode()) for language in languages]
    done = time.process_time()
    return {
        "build": built - began,
        "render": done - built,
        "bytes": max(sizes),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    row = parser.parse_args().row
    if row is not None:
        print(json.dumps(_measure(*_ROWS[row])))
        return
    print(f"{'entries':>8} {'languages':>10} {'build s':>9} {'render s':>9} {'largest HTML':>13} {'peak MB':>8}")
    for number, (entries, languages) in enumerate(_ROWS):
        command = [sys.executable, "-m", "benchmarks.render", "--row", str(number)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(
            f"{entries:>8,} {len(languages):>10} {found['build']:>9.2f} {found['render']:>9.2f}"
            f" {found['bytes']:>13,.0f} {found['peak']:>8.0f}"
        )


if __name__ == "__main__":
    main()
