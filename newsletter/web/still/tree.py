"""The entries of all issues, day by day: `entries/YYYY/MM/YYYY-MM-DD/<source>_entries.md` and `.json`.

An entry that several issues carried is there once, as the first of them had it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePath
from typing import Final
from urllib.parse import urlsplit

from newsletter.issues.archive import Source, archive_json, archive_markdown, by_day
from newsletter.issues.templates import Templates
from newsletter.model import Disposition, StoredEntry
from newsletter.web.copies import shown_issues
from newsletter.web.ports import Past
from newsletter.web.still.files import File, issue_name, made_of

#: A parameter of an address by which a server knows who asks.
_SECRET: Final = re.compile(
    r"((?:^|(?<=&))[^=&]*(?:key|token|secret|auth|pass|sig|user|uid)[^=&]*=)[^&]*", re.IGNORECASE
)


def tree(past: Past, source_of: Callable[[str], Source], templates: Templates, fingerprint: str) -> Iterator[File]:
    """The files of the tree.

    Args:
        past: the store.
        source_of: what is known of a feed, by address.
        templates: with the project's `archive.md.j2`, if it has one.
        fingerprint: stands for the templates.
    """
    # By the address that is shown: feeds that differ only in what is not for everybody share their files.
    carried: defaultdict[str, dict[int, StoredEntry]] = defaultdict(dict)
    carriers: defaultdict[int, list[str]] = defaultdict(list)
    sources: dict[str, Source] = {}
    for issue in reversed(shown_issues(past)):
        for stored, used in past.issue_entries(issue.id):
            if used.disposition is not Disposition.excluded:
                shown = shown_address(stored.feed_url)
                sources.setdefault(shown, source_of(stored.feed_url))
                # The first one stays: a later issue changes no file of an earlier day.
                carried[shown].setdefault(stored.id, stored)
                carriers[stored.id].append(issue_name(issue))
    for shown, found in sorted(carried.items()):
        source = sources[shown]
        for name, entries in by_day(shown, found.values()).items():
            made = made_of(fingerprint, source, shown, entries)
            of = Counter(name for stored in entries for name in carriers[stored.id])
            file = partial(File, made=made, of=of)
            yield file(name=f"entries/{name}.md", make=partial(_markdown, source, shown, entries, templates))
            yield file(name=f"entries/{name}.json", make=partial(_json, source, shown, entries))


def _markdown(source: Source, url: str, entries: list[StoredEntry], templates: Templates) -> bytes:
    return archive_markdown(source.title, url, source.language, entries, templates=templates).encode()


def _json(source: Source, url: str, entries: list[StoredEntry]) -> bytes:
    return archive_json(url, source.language, entries).encode()


def shown_address(url: str) -> str:
    """A feed's address for everybody: of a file on this machine its name alone; no user, password, key or token."""
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https"):
        return PurePath(url).name
    query = _SECRET.sub(r"\1…", parts.query)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query=query).geturl()
