"""`subscriber move`: nobody is lost and nobody is there twice, wherever it breaks off."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from newsletter.app import App
from newsletter.app.relocating import move_people
from newsletter.errors import BusyError, ConfigError, NewsletterError, UsageError
from newsletter.model import Subscriber
from newsletter.people.entry import Details
from newsletter.people.file import FileRoster
from tests.cli.conftest import Wire
from tests.conftest import FakeClock, counting_ids
from tests.killing import run_and_kill

CONFIG = "# ours\ntitle: T\nfrom: t@example.com   # who\nfeeds: []\ndigests: {daily: {}, weekly: {}}\n"
PEOPLE = """\
# our readers
- ada@example.com   # the first
- email: Grace@example.com
  name: Grace Hopper
  digests: [weekly]
  language: de-AT
  format: text
  timezone: Europe/Berlin
  tags: [vip, navy]
  attributes: {z: one, a: "two\\nlines"}
- konrad@bücher.example
"""
STEPS = {True: ["brought", "said", "settled", "set aside"], False: ["set aside", "written", "put", "said", "settled"]}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a memory, and nothing in it."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "newsletter.yaml").write_text(CONFIG)
    (folder / "subscribers.yaml").write_text(PEOPLE)
    app = opened(folder)
    assert app.store
    app.close()
    return folder


@pytest.fixture
def folder(empty: Path, tmp_path: Path) -> Path:
    return shutil.copytree(empty, tmp_path / "project")


def opened(folder: Path) -> App:
    return App.open(folder, clock=FakeClock(), ids=counting_ids())


def move(folder: Path, *, to_database: bool, on_step: Callable[[str], object] = lambda _: None) -> bool:
    app = opened(folder)
    try:
        return move_people(app, to_database=to_database, on_step=on_step).is_news
    finally:
        app.close()


def everybody(folder: Path) -> list[Subscriber]:
    """Whom a send would find."""
    app = opened(folder)
    try:
        return [replace(person, line=None) for person in app.roster.people()]
    finally:
        app.close()


def test_everything_that_is_known_moves_there_and_back(folder: Path) -> None:
    before = everybody(folder)

    assert move(folder, to_database=True)
    assert before == everybody(folder)
    assert f"{CONFIG}subscribers: database\n" == (folder / "newsletter.yaml").read_text()
    assert PEOPLE == (folder / "subscribers.yaml.moved").read_text()
    assert not (folder / "subscribers.yaml").exists()

    assert move(folder, to_database=False)
    assert before == everybody(folder)
    assert f"{CONFIG}subscribers: subscribers.yaml\n" == (folder / "newsletter.yaml").read_text()
    assert PEOPLE == (folder / "subscribers.yaml.moved").read_text()
    assert 0o600 == (folder / "subscribers.yaml").stat().st_mode & 0o777


def test_what_is_done_is_not_done_again(folder: Path) -> None:
    assert not move(folder, to_database=False)
    assert move(folder, to_database=True)
    assert not move(folder, to_database=True)
    assert move(folder, to_database=False)
    assert not move(folder, to_database=False)
    assert move(folder, to_database=True)

    assert ["subscribers.yaml.moved", "subscribers.yaml.moved-2"] == sorted(p.name for p in folder.glob("subscr*"))


def test_a_look_changes_nothing(wire: Wire) -> None:
    wire.configure(people=PEOPLE, more="digests: {daily: {}, weekly: {}}\n")
    before = {path: path.read_bytes() for path in wire.folder.iterdir()}

    done = wire("subscriber", "move", "--to", "database", "--dry-run", "--json")

    assert (0, {"dry_run": True, "to": "database", "people": 3, "file": "subscribers.yaml"}) == (
        done.code,
        {key: done.data[key] for key in ("dry_run", "to", "people", "file")},
    )
    assert "comments cannot move: subscribers.yaml would be kept as subscribers.yaml.moved" in done.err
    assert before == {path: path.read_bytes() for path in wire.folder.iterdir()}


def test_a_list_with_mistakes_stays_where_it_is(wire: Wire) -> None:
    wire.configure(people="- ada@example.com\n- bad@\n")
    done = wire("subscriber", "move", "--to", "database")

    assert 2 == done.code
    assert done.err.startswith("error: subscribers.yaml:2: 'bad@' is not an e-mail address")
    assert "subscribers: database" not in (wire.folder / "newsletter.yaml").read_text()
    assert (wire.folder / "subscribers.yaml").exists()


def test_a_move_waits_for_no_send(folder: Path) -> None:
    app = opened(folder)
    with app.store.lock(), pytest.raises(BusyError, match="at work on this project"):
        move(folder, to_database=True)
    app.close()

    assert CONFIG == (folder / "newsletter.yaml").read_text()


def test_people_on_both_sides_are_never_written_over(folder: Path) -> None:
    move(folder, to_database=True)
    app = opened(folder)
    app.roster.add("only@example.com")
    app.close()
    here = everybody(folder)
    (folder / "subscribers.yaml").write_text("- other@example.com\n")
    with pytest.raises(NewsletterError, match="is there already, and has people of its own"):
        move(folder, to_database=False)
    assert here == everybody(folder)

    (folder / "newsletter.yaml").write_text(CONFIG)
    for to_database in (True, False):
        with pytest.raises(NewsletterError, match="the database has a list of its own with 4 people"):
            move(folder, to_database=to_database)
    assert ["other@example.com"] == [person.email for person in everybody(folder)]

    (folder / "newsletter.yaml").write_text(CONFIG + "subscribers: database\n")
    assert here == everybody(folder)


def test_a_program_that_runs_on_does_not_begin_the_old_list_anew(folder: Path) -> None:
    """`newsletter serve` has read newsletter.yaml before the move."""
    old = opened(folder)
    move(folder, to_database=True)
    with pytest.raises(BusyError, match="have been moved into the database"):
        old.roster.add("new@example.com")
    old.close()
    assert not (folder / "subscribers.yaml").exists()

    old = opened(folder)
    old.roster.add("mary@example.com", Details(name="Mary"))
    move(folder, to_database=False)
    with pytest.raises(ConfigError, match=r"still, or again, in subscribers\.yaml"):
        old.roster.add("new@example.com")
    old.close()
    assert "mary@example.com" in [person.email for person in everybody(folder)]


@pytest.mark.parametrize(
    ("to_database", "step", "change"),
    [(to_database, step, bool(place % 2)) for to_database in STEPS for place, step in enumerate(STEPS[to_database])],
)
def test_broken_off_after_any_step_it_is_brought_to_its_end(
    folder: Path, to_database: bool, step: str, change: bool
) -> None:
    if not to_database:
        # So that there is an old file to be set aside.
        text = (folder / "subscribers.yaml").read_text()
        move(folder, to_database=True)
        (folder / "subscribers.yaml.moved").unlink()
        (folder / "subscribers.yaml").write_text(text)
    expected = everybody(folder)

    run_and_kill(
        lambda: move(folder, to_database=to_database, on_step=lambda done: os._exit(9) if done == step else None), 20
    )

    assert expected == everybody(folder)
    if change:
        app = opened(folder)
        with_mary = app.roster.add("mary@example.com", Details(tags=["new"]))
        app.close()
        expected.append(replace(with_mary, line=None))
        assert expected == everybody(folder)
    move(folder, to_database=to_database)
    assert expected == everybody(folder)
    said = (folder / "newsletter.yaml").read_text()
    assert f"{CONFIG}subscribers: {'database' if to_database else 'subscribers.yaml'}\n" == said
    assert to_database is not (folder / "subscribers.yaml").exists()
    assert [] == [path.name for path in folder.iterdir() if path.name.endswith((".moving", ".new"))]


def test_killed_at_random_moments_it_loses_nobody(folder: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    expected = everybody(folder)

    def work() -> None:
        while True:
            for to_database in (True, False):
                move(folder, to_database=to_database)

    for round_ in range(12):
        run_and_kill(work, chance.uniform(0.05, 0.5))
        assert expected == everybody(folder), f"seed {seed}, round {round_}"
    for to_database in (True, False):
        move(folder, to_database=to_database)
        assert expected == everybody(folder), f"seed {seed}"
    assert expected == [replace(one, line=None) for one in FileRoster(folder / "subscribers.yaml").people()]


def test_a_list_moves_into_a_server_as_well(folder: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSLETTER_STORE", postgres_url)
    before = everybody(folder)

    assert move(folder, to_database=True)
    assert before == everybody(folder)
    app = opened(folder)
    with pytest.raises(UsageError, match="is there already: in the database"):
        app.roster.add("GRACE@example.com")
    app.close()
    assert move(folder, to_database=False)
    assert before == everybody(folder)


def test_erasing_tells_of_the_old_file(wire: Wire) -> None:
    wire.configure(people=PEOPLE, more="digests: {daily: {}, weekly: {}}\n")
    wire("subscriber", "move", "--to", "database")

    done = wire("subscriber", "erase", "grace@example.com", "-y")

    assert "the entry in the database" in done.err
    assert "warning: subscribers.yaml.moved still has them" in done.err
    assert "2 people: 2 mailed" in wire("subscriber", "list").err
