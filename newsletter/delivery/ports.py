"""What delivery asks of others (a store, a connection) and what it tells them, no more than it needs."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from newsletter.delivery.attempt import Gate, Outcome
from newsletter.model import (
    Allowed,
    Delivery,
    DeliveryState,
    Issue,
    Need,
    Picture,
    Rendering,
    ServerLimits,
    Settlement,
    Spent,
)


class Writer(Protocol):
    """Writes intents and results, in the order they are handed in; answers after the commit."""

    def intend(self, delivery_id: int) -> "asyncio.Future[bool]":
        """Ask to send a delivery; False: it may not go."""
        ...

    def renew(self, delivery_id: int) -> "asyncio.Future[bool]":
        """Take back what was granted, if it may not go any more; False: it may not, and is ours no more."""
        ...

    def settle(self, settlement: Settlement) -> "asyncio.Future[None]":
        """Write how an attempt ended."""
        ...


class Shared(Protocol):
    """What all who send keep together; see `store.allowances` and `store.circuits`.  Used from any thread."""

    def allow(
        self,
        server: str,
        needs: Sequence[Need],
        spent: Sequence[Spent] = (),
        *,
        rules: str = "",
        past: Iterable[tuple[float, str]] | None = None,
    ) -> Allowed:
        """Grant what may begin now, and take back what was not used."""
        ...

    def settled_since(self, moment: datetime, limit: int) -> list[tuple[datetime, str]]:
        """When messages of any issue were answered for since then, and their domains; the last so many, oldest first."""
        ...


class Outbox(Shared, Protocol):
    """What delivery needs of the store."""

    @property
    def is_shared(self) -> bool:
        """Whether others may be sending too."""
        ...

    def taken_since(self, seconds: float) -> int:
        """How many messages a server has taken in the last seconds, from whatever machine."""
        ...

    def hold_server(self, server: str, seconds: float, reason: str) -> None:
        """Let all who send leave a server alone for a while."""
        ...

    def server_worked(self, server: str) -> None:
        """Let all who send use a server again that had failed."""
        ...

    def issue(self, number: int, digest: str) -> Issue | None:
        """The issue as it is now."""
        ...

    def rendering(self, issue_id: int, key: str) -> Rendering:
        """One rendering of an issue."""
        ...

    def pictures(self, issue_id: int) -> list[Picture]:
        """What travels inside the messages of an issue."""
        ...

    def due(self, issue_id: int, *, after_id: int, limit: int) -> list[Delivery]:
        """The next deliveries to attempt, in the order of their ids."""
        ...

    def server_limits(self, server: str) -> ServerLimits:
        """What has been learned of a server ("host:port")."""
        ...

    def learn_limits(self, server: str, limits: ServerLimits) -> None:
        """Remember what a server allows."""
        ...

    def may_go(self, delivery_id: int) -> bool:
        """Whether a message whose intent was granted may still begin; a look that waits for nobody."""
        ...

    def counts(self, issue_id: int) -> dict[DeliveryState, int]:
        """How many deliveries are in which state."""
        ...

    def next_attempt(self, issue_id: int) -> datetime | None:
        """When the first deferred delivery may be tried again."""
        ...

    def postponed(self, issue_id: int) -> tuple[int, datetime | None]:
        """How many deliveries wait for their hours, and until when the first of them does."""
        ...

    def postpone(self, issue_id: int, until: datetime | Mapping[str | None, datetime]) -> int:
        """Let everybody, or people of these time zones, wait for their hours."""
        ...

    def pause(self, issue_id: int, reason: str) -> None:
        """Let no further message of the issue begin."""
        ...

    def secret(self, name: str) -> bytes:
        """The project's secret of this name."""
        ...

    def outbox_writer(
        self, trace: Callable[[str], None], *, loop: asyncio.AbstractEventLoop
    ) -> AbstractContextManager[Writer]:
        """What writes intents and results, for one event loop."""
        ...


class Carrier(Protocol):
    """An open connection; see `transaction.Connection`."""

    @property
    def is_local(self) -> bool:
        """Whether what it carries stays on this machine."""
        ...

    @property
    def is_usable(self) -> bool:
        """Whether another message may be tried."""
        ...

    @property
    def begun(self) -> int:
        """How many messages were tried over it."""
        ...

    @property
    def accepted(self) -> int:
        """How many messages were taken over it."""
        ...

    async def transaction(self, *, sender: str, recipient: str, gate: Gate, message: Sequence[bytes]) -> Outcome:
        """Hand over one message; may be called while others are under way."""
        ...

    async def close(self) -> None:
        """Let what is under way end, take leave and close."""

    def abort(self, reason: str) -> None:
        """Close at once."""


class Transport(Protocol):
    """Opens connections; SMTP or files."""

    async def open(self) -> Carrier:
        """Open one that is ready for messages, or raise TransportError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run has come, for whoever watches.

    `total` is how many rows were not settled when it began; `suppressed` are
    those that turned out not to be ours to send any more.
    """

    total: int
    sent: int = 0
    deferred: int = 0
    failed: int = 0
    held: int = 0
    suppressed: int = 0

    @property
    def settled(self) -> int:
        """How many rows this run is done with."""
        # One that was deferred early in a long run may be due again before its end.
        return min(self.total, self.sent + self.deferred + self.failed + self.held + self.suppressed)
