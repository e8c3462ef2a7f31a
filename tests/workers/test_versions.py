"""Rolling upgrades: programs of two versions side by side, and a database that is changed under a worker."""

import shutil
from pathlib import Path

import pytest

from newsletter import __version__
from newsletter.errors import SchemaError
from newsletter.model import DeliveryState
from newsletter.store.schema import REVISIONS
from tests.cli.conftest import call
from tests.conftest import ROOT
from tests.workers.crew import Mail, Plant, until


def slow(mail: Mail, seconds: float) -> None:
    mail.sink.script = lambda step: f"wait {seconds}" if step.name == "message" else None


def test_two_versions_send_one_issue_together(plant: Plant, tmp_path_factory: pytest.TempPathFactory) -> None:
    newer = tmp_path_factory.mktemp("newer")
    for name in ("newsletter", "templates"):
        shutil.copytree(ROOT / name, newer / name, ignore=shutil.ignore_patterns("__pycache__"))
    (newer / "newsletter" / "__init__.py").write_text('"""Newer."""\n\n__version__ = "9.9.9"\n')
    slow(plant.mail, 0.3)
    plant.freeze(size=2)
    with plant.process("--until-idle", "--concurrency", "1", python_path=newer) as process:
        until(lambda: plant.mail.taken, "the newer one sends")
        hand = plant.hand()
        until(lambda: len(plant.store.workers()) == 2, "both are at work")
        versions = {worker.version for worker in plant.store.workers()}
        hand.end()
        code = process.wait(60)

    assert {__version__, "9.9.9"} == versions
    assert (0, None) == (code, hand.error)
    assert plant.each_got_one(40)
    assert 0 < hand.heard.sent < 40


def test_a_worker_whose_database_gets_another_schema_ends_with_what_it_has_on_the_wire(plant: Plant) -> None:
    slow(plant.mail, 0.2)
    issue = plant.freeze()
    hands = [plant.hand(), plant.hand(until_idle=False)]
    until(lambda: plant.mail.taken >= 4, "some are sent")
    assert 2 == len(plant.store.workers())
    plant.sql("UPDATE newsletter_schema SET version_num = '9999'")
    for hand in hands:
        hand.end()

    for hand in hands:
        assert isinstance(hand.error, SchemaError)
    assert "was brought to another version while this program was at work" in str(hands[0].error)
    assert "start it again with the version that has done so" == (hands[0].error and hands[0].error.hint)
    counts = plant.store.counts(issue.id)
    assert {DeliveryState.sent: plant.mail.taken, DeliveryState.queued: 40 - plant.mail.taken} == counts
    assert 4 <= plant.mail.taken <= 24

    plant.sql(f"UPDATE newsletter_schema SET version_num = '{REVISIONS[-1]}'")
    plant.hand().end()

    assert plant.each_got_one(40)


@pytest.mark.parametrize(
    ("revision", "words", "hint"),
    [
        (REVISIONS[-2], "was written by an older version", "newsletter db migrate"),
        ("9999", "was written by a newer version of the program (schema 9999)", "pip install --upgrade"),
    ],
)
def test_a_worker_does_not_begin_on_a_database_of_another_version(
    plant: Plant, tmp_path: Path, revision: str, words: str, hint: str
) -> None:
    plant.freeze()
    plant.sql(f"UPDATE newsletter_schema SET version_num = '{revision}'")
    done = call("worker", "--until-idle", cwd=tmp_path)
    plant.sql(f"UPDATE newsletter_schema SET version_num = '{REVISIONS[-1]}'")

    assert 1 == done.code
    assert words in done.err
    assert hint in done.err
    assert 0 == plant.mail.taken
