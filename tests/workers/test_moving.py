"""A project that moves from a file to PostgreSQL in the middle of an issue, where workers finish it."""

import asyncio

import pytest

from newsletter.app import App
from newsletter.app.send import Watcher, send
from newsletter.model import DeliveryState
from tests.cli.conftest import call
from tests.delivery.sink import Step
from tests.workers.crew import Plant


@pytest.mark.parametrize(
    ("after", "people"),
    [(1, 40), (23, 40), *(pytest.param(after, 1200, marks=pytest.mark.soak) for after in (3, 499, 777))],
)
def test_an_issue_that_moves_is_finished_by_workers(plant: Plant, after: int, people: int) -> None:
    plant.configure(people=people, store="newsletter.db")
    app, taken = App.open(plant.folder), 0

    async def begin() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def script(step: Step) -> str | None:
            nonlocal taken
            taken += step.name == "message"
            if taken >= after:
                loop.call_soon_threadsafe(stop.set)
            return None

        plant.mail.sink.script = script
        await send(app, None, watch=Watcher(), stop=stop)

    asyncio.run(begin())
    app.close()
    plant.mail.sink.script = lambda _: None
    before = plant.mail.taken
    moved = call("db", "copy", "--to", plant.url, "--replace", "-y", cwd=plant.folder)
    old = call("send", "-y", cwd=plant.folder, NEWSLETTER_STORE=str(plant.folder / "newsletter.db"))
    hands = [hand.end() for hand in plant.hands(2)]

    assert after <= before < people
    assert 0 == moved.code, moved.err
    assert (1, True) == (old.code, "has moved to postgresql://" in old.err)
    assert people - before == sum(hand.heard.sent for hand in hands)
    assert plant.each_got_one(people)
    assert {DeliveryState.sent: people} == plant.store.counts(plant.store.issues()[0].id)
