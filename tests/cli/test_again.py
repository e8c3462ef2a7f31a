"""`delivery retry` and `issue resend`: the same message again, only to whom it is meant for."""

import re
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.model import ServerLimits
from tests.cli.conftest import Wire
from tests.cli.servers import Moody

ADA, GRACE = "ada@example.com", "grace@example.com"


@pytest.fixture
def refused(wire: Wire, moody: Moody) -> Wire:
    """An issue that ada's server has refused and grace got."""
    wire.configure(wire.web.feed("/a.xml", "One"), people=f"- {ADA}\n- {GRACE}\n", smtp=moody.smtp)
    moody.replies[ADA] = "550 5.2.0 not today"
    assert 3 == wire("send", "-y").code
    return wire


def rows(wire: Wire) -> dict[str, tuple[str, str]]:
    """By address, the state and the Message-ID of each message."""
    found = wire("delivery", "list", "--json").data
    return {row["email"]: (row["state"], row["message_id"]) for row in found}


def test_a_retry_is_taken_by_the_next_send_as_the_same_message(refused: Wire, moody: Moody) -> None:
    state, message_id = rows(refused)[ADA]
    assert "failed" == state
    moody.replies.clear()

    done = refused("delivery", "retry", "--status", "failed", "-y")
    again = refused("send", "-y")

    assert (0, "1 message waits for the next newsletter send\n") == (done.code, done.err)
    assert 0 == again.code
    assert [GRACE, ADA] == moody.taken
    assert message_id == moody.ids[1]
    assert "there is nothing to try again" in refused("delivery", "retry", "--status", "failed", "-y").err


def test_a_retry_names_ids_or_an_issue_and_says_what_stays(refused: Wire) -> None:
    [failed] = refused("delivery", "list", "--status", "failed", "--json").data
    refused("suppression", "add", ADA)

    by_id = refused("delivery", "retry", str(failed["id"]), "-y")
    by_issue = refused("delivery", "retry", "--issue", "1", "-y", "--json")

    assert "1 person is suppressed by now and stay without" in by_id.err
    assert {"queued": 0, "suppressed": 1} == {key: by_issue.data[key] for key in ("queued", "suppressed")}
    assert "failed" == rows(refused)[ADA][0]


def test_what_was_sent_is_never_retried(refused: Wire) -> None:
    [sent] = refused("delivery", "list", "--status", "sent", "--json").data

    done = refused("delivery", "retry", str(sent["id"]), "-y")

    assert 2 == done.code
    assert "of these, 1 sent" in done.err
    assert "--force" in done.err
    assert "sent" == rows(refused)[GRACE][0]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["delivery", "retry"], 2, "nobody to ask"),
        (["delivery", "retry", "-y"], 2, "every message that ever failed"),
        (["delivery", "retry", "4711", "-y"], 2, "there is no delivery 4711"),
        (["delivery", "retry", "--issue", "9", "-y"], 2, "there is no issue 9"),
        (["delivery", "retry", "--status", "sent", "-y"], 2, ""),
        (["issue", "resend", "1", "--to", "nobody@example.com"], 2, "nobody@example.com is not in subscribers.yaml"),
        (["issue", "resend", "9", "--to", ADA], 2, "there is no issue 9"),
        (["issue", "resend", "1", "--to", "ada"], 1, "not an e-mail address"),
        (["issue", "resend", "1", "--to", GRACE], 2, "the mail server took issue 1 of daily for grace@example.com"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(refused: Wire, words: list[str], code: int, said: str) -> None:
    before = rows(refused)

    done = refused(*words)

    assert (code, True) == (done.code, said in done.err), done.err
    assert before == rows(refused)


def test_an_issue_is_sent_again_to_the_one_who_did_not_get_it_and_at_once(refused: Wire, moody: Moody) -> None:
    message_id = rows(refused)[ADA][1]
    moody.replies.clear()
    refused.web.feed("/a.xml", "Two", "One")

    done = refused("issue", "resend", "1", "--to", "Ada@example.com")

    assert (0, "issue 1 of daily sent to Ada@example.com\n") == (done.code, done.err)
    assert ([GRACE, ADA], message_id) == (moody.taken, moody.ids[1])
    assert 1 == len(refused("issue", "list", "--json").data)


def test_who_got_it_gets_the_same_message_by_force(refused: Wire, moody: Moody) -> None:
    done = refused("issue", "resend", "1", "--to", GRACE, "--force")

    assert 0 == done.code
    assert "again: the same message, under the same Message-ID" in done.err
    assert [GRACE, GRACE] == moody.taken
    assert 1 == len(set(moody.ids))
    assert "failed" == rows(refused)[ADA][0]


def test_who_came_later_gets_the_issue_in_their_language_and_nobody_else_does(wire: Wire, moody: Moody) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people=f"- {ADA}\n- {{email: karl@example.com, language: de}}\n- later@example.com\n",
        smtp=moody.smtp,
    )
    moody.replies["later@example.com"] = "451 4.7.1 come back"
    wire("send", "-y")
    moody.replies.clear()
    with (wire.folder / "subscribers.yaml").open("a", encoding="utf-8") as file:
        file.write("- {email: new@example.com, language: de, name: Neu}\n")

    done = wire("issue", "resend", "1", "--to", "new@example.com", "--json")

    assert (0, "queued", {"sent": 1}) == (done.code, done.data["before"], done.data["counts"])
    assert [ADA, "karl@example.com", "new@example.com"] == sorted(moody.taken)
    assert "deferred" == rows(wire)["later@example.com"][0]
    exported = wire("preview", "--issue", "1", "--as", "new@example.com", "--out", "seen")
    assert 0 == exported.code, exported.err
    assert "Abbestellen" in Path(wire.folder / "seen" / "issue.txt").read_text(encoding="utf-8")


def test_a_server_that_says_no_is_told_with_the_part_code(refused: Wire) -> None:
    done = refused("issue", "resend", "1", "--to", ADA)

    assert (3, True) == (done.code, "issue 1 of daily to ada@example.com: failed; newsletter explain" in done.err)


def test_nobody_gets_a_digest_they_did_not_ask_for(wire: Wire, moody: Moody) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        more="digests: {daily: {}, weekly: {}}\n",
        people=f"- {{email: {ADA}, digests: [daily]}}\n- {{email: {GRACE}, digests: [weekly]}}\n",
        smtp=moody.smtp,
    )
    wire("send", "daily", "-y")

    done = wire("issue", "resend", "1", "--digest", "daily", "--to", GRACE)

    assert (2, True) == (done.code, f"{GRACE} has not asked for daily but for weekly" in done.err)
    assert [ADA] == moody.taken


def test_where_a_template_decides_on_each_person_somebody_new_gets_the_copy_for_nobody(
    wire: Wire, moody: Moody
) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people=f"- {{email: {ADA}, name: Ada}}\n", smtp=moody.smtp)
    (wire.folder / "templates").mkdir()
    (wire.folder / "templates" / "subject.txt.j2").write_text("{{ 'Dear' if subscriber.name else 'Hello' }}\n")
    assert 0 == wire("send", "-y").code
    people = f"- {{email: {ADA}, name: Ada}}\n- {{email: {GRACE}, name: Grace}}\n"
    (wire.folder / "subscribers.yaml").write_text(people, encoding="utf-8")

    stranger = wire("issue", "resend", "1", "--to", GRACE)
    known = wire("issue", "resend", "1", "--to", ADA, "--force")

    assert (0, 0) == (stranger.code, known.code), stranger.err + known.err
    assert [ADA, GRACE, ADA] == moody.taken
    assert ["Dear", "Hello", "Dear"] == moody.subjects


def test_what_a_mail_server_has_taught_us_is_shown_and_can_be_forgotten(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    assert 0 == wire("send", "-y").code
    limits = ServerLimits(per_connection=5, connections=2, rates=((10, 60.0),))
    with App.open(wire.folder).store as store:
        store.learn_limits("mail.example.com:587", limits)

    shown = wire("delivery", "limits")
    told = wire("delivery", "limits", "--json").data
    forgotten = wire("delivery", "limits", "--forget")

    assert {"mail.example.com:587", "2", "5", "10 in 60 s"} <= set(re.split(r"\s{2,}|\n", shown.out))
    assert 5 == told["mail.example.com:587"]["per_connection"]
    assert "forgot what was known of 1 mail server\n" == forgotten.err
    assert {} == wire("delivery", "limits", "--json").data
