"""How a send is going, in figures: rate, time left, and who did not get it at once."""

from typing import TYPE_CHECKING, Final

from newsletter.cli.report import plural
from newsletter.text import duration, per_second

if TYPE_CHECKING:
    from newsletter.clock import Clock
    from newsletter.delivery.deliver import Progress

#: Seconds between two lines where there is no terminal for a bar.
EVERY: Final = 30.0
#: Seconds before a rate means anything.
_WARM_UP: Final = 1.0


class Meter:
    """Turns the progress of one issue's run into words.

    Args:
        clock: measures the rate; the run begins now.
    """

    def __init__(self, clock: "Clock") -> None:
        self._clock = clock
        self._began = clock.monotonic()
        self._told = self._began

    def note(self, progress: "Progress") -> str:
        """What stands beside a bar that shows how many of how many: `41/s, 12 s left, 2 deferred, 1 failed`."""
        words = []
        rate = self._rate(progress)
        if rate:
            words.append(per_second(rate))
            if left := progress.total - progress.settled:
                words.append(f"{duration(left / rate)} left")
        troubles = (
            ("deferred", progress.deferred),
            ("failed", progress.failed),
            ("held", progress.held),
            ("suppressed", progress.suppressed),
        )
        words += [f"{number:,} {state}" for state, number in troubles if number]
        return ", ".join(words)

    def line(self, progress: "Progress") -> str | None:
        """A line for a log, every 30 seconds; None in between."""
        now = self._clock.monotonic()
        if now - self._told < EVERY:
            return None
        self._told = now
        note = self.note(progress)
        done = f"{progress.sent:,} of {plural(progress.total, 'message')} sent"
        return f"{done}, {note}" if note else done

    def _rate(self, progress: "Progress") -> float:
        seconds = self._clock.monotonic() - self._began
        return progress.settled / seconds if seconds >= _WARM_UP else 0.0
