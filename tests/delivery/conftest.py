"""What the delivery tests share: a store on disk, and runs of issues against a scripted server."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from newsletter.delivery.deliver import Progress, deliver
from newsletter.model import Delivery, DeliveryState, Issue, OnUnknown, SendReport
from newsletter.store import Store
from tests.conftest import FakeClock, counting_ids
from tests.delivery.samples import freeze, settings
from tests.delivery.sink import EXTENSIONS, Script, Sink


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=None, help="how often the crash test kills a send (200)")
    parser.addoption("--crash-seed", type=int, default=None, help="the seed of the crash test")


@dataclass
class Ran:
    """What came of a run: the report, the server, what a watcher was told."""

    report: SendReport
    sink: Sink
    progress: list[Progress]


@dataclass
class Office:
    """A store and a clock, and what is done with them."""

    store: Store
    clock: FakeClock
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def freeze(self, emails: Iterable[str], **other: Any) -> Issue:
        """A new issue for these people; see `samples.freeze`."""
        return freeze(self.store, emails, number=next(self.numbers), **other)

    def send(
        self,
        issue: Issue,
        script: Script = lambda _: None,
        *,
        extensions: tuple[str, ...] = EXTENSIONS,
        on_unknown: OnUnknown = OnUnknown.resend,
        **other: object,
    ) -> Ran:
        """Deliver an issue to a server that follows the script; `other` are settings."""

        async def go() -> Ran:
            async with Sink(script, extensions) as sink:
                progress: list[Progress] = []
                report = await deliver(
                    issue,
                    self.store,
                    settings(sink, **other),
                    clock=self.clock,
                    on_unknown=on_unknown,
                    on_progress=progress.append,
                )
                return Ran(report, sink, progress)

        return asyncio.run(go())

    def row(self, issue: Issue, email: str) -> Delivery:
        """The delivery of this issue to this person."""
        (found,) = self.store.deliveries(issue.id, email_key=email)
        return found

    def states(self, issue: Issue) -> dict[str, DeliveryState]:
        """What has become of everybody's delivery."""
        return {row.email: row.state for row in self.store.deliveries(issue.id)}

    def reason(self, issue: Issue) -> str | None:
        """Why the issue is paused; None if it is open."""
        now = self.store.issue(issue.number, issue.digest)
        assert now is not None
        return now.state_reason if now.state.value == "paused" else None


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """One store for the tests of a module; each freezes an issue of its own."""
    clock = FakeClock()
    path = tmp_path_factory.mktemp("store") / "newsletter.db"
    with Store.open(str(path), clock=clock, ids=counting_ids()) as store:
        yield Office(store, clock)
