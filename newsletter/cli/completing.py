"""What the shell may offer after TAB: names of digests, feeds and issues of the project at hand.

It must be there before one has typed on, so only the YAML reader and SQLite
itself are loaded, neither the settings' models nor the store; and it must never
fail: where anything is odd nothing is offered.

Shells put what we say into a line, and zsh's script even evaluates it.  So only words
are offered that no shell reads anything into.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from newsletter.errors import NewsletterError

if TYPE_CHECKING:
    from newsletter.yamlfile import MapNode

_HARMLESS: Final = re.compile(r"[\w.:/@%+=,~-]{1,200}")
#: The names of newsletter.yaml and of the only digest of a project that names none (docs/settings.md).
_FILE, _ONLY, _STORE = "newsletter.yaml", "daily", ".newsletter/newsletter.db"


def digest_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The digests of the project."""
    return _fitting(_digests(_project(ctx)), incomplete)


def feed_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The feeds of the project: their titles, where those are one word, and addresses."""
    return _fitting(_feeds(_project(ctx)), incomplete)


def issue_numbers(ctx: typer.Context, incomplete: str) -> list[str]:
    """The last issues of the project, the newest first."""
    from newsletter.store.glance import last_issues

    settings = _project(ctx)
    store = _FILE if settings is None else _text(settings.pairs.get("store")) or _STORE
    folder = _folder(ctx)
    if settings is None or folder is None or "://" in store:
        return []
    return _fitting(map(str, last_issues(folder / store)), incomplete)


def _fitting(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete) and _HARMLESS.fullmatch(word)]


def _digests(settings: "MapNode | None") -> Iterator[str]:
    if settings is None:
        return
    pairs = getattr(settings.pairs.get("digests"), "pairs", None)
    yield from [_ONLY] if pairs is None else pairs


def _feeds(settings: "MapNode | None") -> Iterator[str]:
    items = [] if settings is None else getattr(settings.pairs.get("feeds"), "items", ())
    for item in items:
        pairs = getattr(item, "pairs", {"url": item})
        for key in ("title", "url"):
            yield _text(pairs.get(key))


def _text(node: Any) -> str:
    value = getattr(node, "value", "")
    return value if isinstance(value, str) else ""


def _folder(ctx: typer.Context) -> Path | None:
    """The folder of the project that the line so far is about."""
    given = ctx.params.get("config") or ctx.find_root().params.get("config")
    try:
        if given is not None:
            place = Path(given)
            return place if place.is_dir() else place.parent
        here = Path.cwd()
        return next((folder for folder in (here, *here.parents) if (folder / _FILE).is_file()), None)
    except OSError:
        return None


def _project(ctx: typer.Context) -> "MapNode | None":
    """What its newsletter.yaml says, unjudged."""
    from newsletter.yamlfile import MapNode, read_tree

    folder = _folder(ctx)
    if folder is None:
        return None
    try:
        root = read_tree(folder / _FILE).root
    except NewsletterError:
        return None
    return root if isinstance(root, MapNode) else None
