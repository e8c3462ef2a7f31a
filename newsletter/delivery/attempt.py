"""One attempt to hand over one message: the gate it passes, and how it ends."""

from dataclasses import dataclass
from typing import Protocol

from newsletter.delivery.replies import Phase, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt to hand over one message ended; `code` is None where no reply decided it.

    `is_stale`: the connection had carried others and ended before it came to
    this message; servers do so, it is nobody's failure, and another connection
    is worth a try at once.
    """

    verdict: Verdict
    phase: Phase | None = None
    code: int | None = None
    text: str = ""
    is_stale: bool = False

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip() if self.code is not None else self.text


class Gate(Protocol):
    """What stands between a message and its last byte: the intent to send it, on disk."""

    async def ready(self) -> bool:
        """Wait until the message may begin, at once: what its turn has allowed may have lapsed; False withholds it."""
        ...

    def begin(self) -> None:
        """The first command of the message is written now; again where a first try came to nothing."""

    def hurry(self) -> None:
        """Ask for the intent now, if that is possible without waiting; it will be wanted soon."""

    async def open(self) -> bool:
        """Wait for the intent; False withholds the message.

        Opened last when nothing else is waited for: where time has passed since
        the last time, it is looked again whether the message may go.

        Raises:
            StoreError: it could not be written.
        """
        ...


class AlwaysOpen:
    """The gate of a message of which no record is kept."""

    async def ready(self) -> bool:
        """It may begin."""
        return True

    def begin(self) -> None:
        """Nobody counts it."""

    def hurry(self) -> None:
        """Nothing to wait for."""

    async def open(self) -> bool:
        """It is open."""
        return True
