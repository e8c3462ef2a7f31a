"""Mail alone: unsubscribe, subscribe, confirm and pause by writing to the mailbox, without a web server."""

import re
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.cli.conftest import Wire
from tests.people.reports import letter

ADA, GRACE = "ada@example.com", "grace@example.com"
MORE = "bounces: {address: box@example.com, maildir: box}\n"


def put(wire: Wire, *mails: bytes) -> None:
    folder = wire.folder / "box"
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for mail in mails:
        number = sum(1 for name in ("new", "cur") for _ in (folder / name).iterdir())
        (folder / "new" / f"{number}.host").write_bytes(mail)


def scan(wire: Wire, *mails: bytes) -> str:
    put(wire, *mails)
    done = wire("bounce", "scan")
    assert 0 == done.code, done.err
    return done.err


@pytest.fixture
def listed(wire: Wire) -> Wire:
    """Two digests, and two people who asked for both."""
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people=f"# readers\n- {ADA}\n- {GRACE}\n",
        more=MORE + "digests:\n  daily: {}\n  weekly: {}\n",
    )
    return wire


@pytest.fixture
def sent(listed: Wire) -> Wire:
    """The same, and an issue that they got."""
    assert 0 == listed("send", "daily", "-y").code
    return listed


def message(path: Path) -> Message:
    return message_from_bytes(path.read_bytes())


def subject(path: Path) -> str:
    """As a mail program shows it, and writes it into an answer."""
    return " ".join(str(message(path)["Subject"]).split())


def way_out(wire: Wire, email: str) -> str:
    """The subject that the List-Unsubscribe of a message asks for."""
    [caught] = [one for one in wire.mail.caught if email in one.recipients]
    header = str(message(caught.path)["List-Unsubscribe"])
    found = re.search(r"<mailto:box@example\.com\?subject=([^>]+)>", header)
    assert found, header
    return unquote(found.group(1))


def suppressions(wire: Wire) -> dict[str, tuple[str, str]]:
    return {row["key"]: (row["reason"], row["digest"]) for row in wire("suppression", "list", "--json").data}


def people(wire: Wire) -> list[str]:
    return [row["subscriber"]["email"] for row in wire("subscriber", "list", "--json").data]


# -------------------------------------------------------------------------- unsubscribing


def test_the_address_in_every_message_unsubscribes_whoever_carries_it(sent: Wire) -> None:
    said = scan(sent, letter(way_out(sent, ADA), sender="Work <ada@work.test>"))

    assert "unsubscribed from daily" in said
    assert {ADA: ("unsubscribed", "daily")} == suppressions(sent)
    sent.web.feed("/a.xml", "Two", "One")
    sent("send", "daily", "-y")
    assert [ADA, GRACE, GRACE] == sent.inbox()


def test_a_forged_token_unsubscribes_nobody(sent: Wire) -> None:
    subject = way_out(sent, ADA)
    said = scan(sent, letter(subject[:-1] + ("A" if subject[-1] != "A" else "B"), sender=ADA))

    assert "a token that is nobody's: nothing changed" in said
    assert {} == suppressions(sent)


def test_a_token_works_although_a_program_sent_it(sent: Wire) -> None:
    """Mail programs write such mails by themselves when somebody presses their button."""
    scan(sent, letter(way_out(sent, ADA), more="Auto-Submitted: auto-generated\n"))

    assert {ADA: ("unsubscribed", "daily")} == suppressions(sent)


def test_without_a_token_the_sender_leaves_everything_and_nobody_else_does(listed: Wire) -> None:
    scan(listed, letter("Re: Unsubscribe", sender="Ada <ADA@example.com>"), letter("unsubscribe", sender="x@y.test"))

    assert {ADA: ("unsubscribed", "")} == suppressions(listed)
    assert [] == listed.inbox("x@y.test")


def test_a_machine_without_a_token_is_not_listened_to(listed: Wire) -> None:
    said = scan(
        listed,
        letter("unsubscribe", sender=ADA, more="Auto-Submitted: auto-replied\n"),
        letter("subscribe", sender="new@example.com", more="Precedence: bulk\n"),
        letter("subscribe", sender="list@example.com", more="List-Id: <list.example.com>\n"),
        letter("subscribe", sender="mailer-daemon@example.com"),
        letter("subscribe", sender="no-reply@example.com"),
        letter("subscribe", sender="box@example.com"),
        letter("subscribe", sender="Wire <wire@example.com>"),
    )

    assert "wrote" not in said
    assert ({}, []) == (suppressions(listed), listed.inbox())


def test_an_old_mail_under_a_new_name_does_not_make_anybody_leave_again(listed: Wire) -> None:
    """A mailbox that was moved, or a server that has counted anew."""
    mail = letter("unsubscribe", sender=ADA)
    scan(listed, mail)
    listed("suppression", "remove", ADA)

    assert "wrote" not in scan(listed, mail)
    assert "wrote" not in listed("bounce", "scan", "--again").err
    assert {} == suppressions(listed)
    assert [] == listed("bounce", "list", "--json").data


# ---------------------------------------------------------------------------- subscribing


def test_who_asks_by_mail_and_answers_the_answer_is_on_the_list(listed: Wire) -> None:
    scan(listed, letter("subscribe weekly", sender="Neu, Karl <karl@example.com>"))
    [caught] = [one for one in listed.mail.caught if "karl@example.com" in one.recipients]
    asked = message(caught.path)

    assert [ADA, GRACE] == people(listed)
    assert ("<>", "box@example.com", "auto-generated") == (
        caught.sender,
        asked["Reply-To"],
        asked["Auto-Submitted"],
    )
    assert subject(caught.path).startswith("Please confirm: The Morning Wire (confirm ")
    said = scan(listed, letter(f"Re: {subject(caught.path)}", sender="karl@elsewhere.test"))
    assert "subscribed" in said
    assert [ADA, GRACE, "karl@example.com"] == people(listed)
    text = (listed.folder / "subscribers.yaml").read_text(encoding="utf-8")
    assert text.startswith("# readers\n")
    assert "weekly" in text
    assert "had confirmed before" in scan(listed, letter(f"AW: Re: {subject(caught.path)}", sender="karl@example.com"))


def test_who_comes_back_by_mail_gets_mail_again(listed: Wire) -> None:
    scan(listed, letter("unsubscribe", sender=ADA))
    scan(listed, letter("subscribe", sender=ADA))
    asked = subject(listed.mail.caught[-1].path)
    scan(listed, letter(f"Re: {asked}", sender=ADA))

    assert ({}, [ADA, GRACE]) == (suppressions(listed), people(listed))


def test_one_mail_a_day_however_often_somebody_asks_in_their_name(listed: Wire) -> None:
    mails = [letter("subscribe", sender="victim@example.com", body=str(number)) for number in range(20)]
    said = scan(listed, *mails)

    assert 1 == len(listed.inbox("victim@example.com"))
    assert 19 == said.count("not answered")


def test_somebody_who_is_there_or_who_may_not_be_is_not_written_to(listed: Wire) -> None:
    listed("suppression", "add", "foe@example.com")
    said = scan(
        listed,
        letter("subscribe", sender=ADA),
        letter("subscribe", sender="foe@example.com"),
        letter("subscribe yearly", sender="new@example.com"),
        letter("confirm 0123456789abcdef0123456789abcdef", sender="new@example.com"),
    )

    assert "get already: nothing changed" in said
    assert "forbids it: nothing changed" in said
    assert "a digest that there is not (yearly)" in said
    assert "unknown or too old" in said
    assert [] == listed.inbox()


def test_a_mail_that_cannot_be_answered_now_is_answered_by_the_next_scan(listed: Wire) -> None:
    config = listed.folder / "newsletter.yaml"
    whole = config.read_text(encoding="utf-8")
    config.write_text(whole.replace(f"port: {listed.mail.port}", "port: 1"), encoding="utf-8")
    failed = scan(listed, letter("subscribe", sender="new@example.com"))
    config.write_text(whole, encoding="utf-8")
    done = scan(listed)

    assert "not done this time: 127.0.0.1:1 cannot be reached" in failed
    assert "a mail to confirm it is on its way" in done
    assert 1 == len(listed.inbox("new@example.com"))


def test_a_list_with_mistakes_keeps_the_mail_for_later(listed: Wire) -> None:
    scan(listed, letter("subscribe", sender="new@example.com"))
    asked = subject(listed.mail.caught[-1].path)
    whole = (listed.folder / "subscribers.yaml").read_text(encoding="utf-8")
    (listed.folder / "subscribers.yaml").write_text(whole + "- nonsense\n", encoding="utf-8")
    assert "not done this time" in scan(listed, letter(f"Re: {asked}", sender="new@example.com"))

    (listed.folder / "subscribers.yaml").write_text(whole, encoding="utf-8")
    assert "subscribed" in scan(listed)
    assert "new@example.com" in people(listed)


# --------------------------------------------------------------------------------- pausing


def test_a_pause_ends_by_itself(sent: Wire) -> None:
    assert "paused for 2 weeks" in scan(sent, letter("pause 2 weeks", sender=ADA))
    sent.web.feed("/a.xml", "Two", "One")
    sent("send", "daily", "-y")

    assert [ADA, GRACE, GRACE] == sent.inbox()
    assert {} == suppressions(sent)


# -------------------------------------------------------------------------------- settings


def test_a_project_may_want_no_mail_of_the_kind(wire: Wire) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people=f"- {ADA}\n",
        more="bounces: {address: box@example.com, maildir: box, commands: false}\n",
    )
    wire("send", "-y")
    header = str(message(wire.mail.caught[0].path)["List-Unsubscribe"])

    assert "mailto:wire@example.com?" in header
    assert "wrote" not in scan(wire, letter("unsubscribe", sender=ADA))
    assert {} == suppressions(wire)


def test_a_dry_run_does_nothing_that_is_asked(listed: Wire) -> None:
    put(listed, letter("unsubscribe", sender=ADA), letter("subscribe", sender="new@example.com"))
    listed("bounce", "scan", "-n")

    assert ({}, []) == (suppressions(listed), listed.inbox())
