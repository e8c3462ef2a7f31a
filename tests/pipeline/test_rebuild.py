"""Whatever feeds and editors did, an issue is made again as it was: the same selection, the same bytes."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from newsletter import pipeline, rebuilding
from newsletter.feeds.asking import FetchLimits
from newsletter.issues.filters import Filters
from newsletter.issues.recipe import from_plain
from newsletter.issues.render import Templates
from newsletter.model import Document, Entry, Feed, Issue, OnUnknown
from newsletter.model.feeds import Rule
from newsletter.stages import Parts, Publication
from newsletter.store import Store
from tests.conftest import FakeClock, counting_ids
from tests.pipeline.parts import publication_for, reader
from tests.store.samples import FEED, OTHER, document, entry, fetched, keys_of, recognise, record_document

_TEXTS = st.sampled_from(
    [
        "",
        "plain & simple",
        "<p>One <b>two</b></p>",
        "<ul><li>x</ul><script>y</script>",
        "word " * 200,
        "<p dir=rtl>שלום",
    ]
)
_FEEDS = st.sampled_from([FEED, OTHER])
_STEPS = st.lists(
    st.one_of(
        # A document: which feed, how its entries read, what it calls itself.
        st.tuples(_FEEDS, st.dictionaries(st.integers(1, 5), _TEXTS, min_size=1), st.sampled_from(["A feed", "Büro"])),
        # An issue, with rules of its own.
        st.fixed_dictionaries(
            {
                "max_entries": st.sampled_from([None, 1, 3]),
                "per_feed": st.sampled_from([None, 1]),
                "sort": st.sampled_from(["newest", "oldest"]),
                "group_by": st.sampled_from(["feed", "tag", "none"]),
                "hidden": st.booleans(),
                "note": st.sampled_from(["", "A *note*"]),
            }
        ),
    ),
    max_size=8,
)


def documented(guid: int, text: str, feed: Feed) -> Entry:
    name = f"{feed.url[-4:]}{guid}"
    return entry(name, title=f"Story {name}" if guid % 4 else "", summary=text, content=text, tags=("x",) * (guid % 2))


def fetch(store: Store, feed: Feed, found: Document) -> None:
    keys = frozenset(key for one in found.entries for key in keys_of(one))
    record_document(
        store, fetched(feed, found), found, decide=recognise(found), keys=keys, digests=["daily"], first_run=None
    )


def frozen(parts: Parts, usual: Publication, step: dict[str, Any]) -> Issue:
    rules = replace(usual.rules, **{name: step[name] for name in ("max_entries", "per_feed", "sort", "group_by")})
    feeds = (replace(FEED, exclude=(Rule(name="", pattern="Story .*3"),)), replace(OTHER, title="Ours", tags=("t",)))
    waiting = parts.store.waiting("daily", [feed.url for feed in feeds])
    publication = replace(
        usual,
        rules=rules,
        feeds=feeds,
        note=str(step["note"]),
        repeat_note=True,
        mention_edits=True,
        hidden=frozenset(one.id for one in waiting[:1]) if step["hidden"] else frozenset(),
    )
    draft = pipeline.build(parts, publication)
    return pipeline.freeze(parts, publication, draft, slot=str(parts.store.next_number("daily")))


_PLAIN = {"max_entries": 3, "per_feed": None, "sort": "newest", "group_by": "feed", "hidden": False, "note": "Hi"}


@example(
    [
        (FEED, {1: "a", 2: "b", 3: "c"}, "A feed"),
        _PLAIN,
        (FEED, {1: "edited", 5: "d"}, "Büro"),
        {**_PLAIN, "hidden": True, "group_by": "tag"},
    ]
)
@settings(max_examples=4)
@given(_STEPS)
def test_every_issue_comes_out_again_as_it_was(steps: list[object]) -> None:
    clock, ids = FakeClock(), counting_ids()
    people = [reader("ada@example.com"), reader("zoe@example.com", language="he")]
    with Store.in_memory(clock=clock, ids=ids) as store:
        usual = publication_for([])
        parts = Parts(
            store=store,
            digests_of={},
            people=lambda _: people,
            limits=FetchLimits(user_agent="newsletter tests"),
            first_run=None,
            on_unknown=OnUnknown.resend,
            clock=clock,
            ids=ids,
        )
        for step in steps:
            clock.advance(timedelta(hours=1))
            if isinstance(step, tuple):
                feed, texts, title = step
                fetch(
                    store, feed, document(*(documented(guid, text, feed) for guid, text in texts.items()), title=title)
                )
            elif isinstance(step, dict):
                frozen(parts, usual, step)

        for issue in store.issues():
            recipe = store.recipe(issue.id)
            assert recipe is not None
            draft, renderings = rebuilding.rebuild(
                store,
                issue,
                from_plain(recipe.made),
                Templates.kept(recipe.templates),
                filters=Filters(clock.monotonic),
            )

            assert [used for _, used in store.issue_entries(issue.id)] == list(draft.consumed)
            kept = store.renderings(issue.id)
            assert kept == [renderings.for_nobody(one.key) for one in kept]
            assert ["en", "he"] == [one.key for one in kept]
