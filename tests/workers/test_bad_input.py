"""What a worker is given that it cannot work with: each is one clear word, nothing is lost and nobody gets it twice."""

import sys
import time
from pathlib import Path

import pytest

from newsletter.clock import SystemClock
from newsletter.errors import MovedError
from newsletter.model import DeliveryState
from newsletter.store import Store
from newsletter.store.sharing import SIZE
from tests.cli.conftest import call
from tests.conftest import counting_ids
from tests.postgresql import Server
from tests.workers.crew import Mail, Plant, ShiftedClock, until


def slow(mail: Mail, seconds: float = 0.1) -> None:
    mail.sink.script = lambda step: f"wait {seconds}" if step.name == "message" else None


def test_a_file_cannot_be_shared(plant: Plant, tmp_path: Path) -> None:
    plant.configure(store="newsletter.db")
    for words in (("worker",), ("send", "--enqueue", "-y")):
        done = call(*words, cwd=tmp_path)

        assert 2 == done.code
        assert "several machines need a database that they share, and `store` is a file" in done.err
        assert "newsletter db copy --to postgresql://" in done.err


def test_without_procrastinate_a_worker_says_what_to_install_and_send_needs_none(
    plant: Plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "procrastinate", None)
    worker = call("worker", "--until-idle", cwd=tmp_path)
    sent = call("send", "-y", cwd=tmp_path)

    assert (1, "") == (worker.code, worker.out)
    assert (
        "error: several machines need the package procrastinate, which is not installed here\n"
        "hint: pip install 'newsletter-press[scale]'\n"
    ) in worker.err
    assert 0 == sent.code, sent.err
    assert plant.each_got_one(40)


def test_a_database_that_is_not_there_is_named(plant: Plant, tmp_path: Path) -> None:
    plant.configure(store="postgresql://postgres@/nothing?host=/nowhere")
    done = call("worker", cwd=tmp_path)

    assert 1 == done.code
    assert "the database postgresql://postgres@/nothing?host=%2Fnowhere cannot be reached" in done.err
    assert "start the server, or correct `store`" in done.err


def test_an_empty_database_is_made_ready_and_has_nothing_to_send(
    empty_postgres_url: str, plant: Plant, tmp_path: Path
) -> None:
    plant.configure(store=empty_postgres_url.replace(":@", "@"))
    done = call("worker", "--until-idle", cwd=tmp_path)

    assert (0, True) == (done.code, "nothing is left that may go now: 0 messages sent from here" in done.err)


@pytest.mark.soak  # The waits for it grow.
def test_a_database_that_goes_away_is_waited_for(plant: Plant, postgres: Server) -> None:
    slow(plant.mail)
    issue = plant.freeze()
    hands = [plant.hand(), plant.hand(until_idle=False)]
    until(lambda: plant.mail.taken >= 4, "some are sent")
    plant.close()
    name = plant.url.partition("?")[0].rpartition("/")[2]
    postgres.run(
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    until(lambda: all(hand.heard.troubles for hand in hands), "both have noticed")
    taken = plant.mail.taken
    time.sleep(1)
    still = plant.mail.taken
    postgres.run(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    until(lambda: hands[0].is_over and plant.mail.taken >= 40, "the rest is sent")
    hands[1].stop()
    hands[1].end()

    assert taken == still
    assert [None, None] == [hand.error for hand in hands]
    assert all("the database " in str(error) for hand in hands for error in hand.heard.troubles)
    assert [1, 1] == [hand.heard.recoveries for hand in hands]
    assert {DeliveryState.sent: 40} == plant.store.counts(issue.id)
    assert set(Plant.emails(40)) == set(plant.mail.copies)
    # At most the one message of each connection whose answer could not be written down, as the same message.
    assert sum(plant.mail.copies.values()) <= 40 + 4
    assert 40 == len({one.message_id for one in plant.mail.sink.accepted})


def test_a_read_only_database_is_named(plant: Plant, postgres: Server, tmp_path: Path) -> None:
    plant.freeze()
    name = plant.url.partition("?")[0].rpartition("/")[2]
    postgres.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    done = call("worker", "--until-idle", cwd=tmp_path)
    postgres.run(f"ALTER DATABASE {name} RESET default_transaction_read_only")

    assert 1 == done.code
    assert "is read-only (cannot execute" in done.err
    assert "use the primary server, not a replica" in done.err
    assert 0 == plant.mail.taken


@pytest.mark.soak
def test_a_database_that_becomes_read_only_is_waited_for(plant: Plant, postgres: Server) -> None:
    slow(plant.mail)
    plant.freeze()
    hand = plant.hand()
    until(lambda: plant.mail.taken >= 4, "some are sent")
    plant.close()
    name = plant.url.partition("?")[0].rpartition("/")[2]
    postgres.run(
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    until(lambda: any("read-only" in str(error) for error in hand.heard.troubles), "it has noticed")
    postgres.run(
        f"ALTER DATABASE {name} RESET default_transaction_read_only",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    hand.end()

    assert None is hand.error
    assert set(Plant.emails(40)) == set(plant.mail.copies)
    assert 40 == len({one.message_id for one in plant.mail.sink.accepted})


def test_a_user_who_may_not_make_the_queue_is_told_what_the_owner_has_to_run(
    plant: Plant, postgres: Server, tmp_path: Path
) -> None:
    user = f"limited_{plant.url.partition('?')[0].rpartition('_')[2]}"
    plant.freeze()
    plant.sql(
        f"CREATE ROLE {user} LOGIN",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {user}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {user}",
    )
    plant.configure(store=plant.url.replace("postgres@", f"{user}@"))
    refused = call("worker", "--until-idle", cwd=tmp_path)
    statement = refused.err.partition("have the owner of the database run once: ")[2].strip()
    plant.sql(statement)
    done = call("worker", "--until-idle", cwd=tmp_path)
    plant.sql(f"DROP OWNED BY {user}", f"DROP ROLE {user}")

    assert 1 == refused.code
    assert f"the database's user {user} may not create the schema of the queue of workers" in refused.err
    assert statement.startswith('CREATE SCHEMA "public_jobs_')
    assert 0 == done.code, done.err
    assert plant.each_got_one(40)


def test_a_worker_whose_clock_is_off_is_refused_while_others_go_on(plant: Plant) -> None:
    plant.freeze()
    late = plant.hand(clock=ShiftedClock(-3600)).end()
    wrong = plant.hand(until_idle=False, clock=ShiftedClock(90))
    until(lambda: wrong.heard.troubles, "it has noticed")
    right = plant.hand().end()

    assert late.error is not None
    assert "this machine's clock is 3,600 s behind the database's: nothing is sent from here until it is set" == str(
        late.error
    )
    assert "this machine's clock is 90 s ahead of the database's" in str(wrong.heard.troubles[0])
    assert "NTP" in (wrong.heard.troubles[0].hint or "")
    assert (0, 40) == (wrong.heard.sent, right.heard.sent)
    assert plant.each_got_one(40)


def test_a_worker_whose_clock_is_set_goes_on(plant: Plant) -> None:
    clock = ShiftedClock(90)
    hand = plant.hand(until_idle=False, clock=clock)
    until(lambda: hand.heard.troubles, "it has noticed")
    plant.freeze(size=SIZE)
    time.sleep(2)
    before = plant.mail.taken
    clock.off = 0
    until(lambda: hand.heard.recoveries, "it has noticed again")
    until(lambda: plant.mail.taken == 40, "all is sent")

    assert 0 == before
    assert plant.each_got_one(40)


def test_two_projects_in_one_database_have_queues_of_their_own(
    plant: Plant, mail: Mail, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plant.sql("CREATE SCHEMA other")
    other = Plant(tmp_path_factory.mktemp("other"), f"{plant.url}&options=-csearch_path%3Dother", mail)
    with Mail() as theirs:
        other.mail = theirs
        other.configure(people=10)
        try:
            call("db", "migrate", cwd=other.folder)
            hands = [one.hand(until_idle=False) for one in (plant, other)]
            until(lambda: plant.store.workers() and other.store.workers(), "both are at work")
            plant.freeze(size=SIZE)
            other.freeze(size=SIZE)
            until(lambda: [40, 10] == [hand.heard.sent for hand in hands], "both issues are sent")
            schemas = plant.sql("SELECT schemaname FROM pg_tables WHERE tablename = 'procrastinate_jobs' ORDER BY 1")
        finally:
            other.finish()

    assert 10 == theirs.taken
    assert plant.each_got_one(40)
    assert 2 == len(schemas)
    assert ["other_jobs_", "public_jobs"] == [str(row[0])[:11] for row in schemas]


@pytest.mark.parametrize("words", [("db", "copy", "--to", "copy.db", "-y"), ("db", "adopt", "--sent", "-y")])
def test_a_database_is_not_moved_under_workers_who_send(plant: Plant, tmp_path: Path, words: tuple[str, ...]) -> None:
    slow(plant.mail, 0.3)
    plant.freeze()
    if "adopt" in words:
        plant.store.hold("is a copy")
        plant.store.adopt("", sent=False)
    hand = plant.hand()
    until(lambda: plant.mail.taken >= 1, "it sends")
    if "adopt" in words:
        plant.store.hold("is a copy")
    done = call(*words, cwd=tmp_path)
    hand.stop()
    hand.end()

    assert 75 == done.code, done.err
    assert "a worker or a send is sending from the database postgresql://" in done.err
    assert "SIGTERM" in done.err
    assert not (tmp_path / "copy.db").exists()


def test_a_worker_ends_when_the_state_has_moved(plant: Plant, tmp_path: Path) -> None:
    plant.freeze(size=SIZE)
    hand = plant.hand(until_idle=False)
    until(lambda: plant.mail.taken == 40 and not plant.store.senders(), "all is sent")
    # As another machine sees it: this one's newsletter.yaml says nothing new.
    with Store.open(str(tmp_path / "copy.db"), clock=SystemClock(), ids=counting_ids()) as other:
        plant.store.move_to(other)
    hand.end()

    assert isinstance(hand.error, MovedError)
    assert "the state of this project has moved to another database" in str(hand.error)
    assert "name the new one as `store` in newsletter.yaml" in (hand.error.hint or "")
