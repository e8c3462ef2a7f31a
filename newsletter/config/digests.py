"""A digest of the project beside all the rest of it: what its settings name must be there."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

from newsletter.config.notifying import check_approve
from newsletter.config.problems import Place
from newsletter.config.project import shown_url
from newsletter.config.schema import BUILT_IN_THEMES, DigestBlock
from newsletter.config.selection import meant_feeds, named_feeds
from newsletter.hours import Hours
from newsletter.model import Feed
from newsletter.text import one_line
from newsletter.yamlfile import did_you_mean

Wrong = Callable[[Place, str], None]


def check_digest(wrong: Wrong, folder: Path, name: str, body: DigestBlock, feeds: Sequence[Feed]) -> None:
    """Look for what a digest names and the project does not have.

    Args:
        wrong: told of each mistake.
        folder: the project's.
        name: of the digest.
        body: its settings, each right by itself.
        feeds: those of the project that have no mistake.
    """
    _check_selection(wrong, folder, name, body, feeds)
    _check_theme(wrong, folder, name, body)
    _check_pictures(wrong, name, body)
    _check_hours(wrong, name, body)
    check_approve(wrong, name, body)
    _check_sections(wrong, folder, name, body, feeds)


def selected(folder: Path, feeds: tuple[Feed, ...], body: DigestBlock) -> tuple[Feed, ...]:
    """The feeds that a digest has, of all of the project."""
    if body.feeds is None and body.tags is None:
        return feeds
    chosen = {feed.url for word in body.feeds or () for feed in named_feeds(folder, feeds, word)}
    return tuple(feed for feed in feeds if feed.url in chosen or set(body.tags or ()) & set(feed.tags))


def hours_of(body: DigestBlock, timezone: str) -> Hours | None:
    """In which hours a digest may be mailed; None: at any.

    Raises:
        ValueError: in none.
    """
    by_person = body.clock == "subscriber"
    return Hours.parse(body.send_window, body.quiet_hours, ZoneInfo(timezone), by_person=by_person)


def _check_selection(wrong: Wrong, folder: Path, name: str, body: DigestBlock, feeds: Sequence[Feed]) -> None:
    titles = [feed.title for feed in feeds if feed.title]
    for index, word in enumerate(body.feeds or ()):
        found = named_feeds(folder, feeds, word)
        if len(found) != 1:
            place = ("digests", name, "feeds", index)
            if found:
                wrong(place, f"{len(found)} feeds are called {one_line(word, 100)}: write the address instead")
            else:
                guess = did_you_mean(word, [*titles, *(shown_url(feed.url) for feed in feeds)])
                wrong(place, f"there is no feed {one_line(shown_url(word), 100)}{guess}")
    tags = {tag for feed in feeds for tag in feed.tags}
    for index, tag in enumerate(body.tags or ()):
        if tag not in tags:
            text = f"no feed has the tag {one_line(tag, 100)}{did_you_mean(tag, tags)}"
            wrong(("digests", name, "tags", index), text)
    for key, value in (("feeds", body.feeds), ("tags", body.tags)):
        if value == []:
            wrong(("digests", name, key), "is empty: leave it out for all feeds")


def _check_sections(wrong: Wrong, folder: Path, name: str, body: DigestBlock, feeds: Sequence[Feed]) -> None:
    if not body.sections:
        return
    if body.group_by == "none":
        wrong(("digests", name, "sections"), "means nothing with `group_by: none`: there is one section only")
        return
    chosen = selected(folder, tuple(feeds), body)
    for index, word in enumerate(body.sections):
        if not meant_feeds(folder, chosen, word):
            known = [word for feed in chosen for word in (feed.title, *feed.tags) if word]
            guess = did_you_mean(word, known)
            text = f"there is no feed and no tag {one_line(shown_url(word), 100)} in this digest{guess}"
            wrong(("digests", name, "sections", index), text)


def _check_pictures(wrong: Wrong, name: str, body: DigestBlock) -> None:
    if body.pictures == "cid" and find_spec("PIL") is None:
        text = 'cid needs Pillow, which is not installed: pip install "newsletter-press[pictures]"'
        wrong(("digests", name, "pictures"), text)


def _check_hours(wrong: Wrong, name: str, body: DigestBlock) -> None:
    try:
        hours_of(body, "UTC")
    except ValueError as error:
        text = f"{error}: send_window has no minute that is not in them" if body.send_window else str(error)
        wrong(("digests", name, "quiet_hours"), text)


def _check_theme(wrong: Wrong, folder: Path, name: str, body: DigestBlock) -> None:
    try:
        own = [path.name for path in (folder / "templates").iterdir() if path.is_dir()]
    except OSError:
        own = []
    names = list(dict.fromkeys((*BUILT_IN_THEMES, *sorted(own))))
    if body.theme not in names:
        guess = did_you_mean(body.theme, names) or f": there are {one_line(', '.join(names), 200)}"
        wrong(("digests", name, "theme"), f"there is no theme {body.theme}{guess}")
