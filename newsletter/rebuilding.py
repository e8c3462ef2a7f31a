"""What an issue is made from, kept when it is frozen, and the issue made from it again."""

from newsletter import __version__
from newsletter.issues.digest import build
from newsletter.issues.filters import Filters
from newsletter.issues.illustrate import illustrated
from newsletter.issues.recipe import Ingredients, embedded, plain
from newsletter.issues.render import Renderings, Templates
from newsletter.model import Draft, DraftChanges, Issue, Recipe, StoredDraft
from newsletter.stages import Publication
from newsletter.store.store import Store


def recipe_of(publication: Publication, draft: Draft, kept: StoredDraft | None = None) -> Recipe:
    """What a draft was built from and is rendered with, beside its entries; its templates are those used so far."""
    changes = kept.changes if kept else DraftChanges()
    made = Ingredients(
        version=__version__,
        theme=publication.templates.theme,
        rules=publication.rules,
        feeds=tuple(feed for feed in publication.feeds if feed.url in draft.heads),
        masthead=publication.masthead,
        heads=draft.heads,
        hidden=publication.hidden | changes.hidden,
        order=changes.order,
        edits=changes.edits,
        date=draft.date if kept else None,
        pictures=embedded(draft),
    )
    return Recipe(made=plain(made), templates=publication.templates.used)


def rebuild(
    store: Store, issue: Issue, made: Ingredients, templates: Templates, *, filters: Filters
) -> tuple[Draft, Renderings]:
    """Build a frozen issue again from its entries as they were then; changes nothing.

    Args:
        store: the memory.
        issue: one of its.
        made: what it was made from beside its entries, or what it would be made from now.
        templates: those it was rendered with, or others.
        filters: what tries the rules of the feeds.

    Raises:
        ConfigError: a filter of a feed is no regular expression.
    """
    draft = build(
        made.rules,
        made.feeds,
        made.heads,
        [stored for stored, _ in store.issue_entries(issue.id)],
        store.mentioned(issue.id),
        number=issue.number,
        now=made.date or issue.envelope.date,
        note=issue.note,
        hidden=made.hidden,
        order=made.order,
        edits=made.edits,
        filters=filters,
    )
    draft = illustrated(draft, made.found({picture.cid: picture for picture in store.pictures(issue.id)}))
    return draft, Renderings(draft, made.masthead, templates, token=issue.envelope.merge_token)
