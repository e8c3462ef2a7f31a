"""Lists brought together with the people there are: who is added, changed, suppressed, left out, and why.

First every row of every list is taken, then all is settled at once, for one row
can overrule another: who is unsubscribed in any of them is not mailed, in
whatever order they come.  A suppression that is there already wins over every
list.  Nothing is written here.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from newsletter.address import parse_address
from newsletter.errors import AddressError, UsageError
from newsletter.model import (
    REASONS_BY_STRENGTH,
    Consent,
    ConsentEvent,
    NewSuppression,
    Subscriber,
    SuppressionReason,
)
from newsletter.people.editing import difference
from newsletter.people.entry import CheckDigest, data_of, person_from, written
from newsletter.people.exchange.rejects import Rejects
from newsletter.people.exchange.rows import Row
from newsletter.people.exchange.spool import Spool
from newsletter.people.exchange.standing import Standing
from newsletter.text import one_line
from newsletter.yamlfile import Change, Data

#: Said of somebody who is in the file with other details.
DIFFERS = "the file says otherwise, or less"

#: Tells for many keys at once who is suppressed, and why.
Reasons = Callable[[Iterable[str]], Mapping[str, SuppressionReason]]


class Kind(StrEnum):
    """What becomes of a row."""

    added = "added"
    changed = "changed"
    unchanged = "unchanged"
    suppressed = "suppressed"  # the list says that they must not be mailed
    withheld = "withheld"  # the list says they may, a suppression that is here says they must not
    left_out = "left out"  # not confirmed, there twice, or overruled by another row
    rejected = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of one row; `place` is `file.csv:17`."""

    kind: Kind
    place: str
    email: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be done: entries changed by index, entries added, addresses suppressed."""

    changes: Mapping[int, Change]
    entries: "Entries"
    suppressions: tuple[NewSuppression, ...]

    @property
    def changes_anything(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes or self.suppressions or len(self.entries))


class Entries:
    """The entries that are added, read from disk each time they are asked for."""

    def __init__(self, spool: Spool, places: "array[int]") -> None:
        self._spool = spool
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Data]:
        return (written({"email": email, **details}) for _, _, email, details, _ in self._spool.fetch_all(self._places))

    def consents(self, at: datetime) -> Iterator[Consent]:
        """A line for the record of each: from which list, and what it says of when they asked."""
        for place, key, email, _, asked in self._spool.fetch_all(self._places):
            yield Consent(key=key, email=email, event=ConsentEvent.imported, at=at, source=place, note=asked)


@dataclass(slots=True)
class _Forbidden:
    """Somebody a list forbids: by the strongest word, which stands at `place`."""

    place: str
    email: str
    standing: Standing


class Merge:
    """Takes rows, then settles them.

    Args:
        check_digest: says why a person cannot have a digest.
        rejects: where rejected rows are kept.
        on_outcome: told what becomes of every row.
    """

    def __init__(self, check_digest: CheckDigest, rejects: Rejects, on_outcome: Callable[[Outcome], None]) -> None:
        self._check_digest = check_digest
        self._rejects = rejects
        self._tell = on_outcome
        self._spool = Spool()
        # By key: where the first row that may be mailed is kept, who must not be, who is in doubt.
        self._places: dict[str, int] = {}
        self._never: dict[str, _Forbidden] = {}
        self._doubtful: dict[str, str] = {}
        self.counts: Counter[Kind] = Counter()

    def close(self) -> None:
        """Let go of what was taken."""
        self._spool.close()

    # ---------------------------------------------------------------------- taking

    def take(self, shown: str, row: Row) -> None:
        """Take one row of the list `shown`."""
        place = f"{shown}:{row.line}"
        try:
            address = parse_address(row.email)
        except AddressError as error:
            self._reject(place, row, str(error) if row.email else row.trouble or "has no address")
            return
        key, standing = address.key, row.standing
        if standing.kind == "never":
            known = self._never.get(key)
            if known is None or known.standing.strength < standing.strength:
                self._never[key] = _Forbidden(place, address.email, standing)
                place = known.place if known else ""
            if known is not None:
                self._say(Kind.left_out, place, address.email, _already(place, self._never[key].place))
        elif standing.kind == "unclear" or row.trouble is not None:
            why = row.trouble or standing.why
            self._doubtful.setdefault(key, place)
            self._reject(place, row, why)
        elif standing.kind == "waits":
            self._say(Kind.left_out, place, address.email, f"has not confirmed: {standing.why}")
        else:
            self._take_willing(place, row, address.key, address.email)

    def _take_willing(self, place: str, row: Row, key: str, email: str) -> None:
        before = self._places.get(key)
        if before is not None:
            [first, *_] = self._spool.fetch(before)
            self._say(Kind.left_out, place, email, _already(place, first))
            return
        try:
            person = person_from({"email": email, **row.details}, self._check_digest)
        except UsageError as error:
            self._doubtful.setdefault(key, place)
            self._reject(place, row, str(error))
            return
        details = data_of(person)
        details.pop("email")
        self._places[key] = self._spool.add([place, key, email, details, row.asked])

    def _reject(self, place: str, row: Row, why: str) -> None:
        self._rejects.add(row, why)
        self._say(Kind.rejected, place, one_line(row.email, 100), why)

    def _say(self, kind: Kind, place: str, email: str, why: str = "") -> None:
        self.counts[kind] += 1
        self._tell(Outcome(kind=kind, place=place, email=email, why=why))

    # --------------------------------------------------------------------- settling

    def settle(self, people: Iterable[Subscriber], reasons: Reasons, *, update: bool) -> Settled:
        """Decide on every row that was taken.

        Args:
            people: who is in the file, in its order.
            reasons: who is suppressed.
            update: take over what the lists say about people who are there.
        """
        forbidden = reasons(self._places)
        in_file = set[str]()  # who must not be mailed, and stands there
        there: dict[str, tuple[Kind, str]] = {}  # by key: what becomes of who is in the file
        changes: dict[int, Change] = {}
        for index, person in enumerate(people):
            if person.key in self._never:
                in_file.add(person.key)
            if person.key not in self._places or self._overruled(person.key) or person.key in forbidden:
                continue
            try:
                change = self._change(person)
            except UsageError as error:
                there[person.key] = (Kind.left_out, f"cannot be brought together with the file: {error}")
                continue
            if change and update:
                changes[index] = change
                there[person.key] = (Kind.changed, ", ".join(dict.fromkeys(".".join(path) for path in change)))
            else:
                there[person.key] = (Kind.unchanged, DIFFERS if change else "")
        suppressions = tuple(self._suppressed(reasons, in_file))
        added = array("q")
        for place in self._places.values():
            where, key, email, *_ = self._spool.fetch(place)
            if (why := self._overruled(key)) is not None:
                self._say(Kind.left_out, where, email, why)
            elif key in forbidden:
                self._say(Kind.withheld, where, email, _withheld(forbidden[key]))
            elif key in there:
                kind, why = there[key]
                self._say(kind, where, email, why)
            else:
                added.append(place)
                self._say(Kind.added, where, email)
        return Settled(changes, Entries(self._spool, added), suppressions)

    def _suppressed(self, reasons: Reasons, in_file: Collection[str]) -> Iterator[NewSuppression]:
        known = reasons(self._never)
        for key, one in self._never.items():
            reason = one.standing.reason or SuppressionReason.manual
            has = known.get(key)
            if has is not None and REASONS_BY_STRENGTH.index(has) >= REASONS_BY_STRENGTH.index(reason):
                self._say(Kind.unchanged, one.place, one.email, f"is suppressed already ({has})")
                continue
            stays = "; stays in the file, and is not mailed" if key in in_file else ""
            self._say(Kind.suppressed, one.place, one.email, f"{reason} ({one.standing.why}){stays}")
            yield NewSuppression(key=key, email=one.email, reason=reason, note=f"{one.place}: {one.standing.why}")

    def _overruled(self, key: str) -> str | None:
        """Why a person who may be mailed by one row is not: another says otherwise."""
        if (forbidden := self._never.get(key)) is not None:
            return f"{forbidden.standing.reason} in {forbidden.place}"
        doubtful = self._doubtful.get(key)
        return doubtful and f"there is a row that cannot be used, {doubtful}"

    def _change(self, person: Subscriber) -> Change:
        """What the list knows more or otherwise about somebody who is there; what it does not say stays."""
        _, _, _, details, _ = self._spool.fetch(self._places[person.key])
        new = person_from({"email": person.email, **details}, self._check_digest)
        merged = replace(
            person,
            name=new.name or person.name,
            # Who gets all digests keeps getting all of them.
            digests=tuple(dict.fromkeys((*person.digests, *new.digests))) if person.digests else (),
            language=new.language or person.language,
            format=new.format if "format" in details else person.format,
            timezone=new.timezone or person.timezone,
            tags=tuple(dict.fromkeys((*person.tags, *new.tags))),
            attributes={**person.attributes, **new.attributes},
        )
        # Together they may be more than a person can have.
        return difference(person, person_from(data_of(merged), self._check_digest))


def _already(place: str, first: str) -> str:
    """Said of a second row about a person."""
    file, _, line = first.rpartition(":")
    return f"is there already, in {f'line {line}' if place.rpartition(':')[0] == file else first}"


def _withheld(reason: SuppressionReason) -> str:
    if reason is SuppressionReason.erased:
        return "was erased here, and does not come back"
    return f"is suppressed here ({reason}), which wins over every list"
