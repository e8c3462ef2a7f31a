"""The stages' parts for a test: real ones, on a folder of the test's."""

import tempfile
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

from newsletter.clock import Clock, Ids, SystemClock
from newsletter.feeds.asking import FetchLimits
from newsletter.issues.digest import DigestRules
from newsletter.issues.render import Masthead, Templates, default_templates
from newsletter.model import Feed, Format, OnUnknown, Subscriber
from newsletter.stages import Parts, Publication
from newsletter.store.store import Store


class HasPath(Protocol):
    """Something that writes its feed to a file."""

    path: Path


@cache
def _empty_database() -> bytes:
    """A new database, made once: every test begins with a copy."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "newsletter.db"
        Store.open(str(path), clock=SystemClock(), ids=Ids()).close()
        return path.read_bytes()


@cache
def _templates() -> Templates:
    return Templates((default_templates(),))


def feeds_of(sites: Sequence[HasPath]) -> tuple[Feed, ...]:
    return tuple(Feed(url=str(site.path)) for site in sites)


def publication_for(sites: Sequence[HasPath], *, name: str = "daily") -> Publication:
    return Publication(
        rules=DigestRules(name=name, title="The Wire", language="en"),
        feeds=feeds_of(sites),
        masthead=Masthead(
            title="The Wire",
            language="en",
            timezone="Europe/Berlin",
            base_url=None,
            postal_address=None,
            from_email="wire@example.com",
            digest_name=name,
            digest_title="The Wire",
        ),
        templates=_templates(),
        from_name="The Wire",
        from_email="wire@example.com",
        reply_to=None,
        list_id="The Wire <daily.example.com>",
        unsubscribe_email="wire@example.com",
    )


def reader(email: str, name: str = "", *, format_: Format = Format.html, language: str | None = None) -> Subscriber:
    return Subscriber(email=email, wire_email=email, key=email.lower(), name=name, format=format_, language=language)


def parts_for(
    folder: Path,
    sites: Sequence[HasPath],
    *,
    clock: Clock,
    ids: Ids,
    people: Iterable[Subscriber] = (reader("ada@example.com"),),
    first_run: int | None = 3,
    on_unknown: OnUnknown = OnUnknown.resend,
    digests: tuple[str, ...] = ("daily",),
) -> Parts:
    listed = list(people)
    path = folder / "newsletter.db"
    path.write_bytes(_empty_database())
    path.chmod(0o600)
    return Parts(
        store=Store.open(str(path), clock=clock, ids=ids),
        digests_of={feed.url: digests for feed in feeds_of(sites)},
        people=lambda _: listed,
        limits=FetchLimits(user_agent="newsletter tests"),
        first_run=first_run,
        on_unknown=on_unknown,
        clock=clock,
        ids=ids,
    )
