"""An issue's rows made by PostgreSQL from the list in it: those that the stream gives, and all of them or none."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from copy import copy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from newsletter import pipeline
from newsletter.address import RESERVED_DOMAINS, RESERVED_TLDS, is_reserved
from newsletter.addressing import deliveries_of, listed_of, waits
from newsletter.app import App
from newsletter.clock import Ids, SystemClock
from newsletter.errors import StoreError, TemplateError
from newsletter.feeds.asking import FetchLimits
from newsletter.hours import Hours
from newsletter.issues.render import Renderings, Templates
from newsletter.model import (
    Feed,
    Format,
    OnUnknown,
    Rendering,
    Subscriber,
    SuppressionReason,
)
from newsletter.stages import AtHome, Parts
from newsletter.store import Store
from newsletter.store.tables import metadata
from tests.conftest import START, FakeClock, counting_ids
from tests.killing import run_and_kill
from tests.pipeline.parts import publication_for
from tests.store.samples import FEED, entry, envelope, record

#: Of an issue, what a freeze writes that people are in.
TABLES = ("deliveries", "links", "renderings")
MADE = ("shards", "recipes", "issue_entries", "deliveries", "links", "renderings", "pictures", "issues")
WHO = "{{ subscriber.name }} {{ subscriber.attributes.city }} {{ subscriber.email }}"
#: Other sessions of this database.
OTHERS = sa.text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
HOURS = {
    "none": None,
    "of the digest": Hours.parse(["08:30-18:00"], [], ZoneInfo("Europe/Berlin")),
    "of each": Hours.parse(["08:30-18:00"], [], ZoneInfo("Europe/Berlin"), by_person=True),
}


def write_templates(folder: Path, *, more: str = "") -> Templates:
    """A letter that is rendered fast, with a field in each part but one that is in the German letter only."""
    words = {
        "issue.html.j2": f"<html><body><p>{WHO}{more}</p>{{% for one in entries %}}<p>{{{{ one.title }}}}</p>"
        '{% endfor %}{% if issue.language == "de" %}{{ subscriber.attributes["Straße \\"1\\""] }}{% endif %}</body></html>',
        "issue.txt.j2": WHO,
        "issue.md.j2": "{{ subscriber.name }}",
        "subject.txt.j2": "For {{ subscriber.name }}",
    }
    for name, text in words.items():
        (folder / name).write_text(text)
    return Templates((folder,))


class Office:
    """A project whose people are in the table of its PostgreSQL; freezes the same issue as often as one likes."""

    def __init__(self, store: Store, clock: FakeClock | SystemClock, folder: Path) -> None:
        self.store, self.clock = store, clock
        self.engine = store._database.engine
        feed = Feed(url=FEED.url)
        self.publication = replace(publication_for([]), feeds=(feed,), templates=write_templates(folder))
        self.streamed = 0
        record(store, entry("1"))

    def parts(self, *, here: bool, hours: str = "none", without_reserved: bool = False) -> Parts:
        def people(digest: str) -> Iterator[Subscriber]:
            self.streamed += 1
            for one in self.store.people(digest):
                if not (without_reserved and is_reserved(one.key.rpartition("@")[2])):
                    yield one

        return Parts(
            store=self.store,
            digests_of={FEED.url: ("daily",)},
            people=people,
            limits=FetchLimits(user_agent="newsletter tests"),
            first_run=3,
            on_unknown=OnUnknown.resend,
            clock=self.clock,
            ids=counting_ids("issue"),
            hours={"daily": HOURS[hours]},
            listed=AtHome(without_reserved=without_reserved) if here else None,
        )

    def freeze(self, slot: str = "2026-03-02T08:00", trace: Callable[[str], None] = lambda _: None, **how: Any) -> None:
        parts = self.parts(**how)
        pipeline.freeze(parts, self.publication, pipeline.build(parts, self.publication), slot=slot, trace=trace)

    def written(self, **how: Any) -> dict[str, list[dict[str, Any]]]:
        """Freeze one way; what was written, but ids.  Afterwards it is as if it had never been."""
        self.freeze(**how)
        with self.engine.begin() as connection:
            rows = {name: self._rows(connection, name) for name in TABLES}
        self.undo()
        return rows

    def undo(self) -> None:
        """Let it be as if no issue had ever been."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE offers SET issue_id = NULL, version = NULL")
            for table in MADE:
                connection.execute(sa.delete(metadata.tables[table]))

    def _rows(self, connection: Any, table: str) -> list[dict[str, Any]]:
        found = connection.exec_driver_sql(f"SELECT * FROM {table}").mappings().all()
        rows = [{name: row[name] for name in row if name not in ("id", "issue_id")} for row in found]
        return sorted(rows, key=lambda row: (row["key"], row.get("token", "")))

    def forget_people(self) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE people, suppressions, pauses, consents")


@pytest.fixture
def office(postgres_url: str, clock: FakeClock, ids: Ids, tmp_path: Path) -> Iterator[Office]:
    with Store.open(postgres_url, clock=clock, ids=ids) as store:
        yield Office(store, clock, tmp_path)


texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    | st.sampled_from("'\"\\ \t\n\x1f\x7f\x85\xa0\u061c\u200b\u200e\u2028\u202e\u205f\u2066\u3000\ufeff\uffff%:{}"),
    max_size=6,
)
domains = st.sampled_from(
    [
        *(*RESERVED_DOMAINS, *RESERVED_TLDS, "a.example.com", "xn--bcher-kva.example", "Example.COM", "example.com."),
        *("post.dev", "contest", "my-example.com", "examplexcom", "test.dev", "example.com.dev", "a.b.c.dev", ""),
    ]
)
readers = st.builds(
    lambda local, domain, **more: Subscriber(key=f"{local}@{domain}", **more),
    local=texts,
    domain=domains,
    email=texts,
    wire_email=texts,
    name=texts,
    digests=st.sampled_from([(), ("daily",), ("weekly",), ("weekly", "daily"), ("dail%",), ('"daily"',)]),
    language=st.sampled_from([None, "", "de", "de-AT", "en", "fr", "tlh", "=de"]),
    format=st.sampled_from(Format),
    timezone=st.sampled_from([None, "", "Europe/Berlin", "Asia/Tokyo", "Pacific/Kiritimati", "Nowhere/At_All"]),
    attributes=st.dictionaries(st.sampled_from(["city", 'Straße "1"', "x"]), texts, max_size=3),
)
#: What is known of a person beside the list: suppressions with their digest, and pauses in days from now.
histories = st.tuples(
    st.lists(st.tuples(st.sampled_from(SuppressionReason), st.sampled_from(["", "daily", "weekly"])), max_size=2),
    st.lists(st.tuples(st.sampled_from(["", "daily", "weekly"]), st.integers(-2, 400)), max_size=2),
)
plain: Any = (([], []),)


def tell(store: Store, person: Subscriber, history: tuple[Any, Any]) -> None:
    suppressions, pauses = history
    for reason, digest in suppressions:
        store.suppress(person.key, person.email, reason, digest=digest)
    for digest, days in pauses:
        until = START + timedelta(days=days, hours=5)
        store.pause_until(person.key, person.email, until, digest=digest, source="a test")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.lists(st.tuples(readers, st.sampled_from(plain) | histories), max_size=30),
    st.sampled_from(sorted(HOURS)),
    st.booleans(),
)
def test_both_ways_write_the_same_rows(
    office: Office, listed: Sequence[tuple[Subscriber, Any]], hours: str, without_reserved: bool
) -> None:
    office.forget_people()
    # The last stands there twice, which the list allows nobody.
    office.store.add_people([person for person, _ in (*listed, *listed[-1:])])
    for person, history in listed:
        tell(office.store, person, history)
    how = {"hours": hours, "without_reserved": without_reserved}
    office.streamed = 0
    here = office.written(here=True, **how)
    begun = office.streamed
    streamed = office.written(here=False, **how)

    assert streamed == here
    assert (0, 1) == (begun, office.streamed)


def test_whoever_templates_decide_on_is_read_as_a_stream(office: Office, tmp_path: Path) -> None:
    office.store.add_people([person(1, name="Ada"), person(2)])
    office.publication = replace(
        office.publication, templates=write_templates(tmp_path, more="{% if subscriber.name %}Hello{% endif %}")
    )
    here, streamed = office.written(here=True), office.written(here=False)

    assert streamed == here
    assert 2 == office.streamed
    assert 3 == len(here["renderings"]), "one of each kind, and one for the web"


def test_an_attribute_that_postgresql_cannot_read_is_read_as_a_stream(office: Office) -> None:
    office.store.add_people([person(1, attributes={"x": "\0"}), person(2, attributes={"city": "Oslo"})])
    here, streamed = office.written(here=True), office.written(here=False)

    assert streamed == here
    assert 2 == office.streamed


def test_more_kinds_of_people_than_are_worth_it_are_read_as_a_stream(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("newsletter.store.addressing.MOST_KINDS", 1)
    office.store.add_people([person(1, language="de"), person(2, language="fr")])
    here, streamed = office.written(here=True), office.written(here=False)

    assert streamed == here
    assert 2 == office.streamed


def test_a_person_who_changes_meanwhile_is_not_missed(office: Office) -> None:
    """The kinds of people are read before their rows are made; who is of none by then sends us to the stream."""
    office.store.add_people([person(1), person(2)])
    parts = office.parts(here=True)

    class Meddling(Renderings):
        def for_everybody(self, language: str | None = None) -> Rendering:
            office.store.change_people([("reader2@post.dev", person(2, language="de"))])
            return super().for_everybody(language)

    draft = pipeline.build(parts, office.publication)
    renderings = Meddling(draft, office.publication.masthead, office.publication.templates, token="t" * 32)
    wait = waits(parts, None, "by hand")
    listed = listed_of(parts, renderings, wait, hours=None, digest="daily", envelope=envelope())
    issue = office.store.freeze(
        digest="daily",
        number=1,
        slot="one",
        subject="One",
        envelope=envelope(),
        renderings=renderings,
        consumed=[],
        mentioned=[],
        deliveries=deliveries_of(renderings, parts.people("daily"), wait),
        listed=listed,
    )

    assert ["en", "de"] == [one.rendering for one in office.store.deliveries(issue.id)]


def test_a_list_that_is_at_home_in_a_file_is_read_as_a_stream(office: Office) -> None:
    office.store.remember_people([person(1)], "subscribers.yaml", lambda: "")
    office.freeze(here=True)

    assert 1 == office.streamed


def test_a_template_that_fails_leaves_nothing(office: Office, tmp_path: Path) -> None:
    office.store.add_people([person(1), person(2, language="de")])
    broken = "{% if issue.language == 'de' %}{{ 1 / 0 }}{% endif %}"
    office.publication = replace(office.publication, templates=write_templates(tmp_path, more=broken))
    with pytest.raises(TemplateError):
        office.freeze(here=True)

    assert "nothing" == look(office)


def test_an_issue_that_fails_at_the_end_leaves_nothing(office: Office) -> None:
    def fail(step: str) -> None:
        if step == "freeze:before-commit":
            raise StoreError("the disk is full")

    office.store.add_people(map(person, range(20)))
    with pytest.raises(StoreError):
        office.freeze(here=True, trace=fail)

    assert "nothing" == look(office)


def test_a_project_says_whether_its_people_are_where_its_issues_are(tmp_path: Path) -> None:
    config = "title: T\nfrom: wire@example.com\nfeeds: []\nsmtp: {host: mail.example.org}\n"
    (tmp_path / "newsletter.yaml").write_text(config + "subscribers: database\n")
    with closing(App.open(tmp_path)) as app:
        assert AtHome(without_reserved=True) == app.parts().listed
        assert app.parts(people=lambda _: []).listed is None
        with app.scratch() as store:
            assert app.parts(store).listed is None

    (tmp_path / "newsletter.yaml").write_text(config)
    with closing(App.open(tmp_path)) as app:
        assert app.parts().listed is None


# ------------------------------------------------------------------------ killed inside


def person(number: int, **more: Any) -> Subscriber:
    email = f"reader{number}@post.dev"
    return Subscriber(**{"email": email, "wire_email": email, "key": email, **more})


def look(office: Office) -> str:
    """What is there of the issue: `nothing`, or `all` of it; anything else is half an issue."""
    people = office.store.count_people()
    with office.engine.connect() as connection:
        counts = {
            name: connection.execute(sa.select(sa.func.count()).select_from(metadata.tables[name])).scalar_one()
            for name in ("issues", "deliveries", "links", "issue_entries", "recipes")
        }
    waiting = len(office.store.waiting("daily", [FEED.url]))
    whole = {"issues": 1, "deliveries": people, "links": people, "issue_entries": 1, "recipes": 1}
    found = {(True, False): "nothing", (False, True): "all"}.get((not any(counts.values()), counts == whole))
    assert found is not None, counts
    assert (1 if found == "nothing" else 0) == waiting
    return found


class Doomed:
    """Freezes in processes that are killed, and says what each left behind."""

    def __init__(self, office: Office, url: str, people: int) -> None:
        self.office, self.url = office, url
        office.store.add_people(person(number, language=("de", "en", None)[number % 3]) for number in range(people))
        # How long it takes once everything is loaded, so that the moments lie in it.
        office.written(here=True)
        begun = time.monotonic()
        office.written(here=True)
        self.longest = time.monotonic() - begun

    def left(self, *, step: str = "", after: float = 60.0) -> str:
        """Be killed at a durable step, or after so many seconds."""

        def trace(found: str) -> None:
            if found == step:
                os.kill(os.getpid(), signal.SIGKILL)
                Event().wait()

        def freeze() -> None:
            with Store.open(self.url, clock=self.office.clock, ids=Ids(), check=False) as store:
                child = copy(self.office)
                child.store, child.engine = store, store._database.engine
                child.freeze(here=True, trace=trace)

        # A child must not share connections with us.
        self.office.engine.dispose()
        run_and_kill(freeze, after)
        with self.office.engine.connect() as connection:
            while connection.execute(OTHERS).scalar_one():
                Event().wait(0.01)
                connection.rollback()
        there = look(self.office)
        self.office.undo()
        return there


def test_a_freeze_that_is_killed_is_there_whole_or_not_at_all(office: Office, postgres_url: str) -> None:
    doomed, chance = Doomed(office, postgres_url, 1000), random.Random(20261126)

    assert "nothing" == doomed.left(step="freeze:before-commit")
    assert "all" == doomed.left(step="freeze:after-commit")
    for _ in range(3):
        assert doomed.left(after=chance.uniform(0, doomed.longest)) in ("nothing", "all")


@pytest.mark.soak
def test_a_hundred_killed_freezes_are_there_whole_or_not_at_all(office: Office, postgres_url: str) -> None:
    doomed, chance = Doomed(office, postgres_url, 20_000), random.Random(20261127)
    found = Counter(doomed.left(after=chance.uniform(0, doomed.longest)) for _ in range(100))

    assert 100 == found["nothing"] + found["all"]
    assert found["nothing"] >= 30
