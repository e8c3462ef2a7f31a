"""What programs say that stay up, a line each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from newsletter.cli.output import Output
from newsletter.cli.report import detail_polls, say_polls

if TYPE_CHECKING:
    from newsletter.app.due import Looks
    from newsletter.errors import NewsletterError
    from newsletter.model import FetchResult


class StayingUp:
    """Says what happens in `run` and in `worker` alike; each adds what is its own."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def monitored(self, address: str) -> None:
        """Monitors are answered there."""
        text = f"monitors are answered at {address}/healthz and {address}/metrics"
        self._out.say(text, event="run.listening", address=address)

    def looked(self, found: "Looks") -> None:
        """All digests were looked at."""
        from newsletter.cli.send import tell_looks

        tell_looks(self._out, found, also_nothing=False)

    def polled(self, results: "Sequence[FetchResult]") -> None:
        """Feeds whose time had come were asked."""
        detail_polls(self._out, results)
        if any(result.new for result in results):
            say_polls(self._out, results)

    def troubled(self, error: "NewsletterError") -> None:
        """Something does not work, and is tried again."""
        self._out.error(str(error), error.hint, event="run.troubled")

    def recovered(self) -> None:
        """It works again."""
        self._out.say("it works again", event="run.recovered")
