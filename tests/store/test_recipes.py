"""What an issue was made from stays with it, and is kept once however many issues have it."""

import sqlalchemy as sa

from newsletter.model import Recipe
from newsletter.store import Store
from newsletter.store import tables as t
from tests.conftest import FakeClock
from tests.store.samples import FEED, entry, freeze, record

MADE = {"version": "1", "rules": {"name": "täglich", "max_entries": None}, "hidden": [3, 4]}
TEXTS = {"issue.html.j2": "<p>{{ x }}</p>", "default/issue.html.j2": "<p>{{ x }}</p>", "issue.txt.j2": "é"}


def recipe() -> Recipe:
    return Recipe(made=MADE, templates=TEXTS)


def test_a_recipe_comes_back_as_it_was_kept(store: Store) -> None:
    issue = freeze(store, consumed=[], recipe=recipe)

    found = store.recipe(issue.id)

    assert found is not None
    assert (MADE, TEXTS) == (found.made, found.templates)


def test_an_issue_without_one_says_so(store: Store) -> None:
    assert store.recipe(freeze(store, consumed=[]).id) is None


def test_the_text_of_a_template_is_kept_once(store: Store) -> None:
    for _ in range(3):
        freeze(store, consumed=[], recipe=recipe)

    with store._database.read() as connection:
        assert 2 == connection.execute(sa.select(sa.func.count()).select_from(t.template_texts)).scalar_one()


def test_an_edit_that_was_told_of_reads_as_it_did_then(store: Store, clock: FakeClock) -> None:
    record(store, entry("1"), entry("2"))
    freeze(store)
    clock.advance(3600)
    record(store, entry("1", title="Edited"), entry("2", title="Edited, too"))
    issue = freeze(store, consumed=[], mentioned=[one.id for one in store.edited("daily", [FEED.url])])
    told = [one.entry.title for one in store.mentioned(issue.id)]
    clock.advance(3600)
    record(store, entry("1", title="Edited again"), entry("2", title="Edited, too"))

    assert ["Edited", "Edited, too"] == sorted(told)
    assert told == [one.entry.title for one in store.mentioned(issue.id)]
