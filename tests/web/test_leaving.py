"""Unsubscribing: one POST is enough, a look does nothing, and what was done can be undone."""

import asyncio
import threading
import time

import pytest

from newsletter.delivery.deliver import deliver
from newsletter.model import DeliveryState, Issue, Settlement, SuppressionReason
from tests.delivery.samples import settings
from tests.delivery.sink import Script, Sink, Step
from tests.web.office import Office

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def reader(office: Office, request: pytest.FixtureRequest) -> str:
    """Somebody new, whom the list has for both digests."""
    key = f"{request.node.name.partition('[')[0].removeprefix('test_')[:40]}@example.com"
    office.people(f"- {key}\n")
    return key


def multipart(fields: dict[str, str]) -> tuple[bytes, str]:
    parts = "".join(
        f'--b0a7\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    return f"{parts}--b0a7--\r\n".encode(), "multipart/form-data; boundary=b0a7"


def test_looking_at_the_page_does_nothing(office: Office, reader: str) -> None:
    path = f"/u/daily/{office.token(reader)}"

    for _ in range(2):
        answer = office.get(path)
        assert (200, "Unsubscribe from The Morning Wire: daily?") == (answer.status, answer.title)
    assert 200 == office.ask("HEAD", path).status

    assert ["daily", "weekly"] == office.gets(reader)
    assert "…@e…" in answer.text
    assert reader not in answer.text


@pytest.mark.parametrize("encoding", ["urlencoded", "multipart"])
def test_one_click_needs_one_post_and_no_cookies_in_either_encoding(office: Office, reader: str, encoding: str) -> None:
    """RFC 8058 §3.2."""
    path = f"/u/daily/{office.token(reader)}"
    for _ in range(3):  # a mail program may ask again
        if encoding == "multipart":
            body, kind = multipart(ONE_CLICK)
            answer = office.ask("POST", path, body, kind=kind)
        else:
            answer = office.post(path, ONE_CLICK)
        assert 200 == answer.status
        assert "Set-Cookie" not in answer.headers

    assert ["weekly"] == office.gets(reader)
    assert [("left", "daily", "one-click")] == office.record(reader)


def test_whoever_leaves_everything_gets_nothing(office: Office, reader: str) -> None:
    answer = office.post(f"/u/daily/{office.token(reader)}", {"from": "all"})

    assert (200, "You are unsubscribed") == (answer.status, answer.title)
    assert [] == office.gets(reader)
    assert [("left", "", "the unsubscribe page")] == office.record(reader)


@pytest.mark.parametrize("scope", ["this", "all"])
def test_leaving_can_be_undone(office: Office, reader: str, scope: str) -> None:
    path = f"/u/daily/{office.token(reader)}"
    left = office.post(path, {"from": scope})
    assert f'name="undo" value="{scope}"' in left.text

    answer = office.post(path, {"undo": scope})

    assert (200, "You are subscribed") == (answer.status, answer.title)
    assert ["daily", "weekly"] == office.gets(reader)
    assert "returned" == office.record(reader)[-1][0]


def test_the_pages_speak_the_language_that_the_list_says(office: Office, reader: str) -> None:
    office.people(f"- {{email: {reader}, language: he}}\n")
    path = f"/u/daily/{office.token(reader)}"

    answers = [office.get(path, Accept_Language="de")]
    answers += [office.post(path, fields, Accept_Language="de") for fields in ({"from": "this"}, {"undo": "this"})]

    assert ['<html lang="he" dir="rtl">'] * 3 == [answer.text.splitlines()[1] for answer in answers]


def test_undoing_lifts_nothing_but_what_the_person_did(office: Office, reader: str) -> None:
    office.store.suppress(reader, reader, SuppressionReason.complained)
    path = f"/u/daily/{office.token(reader)}"
    office.post(path, ONE_CLICK)

    answer = office.post(path, {"undo": "this"})

    assert (200, "You are not subscribed") == (answer.status, answer.title)
    assert [] == office.gets(reader)


def test_a_link_of_a_digest_that_is_no_more_still_unsubscribes(office: Office, reader: str) -> None:
    path = f"/u/monthly/{office.token(reader, 'monthly')}"

    assert "Unsubscribe from The Morning Wire?" == office.get(path).title
    assert 200 == office.post(path, {"from": "all"}).status
    assert [] == office.gets(reader)


def test_who_is_in_no_list_any_more_can_leave_all_the_same(office: Office) -> None:
    path = f"/u/daily/{office.token('gone@example.com')}"
    office.people("")

    assert 200 == office.get(path).status
    assert 200 == office.post(path, ONE_CLICK).status
    assert office.store.suppression("gone@example.com", "daily") is not None


def test_a_mistake_in_the_list_keeps_nobody_from_leaving(office: Office, reader: str) -> None:
    path = f"/u/daily/{office.token(reader)}"
    office.people("- : [\n")

    assert 200 == office.get(path).status
    assert 200 == office.post(path, ONE_CLICK).status
    assert office.store.suppression(reader, "daily") is not None


@pytest.mark.parametrize("token", ["0" * 22, "short", "x" * 4000, "%00", "..%2f..%2fetc", "%C3%A9", "%ff%fe"])
@pytest.mark.parametrize("kind", ["u", "p"])
def test_a_link_that_is_nobodys_says_what_to_do(office: Office, kind: str, token: str) -> None:
    path = f"/{kind}/daily/{token}"

    for answer in (office.get(path), office.post(path, ONE_CLICK)):
        assert (404, "This link is not good") == (answer.status, answer.title)
        assert "answer the mail" in answer.text


def test_a_link_is_good_for_its_own_digest_only(office: Office, reader: str) -> None:
    daily = office.token(reader)

    assert 404 == office.post(f"/u/weekly/{daily}", ONE_CLICK).status
    assert ["daily", "weekly"] == office.gets(reader)


def test_when_the_answer_is_there_no_message_to_the_person_follows(office: Office, reader: str) -> None:
    """A send is under way and somebody in it leaves: what reached the server did so before they were answered."""
    came_late = []
    for attempt in range(5):
        issue = office.freeze(*(f"{attempt}-{number}-{reader}" for number in range(30)))
        leaver = f"{attempt}-20-{reader}"
        path = f"/u/daily/{office.token(leaver)}"
        answered_at: list[float] = []
        came_at: list[float] = []

        def script(step: Step, leaver: str = leaver, came_at: list[float] = came_at) -> str | None:
            if step.name != "message":
                return None
            if step.recipient == leaver:
                came_at.append(time.monotonic())
            return "wait 0.004"

        def leave(path: str = path, answered_at: list[float] = answered_at) -> None:
            assert 200 == office.post(path, ONE_CLICK).status
            answered_at.append(time.monotonic())

        async def send(issue: Issue = issue, script: Script = script) -> None:
            async with Sink(script) as sink:
                await deliver(issue, office.store, settings(sink, connections=2), clock=office.clock)

        leaving = threading.Timer(0.03 * attempt, leave)
        leaving.start()
        asyncio.run(send())
        leaving.join()
        came_late += [moment for moment in came_at if moment > answered_at[0]]
        assert office.store.suppression(leaver, "daily") is not None

    assert [] == came_late


def test_the_answer_waits_for_a_message_that_had_begun(office: Office, reader: str) -> None:
    issue = office.freeze(reader)
    (row,) = office.store.deliveries(issue.id)
    answers: list[int] = []
    path = f"/u/daily/{office.token(reader)}"
    leaving = threading.Thread(target=lambda: answers.append(office.post(path, ONE_CLICK).status))
    with office.store.outbox_writer(lambda _: None) as writer:
        assert writer.intend(row.id).result()
        leaving.start()
        leaving.join(0.4)
        assert [] == answers
        assert office.store.suppression(reader, "daily") is not None
        writer.settle(Settlement(delivery_id=row.id, state=DeliveryState.sent)).result()
        leaving.join()

    assert [200] == answers


def test_a_message_that_hangs_is_not_waited_for_for_ever(office: Office, reader: str) -> None:
    issue = office.freeze(reader)
    (row,) = office.store.deliveries(issue.id)
    with office.store.outbox_writer(lambda _: None) as writer:
        assert writer.intend(row.id).result()

    assert 200 == office.post(f"/u/daily/{office.token(reader)}", ONE_CLICK).status
    assert DeliveryState.sending is office.store.deliveries(issue.id)[0].state
