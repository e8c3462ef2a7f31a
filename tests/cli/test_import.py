"""`subscriber import` and `export`: nobody is mailed who must not be, and nothing is lost on the way."""

import csv
import io
import random
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from newsletter.app import App
from newsletter.app.exchange import export_people, import_lists
from newsletter.model import Format, Subscriber, SuppressionReason
from newsletter.people.choosing import Selection
from newsletter.people.entry import data_of, written
from newsletter.people.roster import Roster
from newsletter.yamlfile import block_item
from tests.cli.conftest import Wire
from tests.conftest import FakeClock, counting_ids
from tests.killing import run_and_kill
from tests.people.test_exchange_standing import MAILCHIMP, expectations

PEOPLE = "# mine\n- ada@example.com   # first\n"
LIST = '''\
email,name,status,tags,attributes.city
ADA@example.com,Ada L.,active,vip,London
grace@example.com,Grace Hopper,active,"navy,""a,b""",Arlington
gone@example.com,,unsubscribed,,
mary@example.com,,pending,,
bad@,Bad,active,,
zoe@example.com,,who knows,,
Grace@Example.com,Again,active,,
dead@example.com,,hard bounce,,
'''


@pytest.fixture
def wire(wire: Wire) -> Wire:
    wire.configure(people=PEOPLE, more="digests: {daily: {}, weekly: {}}\n")
    (wire.folder / "list.csv").write_text(LIST)
    return wire


def people(wire: Wire) -> str:
    return (wire.folder / "subscribers.yaml").read_text(encoding="utf-8")


def put(wire: Wire, name: str, text: str) -> str:
    (wire.folder / name).write_text(text, encoding="utf-8")
    return name


def bring(wire: Wire, *words: str) -> Any:
    done = wire("subscriber", "import", "--json", *words)
    assert done.code in (0, 3), done.err
    return done.data


def mailable(wire: Wire) -> set[str]:
    """Who would be mailed: the file without the suppressions."""
    rows = wire("subscriber", "list", "--json", "--status", "active").data
    return {row["subscriber"]["email"].lower() for row in rows}


def suppressed(wire: Wire) -> dict[str, str]:
    return {row["email"]: row["reason"] for row in wire("suppression", "list", "--json").data}


def kinds(report: Any) -> dict[str, str]:
    """What became of each row, by its line."""
    return {row["place"].rpartition(":")[2]: row["kind"] for row in report["outcomes"]}


def test_every_row_has_its_fate(wire: Wire) -> None:
    report = bring(wire, "list.csv")

    assert {
        "2": "unchanged",
        "3": "added",
        "4": "suppressed",
        "5": "left out",
        "6": "rejected",
        "7": "rejected",
        "8": "left out",
        "9": "suppressed",
    } == kinds(report)
    assert (
        PEOPLE
        + '- email: grace@example.com\n  name: Grace Hopper\n  tags: [navy, "a,b"]\n  attributes: {city: Arlington}\n'
        == people(wire)
    )
    assert {"gone@example.com": "unsubscribed", "dead@example.com": "bounced"} == suppressed(wire)
    notes = [row["note"] for row in wire("suppression", "list", "--json").data]
    assert ["list.csv:4: status is unsubscribed", "list.csv:9: status is hard bounce"] == notes


def test_the_record_says_from_which_line_a_person_came_and_when_they_had_asked(wire: Wire) -> None:
    header = MAILCHIMP.split(",")
    cells = {
        "Email Address": "x@example.com",
        "CONFIRM_TIME": "2024-02-05 19:30:00",
        "OPTIN_TIME": "2024-02-05 19:28:23",
    }
    put(wire, "m.csv", f"{MAILCHIMP}\n{','.join(cells.get(name, '') for name in header)}\n")
    for _ in range(2):
        bring(wire, "m.csv")

    [line] = wire("subscriber", "show", "x@example.com", "--json").data["consents"]
    assert ("imported", "m.csv:2") == (line["event"], line["source"])
    assert "CONFIRM_TIME: 2024-02-05 19:30:00, OPTIN_TIME: 2024-02-05 19:28:23" == line["note"]


def test_a_person_reads_what_happened_and_what_to_do(wire: Wire) -> None:
    done = wire("subscriber", "import", "list.csv", "--rejects", "wrong.csv")

    assert 3 == done.code
    assert (
        """\
suppressed, because the list says so (2):
  list.csv:4: gone@example.com, unsubscribed (status is unsubscribed)
  list.csv:9: dead@example.com, bounced (status is hard bounce)
left out (2):
  list.csv:5: mary@example.com has not confirmed: status is pending
  list.csv:8: Grace@example.com is there already, in line 3
"""
        == done.out
    )
    assert (
        """\
list.csv: a plain table, 8 rows
warning: list.csv:6: 'bad@' is not an e-mail address: There must be something after the @-sign
warning: list.csv:7: status is who knows, which does not tell whether the person may be mailed
1 added, 2 suppressed, 1 unchanged, 2 left out, 2 rejected
of some people the list knows more than the file, or otherwise: --update takes it over
what cannot be used stands in wrong.csv: correct it there, and import that file
"""
        == done.err
    )


def test_a_dry_run_shows_the_difference_and_changes_nothing(wire: Wire) -> None:
    def files() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(wire.folder.rglob("*")) if path.is_file()}

    before = files()
    done = wire("subscriber", "import", "list.csv", "--dry-run", "--update")

    assert before == files()
    assert not (wire.folder / ".newsletter").exists()
    for words in (
        "added (1):\n  list.csv:3: grace@example.com\n",
        "changed (1):\n  list.csv:2: ada@example.com: name, tags, attributes.city\n",
        "suppressed, because the list says so (2):",
    ):
        assert words.lower() in done.out.lower()
    assert "1 would be added, 1 would be changed, 2 would be suppressed" in done.err
    assert "nothing was changed (--dry-run)" in done.err
    # And the report is that of the real thing.
    assert kinds(bring(wire, "list.csv", "--update", "--dry-run")) == kinds(bring(wire, "list.csv", "--update"))


def test_a_second_import_changes_nothing_and_says_so(wire: Wire) -> None:
    bring(wire, "list.csv", "--update")
    before = (people(wire), suppressed(wire), (wire.folder / "subscribers.yaml").stat().st_mtime_ns)

    again = wire("subscriber", "import", "list.csv", "--update")
    assert "nothing has changed" in again.err
    assert before == (people(wire), suppressed(wire), (wire.folder / "subscribers.yaml").stat().st_mtime_ns)
    assert not bring(wire, "list.csv", "--update")["changed"]


def test_an_update_takes_over_what_the_list_knows_and_loses_nothing(wire: Wire) -> None:
    wire.configure(
        people="- email: ada@example.com  # first\n  name: 'Ada'\n  tags: [old]\n  digests: [weekly]\n"
        '  attributes: {shoe: "38"}\n- grace@example.com\n',
        more="digests: {daily: {}, weekly: {}}\n",
    )
    report = bring(wire, "list.csv", "--update", "--digest", "daily")

    assert {"2": "changed", "3": "changed"} == {line: kind for line, kind in kinds(report).items() if line in "23"}
    assert (
        "- email: ada@example.com  # first\n  name: 'Ada L.'\n  tags: [old, vip]\n  digests: [weekly, daily]\n"
        '  attributes: {shoe: "38", city: London}\n- email: grace@example.com\n  name: Grace Hopper\n'
        '  tags: [navy, "a,b"]\n  attributes: {city: Arlington}\n'
    ) == people(wire)


def test_what_cannot_be_used_is_corrected_and_imported_again(wire: Wire) -> None:
    bring(wire, "list.csv", "--rejects", "wrong.csv")
    wrong = (wire.folder / "wrong.csv").read_text()

    assert (
        """\
email,name,status,tags,attributes.city,import_status,rejected_because
bad@,Bad,active,,,,line 6: 'bad@' is not an e-mail address: There must be something after the @-sign
zoe@example.com,,who knows,,,,"line 7: status is who knows, which does not tell whether the person may be mailed"
"""
        == wrong
    )
    put(wire, "wrong.csv", wrong.replace("bad@", "bad@example.com").replace("who knows", "nobody knows"))
    again = bring(wire, "wrong.csv", "--rejects", "wrong.csv")

    assert {"2": "added", "3": "rejected"} == kinds(again)
    assert 2 == len((wire.folder / "wrong.csv").read_text().splitlines())
    assert "bad@example.com" in mailable(wire)


def test_a_list_of_rejected_rows_keeps_what_it_is_a_list_of(wire: Wire) -> None:
    """An address with a typo in a list of the unsubscribed is no subscriber once it is corrected."""
    put(wire, "plain.csv", "email\ngone@@example.com\n")
    put(wire, "unsubscribed.csv", "email\nleft@@example.com\n")
    bring(wire, "plain.csv", "--status", "unsubscribed", "--rejects", "a.csv")
    bring(wire, "unsubscribed.csv", "--rejects", "b.csv")
    for name in ("a.csv", "b.csv"):
        put(wire, name, (wire.folder / name).read_text().replace("@@", "@"))
        bring(wire, name)

    assert {"gone@example.com": "unsubscribed", "left@example.com": "unsubscribed"} == suppressed(wire)
    assert {"ada@example.com"} == mailable(wire)


def test_rejected_rows_of_several_lists_stand_in_several_files(wire: Wire) -> None:
    put(wire, "other.csv", "Email Address;Shoe\nno;38\n")
    put(wire, "more.yaml", "- no\n- email: x@example.com\n  nmae: X\n- y@example.com\n")
    report = bring(wire, "list.csv", "other.csv", "more.yaml", "--rejects", "wrong.csv")

    assert ["wrong.csv", "wrong-2.csv", "wrong-3.csv"] == report["rejects"]
    assert "Email Address,Shoe,import_status,rejected_because" in (wire.folder / "wrong-2.csv").read_text()
    assert (
        "# more.yaml:2: nmae: no such key: did you mean name?\n- email: x@example.com\n  nmae: X\n"
        in (wire.folder / "wrong-3.csv").read_text()
    )
    assert "y@example.com" in mailable(wire)


def test_rejected_rows_are_not_written_over_something_else(wire: Wire) -> None:
    put(wire, "notes.txt", "dear diary\n")
    done = wire("subscriber", "import", "list.csv", "--rejects", "notes.txt")

    assert (2, True) == (done.code, "is there already, and is no list of rejected rows" in done.err)
    assert ("dear diary\n", PEOPLE) == ((wire.folder / "notes.txt").read_text(), people(wire))


@pytest.mark.parametrize("order", [["a.csv", "b.csv"], ["b.csv", "a.csv"]])
def test_who_is_unsubscribed_in_one_list_is_not_mailed_because_of_another(wire: Wire, order: list[str]) -> None:
    put(wire, "a.csv", "email,status\nx@example.com,subscribed\nX@example.com,unsubscribed\ny@example.com,subscribed\n")
    put(wire, "b.csv", "email,status\nY@example.com,cleaned\nz@example.com,subscribed\n")
    report = bring(wire, *order)

    assert {"x@example.com": "unsubscribed", "y@example.com": "bounced"} == {
        email.lower(): reason for email, reason in suppressed(wire).items()
    }
    assert {"ada@example.com", "z@example.com"} == mailable(wire)
    assert 2 == report["counts"]["left out"]


def test_a_row_that_cannot_be_used_keeps_a_person_out(wire: Wire) -> None:
    put(wire, "a.csv", "email,status\nx@example.com,subscribed\nx@example.com,who knows\n")

    assert {"2": "left out", "3": "rejected"} == kinds(bring(wire, "a.csv"))
    assert {"ada@example.com"} == mailable(wire)


def test_a_suppression_that_is_there_wins_over_every_list(wire: Wire) -> None:
    wire("suppression", "add", "grace@example.com", "--reason", "complained", "--note", "by telephone")
    wire("suppression", "add", "gone@example.com", "--reason", "bounced")
    report = bring(wire, "list.csv")

    assert "withheld" == kinds(report)["3"]
    assert PEOPLE == people(wire)
    # A stronger word replaces a weaker one, never the other way round.
    assert ("complained", "unsubscribed") == (
        suppressed(wire)["grace@example.com"],
        suppressed(wire)["gone@example.com"],
    )
    again = wire("subscriber", "import", "list.csv")
    assert "list.csv:3: grace@example.com is suppressed here (complained), which wins over every list" in again.out


def test_somebody_who_was_erased_does_not_come_back(wire: Wire) -> None:
    with_store = App.open(wire.folder, clock=FakeClock(), ids=counting_ids())
    with_store.store.suppress("grace@example.com", "grace@example.com", SuppressionReason.erased)
    with_store.close()
    report = bring(wire, "list.csv")

    assert "withheld" == kinds(report)["3"]
    assert any("was erased here" in row["why"] for row in report["outcomes"])
    assert PEOPLE == people(wire)


def test_somebody_in_the_file_whom_a_list_forbids_stays_there_unmailed(wire: Wire) -> None:
    put(wire, "unsubscribed.csv", "email\nAda@example.com\n")
    done = wire("subscriber", "import", "unsubscribed.csv")

    assert "stays in the file, and is not mailed" in done.out
    assert (PEOPLE, set()) == (people(wire), mailable(wire))


@pytest.mark.parametrize(
    ("words", "text", "said"),
    [
        (["list.csv"], "name,phone\nAda,1\n", "list.csv:1: no column holds addresses"),
        (["list.csv", "--from", "kit"], LIST, "list.csv:1: is no list of Kit: it has no column first_name"),
        (["list.csv", "--digest", "weakly"], LIST, "weakly"),
        (["list.csv", "--encoding", "klingon"], LIST, "there is no encoding 'klingon'"),
        (["list.csv"], "", "list.csv: is empty"),
        (["list.csv", "--from", "yaml"], "- [a\n", "list.csv:"),
    ],
)
def test_a_list_that_cannot_be_read_at_all_changes_nothing(wire: Wire, words: list[str], text: str, said: str) -> None:
    put(wire, "list.csv", text)
    put(wire, "good.csv", "email\nx@example.com\n")
    done = wire("subscriber", "import", *words, "good.csv")

    assert (2, True) == (done.code, said in done.err), done.err
    assert PEOPLE == people(wire)
    assert not (wire.folder / ".newsletter").exists()


def test_a_broken_file_of_ones_own_is_named_first(wire: Wire) -> None:
    put(wire, "subscribers.yaml", PEOPLE + "- bad@\n")
    done = wire("subscriber", "import", "list.csv")

    assert (2, True) == (done.code, "subscribers.yaml:3: 'bad@'" in done.err)
    assert PEOPLE + "- bad@\n" == people(wire)
    assert {} == suppressed(wire)


def test_a_file_is_begun_where_there_is_none_and_only_if_somebody_comes(wire: Wire) -> None:
    (wire.folder / "subscribers.yaml").unlink()
    put(wire, "unsubscribed.csv", "email\nx@example.com\n")
    bring(wire, "unsubscribed.csv")
    assert not (wire.folder / "subscribers.yaml").exists()

    bring(wire, "list.csv")
    assert people(wire).startswith("- email: ADA@example.com\n")
    assert 0o600 == (wire.folder / "subscribers.yaml").stat().st_mode & 0o777


# ------------------------------------------------------------------------- the corpus


def test_nobody_of_the_corpus_is_mailed_who_must_not_be_and_everybody_who_may(wire: Wire, corpus: Path) -> None:
    may, must_not = set[str](), set[str]()
    for path, willing, forbidden in expectations(corpus):
        shutil.copyfile(path, wire.folder / path.name)
        may |= {email.lower() for email in willing}
        must_not |= {email.lower() for email in forbidden if "@" in email} - {"ada@example.com"}
    names = sorted(path.name for path in wire.folder.glob("*.csv") if path.name != "list.csv")

    report = bring(wire, *names)
    found = mailable(wire)

    assert may <= found
    assert set() == must_not & found
    assert report["counts"]["added"] + 1 == len(found)
    assert PEOPLE == people(wire)[: len(PEOPLE)]
    wire.configure(people=people(wire), more="")
    web = wire.web.feed("/feed", "One")
    assert 0 == wire("feed", "add", web, "--allow-private").code
    wire("send", "-y")
    assert set() == {email.lower() for email in wire.inbox()} & must_not


# --------------------------------------------------------------------- export and back


def test_an_export_says_who_is_not_mailed_or_leaves_them_out(wire: Wire) -> None:
    bring(wire, "list.csv")
    wire("suppression", "add", "ada@example.com", "--reason", "unsubscribed")

    table = list(csv.DictReader(io.StringIO(wire("subscriber", "export").out)))
    assert {"ada@example.com": "unsubscribed", "grace@example.com": "active"} == {
        row["email"]: row["status"] for row in table
    }
    assert ["false", "true"] == [
        row["subscribed_to_emails"]
        for row in csv.DictReader(io.StringIO(wire("subscriber", "export", "--format", "ghost").out))
    ]
    for form in ("mailchimp", "listmonk", "yaml"):
        done = wire("subscriber", "export", "--format", form)
        assert ("ada" in done.out, "grace" in done.out) == (False, True)
        assert f"left out 1 person who is not mailed: {form} has no place for that" in done.err
    assert "ada" in wire("subscriber", "export", "--format", "yaml", "--status", "suppressed").out
    assert ["unsubscribed", "active"] == [
        one["status"] for one in wire("subscriber", "export", "--format", "json").data
    ]


def test_an_export_into_a_file_is_for_its_owner_and_all_or_nothing(wire: Wire) -> None:
    assert 0 == wire("subscriber", "export", "--format", "yaml", "-o", "out.yaml").code
    assert ("- ada@example.com\n", 0o600) == (
        (wire.folder / "out.yaml").read_text(),
        (wire.folder / "out.yaml").stat().st_mode & 0o777,
    )
    put(wire, "subscribers.yaml", "- a@example.com\n- bad@\n")
    assert 2 == wire("subscriber", "export", "-o", "out.yaml").code
    assert "- ada@example.com\n" == (wire.folder / "out.yaml").read_text()
    assert ["list.csv", "newsletter.yaml", "out.yaml", "subscribers.yaml"] == sorted(
        path.name for path in wire.folder.iterdir() if path.is_file()
    )


texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cn"], exclude_characters="\ufeff"), max_size=12
)
lines = st.builds(
    lambda text: " ".join(text.split()),
    texts | st.sampled_from(["=1+2", "'=x", "@a", "-5", "+49 1", '"', "no", "a,b", "a;b"]),
)
people_ = st.builds(
    lambda number, **more: Subscriber(email=f"p{number}@example.com", wire_email="", key="", **more),
    number=st.integers(0, 10**6),
    name=lines,
    digests=st.sampled_from([(), ("daily",), ("weekly", "daily")]),
    language=st.sampled_from([None, "de", "pt-BR"]),
    format=st.sampled_from(list(Format)),
    timezone=st.sampled_from([None, "Europe/Berlin"]),
    tags=st.lists(lines.filter(bool), max_size=3, unique=True).map(tuple),
    attributes=st.dictionaries(
        st.sampled_from(["city", "City", "no", "shoe size", "=x", "name", "email", "status", "ü"]),
        lines.filter(bool) | st.just("one\ntwo") | st.just("\ttab"),
        max_size=3,
    ),
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two projects with the same settings, one beside the other."""
    folder = tmp_path_factory.mktemp("projects")
    for name in ("old", "new"):
        (folder / name).mkdir()
        (folder / name / "newsletter.yaml").write_text(
            "title: T\nfrom: t@example.com\nfeeds: []\ndigests: {daily: {}, weekly: {}}\n"
        )
    return folder


def plain(roster: Roster) -> list[dict[str, Any]]:
    return [data_of(person) for person in roster.people()]


@settings(max_examples=25)
@given(st.lists(people_, max_size=5, unique_by=lambda person: person.email), st.sampled_from(["csv", "yaml"]))
def test_who_is_exported_and_imported_elsewhere_is_the_same(project: Path, people: list[Subscriber], form: str) -> None:
    entries = (line for person in people for line in block_item(written(data_of(person)), 0))
    (project / "old" / "subscribers.yaml").write_text("\n".join(entries) + "\n", encoding="utf-8")
    (project / "new" / "subscribers.yaml").write_text("[]\n")
    old, new = App.open(project / "old"), App.open(project / "new")
    out = project / f"list.{form}"

    buffer = io.StringIO()
    export_people(old, form, Selection(), buffer.write)
    out.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    report = import_lists(new, [out], keep_all=True)

    assert plain(old.roster) == plain(new.roster), report.outcomes
    assert len(people) == report.counts["added"]
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(buffer.getvalue())) for cell in row]
        assert [] == [cell for cell in cells if re.match(r"[=+\-@\t\r]", cell)]
    old.close()
    new.close()


@pytest.mark.parametrize("form", ["mailchimp", "listmonk", "ghost", "csv"])
def test_what_other_tools_get_we_read_too(wire: Wire, form: str) -> None:
    bring(wire, "list.csv")
    wire("subscriber", "export", "--format", form, "-o", "out.csv")
    wire.configure(people="[]\n", more="digests: {daily: {}, weekly: {}}\n")
    bring(wire, "out.csv")

    grace = yaml.safe_load(people(wire))[-1]
    assert ("grace@example.com", "Grace Hopper", ["navy", "a,b"]) == (grace["email"], grace["name"], grace["tags"])


# ----------------------------------------------------------------------------- crashes


def test_killed_at_any_moment_nobody_is_mailable_who_must_not_be(tmp_path: Path) -> None:
    """After every kill: the file is the old or the new one, and if it is the new one, all suppressions are there."""
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "newsletter.yaml").write_text("title: T\nfrom: t@example.com\nfeeds: []\n")
    (folder / "subscribers.yaml").write_text(PEOPLE)
    rows = [f"p{n}@example.com,{'unsubscribed' if n % 2 else 'active'}" for n in range(60)]
    (folder / "list.csv").write_text("\n".join(["email,status", *rows]) + "\n")
    forbidden = {f"p{n}@example.com" for n in range(1, 60, 2)}
    app = App.open(folder)
    app.store.secret("erased")
    app.close()
    saved = (folder / ".newsletter" / "newsletter.db").read_bytes()
    outcomes = set()
    took = 5.0

    def bring_in() -> None:
        import_lists(App.open(folder), [folder / "list.csv"])

    for kill in range(30):
        began = time.monotonic()
        # The first one comes through; the others are killed from its beginning to a little after its end.
        run_and_kill(bring_in, chance.uniform(0.001, 1.1 * took) if kill else took)
        took = took if kill else time.monotonic() - began

        app = App.open(folder)
        there = {person.key for person in app.roster.people()}
        known = set(app.store.reasons(forbidden))
        app.close()
        assert known in (set(), forbidden), f"seed {seed}: the suppressions are one transaction"
        assert len(there) in (1, 31), f"seed {seed}: the file is the old or the new one"
        assert len(there) == 1 or known == forbidden, f"seed {seed}: suppressed first, then added"
        assert not there & forbidden
        outcomes.add((len(there), len(known)))
        if len(there) == 31:
            (folder / "subscribers.yaml").write_text(PEOPLE)
            for path in (folder / ".newsletter").iterdir():
                path.unlink()
            (folder / ".newsletter" / "newsletter.db").write_bytes(saved)
    assert {(1, 0), (31, 30)} <= outcomes, "some were killed early, one came through"


# -------------------------------------------------------------------------- large lists

MEASURE = """
import resource, sys
from pathlib import Path
from newsletter.app import App
from newsletter.app.exchange import import_lists
app = App.open(Path(sys.argv[1]))
report = import_lists(app, [Path(sys.argv[2])])
app.close()
print(report.counts["added"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.soak
def test_a_hundred_thousand_rows_need_little_memory(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "newsletter.yaml").write_text("title: T\nfrom: t@example.com\nfeeds: []\n")
    peaks = {}
    for size in (100, 100_000):
        (tmp_path / "subscribers.yaml").unlink(missing_ok=True)
        with (tmp_path / "list.csv").open("w") as stream:
            stream.write("email,name,tags\n")
            stream.writelines(f"person{n}@example.com,Person {n},vip\n" for n in range(size))
        words = [sys.executable, "-c", MEASURE, str(tmp_path), str(tmp_path / "list.csv")]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        added, peak = map(int, done.stdout.split())
        assert size == added
        peaks[size] = peak
    assert peaks[100_000] - peaks[100] < 130_000, "about a kilobyte a row, the texts of the file included"
