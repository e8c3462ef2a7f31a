"""From the form to the list: nobody is on it who has not pressed the button, and nobody learns who is."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from newsletter.model import EVERY_DIGEST, Format, SuppressionReason
from newsletter.web.admission import SIGN_UPS
from newsletter.web.signups import PER_ADDRESS
from tests.web.office import Office, Opened


@pytest.fixture
def email(office: Office) -> str:
    """Somebody whom nobody knows."""
    office.people("- ada@example.com\n")
    office.clock.advance(3600)
    return f"grace-{next(office.visitors)}@example.com"


def test_somebody_new_is_on_the_list_once_they_have_pressed_the_button(office: Office, email: str) -> None:
    asked = office.sign_up(email, "weekly", name="Grace Hopper", language="de", format="text")
    assert (200, "Look into your inbox") == (asked.status, asked.title)
    assert office.person(email) is None
    link = office.link(email)
    assert "Noch ein Schritt" == office.get(link).title
    assert office.person(email) is None

    answer = office.post(link)

    assert (200, "Sie haben abonniert") == (answer.status, answer.title)
    person = office.person(email)
    assert ("Grace Hopper", ("weekly",), "de", Format.text) == (
        person.name,
        person.digests,
        person.language,
        person.format,
    )
    assert [("asked", "weekly"), ("confirmed", "weekly")] == [line[:2] for line in office.record(email)]


def test_the_mail_speaks_the_person_s_language_and_says_nothing_that_a_stranger_wrote(
    office: Office, email: str
) -> None:
    office.sign_up(email, "daily", language="ar", name="Win money at https://spam.example\r\nBcc: x@example.com")

    (mail,) = office.mails(email)
    text = mail.get_content()
    assert "يرجى التأكيد: " in mail["Subject"]
    assert "The Morning Wire: daily" in mail["Subject"]
    assert ("The Morning Wire <wire@example.com>", email, None) == (mail["From"], mail["To"], mail["Bcc"])
    assert "spam.example" not in mail.as_string()
    assert "auto-generated" == mail["Auto-Submitted"]
    assert 1 == text.count("https://")


def test_pressing_the_button_again_changes_nothing(office: Office, email: str) -> None:
    office.sign_up(email)
    link = office.link(email)
    for _ in range(3):
        assert 200 == office.post(link).status
    office.store.leave(email, email, source="later")

    assert 200 == office.post(link).status
    assert [] == office.gets(email)
    assert 1 == (office.folder / "subscribers.yaml").read_text().count(email)


def test_an_old_link_says_so_and_the_address_is_forgotten(office: Office, email: str) -> None:
    office.sign_up(email)
    link = office.link(email)
    office.clock.advance(timedelta(days=7, seconds=1))

    for answer in (office.get(link), office.post(link)):
        assert (404, "This link is not good") == (answer.status, answer.title)
    assert office.person(email) is None
    office.store.forget_signups(office.clock.now() - timedelta(days=7))
    assert [] == office.record(email)


@pytest.mark.parametrize(
    ("standing", "mail", "gets"),
    [
        ("new", "confirm", ["weekly"]),
        ("subscribed to it", "there", ["daily", "weekly"]),
        ("subscribed to another", "confirm", ["daily", "weekly"]),
        ("left it", "confirm", ["daily", "weekly"]),
        ("left everything", "confirm", ["weekly"]),
        ("bounced", "confirm", ["daily", "weekly"]),
        ("erased", "confirm", ["weekly"]),
        ("complained", None, []),
        ("forbidden", None, []),
    ],
)
def test_the_answer_is_the_same_for_everybody_and_the_mail_is_not(
    office: Office, email: str, standing: str, mail: str | None, gets: list[str]
) -> None:
    """Somebody signs up for the weekly; `gets` is what comes after the button, where there is one."""
    if standing not in ("new", "erased"):
        digests = "\n  digests: [daily]" if standing == "subscribed to another" else ""
        office.people(f"- email: {email}{digests}\n")
    match standing:
        case "left it":
            office.store.leave(email, email, digest="weekly", source="x")
        case "left everything":
            office.store.leave(email, email, source="x")
        case "bounced" | "complained":
            office.store.suppress(email, email, SuppressionReason(standing))
        case "forbidden":
            office.store.suppress(email, email, SuppressionReason.manual)
        case "erased":
            office.store.erase(email)
    a_stranger = office.sign_up(f"stranger-{email}", "weekly")

    answer = office.sign_up(email, "weekly")

    assert (a_stranger.status, a_stranger.body) == (answer.status, answer.body)
    # Each answer names its own request, by chance.
    own = {"Date": "", "X-Request-ID": ""}
    assert {**a_stranger.headers, **own} == {**answer.headers, **own}
    found = office.mails(email)
    assert (0 if mail is None else 1) == len(found)
    if mail == "there":
        assert "That is so already" in found[0].get_content()
        assert 200 == office.get(office.link(email, "p")).status
    elif mail == "confirm":
        assert 200 == office.post(office.link(email)).status
    assert gets == office.gets(email)


def test_the_answer_waits_for_no_mail(office: Office, email: str) -> None:
    """Whatever a mail takes, and whether there is one, does not show in how long the answer takes."""
    office.sink.script = lambda step: "wait 0.5" if step.name == "message" else None
    try:
        assert 200 == office.sign_up(email, wait=False).status
        assert 200 == office.sign_up("ada@example.com", wait=False).status
        assert 2 == office.unanswered
    finally:
        office.sink.script = lambda _: None
    office.settle()
    assert 1 == len(office.mails(email))


def test_an_address_that_the_server_refuses_holds_up_nobody_and_is_named_in_no_log(office: Office, email: str) -> None:
    office.sink.script = lambda step: f"550 5.1.1 <{step.recipient}> unknown" if "bad" in step.recipient else None
    try:
        for number in range(4):
            office.sign_up(f"bad-{number}-{email}", wait=False)
        office.sign_up(email, wait=False)
        office.wait_until(lambda: bool(office.mails(email)))
        # That it was answered is written down when the server's reply has been read.
        office.wait_until(lambda: office.unanswered < 5)
    finally:
        office.sink.script = lambda _: None

    assert 4 == office.unanswered
    office.give_up()
    assert not [line for line in office.said if "bad-" in line]


def test_an_address_is_not_written_to_again_and_again(office: Office, email: str) -> None:
    answers = {office.sign_up(email).body for _ in range(PER_ADDRESS + 3)}

    assert 1 == len(answers)
    assert PER_ADDRESS == len(office.mails(email))
    office.clock.advance(timedelta(days=1, seconds=1))
    office.sign_up(email)
    assert PER_ADDRESS + 1 == len(office.mails(email))


def test_one_visitor_cannot_sign_up_the_whole_town(office: Office, email: str) -> None:
    stamp = re.findall(r'name="stamp" value="([^"]+)"', office.get("/").text)[0]
    office.clock.advance(3)
    statuses = [
        office.post(
            "/subscribe",
            {"email": f"{number}-{email}", "digest": "daily", "stamp": stamp},
            X_Forwarded_For="10.1.1.1, 203.0.113.9",
        ).status
        for number in range(SIGN_UPS.burst + 2)
    ]

    assert [*[200] * SIGN_UPS.burst, 429, 429] == statuses


def test_a_program_that_fills_in_everything_is_told_nothing_and_nothing_happens(office: Office, email: str) -> None:
    answer = office.sign_up(email, website="https://spam.example")

    assert (200, "Look into your inbox") == (answer.status, answer.title)
    assert [] == office.mails(email)
    assert [] == office.record(email)


@pytest.mark.parametrize("stamp", ["", "0", "1772434800.AAAAAAAAAAAAAAAAAAAAAA", "9" * 500, "now", "old"])
def test_a_form_that_is_too_quick_or_not_ours_comes_back_filled_in(office: Office, email: str, stamp: str) -> None:
    real = re.findall(r'name="stamp" value="([^"]+)"', office.get("/").text)[0]
    office.clock.advance(25 * 3600 if stamp == "old" else 0)
    fields = {"email": email, "name": "Grace", "digest": "weekly", "stamp": real if stamp in ("now", "old") else stamp}

    answer = office.post("/subscribe", fields)

    assert 422 == answer.status
    assert "Please press the button once more." in answer.text
    assert f'value="{email}"' in answer.text
    assert 'value="Grace"' in answer.text
    assert [] == office.record(email)


@pytest.mark.parametrize(
    "wrong", ["", "nobody", "a@b", "a b@example.com", "a@example.com,b@example.com", "a@example.com\nBcc: b"]
)
def test_an_address_that_is_none_is_named_at_its_field(office: Office, email: str, wrong: str) -> None:
    answer = office.sign_up(wrong)

    assert 422 == answer.status
    assert "This is not an e-mail address." in answer.text
    assert 'aria-describedby="email-error"' in answer.text


def test_nothing_ticked_is_named_at_its_field(office: Office, email: str) -> None:
    answer = office.sign_up(email, "monthly")

    assert 422 == answer.status
    assert "Please choose at least one." in answer.text


@pytest.mark.parametrize(
    "name", ["- [x", "# no", "'quoted\" both", "Zoë 東京", "{a: b}", "no", "\u202eevil", "x" * 5000]
)
def test_whatever_somebody_is_called_the_list_can_be_read(office: Office, email: str, name: str) -> None:
    office.sign_up(email, "daily", name=name)

    assert 200 == office.post(office.link(email)).status
    assert office.person(email) is not None
    assert office.person("ada@example.com") is not None


def test_a_list_that_cannot_be_written_loses_nobody(office: Office, email: str) -> None:
    office.sign_up(email)
    link = office.link(email)
    office.people("- no address\n")
    assert 503 == office.post(link).status
    office.people("- ada@example.com\n")

    assert 200 == office.post(link).status
    assert ["daily", "weekly"] == office.gets(email)


def test_two_who_press_at_once_are_on_the_list_once(office: Office, email: str) -> None:
    for _ in range(2):
        office.sign_up(email)
    links = {re.findall(r"/c/[0-9a-f]{32}", mail.get_content())[0] for mail in office.mails(email)}

    assert [200, 200] == [office.post(link).status for link in links]
    assert 1 == (office.folder / "subscribers.yaml").read_text().count(email)


def test_without_confirmation_only_a_stranger_is_on_the_list_at_once(tmp_path: Path) -> None:
    with Opened(tmp_path / "wire", more="subscribe: {confirm: false}\n") as office:
        office.store.leave("left@example.com", "left@example.com", digest=EVERY_DIGEST, source="x")
        for email in ("new@example.com", "left@example.com"):
            office.sign_up(email, "daily")

        assert ["daily"] == office.gets("new@example.com")
        assert ["asked", "added"] == [line[0] for line in office.record("new@example.com")]
        assert 200 == office.get(office.link("new@example.com", "p")).status
        assert office.person("left@example.com") is None
        assert 200 == office.get(office.link("left@example.com")).status


def test_without_a_form_the_page_says_whom_to_write_to(tmp_path: Path) -> None:
    with Opened(tmp_path / "wire", more="subscribe: {form: false}\n") as office:
        page = office.get("/")

        assert "<form" not in page.text
        assert "wire@example.com" in page.text
        assert 404 == office.post("/subscribe", {"email": "x@example.com"}).status


def test_it_works_on_postgresql(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_STORE", postgres_url)
    with Opened(tmp_path / "wire") as office:
        office.sign_up("grace@example.com", "weekly")
        assert 200 == office.post(office.link("grace@example.com")).status
        assert ["weekly"] == office.gets("grace@example.com")
        path = f"/u/weekly/{office.token('grace@example.com', 'weekly')}"
        for fields in ({"List-Unsubscribe": "One-Click"}, {"undo": "this"}, {"from": "all"}):
            assert 200 == office.post(path, fields).status
        assert [] == office.gets("grace@example.com")
        assert ["asked", "confirmed", "left", "returned", "left"] == [
            line[0] for line in office.record("grace@example.com")
        ]
