"""The settings page: what is ticked comes, what is not does not, and all of it is saved at once."""

from datetime import timedelta

import pytest

from newsletter.model import Format, SuppressionReason
from tests.web.office import Office


@pytest.fixture
def reader(office: Office, request: pytest.FixtureRequest) -> str:
    """Somebody new, whom the list has for the weekly."""
    key = f"{request.node.name.partition('[')[0].removeprefix('test_')[:40]}@example.com"
    office.people(f"# ours\n- ada@example.com  # first\n- email: {key}\n  name: Grace\n  digests: [weekly]\n")
    return key


def save(office: Office, reader: str, *digests: str, **fields: str) -> str:
    path = f"/p/daily/{office.token(reader)}"
    given = {"language": "en", "format": "html", **fields}
    answer = office.post(path, [*given.items(), *(("digest", name) for name in digests)])
    assert 200 == answer.status
    return answer.text


def test_the_page_shows_what_is_stored(office: Office, reader: str) -> None:
    text = office.get(f"/p/daily/{office.token(reader)}").text

    assert 'value="weekly" checked' in text
    assert 'value="daily">' in text
    assert "Grace" in text
    assert reader not in text


def test_what_is_ticked_is_added_and_what_is_unticked_is_left(office: Office, reader: str) -> None:
    text = save(office, reader, "daily")

    assert "Your settings are saved." in text
    assert ["daily"] == office.gets(reader)
    assert [("left", "weekly"), ("changed", "")] == [line[:2] for line in office.record(reader)]
    assert "# ours\n- ada@example.com  # first\n" in (office.folder / "subscribers.yaml").read_text()


def test_saving_again_changes_and_records_nothing(office: Office, reader: str) -> None:
    for _ in range(3):
        save(office, reader, "daily", "weekly", language="de", format="text")

    assert ["daily", "weekly"] == office.gets(reader)
    assert 1 == len(office.record(reader))


def test_language_and_format_are_written_into_the_list(office: Office, reader: str) -> None:
    text = save(office, reader, "weekly", language="ar", format="text")

    person = office.person(reader)
    assert ("ar", Format.text, "Grace", ("weekly",)) == (person.language, person.format, person.name, person.digests)
    assert '<html lang="ar" dir="rtl">' in text


def test_what_is_left_as_it_was_shown_stays_as_it_is_written(office: Office, reader: str) -> None:
    """The page offers Portuguese; the list says which."""
    office.people(f"- {{email: {reader}, language: pt-BR, digests: [weekly], attributes: {{city: Łódź}}}}\n")
    before = (office.folder / "subscribers.yaml").read_text()
    assert '<option value="pt" lang="pt" selected>' in office.get(f"/p/daily/{office.token(reader)}").text

    save(office, reader, "weekly", language="pt")

    assert before == (office.folder / "subscribers.yaml").read_text()


def test_what_else_the_list_says_of_a_person_is_kept(office: Office, reader: str) -> None:
    office.people(f"- {{email: {reader}, attributes: {{city: Łódź, code: '007'}}}}\n- ada@example.com\n")

    save(office, reader, "daily", "weekly", format="text")

    person = office.person(reader)
    assert ({"city": "Łódź", "code": "007"}, Format.text) == (dict(person.attributes), person.format)


def test_an_address_in_another_script_has_its_page(office: Office) -> None:
    office.people("- Zoë@Bücher.example\n")
    key = "zoë@xn--bcher-kva.example"
    path = f"/p/daily/{office.token(key)}"

    assert 200 == office.get(path).status
    assert 200 == office.post(path, {"digest": "weekly", "language": "de", "format": "html"}).status
    assert ["weekly"] == office.gets(key)


def test_a_break_lasts_as_long_as_was_said_and_can_be_ended(office: Office, reader: str) -> None:
    save(office, reader, "weekly", pause="2")
    (pause,) = office.store.pauses_of(reader)
    assert office.clock.now() + timedelta(weeks=2) == pause.until

    assert "Paused until" in save(office, reader, "weekly", pause="")
    assert [pause] == office.store.pauses_of(reader)
    save(office, reader, "weekly", pause="0")

    assert [] == office.store.pauses_of(reader)
    assert ["paused", "resumed"] == [line[0] for line in office.record(reader)]


def test_who_left_everything_and_ticks_one_gets_that_one(office: Office, reader: str) -> None:
    office.people(f"- {reader}\n")
    office.store.leave(reader, reader, source="x")

    save(office, reader, "weekly")

    assert ["weekly"] == office.gets(reader)
    assert ("weekly",) == office.person(reader).digests


def test_nothing_ticked_is_nothing_sent_and_lasts_when_only_the_language_changes(office: Office, reader: str) -> None:
    save(office, reader)
    save(office, reader, language="fr")

    assert [] == office.gets(reader)
    assert "fr" == office.person(reader).language


def test_what_the_keeper_has_forbidden_stays_forbidden(office: Office, reader: str) -> None:
    office.store.suppress(reader, reader, SuppressionReason.manual)

    text = save(office, reader, "daily", "weekly")

    assert [] == office.gets(reader)
    assert "Something else keeps our mail from this address" in text


def test_somebody_who_is_not_in_the_list_is_told_so(office: Office, reader: str) -> None:
    text = office.get(f"/p/daily/{office.token('nobody@example.com')}").text

    assert "You are not subscribed" in text
    assert 200 == office.post(f"/p/daily/{office.token('nobody@example.com')}", {"digest": "daily"}).status
    assert office.person("nobody@example.com") is None


@pytest.mark.parametrize(
    ("fields", "headers"),
    [({}, {}), ({"digest": "daily"}, {"Sec_Fetch_Site": "cross-site"})],
    ids=["an empty form", "another site's form"],
)
def test_a_forged_form_is_refused(office: Office, reader: str, fields: dict[str, str], headers: dict[str, str]) -> None:
    answer = office.post(f"/p/daily/{office.token(reader)}", fields, **headers)

    assert answer.status in (400, 403)
    assert "Nothing has been changed" in answer.text
    assert ["weekly"] == office.gets(reader)
    assert [] == office.record(reader)


def test_values_that_no_page_offers_are_ignored(office: Office, reader: str) -> None:
    save(office, reader, "weekly", "monthly", language="../x", format="pdf", pause="9999")

    person = office.person(reader)
    assert (("weekly",), None, Format.html) == (person.digests, person.language, person.format)
    assert [] == office.store.pauses_of(reader)


def test_what_a_form_does_not_say_stays_as_it_is(office: Office, reader: str) -> None:
    save(office, reader, "weekly", language="de", format="text")
    path = f"/p/daily/{office.token(reader)}"

    assert 200 == office.post(path, {"digest": "weekly"}).status
    person = office.person(reader)
    assert ("de", Format.text) == (person.language, person.format)


def test_a_list_that_cannot_be_edited_is_left_alone_and_the_visitor_told(office: Office, reader: str) -> None:
    token = office.token(reader)
    office.people(f"- {reader}\n- no address\n")

    answer = office.post(f"/p/daily/{token}", {"digest": "daily", "language": "de"})

    assert (503, "Not just now") == (answer.status, answer.title)
    assert f"- {reader}\n- no address\n" == (office.folder / "subscribers.yaml").read_text()
