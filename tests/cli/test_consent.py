"""The record of consent and forgetting somebody, as the keeper of the list does it."""

import csv
import io
from datetime import UTC, datetime

import pytest

from newsletter.app.project import App
from newsletter.clock import Ids, SystemClock
from newsletter.model import Consent, ConsentEvent
from newsletter.store import Store
from tests.cli.conftest import Wire


def record(wire: Wire, email: str) -> list[tuple[str, str]]:
    return [(line["event"], line["source"]) for line in wire("subscriber", "consents", email, "--json").data]


def opened(wire: Wire) -> Store:
    return Store.open(str(wire.folder / ".newsletter" / "newsletter.db"), clock=SystemClock(), ids=Ids())


def test_adding_and_removing_somebody_is_recorded(wire: Wire) -> None:
    wire.configure()
    wire("subscriber", "add", "Grace@example.com", "--digest", "daily")
    wire("subscriber", "remove", "grace@example.com")

    assert [("added", "command line"), ("removed", "command line")] == record(wire, "GRACE@example.com")
    everybody = wire("subscriber", "consents")
    assert ("Grace@example.com" in everybody.out, "2 lines\n") == (True, everybody.err)


def test_the_record_leaves_as_csv_that_no_spreadsheet_calculates(wire: Wire) -> None:
    wire.configure()
    wire("subscriber", "add", "grace@example.com")
    at = datetime(2026, 3, 2, tzinfo=UTC)
    evil = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", 'a "quoted", one', "\t=1"]
    with opened(wire) as store:
        store.record_consents(
            Consent(key="=x@example.com", email="=x@example.com", event=ConsentEvent.imported, at=at, source=text)
            for text in evil
        )

    done = wire("subscriber", "consents", "--csv")

    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert ["added", *["imported"] * len(evil)] == [row["event"] for row in rows]
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "-", "@", "\t"))]
    assert "'=x@example.com" == rows[1]["email"]
    assert 'a "quoted", one' == rows[5]["source"]


def test_an_erased_person_is_gone_from_list_and_memory(wire: Wire) -> None:
    wire.configure(wire.web.feed("/rss", "First"), people="# ours\n- ada@example.com\n- grace@example.com\n")
    assert 0 == wire("send", "-y").code

    done = wire("subscriber", "erase", "ADA@example.com", "-y")

    assert (0, "") == (done.code, done.out)
    assert "the entry in subscribers.yaml:2" in done.err
    assert "1 message count on without a name" in done.err
    assert "# ours\n- grace@example.com\n" == (wire.folder / "subscribers.yaml").read_text()
    assert [] == record(wire, "ada@example.com")
    assert [] == wire("delivery", "list", "--email", "ada@example.com", "--json").data


def test_an_erased_person_comes_back_only_when_they_ask_for_it(wire: Wire) -> None:
    wire.configure(people="- bob@example.com\n")
    wire("subscriber", "erase", "ada@example.com", "-y")

    refused = wire("subscriber", "add", "Ada@example.com")
    assert (2, True) == (refused.code, "was erased" in refused.err)
    assert "--again" in refused.err
    assert "Ada" not in (wire.folder / "subscribers.yaml").read_text()

    assert 0 == wire("subscriber", "add", "Ada@example.com", "--again").code
    with opened(wire) as store:
        assert store.suppression("ada@example.com") is None


def test_erasing_needs_a_yes(wire: Wire) -> None:
    wire.configure()

    done = wire("subscriber", "erase", "ada@example.com")

    assert (2, True) == (done.code, "cannot be undone" in done.err)
    assert "ada@example.com" in (wire.folder / "subscribers.yaml").read_text()


def test_erasing_somebody_whom_nobody_knows_keeps_them_out_all_the_same(wire: Wire) -> None:
    wire.configure()

    done = wire("subscriber", "erase", "stranger@example.com", "-y", "--json")

    assert {"email": "stranger@example.com", "place": "", "deliveries": 0, "rows": 0, "still_in": []} == done.data
    assert 2 == wire("subscriber", "add", "stranger@example.com").code


@pytest.mark.parametrize("people", ["- ada@example.com\n- {a: [\n", "a: b\n"])
def test_where_the_list_cannot_be_edited_nobody_is_mailed_and_the_keeper_told(wire: Wire, people: str) -> None:
    wire.configure(people=people)

    done = wire("subscriber", "erase", "ada@example.com", "-y")

    assert 1 == done.code
    assert "will not be mailed any more, but is still in the list" in done.err
    with opened(wire) as store:
        assert store.suppression("ada@example.com") is not None
    assert people == (wire.folder / "subscribers.yaml").read_text()


def test_where_erasing_breaks_off_in_between_nobody_can_be_mailed(wire: Wire) -> None:
    """What comes first is the memory."""
    wire.configure()
    app = App.open(wire.folder)
    app.store.erase("ada@example.com")
    app.close()

    with opened(wire) as store:
        assert store.suppression("ada@example.com") is not None
    done = wire("subscriber", "erase", "ada@example.com", "-y")
    assert "the entry in subscribers.yaml:1" in done.err


def test_an_edit_by_the_keeper_is_recorded_with_what_was_changed(wire: Wire) -> None:
    wire.configure(people="- email: ada@example.com\n  name: Ada\n  tags: [old]\n")
    words = ["--email", "Ada@home.example", "--add-tag", "new", "--unset", "name", "--attribute", "city=Bonn"]
    assert 0 == wire("subscriber", "edit", "ada@example.com", *words).code
    assert 0 == wire("subscriber", "edit", "ada@home.example", "--add-tag", "new").code

    said = "email Ada@home.example; name taken out; tags old, new; attributes.city Bonn"
    assert [
        ("ada@example.com", "changed", "subscriber edit", said),
        ("Ada@home.example", "changed", "subscriber edit", f"email was ada@example.com; {said}"),
    ] == [
        (row["email"], row["event"], row["source"], row["note"])
        for row in wire("subscriber", "consents", "--json").data
    ]


def test_who_was_erased_and_stands_in_the_list_again_is_listed_as_erased(wire: Wire) -> None:
    wire.configure(people="- ada@example.com\n- grace@example.com\n")
    assert 0 == wire("subscriber", "erase", "ada@example.com", "-y").code
    with (wire.folder / "subscribers.yaml").open("a") as file:
        file.write("- ADA@example.com\n")

    listed = wire("subscriber", "list", "--json").data
    assert ["active", "erased"] == [row["status"] for row in listed]
