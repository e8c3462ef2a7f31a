"""The world of the simulation: a publisher's project, its readers, a mail server, and what happens to all of them.

`World.send` is one `newsletter send`, from the lock to the last answer; what goes
wrong meanwhile is a `Plan`.  After each, `Judge.look` holds the promises against
what the server has and what the rows say; `World.settle` makes everything well
and sends until nothing is left.
"""

import asyncio
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from newsletter import pipeline
from newsletter.app.send import Watcher
from newsletter.delivery.limits import Rate
from newsletter.delivery.smtp import SmtpSettings
from newsletter.errors import BusyError
from newsletter.hours import Hours
from newsletter.issues.render import Templates, default_templates
from newsletter.model import CanaryRule, Issue, IssueState, OnUnknown, SuppressionReason
from newsletter.stages import Sent
from newsletter.store.store import Store
from tests.conftest import START, counting_ids
from tests.pipeline.parts import parts_for, publication_for, reader
from tests.simulation.judge import Judge
from tests.simulation.process import Process, Trigger, open_file
from tests.simulation.server import Fault, Server, Traits
from tests.simulation.timeline import Loop, Stuck, Timeline
from tests.simulation.wire import Transport, Wire

#: Where readers are, in turn; None: where the publisher is.
_ZONES = (None, "Asia/Tokyo", "America/New_York", "Pacific/Honolulu")
#: Rounds after which a world that is well must have nothing left.
_ROUNDS = 12


@dataclass(frozen=True)
class Setting:
    """What a life is like from beginning to end."""

    people: int = 6
    connections: int = 2
    window: int = 1
    per_connection: int | None = None
    rates: tuple[str, ...] = ()
    per_domain: tuple[str, ...] = ()
    on_unknown: OnUnknown = OnUnknown.resend
    canary: bool = False
    hours: Hours | None = None
    traits: Traits = field(default_factory=Traits)


@dataclass(frozen=True)
class Meddling:
    """What somebody does while a send is under way.

    `what`: unsubscribe, pause, resume, cancel, stop (SIGTERM), send (a second process), jump, down, up.
    `amount`: whose turn it is, or how many seconds.
    """

    when: Trigger
    what: str
    amount: int = 0


@dataclass(frozen=True)
class Plan:
    """What happens during one send."""

    faults: tuple[Fault, ...] = ()
    meddling: tuple[Meddling, ...] = ()
    fate: Trigger | None = None


_NOTHING = Plan()


@cache
def _templates() -> Templates:
    """A letter without a style sheet: how it looks is tested elsewhere, and takes time."""
    return Templates((Path(__file__).with_name("letter"), default_templates()))


@dataclass
class _Site:
    """The one feed."""

    path: Path
    stories: list[str] = field(default_factory=list)


class _Watch(Watcher):
    """Notes where one issue ends and the next begins."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def finishing(self, issue: Issue) -> None:
        self._process.starts.append([])

    def frozen(self, issue: Issue) -> None:
        self._process.starts.append([])


class World:
    """One life; a context manager.

    Args:
        seed: decides how long everything takes, and in which pieces it comes.
        setting: what it is like.
    """

    def __init__(self, seed: int, setting: Setting) -> None:
        self.setting = setting
        self.timeline = Timeline(random.Random(seed))
        self._folder = tempfile.TemporaryDirectory(prefix="newsletter-simulation-")
        folder = Path(self._folder.name)
        self._site = _Site(folder / "feed.xml")
        self._ids = counting_ids("simulation")
        self.people = [
            f"reader{number}@{('one', 'two')[number % 2]}.example.com" for number in range(1, setting.people + 1)
        ]
        self._parts = parts_for(
            folder,
            [self._site],
            clock=self.timeline,
            ids=self._ids,
            people=[
                replace(reader(email), timezone=zone) for email, zone in zip(self.people, cycle(_ZONES), strict=False)
            ],
            first_run=None,
            on_unknown=setting.on_unknown,
        )
        self._parts = replace(self._parts, hours={"daily": setting.hours})
        self._path = folder / "newsletter.db"
        self._parts.store.close()
        #: What people do at another terminal.
        self.console = Store(open_file(self._path, None), self.timeline, self._ids)
        rule = CanaryRule(first=2, wait=60.0, stop_at=0.6) if setting.canary else None
        self._publication = replace(
            publication_for([self._site]), templates=_templates(), list_id="daily.example.com", canary=rule
        )
        self.server = Server(self.timeline, setting.traits)
        self.judge = Judge(
            self.console,
            self.server,
            self.people,
            setting.on_unknown,
            connections=setting.connections,
            window=setting.window,
        )
        self.server.on_taken = self.judge.look_at_the_wire
        self._smtp = SmtpSettings(
            host="127.0.0.1",
            port=25,
            tls="none",
            connections=setting.connections,
            window=setting.window,
            per_connection=setting.per_connection,
            rates=tuple(map(Rate.parse, setting.rates)),
            per_domain={"one.example.com": tuple(map(Rate.parse, setting.per_domain))} if setting.per_domain else {},
        )
        self._processes = 0
        self._stopped_at: float | None = None
        self._running: Process | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.console.close()
        self._folder.cleanup()

    # ------------------------------------------------------------- what people do

    def publish(self) -> None:
        """Another story."""
        number = len(self._site.stories) + 1
        date = format_datetime(self.timeline.now())
        self._site.stories.append(
            f"<item><title>Story {number}</title><link>https://news.example.com/{number}</link>"
            f'<guid isPermaLink="false">tag:{number}</guid><description>Part {number}.</description>'
            f"<pubDate>{date}</pubDate></item>"
        )
        items = "".join(reversed(self._site.stories))
        self._site.path.write_text(
            '<?xml version="1.0"?><rss version="2.0"><channel><title>News</title>'
            f"<link>https://news.example.com/</link><description/>{items}</channel></rss>",
            encoding="utf-8",
        )
        self.timeline.log(f"story {number}")

    def fetch(self) -> None:
        """`newsletter fetch`, between two sends."""
        process = self._process()
        results = process.run(pipeline.fetch(replace(self._parts, store=process.store), self._publication.feeds))
        assert results is not None
        self.timeline.log(f"fetch: {sum(one.offered for one in results)} offered")

    def meddle(self, what: str, amount: int = 0) -> None:
        """Something that is done beside a send, or between two."""
        self.timeline.log(f"{what} {amount}")
        match what:
            case "unsubscribe":
                email = self.people[amount % len(self.people)]
                self.console.suppress(email, email, SuppressionReason.unsubscribed)
                self.judge.unsubscribed(email)
            case "pause" | "resume" | "cancel":
                if (issue := self._latest()) is not None:
                    self._decide(issue, what)
            case "jump":
                self.timeline.jump(amount)
            case "down" | "up":
                self.server.is_down = what == "down"
            case "send":
                self._second_send()
            case _:
                raise ValueError(what)

    def _decide(self, issue: Issue, what: str) -> None:
        if what == "pause":
            self.console.pause(issue.id, "")
            self.judge.paused(issue)
        elif what == "resume":
            self.console.resume(issue.id)
            self.judge.resumed(issue)
        else:
            released = self.console.cancel(issue.id)
            self.judge.cancelled(issue, released=released)

    def _latest(self) -> Issue | None:
        issues = [issue for issue in self.console.issues("daily") if issue.state is not IssueState.cancelled]
        return issues[0] if issues else None

    def _second_send(self) -> None:
        """A process that wants to send while another one does, or may."""
        is_busy = self._running is not None and not self._running.is_over
        try:
            with self.console.lock():
                refused = False
        except BusyError:
            refused = True
        assert is_busy == refused, "a second send was let in" if is_busy else "a lock outlived its process"

    # ------------------------------------------------------------------- one send

    def send(self, plan: Plan = _NOTHING) -> str:
        """One `newsletter send`; what came of it: `killed`, or what it says."""
        self.server.plan(list(plan.faults))
        self._stopped_at = None
        stop = asyncio.Event()
        sessions, jumps = len(self.server.sessions), self.timeline.jumps
        process = self._process(plan.fate)
        process.triggers = self._triggers(plan.meddling, process, stop)
        self.timeline.log(f"process {process.number} begins")
        parts = replace(self._parts, store=process.store)

        async def work() -> Sent:
            with process.store.lock():
                return await pipeline.send(
                    parts,
                    self._publication,
                    self._smtp,
                    # Each its own; on a wall, where people's own hours are waited for.
                    slot=f"{START + timedelta(minutes=process.number):%Y-%m-%d %H:%M}",
                    watch=_Watch(process),
                    stop=stop,
                )

        sent = process.run(work())
        assert process.is_dead == (sent is None)
        ended = self.timeline.seconds
        told = "killed" if sent is None else _told(sent)
        self.timeline.log(f"process {process.number} {told}")
        assert process.troubles == []
        if sent is not None and self._stopped_at is not None:
            assert ended - self._stopped_at < 60, "it was asked to stop, and went on"
        if process.is_dead:
            # What it had written is still under way.
            self.timeline.pass_by(5.0)
        self.judge.look(process)
        if self.setting.hours is not None and self.timeline.jumps == jumps:
            self.judge.look_at_hours(process, self.setting.hours)
        if plan == _NOTHING and not self.server.is_down:
            self.judge.look_at_connections(sessions)
        if not self.setting.canary:
            self.judge.look_at_rates(process, self._smtp.rates)
            for domain, rates in self._smtp.per_domain.items():
                self.judge.look_at_rates(process, rates, domain=domain)
        for line in self.judge.rows():
            self.timeline.log(line)
        return told

    def _process(self, fate: Trigger | None = None) -> Process:
        self._processes += 1
        process = Process(self.timeline, self._path, number=self._processes, ids=self._ids, dial=self._dial, fate=fate)
        self._running = process
        return process

    def _triggers(
        self, meddling: tuple[Meddling, ...], process: Process, stop: asyncio.Event
    ) -> dict[Trigger, Callable[[], None]]:
        def halt() -> None:
            if not process.is_over:
                self.timeline.log("stop")
                self._stopped_at = self.timeline.seconds
                process.loop.call_soon(stop.set)

        return {
            one.when: halt if one.what == "stop" else partial(self.meddle, one.what, one.amount) for one in meddling
        }

    async def _dial(self, process: Process, loop: Loop, protocol: Any) -> Transport:
        fault = self.server.fault("connect")
        if fault == "silence":
            await asyncio.sleep(100_000)
        await asyncio.sleep(self.timeline.a_while(0.05))
        if self.server.is_down or fault == "refuse":
            raise ConnectionRefusedError(111, "Connection refused")
        wire = Wire(self.timeline, process, loop, capacity=self.server.traits.capacity, delay=0.05)
        process.on_end.append(partial(wire.hang_up, abruptly=True))
        wire.transport.set_protocol(protocol)
        protocol.connection_made(wire.transport)
        wire.peer = self.server.join(wire)
        return wire.transport

    # -------------------------------------------------------------------- the end

    def settle(self) -> None:
        """Make everything well, and send until nothing is left; then nobody may be missing."""
        for _ in range(_ROUNDS):
            for issue in self.console.issues("daily"):
                if issue.state is IssueState.paused:
                    self._decide(issue, "resume")
            self.timeline.pass_by(max(7_200.0, 0.0, *map(self._wait, self.console.unfinished())))
            self.server.is_down = False
            told = self.send()
            if told == "nothing left" and not self.console.unfinished():
                break
        else:
            raise Stuck(f"after {_ROUNDS} sends there is still something left: {told}")
        self.judge.at_last()
        left = self.console.waiting("daily", [str(self._site.path)])
        assert [] == left, "stories that no issue has"

    def _wait(self, issue: Issue) -> float:
        """Seconds until somebody is tried again; a clock that was put back makes it later, by as much and no more."""
        found = (self.console.next_attempt(issue.id), self.console.postponed(issue.id)[1])
        due = max((moment for moment in found if moment is not None), default=self.timeline.now())
        seconds = (due - self.timeline.now()).total_seconds()
        longest = 4_000 if self.setting.hours is None else 2 * 86_400
        assert seconds <= longest + self.timeline.put_back, "somebody waits for too long"
        return seconds


def _told(sent: Sent) -> str:
    """What a send says of itself, on one line."""
    reports = [*sent.finished, *([sent.report] if sent.report else [])]
    if not reports and sent.draft is not None and not sent.draft.total:
        return "nothing left"
    return "; ".join(
        f"issue {report.issue.number}: {' '.join(f'{state}={count}' for state, count in report.counts.items())}"
        + (f" stopped: {report.stopped}" if report.stopped else "")
        for report in reports
    )
