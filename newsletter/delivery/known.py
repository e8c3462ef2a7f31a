"""The personal links of what is still to be sent, known also after the secret behind them was replaced."""

from collections.abc import Mapping
from typing import Final, Protocol

from newsletter.delivery.links import Tokens
from newsletter.model import UNSETTLED, Delivery, DeliveryState, Issue

_CHUNK: Final = 1000


class Links(Protocol):
    """What knowing links takes of the store."""

    def secret(self, name: str) -> bytes:
        """The project's secret of this name."""
        ...

    def links_secret(self) -> str:
        """The name of the secret that new links are made with."""
        ...

    def remember_links(self, digest: str, keys_by_token: Mapping[str, str]) -> None:
        """Know tokens from now on."""
        ...

    def deliveries(
        self, issue_id: int | None, state: DeliveryState | None, email_key: str | None, limit: int | None, after_id: int
    ) -> list[Delivery]:
        """Deliveries that fit all that is given, in the order of their ids."""
        ...


def know_links(issue: Issue, store: Links) -> None:
    """See to it that an issue's links lead somewhere before any of it is sent.

    They are known since it was frozen, unless links have been revoked since: the
    issue keeps its secret, for a message that is sent again must be the same.
    """
    if issue.envelope.links_secret == store.links_secret():
        return
    link_of = Tokens(store.secret(issue.envelope.links_secret), issue.digest).of
    for state in UNSETTLED:
        after = 0
        while rows := store.deliveries(issue.id, state, None, _CHUNK, after):
            store.remember_links(issue.digest, {link_of(row.key): row.key for row in rows})
            after = rows[-1].id
