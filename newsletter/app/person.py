"""`subscriber show`: everything that is stored about a person, one function per kind of fact.

A new kind of fact is a function that looks it up and a line in KINDS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from newsletter.address import Address, parse_address
from newsletter.app.explain import find_person
from newsletter.app.project import App
from newsletter.app.status import rows_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is stored about a person in one place, or that it is nothing.

    `pairs` are a label and a value each; `rows` are for several facts of a kind,
    under `columns`.  `data` is the same for machines.  `trouble` says why this
    may not be all.
    """

    kind: str
    data: Any
    pairs: tuple[tuple[str, object], ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()
    trouble: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not (self.pairs or self.rows)


def facts_about(app: App, email: str) -> tuple[Address, list[Facts]]:
    """Look up everything that is stored about a person; changes nothing.

    Raises:
        AddressError: that is no address.
    """
    address = parse_address(email.strip())
    return address, [look(app, address) for look in KINDS]


def _in_the_list(app: App, address: Address) -> Facts:
    person, mistakes = find_person(app, address)
    trouble = mistakes and f"the list has mistakes, and the person may stand behind them: {mistakes}"
    if person is None:
        return Facts(kind="list", data=None, trouble=trouble)
    pairs: list[tuple[str, object]] = [
        ("place", app.roster.place_of(person)),
        ("email", person.email),
        ("name", person.name),
        ("digests", ", ".join(person.digests) or "all"),
        ("language", person.language or f"{app.config.language} (the project's)"),
        ("format", person.format),
        ("timezone", person.timezone or ""),
        ("tags", ", ".join(person.tags)),
        *((f"attributes.{key}", value) for key, value in person.attributes.items()),
    ]
    return Facts(kind="list", data=person, pairs=tuple(pair for pair in pairs if pair[1]), trouble=trouble)


def _suppressions(app: App, address: Address) -> Facts:
    found = app.memory.suppressions_of(address.key)
    return Facts(
        kind="suppressions",
        data=found,
        columns=("digest", "reason", "since", "note"),
        rows=tuple((one.digest or "all", one.reason, one.since, one.note) for one in found),
    )


def _pauses(app: App, address: Address) -> Facts:
    found = app.memory.pauses_of(address.key)
    rows = tuple((one.digest or "all", one.until) for one in found)
    return Facts(kind="pauses", data=found, columns=("digest", "until"), rows=rows)


def _consents(app: App, address: Address) -> Facts:
    found = app.memory.consents_of(address.key)
    return Facts(
        kind="consents",
        data=found,
        columns=("when", "what", "digest", "source", "note"),
        rows=tuple((one.at, one.event, one.digest or "all", one.source, one.note) for one in found),
    )


def _deliveries(app: App, address: Address) -> Facts:
    found = app.memory.deliveries(email_key=address.key, newest_first=True)
    rows = rows_of(app, found) if found else []
    return Facts(
        kind="deliveries",
        data=rows,
        columns=("issue", "state", "when", "last answer"),
        rows=tuple((one.issue, one.state, one.settled_at or one.next_attempt_at, one.answer) for one in rows),
    )


#: The places where something about a person may be stored, in the order in which they are shown.
KINDS: tuple[Callable[[App, Address], Facts], ...] = (_in_the_list, _suppressions, _pauses, _consents, _deliveries)
