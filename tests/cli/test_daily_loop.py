"""The daily loop, typed as a person types it."""

from pathlib import Path

import pytest

from tests.cli.conftest import Wire, call


def test_from_nothing_to_an_inbox(tmp_path: Path, wire: Wire) -> None:
    """init, feed add, subscriber add, check, fetch, preview, send, status; and a second send sends nothing."""
    folder = tmp_path / "new"
    made = call(
        "init",
        "new",
        "--yes",
        "--from",
        "Ada's Wire <wire@example.com>",
        "--smtp",
        f"127.0.0.1:{wire.mail.port}",
        cwd=tmp_path,
    )
    assert (made.code, made.err.splitlines()[0]) == (0, "wrote new/newsletter.yaml")
    url = wire.web.feed("/feed.xml", "First story", "Second story")

    added = call("feed", "add", url, "--allow-private", cwd=folder)
    assert (added.code, added.err) == (0, "added News: 2 entries\n")
    assert call("subscriber", "add", "grace@example.com", "--name", "Grace Hopper", cwd=folder).code == 0

    checked = call("check", cwd=folder)
    assert checked.code == 0, checked.out + checked.err

    fetched = call("fetch", "--json", cwd=folder)
    assert [(result["entries"], result["new"], result["offered"]) for result in fetched.data] == [(2, 2, 2)]

    previewed = call("preview", "--out", "preview", "--as", "grace@example.com", cwd=folder)
    assert previewed.code == 0, previewed.err
    assert "First story" in (folder / "preview" / "issue.html").read_text(encoding="utf-8")
    assert "Second story" in (folder / "preview" / "issue.md").read_text(encoding="utf-8")

    sent = call("send", "-y", cwd=folder)
    assert sent.code == 0, sent.err
    assert "grace@example.com" in wire.inbox()
    letters = len(wire.mail.caught)

    again = call("send", "-y", cwd=folder)
    assert (again.code, len(wire.mail.caught)) == (0, letters)
    assert "nothing is new for daily" in again.err

    picture = call("status", "--json", cwd=folder).data
    assert [(issue["number"], issue["entries"], issue["counts"]) for issue in picture["issues"]] == [
        (1, 2, {"sent": letters})
    ]
    assert [digest["waiting"] for digest in picture["digests"]] == [0]


def test_a_new_story_goes_out_once_and_alone(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One", "Two"))
    assert wire("send", "-y").code == 0
    wire.web.feed("/a.xml", "Three", "One", "Two")
    assert wire("send", "-y").code == 0
    text = wire.mail.caught[1].path.read_text(encoding="utf-8")
    assert ("Three" in text, "Two" in text) == (True, False)
    assert wire.inbox() == ["ada@example.com", "ada@example.com"]


def test_a_new_feed_offers_its_newest_three(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", *(f"Story {n}" for n in range(9, 0, -1))))
    wire("send", "-y")
    text = wire.mail.caught[0].path.read_text(encoding="utf-8")
    assert [n for n in range(1, 10) if f"Story {n}" in text] == [7, 8, 9]


def test_asking_does_not_send(wire: Wire) -> None:
    """Dry run, preview and test leave no trace: the database does not even exist before the first send."""
    wire.configure(wire.web.feed("/a.xml", "One"))
    dry = wire("send", "--dry-run")
    assert dry.code == 0, dry.err
    assert "would send issue 1 of daily" in dry.out
    assert wire("preview", "--out", "out").code == 0
    tested = wire("send", "--test", "grace@example.com")
    assert tested.code == 0, tested.err
    assert wire.inbox() == ["grace@example.com"]
    assert wire("send", "--dry-run", "--json").data["entries"] == 1
    assert wire("status", "--json").data["issues"] == []
    assert wire("send", "-y").code == 0
    assert wire.inbox() == ["grace@example.com", "ada@example.com"]


def test_asking_changes_no_state_of_a_project_that_has_some(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    wire("send", "-y")
    wire.web.feed("/a.xml", "Two", "One")
    before = _dump(wire.folder)
    for words in (
        ["send", "-n"],
        ["preview", "--out", "out"],
        ["send", "--test", "grace@example.com"],
        ["check"],
        ["status"],
    ):
        assert wire(*words).code == 0
    assert _dump(wire.folder) == before


def _dump(folder: Path) -> list[str]:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / ".newsletter" / "newsletter.db")) as database:
        return list(database.iterdump())


def test_without_a_terminal_it_wants_yes(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    done = wire("send")
    assert (done.code, done.err.splitlines()) == (
        2,
        ["error: not on a terminal, so there is nobody to ask", "hint: add --yes (-y) to send without asking"],
    )
    assert wire.inbox() == []


def test_feeds_and_people_come_and_go_and_comments_stay(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people="# my readers\n- ada@example.com  # the first\n")
    url = wire.web.feed("/b.xml", "Other")
    assert wire("feed", "add", url, "--allow-private", "--title", "The B").code == 0
    assert [feed["url"] for feed in wire("feed", "list", "--json").data] == [wire.web.url + "/a.xml", url]
    assert wire("feed", "remove", "The B").code == 0
    assert [feed["url"] for feed in wire("feed", "list", "--json").data] == [wire.web.url + "/a.xml"]
    assert wire("subscriber", "add", "grace@example.com", "--format", "text").code == 0
    assert wire("subscriber", "remove", "ADA@example.com").code == 0
    assert [row["subscriber"]["email"] for row in wire("subscriber", "list", "--json").data] == ["grace@example.com"]
    assert (wire.folder / "subscribers.yaml").read_text(encoding="utf-8").startswith("# my readers\n")


def test_who_wants_text_gets_only_text(wire: Wire) -> None:
    wire.configure(
        wire.web.feed("/a.xml", "One"), people="- {email: ada@example.com, format: text}\n- grace@example.com\n"
    )
    wire("send", "-y")
    kinds = {c.recipients[0]: "text/html" in c.path.read_text(encoding="utf-8") for c in wire.mail.caught}
    assert kinds == {"ada@example.com": False, "grace@example.com": True}


def test_the_suppressed_are_not_mailed_whatever_the_file_says(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people="- ada@example.com\n- grace@example.com\n")
    assert wire("suppression", "add", "Ada@Example.com", "--reason", "unsubscribed").code == 0
    done = wire("send", "-y")
    assert (done.code, wire.inbox()) == (0, ["grace@example.com"])
    assert [row["status"] for row in wire("subscriber", "list", "--json").data] == ["unsubscribed", "active"]


def test_two_digests_each_send_their_own(wire: Wire) -> None:
    """Each digest has its own memory: an entry goes once to the readers of each."""
    wire.configure(
        wire.web.feed("/a.xml", "One"),
        more="digests:\n  daily: {}\n  weekly: {}\n",
        people="- {email: ada@example.com, digests: [daily]}\n- {email: grace@example.com, digests: [weekly]}\n",
    )
    unnamed = wire("send", "-y")
    assert (unnamed.code, "daily" in unnamed.err and "weekly" in unnamed.err) == (2, True)
    assert wire("send", "daily", "-y").code == 0
    assert wire("send", "weekly", "-y").code == 0
    assert wire("send", "weekly", "-y").code == 0
    assert wire.inbox() == ["ada@example.com", "grace@example.com"]


def test_an_issue_can_be_shown_exported_paused_and_cancelled(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    wire("send", "-y")
    assert "One" in wire("issue", "show", "1").out
    assert wire("issue", "export", "1").out.startswith("# ")
    archived = wire("issue", "export", "1", "--format", "archive")
    assert archived.out.startswith(f"# Source:News, URL:{wire.web.url}/a.xml, language:")
    for form in ("html", "text", "json", "eml"):
        done = wire("issue", "export", "1", "--format", form, "--out", "files")
        assert done.code == 0, done.err
    assert len(list((wire.folder / "files").iterdir())) == 4
    assert wire("issue", "pause", "1").code == 0
    assert wire("issue", "resume", "1").code == 0
    assert wire("issue", "cancel", "1").code == 0
    assert wire("issue", "show", "7").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["fetch"],
        ["status"],
        ["feed", "list"],
        ["subscriber", "list"],
        ["issue", "list"],
        ["suppression", "list"],
        ["db", "info"],
        ["check"],
    ],
)
def test_every_command_speaks_json(wire: Wire, words: list[str]) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    done = wire(*words, "--json")
    assert done.code == 0, done.err
    assert done.data is not None
    assert wire("--json", *words).data is not None


def test_flags_may_stand_before_or_after_the_command(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    elsewhere = wire.folder.parent
    config = str(wire.folder / "newsletter.yaml")
    assert call("-c", config, "feed", "list", cwd=elsewhere).code == 0
    assert call("feed", "list", "-c", str(wire.folder), cwd=elsewhere).code == 0
    assert call("feed", "list", cwd=elsewhere).code == 2


def test_the_root_of_the_checkout_is_a_project_in_order(tmp_path: Path) -> None:
    from tests.conftest import ROOT

    done = call("check", cwd=ROOT, NEWSLETTER_STORE=str(tmp_path / "state.db"))
    assert done.code == 0, done.out + done.err


def test_the_password_of_a_feed_is_shown_nowhere(wire: Wire) -> None:
    url = wire.web.feed("/a.xml", "One")
    wire.configure(url)
    config = wire.folder / "newsletter.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("smtp:", "    headers: {Authorization: Bearer hunter2}\nsmtp:"), encoding="utf-8")
    for words in (
        ["fetch", "--json"],
        ["fetch"],
        ["send", "-y", "--json"],
        ["feed", "list", "--json"],
        ["status", "--json"],
        ["check"],
    ):
        done = wire(*words)
        assert done.code == 0, done.err
        assert "hunter2" not in done.out + done.err, words


def test_the_whole_day_on_postgresql(wire: Wire, empty_postgres_url: str) -> None:
    """The same commands and the same promises, whichever database remembers."""
    wire.configure(wire.web.feed("/a.xml", "One", "Two"))
    there = {"NEWSLETTER_STORE": empty_postgres_url}
    assert wire("send", "--dry-run", "--json", **there).data["entries"] == 2
    assert wire("send", "-y", **there).code == 0
    wire.web.feed("/a.xml", "Three", "One", "Two")
    assert wire("preview", "--out", "out", **there).code == 0
    assert wire("send", "-y", **there).code == 0
    assert wire("send", "-y", **there).code == 0
    assert wire.inbox() == ["ada@example.com", "ada@example.com"]
    assert [issue["counts"] for issue in wire("status", "--json", **there).data["issues"]] == [{"sent": 1}, {"sent": 1}]
    assert wire("db", "info", "--json", **there).data["counts"]["deliveries"] == 2


def test_verbose_says_how_each_feed_was_polled_and_quiet_says_nothing(wire: Wire) -> None:
    url = wire.web.feed("/a.xml", "One", "Two")
    wire.configure(url)
    assert f"{url}: 2 entries, 2 new, 2 offered, in " in wire("fetch", "-v").err
    assert f"{url}: " not in wire("fetch").err
    assert f"{url}: " in wire("-v", "send", "-y").err
    assert wire("fetch", "-q").err == ""
