"""What an issue is made from beside its entries, as it is kept with the issue to make it again.

The entries are kept as they were (`Store.issue_entries`), the note, the date and
the merge token too.  The rest is here: the digest's rules, its feeds and what
they called themselves, the masthead, which pictures came along, and the version
of the program.  The texts of the templates are kept beside it (`model.Recipe`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from newsletter.errors import NewsletterError
from newsletter.issues.digest import DigestRules
from newsletter.issues.views import Masthead
from newsletter.model import Draft, EntryEdit, Feed, Head, Picture
from newsletter.model.feeds import Rule

T = TypeVar("T")
_UNSEEN: Final = ("headers", "poll", "settle", "allow_private")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """What an issue is made from beside its entries and its templates.

    `feeds` are those of its entries, in the digest's order, `heads` what they
    called themselves; `pictures` are Content-IDs by the address an entry had
    its picture at.  `hidden`, `order` and `edits` are the editor's, as for
    `digest.build`; `date` is the letter's own, where it is not that of its messages.
    """

    version: str
    theme: str
    rules: DigestRules
    feeds: tuple[Feed, ...]
    masthead: Masthead
    heads: Mapping[str, Head] = field(default_factory=dict[str, Head])
    hidden: frozenset[int] = frozenset()
    order: tuple[int, ...] = ()
    edits: Mapping[int, EntryEdit] = field(default_factory=dict[int, EntryEdit])
    date: datetime | None = None
    pictures: Mapping[str, str] = field(default_factory=dict[str, str])

    def found(self, pictures: Mapping[str, Picture]) -> dict[str, Picture | str]:
        """The pictures by address, as `illustrate` wants them.

        Args:
            pictures: the issue's, by Content-ID.
        """
        return {url: pictures[cid] for url, cid in self.pictures.items() if cid in pictures}


def embedded(draft: Draft) -> dict[str, str]:
    """Which picture of which address a draft brings along, by Content-ID."""
    return {
        entry.to_embed: entry.image.removeprefix("cid:")
        for entry in draft.entries
        if entry.to_embed is not None and entry.image is not None and entry.image.startswith("cid:")
    }


def plain(made: Ingredients) -> dict[str, Any]:
    """The same as JSON values; headers and whatever else says how a feed is asked are left out."""
    return {
        **asdict(replace(made, feeds=(), hidden=frozenset(), edits={}, heads={}, pictures={})),
        "feeds": [
            {key: value for key, value in asdict(feed).items() if key not in _UNSEEN and value} for feed in made.feeds
        ],
        "heads": {url: asdict(head) for url, head in made.heads.items()},
        "hidden": sorted(made.hidden),
        "order": list(made.order),
        "edits": [[id_, edit.title, edit.markdown] for id_, edit in sorted(made.edits.items())],
        "date": made.date and made.date.isoformat(),
        "pictures": dict(made.pictures),
    }


def from_plain(values: Mapping[str, Any]) -> Ingredients:
    """What `plain` wrote; what another version of the program has written beside is left out.

    Raises:
        NewsletterError: that is no recipe.
    """
    try:
        return Ingredients(
            version=values["version"],
            theme=values["theme"],
            rules=_known(DigestRules, values["rules"]),
            feeds=tuple(map(_feed, values["feeds"])),
            masthead=_known(Masthead, values["masthead"]),
            heads={url: _known(Head, head) for url, head in values["heads"].items()},
            hidden=frozenset(values["hidden"]),
            order=tuple(values["order"]),
            edits={id_: EntryEdit(title=title, markdown=markdown) for id_, title, markdown in values["edits"]},
            date=values["date"] and datetime.fromisoformat(values["date"]),
            pictures=dict(values["pictures"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise NewsletterError("what the issue was made from cannot be read: the database is damaged") from error


def _feed(values: Mapping[str, Any]) -> Feed:
    rules = {key: tuple(Rule(**one) for one in values.get(key, ())) for key in ("include", "exclude")}
    return _known(Feed, {**values, **rules, "tags": tuple(values.get("tags", ()))})


def _known(kind: type[T], values: Mapping[str, Any]) -> T:
    names = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})


def differences(then: Mapping[str, Any], now: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two recipes differ: the place, such as `rules.max_entries`, and both values; None for what is not there."""
    for key in dict.fromkeys((*then, *now)):
        place, before, after = f"{under}{key}", then.get(key), now.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from differences(before, after, f"{place}.")
        elif isinstance(before, list) and isinstance(after, list) and key == "feeds":
            yield from differences(_by_url(before), _by_url(after), f"{place}.")
        elif before != after:
            yield place, before, after


def _by_url(feeds: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {feed["url"]: feed for feed in feeds}
