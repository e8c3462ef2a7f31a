"""`subscriber add, list, show, edit`: the list as its keeper sees it."""

from pathlib import Path

import pytest

from newsletter.model import SuppressionReason
from newsletter.store import Store
from tests.cli.conftest import Done, Wire
from tests.conftest import FakeClock, counting_ids

PEOPLE = """\
# my readers
- ada@example.com
- email: grace@example.com
  name: Grace Hopper
  digests: [weekly]
  language: de-AT
  tags: [vip, navy]
  attributes: {city: Arlington}
- email: mary@example.com
  format: text
  timezone: Europe/London
  attributes: {city: Jedburgh}
- konrad@bücher.example
"""


@pytest.fixture
def list_(wire: Wire) -> Wire:
    wire.configure(people=PEOPLE, more="digests: {daily: {}, weekly: {}}\n")
    assert 0 == wire("suppression", "add", "mary@example.com", "--reason", "bounced").code
    return wire


def emails(done: Done) -> list[str]:
    assert 0 == done.code, done.err
    return [row["subscriber"]["email"].partition("@")[0] for row in done.data]


def people(wire: Wire) -> str:
    return (wire.folder / "subscribers.yaml").read_text(encoding="utf-8")


CHOICES: list[tuple[list[str], str]] = [
    ([], "ada grace mary konrad"),
    (["--digest", "daily"], "ada mary konrad"),
    (["--digest", "weekly"], "ada grace mary konrad"),
    (["--status", "active"], "ada grace konrad"),
    (["--status", "suppressed"], "mary"),
    (["--status", "bounced"], "mary"),
    (["--status", "unsubscribed"], ""),
    (["--tag", "vip"], "grace"),
    (["--tag", "vip", "--tag", "x"], ""),
    (["--where", "city=arlington"], "grace"),
    (["--where", "city=Arlington", "--where", "city=Arlington"], "grace"),
    (["--where", "town="], "ada grace mary konrad"),
    (["--language", "de"], "grace"),
    (["--language", "de_at"], "grace"),
    (["--language", "en"], "ada mary konrad"),
    (["--language", "d"], ""),
    (["--digest", "daily", "--status", "active"], "ada konrad"),
]


def test_people_are_chosen_by_what_is_known_of_them(list_: Wire) -> None:
    for words, expected in CHOICES:
        assert expected.split() == emails(list_("subscriber", "list", "--json", *words)), words


def test_a_list_shows_what_differs_and_counts(list_: Wire) -> None:
    done = list_("subscriber", "list")

    header, ada, *_ = done.out.splitlines()
    assert ["email", "name", "digests", "language", "format", "timezone", "tags", "status"] == header.split()
    assert ["ada@example.com", "all", "html", "active"] == ada.split()
    assert "4 people: 3 mailed, 1 bounced\n" == done.err


def test_a_list_is_a_table_for_other_programs(list_: Wire) -> None:
    done = list_("subscriber", "list", "--csv", "--tag", "vip")

    assert (
        "email,name,status,digests,language,format,timezone,tags,attributes.city\n"
        'grace@example.com,Grace Hopper,active,weekly,de-AT,html,,"vip,navy",Arlington\n'
    ) == done.out.replace("\r\n", "\n")


def test_a_very_long_list_is_written_plainly(wire: Wire) -> None:
    wire.configure(people="".join(f"- p{n}@example.com\n" for n in range(2500)))
    done = wire("subscriber", "list")

    assert 2501 == len(done.out.splitlines())
    assert "p2499@example.com  active" == done.out.splitlines()[-1]


def test_a_look_makes_no_memory(wire: Wire) -> None:
    wire.configure()
    for words in (["list"], ["show", "ada@example.com"], ["export"]):
        assert 0 == wire("subscriber", *words).code

    assert not (wire.folder / ".newsletter").exists()


def test_show_tells_everything_that_is_stored(list_: Wire) -> None:
    web = list_.web.feed("/feed", "One")
    assert 0 == list_("feed", "add", web, "--allow-private").code
    assert 0 == list_("send", "weekly", "-y").code

    done = list_("subscriber", "show", "GRACE@example.com")
    assert 0 == done.code
    for line in ("place", "subscribers.yaml:3", "Grace Hopper", "vip, navy", "attributes.city  Arlington", "weekly 1"):
        assert line in done.out
    assert "suppressions: nothing" in done.out
    data = list_("subscriber", "show", "grace@example.com", "--json").data
    assert ("sent", "Arlington", []) == (
        data["deliveries"][0]["state"],
        data["list"]["attributes"]["city"],
        data["suppressions"],
    )
    assert "bounced" in list_("subscriber", "show", "mary@example.com").out


def test_show_says_that_nothing_is_stored_and_warns_of_a_broken_list(list_: Wire) -> None:
    assert 5 == list_("subscriber", "show", "nobody@example.com").out.count("nothing")
    (list_.folder / "subscribers.yaml").write_text("- bad@\n- nobody@example.com\n")

    done = list_("subscriber", "show", "nobody@example.com")
    assert "warning: the list has mistakes" in done.err
    assert "subscribers.yaml:1" in done.err


def test_a_person_is_added_with_all_that_is_known(wire: Wire) -> None:
    wire.configure(people="")
    words = [
        "--name",
        "Ada",
        "--digest",
        "daily",
        "--language",
        "en-GB",
        "--format",
        "text",
        "--timezone",
        "Europe/London",
        "--tag",
        "a",
        "--tag",
    ]
    done = wire(
        "subscriber", "add", "ada@example.com", *words, "b c", "--attribute", "city=London", "--attribute", "x="
    )

    assert 0 == done.code, done.err
    assert (
        "- email: ada@example.com\n  name: Ada\n  digests: [daily]\n  language: en-GB\n  format: text\n"
        '  timezone: Europe/London\n  tags: [a, b c]\n  attributes: {city: London, x: ""}\n'
    ) == people(wire)


def test_an_edit_changes_what_was_asked_for(list_: Wire) -> None:
    done = list_(
        *("subscriber", "edit", "grace@example.com", "--email", "grace@navy.example", "--add-tag", "x"),
        *("--remove-tag", "vip", "--unset", "digests", "--attribute", "rank=Admiral"),
    )

    assert (0, "changed grace@example.com, now grace@navy.example\n") == (done.code, done.err)
    assert (
        PEOPLE.replace("grace@example.com", "grace@navy.example")
        .replace("  digests: [weekly]\n", "")
        .replace("[vip, navy]", "[navy, x]")
        .replace("{city: Arlington}", "{city: Arlington, rank: Admiral}")
    ) == people(list_)
    assert (
        "ada@example.com is so already; nothing has changed\n"
        == list_("subscriber", "edit", "ada@example.com", "--unset", "name").err
    )
    data = list_("subscriber", "edit", "ada@example.com", "--name", "Ada", "--json").data
    assert ("", "Ada") == (data["before"]["name"], data["after"]["name"])


def test_a_new_address_takes_nobody_out_of_what_they_asked_for(list_: Wire) -> None:
    list_("suppression", "add", "ada@example.com", "--reason", "unsubscribed")
    list_("suppression", "add", "gone@example.com", "--reason", "complained")
    before = people(list_)

    left = list_("subscriber", "edit", "ada@example.com", "--email", "ada2@example.com")
    assert (2, True) == (left.code, "under another address mail would go there again" in left.err)
    taken = list_("subscriber", "edit", "grace@example.com", "--email", "Gone@example.com")
    assert (2, True) == (taken.code, "gone@example.com is suppressed (complained)" in taken.err.lower())
    assert before == people(list_)

    # A bounce stays behind with the address that bounced.
    assert 0 == list_("subscriber", "edit", "mary@example.com", "--email", "mary@home.example").code
    assert ["mary"] == emails(list_("subscriber", "list", "--json", "--where", "city=Jedburgh", "--status", "active"))
    # What somebody has said of one digest goes along.
    list_("suppression", "add", "grace@example.com", "--reason", "unsubscribed", "--digest", "daily")
    assert 0 == list_("subscriber", "edit", "grace@example.com", "--email", "grace@home.example").code
    found = list_("subscriber", "show", "grace@home.example", "--json").data["suppressions"]
    assert [("daily", "unsubscribed")] == [(one["digest"], one["reason"]) for one in found]
    # The same mailbox spelled anew is no new address.
    assert 0 == list_("subscriber", "edit", "ada@example.com", "--email", "ADA@example.com").code


MISTAKES: list[tuple[list[str], str]] = [
    (["edit", "ada@example.com"], "there is nothing to change"),
    (["edit", "ada@example.com", "--unset", "nmae"], "did you mean name?"),
    (["edit", "ada@example.com", "--attribute", "city"], "--attribute 'city' is not KEY=VALUE"),
    (["edit", "nobody@example.com", "--name", "x"], "nobody@example.com is not in subscribers.yaml"),
    (["add", "x@example.com", "--timezone", "Berlin"], "did you mean Europe/Berlin?"),
    (["list", "--digest", "weakly"], "weakly"),
    (["list", "--where", "=x"], "--where '=x' is not KEY=VALUE"),
    (["show", "nobody"], "is not an e-mail address"),
    (["export", "--format", "csv", "-o", "subscribers.yaml"], "is one of the project's own files"),
    (["export", "-o", "newsletter.yaml"], "is one of the project's own files"),
    (["export", "-o", "no/such/folder.csv"], "cannot be written: no such file or directory"),
    (["import", "no.csv"], "no.csv: no such file"),
    (["import", "."], ".: cannot be read: is a directory"),
    (["import", "newsletter.yaml"], "newsletter.yaml:1: is not a list"),
]


def test_what_cannot_be_is_said_and_nothing_changes(list_: Wire) -> None:
    before = people(list_)
    for words, said in MISTAKES:
        done = list_("subscriber", *words)

        assert done.code in (1, 2), words
        assert said in done.err
        assert "Traceback" not in done.err
        assert before == people(list_)


def test_an_erased_person_is_known_in_the_list(list_: Wire) -> None:
    [path] = Path(list_.folder / ".newsletter").glob("*.db")
    with Store.open(str(path), clock=FakeClock(), ids=counting_ids()) as store:
        store.suppress("ada@example.com", "ada@example.com", SuppressionReason.erased)

    assert ["ada"] == emails(list_("subscriber", "list", "--json", "--status", "erased"))
