"""Whether `run` does its work, and in figures: what /healthz and /metrics answer."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Final

from newsletter.app.figures import at, figures, gauge
from newsletter.app.project import App
from newsletter.clock import Clock
from newsletter.delivery.ports import Progress
from newsletter.errors import NewsletterError
from newsletter.model import Draft, FeedNews, FetchProgress, FetchResult, Issue
from newsletter.stages import Watch
from newsletter.web.monitor import Metric, monitored

#: While nothing is due it looks once a minute.
_RESTING: Final = timedelta(minutes=3)
#: While it works something happens more often than this: no answer of a mail server is waited for longer than 600 s.
_WORKING: Final = timedelta(minutes=15)


class Pulse:
    """Told what `run` does, and asked from other threads how it is.

    Args:
        clock: what time it is.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._app: App | None = None
        self._until = clock.monotonic() + _RESTING.total_seconds()
        self._trouble: str | None = None
        #: When the last look ended that could do its work.
        self.last_look: datetime | None = None

    # ------------------------------------------------------------------ what `run` tells

    def opened(self, app: App | None) -> None:
        """The project is open, or closed for now."""
        self._app = app

    def beat(self, patience: timedelta = _WORKING) -> None:
        """Something has happened; the next thing will within that time."""
        self._until = self._clock.monotonic() + patience.total_seconds()

    def looked(self, error: NewsletterError | None = None) -> None:
        """A look has ended, well or not."""
        self._trouble = None if error is None else str(error)
        if error is None:
            self.last_look = self._clock.now()
        self.beat(_RESTING)

    def hearing(self, watch: Watch) -> Watch:
        """Somebody who watches a send, and lets this know that something happens."""
        return _Hearing(self, watch, self._clock)

    # ----------------------------------------------------------------- what monitors ask

    def monitored(self, host: str, port: int) -> AbstractAsyncContextManager[str]:
        """Answer monitors there, while the block lasts (`web.monitor`)."""
        return monitored(host, port, trouble=self.trouble, metrics=self.metrics)

    @property
    def is_late(self) -> bool:
        """Whether what should have happened has not."""
        return self._clock.monotonic() > self._until

    def trouble(self) -> str | None:
        """Why the program does not do its work, in a sentence; None: it does."""
        if self.is_late:
            return f"nothing has been looked at since {self.last_look or 'it began'}"
        if self._trouble is not None:
            return self._trouble
        try:
            if self._app is not None:
                self._app.store.issues(limit=1)
        except NewsletterError as error:
            return str(error)
        return None

    def metrics(self) -> list[Metric]:
        """The figures of the project.

        Raises:
            NewsletterError: they cannot be had now.
        """
        app = self._app
        found = [
            gauge("up", "Whether the program does its work.", [({}, self.trouble() is None)]),
            gauge("last_look_timestamp_seconds", "When it last looked what is due.", at({"": self.last_look}, "")),
        ]
        return found if app is None else [*found, *figures(app)]


class _Hearing:
    """Passes on what it hears of a send, with a beat for all that happens."""

    def __init__(self, pulse: Pulse, watch: Watch, clock: Clock) -> None:
        self._pulse = pulse
        self._watch = watch
        self._clock = clock

    def fetching(self, progress: FetchProgress) -> None:
        self._pulse.beat()
        self._watch.fetching(progress)

    def fetched(self, result: FetchResult) -> None:
        self._pulse.beat()
        self._watch.fetched(result)

    def heard(self, items: Sequence[FeedNews]) -> None:
        self._watch.heard(items)

    def finishing(self, issue: Issue) -> None:
        self._pulse.beat()
        self._watch.finishing(issue)

    def illustrated(self, draft: Draft) -> None:
        self._pulse.beat()
        self._watch.illustrated(draft)

    def agrees(self, draft: Draft, recipients: int) -> bool:
        return self._watch.agrees(draft, recipients)

    def frozen(self, issue: Issue) -> None:
        self._pulse.beat()
        self._watch.frozen(issue)

    def delivered(self, progress: Progress) -> None:
        self._pulse.beat()
        self._watch.delivered(progress)

    def watching(self, until: datetime, first: int) -> None:
        self._pulse.beat(until - self._clock.now() + _WORKING)
        self._watch.watching(until, first)
