"""`rehearse`: the next issue to a server here, with faults, and nothing of the project changes."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from newsletter.app.rehearse import Rehearsed
from newsletter.cli.rehearse import _report
from newsletter.cli.session import Session
from newsletter.clock import Ids, SystemClock
from newsletter.delivery.rehearsal.rehearse import Verdict
from newsletter.store import Store
from tests.cli.conftest import Wire

VERDICT = Verdict(
    recipients=9,
    sent=9,
    failed=0,
    held=0,
    suppressed=0,
    waiting=0,
    deferred=0,
    unknown=0,
    lost=0,
    duplicates=2,
    bound=2,
    changed=0,
    unwanted=0,
    kills=0,
    runs=1,
    seconds=1.0,
    rate=9.0,
    predicted_seconds=9.0,
    limited_by="this machine",
)


def dump(wire: Wire) -> list[str]:
    with closing(sqlite3.connect(wire.folder / ".newsletter" / "newsletter.db")) as database:
        return list(database.iterdump())


def people(count: int) -> str:
    return "".join(f"- reader{number}@example.com\n" for number in range(count))


def test_the_next_issue_is_rehearsed_to_the_list_and_nothing_changes(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people=people(25), more="first_run: all\n")
    wire("send", "-y")
    wire.web.feed("/a.xml", "Two and more", "One")
    wire("suppression", "add", "reader3@example.com")
    letters, before = len(wire.mail.caught), dump(wire)

    done = wire("rehearse", "--inject", "550@10%,drop@10%,kill@8", "--seed", "5")

    assert 0 == done.code, done.err
    assert (letters, before) == (len(wire.mail.caught), dump(wire))
    found = {line[:36].strip(): line[36:].strip() for line in done.out.splitlines()}
    assert "rehearsal of daily: " in done.out
    assert "25" == found["recipients"]
    assert ("1", "0", "1") == (found["suppressed"], found["lost"], found["times killed"])
    assert "again, with the same faults: newsletter rehearse --inject 550@10%,drop@10%,kill@8 --seed 5" in done.err
    assert "verdict: nobody was lost, and " in done.err


def test_invented_people_and_samples_need_no_list_no_server_and_no_news(wire: Wire) -> None:
    wire.configure(people="[]\n", smtp="{host: mail.example.com, rate: 10/s, connections: 2}")

    done = wire("rehearse", "--recipients", "40", "--no-fetch", "--json")

    assert 0 == done.code, done.err
    assert (40, 40, 0, 0, True, True, True) == tuple(
        done.data[key] for key in ("recipients", "sent", "lost", "duplicates", "good", "is_sample", "is_invented")
    )
    assert ("the rate 10/s", 4.0) == (done.data["limited_by"], done.data["predicted_seconds"])
    assert not (wire.folder / ".newsletter").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--inject", "explode@5%"], 2, "there is no fault explode"),
        (["--inject", "550@120%"], 2, "at most 100%"),
        (["nowhere"], 2, "there is no digest nowhere"),
        (["--recipients", "0"], 2, "recipients"),
    ],
)
def test_what_cannot_be_rehearsed_is_said_once(wire: Wire, words: list[str], code: int, said: str) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))

    done = wire("rehearse", *words)

    assert (code, True) == (done.code, said in done.err), done.err
    assert [] == wire.web.asked


def test_an_empty_list_and_one_with_mistakes_are_no_audience(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people="[]\n")
    nobody = wire("rehearse")
    wire.configure(wire.web.url + "/a.xml", people="- ada@example.com\n- nonsense\n")
    wrong = wire("rehearse")
    wire.configure(wire.web.url + "/a.xml", smtp="{host: mail.example.com}")
    reserved = wire("rehearse")

    assert (1, True) == (nobody.code, "nobody to mail" in nobody.err)
    assert "newsletter rehearse --recipients 1000, which invents them" in nobody.err
    assert (2, True) == (wrong.code, "subscribers.yaml:2" in wrong.err)
    assert (1, True) == (reserved.code, "are at reserved domains" in reserved.err)


def test_while_a_send_is_at_work_nothing_is_rehearsed(wire: Wire) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"))
    assert 0 == wire("fetch").code

    database = str(wire.folder / ".newsletter" / "newsletter.db")
    with Store.open(database, clock=SystemClock(), ids=Ids()) as store, store.lock():
        done = wire("rehearse")

    assert (75, True) == (done.code, "is at work on this project" in done.err)
    assert "hint: " in done.err


def test_the_project_on_postgresql_is_rehearsed_as_well(wire: Wire, empty_postgres_url: str) -> None:
    wire.configure(wire.web.feed("/a.xml", "One"), people=people(5))

    done = wire("rehearse", "--json", NEWSLETTER_STORE=empty_postgres_url)

    assert (0, 5) == (done.code, done.data["sent"]), done.err


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({}, 0, "verdict: nobody was lost, and 2 copies came twice, of 2 that the faults may cost"),
        ({"duplicates": 0}, 0, "verdict: nobody was lost, and nobody got it twice"),
        ({"lost": 1}, 1, "error: the promise is broken: 1 person lost"),
        ({"bound": 1}, 1, "error: the promise is broken: 2 copies too many, where at most 1 may be"),
        ({"changed": 2, "unwanted": 1}, 1, "2 copies not the same message, 1 message to suppressed people"),
        ({"stopped": "it failed"}, 0, "warning: the last run ended early: it failed"),
    ],
)
def test_the_exit_code_is_the_verdict(
    capsys: pytest.CaptureFixture[str], changes: dict[str, int], code: int, said: str
) -> None:
    done = Rehearsed(
        digest="daily",
        subject="One",
        entries=1,
        is_sample=False,
        is_invented=False,
        faults="",
        seed=7,
        verdict=replace(VERDICT, **changes),  # type: ignore[arg-type]
    )

    assert code == _report(Session(), done, None)
    assert said in capsys.readouterr().err
