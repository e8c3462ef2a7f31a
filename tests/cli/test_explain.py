"""`explain EMAIL` and `delivery list`: what happened to one person, and what comes next."""

import pytest

from tests.cli.conftest import Wire
from tests.cli.servers import Moody


def test_a_person_is_explained_from_their_line_to_their_next_issue(wire: Wire) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        people="# readers\n- ada@example.com\n- {email: grace@example.com, name: Grace, format: text, language: de}\n",
    )
    assert 0 == wire("send", "-y").code

    done = wire("explain", "GRACE@example.com")
    told = wire("explain", "grace@example.com", "--json").data

    assert (0, "grace@example.com") == (done.code, done.out.splitlines()[0])
    assert "in subscribers.yaml:3 (Grace): daily; de, text" in done.out
    assert "at a reserved domain" in done.out
    assert done.out.splitlines()[-1] == "The next issue of daily goes to grace@example.com, as plain text, in de."
    assert {
        "file": "subscribers.yaml",
        "line": 3,
        "name": "Grace",
        "digests": ["daily"],
        "language": "de",
        "format": "text",
    } == told["place"]
    [row] = told["deliveries"]
    assert ("daily 1", "sent", 1, 250) == (row["issue"], row["state"], row["attempts"], row["code"])
    assert f"<{row['message_id']}>" in done.out
    assert f"Message-ID: <{row['message_id']}>" in wire.mail.caught[1].path.read_text(encoding="utf-8")


def test_the_digests_named_are_those_the_person_gets(wire: Wire) -> None:
    wire.configure(
        more="digests:\n  daily: {}\n  weekly: {}\n  rare: {}\n",
        people="- {email: ada@example.com, digests: [rare, weekly]}\n",
    )

    assert "The next issue of weekly and rare goes to ada@example.com" in wire("explain", "ada@example.com").out


def test_each_reason_for_no_mail_is_a_sentence(wire: Wire) -> None:
    wire.configure(people="- ada@example.com\n- grace@example.com\n")
    wire("suppression", "add", "ada@example.com", "--reason", "bounced", "--note", "mailbox full")

    ada = wire("explain", "ada@example.com").out
    nobody = wire("explain", "nobody@example.com").out

    assert "suppressed: bounced, since " in ada
    assert ": mailbox full" in ada
    assert "New issues skip ada@example.com, whatever subscribers.yaml says: suppressed since " in ada
    assert "no message was ever addressed to this person" in ada
    assert "nobody@example.com is not in subscribers.yaml, so no new issue goes there." in nobody

    wire.configure(people="- ada@example.com\n- grace@example.com\n", smtp="{host: mail.example.com}")
    away = wire("explain", "grace@example.com").out
    assert (
        "New issues skip grace@example.com: a reserved domain is mailed only through a server on this machine" in away
    )

    wire.configure(people="- nonsense\n- grace@example.com\n")
    broken = wire("explain", "grace@example.com", "--json").data
    assert None is broken["place"]
    assert broken["next_send"].startswith("No new issue goes to anybody before subscribers.yaml is in order: ")
    assert "subscribers.yaml:1" in broken["mistakes"]


def test_what_is_under_way_is_told_before_what_may_come(wire: Wire, moody: Moody) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), smtp=moody.smtp)
    moody.replies["ada@example.com"] = "451 4.7.1 come back later"
    assert 3 == wire("send", "-y").code

    told = wire("explain", "ada@example.com", "--json").data
    assert told["next_send"].startswith("The server asked us to try issue 1 of daily later: a send after ")
    assert "451 4.7.1 come back later" == told["deliveries"][0]["answer"]

    wire("suppression", "add", "ada@example.com")
    told = wire("explain", "ada@example.com", "--json").data
    assert told["next_send"].startswith("Issue 1 of daily will not be sent: the address is suppressed (manual).")

    wire("suppression", "remove", "ada@example.com")
    wire("issue", "pause", "1")
    told = wire("explain", "ada@example.com", "--json").data
    assert told["next_send"].startswith("Issue 1 of daily is paused and waits for newsletter issue resume 1.")


@pytest.mark.parametrize("word", ["1", "daily", "https://news.example.com/@ada", "First story"])
def test_words_that_are_no_address_are_no_person(wire: Wire, word: str) -> None:
    wire.configure()

    done = wire("explain", word)

    assert (2, False) == (done.code, "not in the list" in done.out)
    assert "error: there is no " in done.err or "error: daily is a digest" in done.err


def test_half_an_address_is_named_as_wrong(wire: Wire) -> None:
    wire.configure()

    done = wire("explain", "ada@")

    assert (1, True) == (done.code, "'ada@' is not an e-mail address" in done.err)


def test_a_list_of_messages_begins_with_the_newest_and_says_that_there_are_more(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people="- ada@example.com\n- grace@example.com\n")
    wire("send", "-y")
    wire.web.feed("/a.xml", "Two", "One")
    wire("send", "-y")

    few = wire("delivery", "list", "--limit", "1")
    adas = wire("delivery", "list", "--email", "Ada@example.com", "--json").data
    second = wire("delivery", "list", "--issue", "2", "--status", "sent", "--json").data

    assert "1 message, and there are more: --limit shows them" in few.err
    assert "daily 2" in few.out
    assert ["daily 2", "daily 1"] == [row["issue"] for row in adas]
    assert [4, 3] == [row["id"] for row in second]
    assert "2 messages\n" == wire("delivery", "list", "--issue", "1", "--limit", "2").err
