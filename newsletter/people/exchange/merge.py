"""Lists brought together with the people there are: who is added, changed, suppressed, left out, and why.

First every row of every list is taken, then all is settled at once, for one row
can overrule another: who is unsubscribed in any of them is not mailed, in
whatever order they come.  A suppression that is there already wins over every
list.  What was read waits on disk, so that a million rows need no memory; nothing
is written to the list here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import Any

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
from newsletter.people.entry import CheckDigest, data_of, person_at, person_from, person_of_data
from newsletter.people.exchange.ledger import Forbidden, Ledger
from newsletter.people.exchange.rejects import Rejects
from newsletter.people.exchange.rows import Row
from newsletter.people.exchange.spool import Spool
from newsletter.people.roster import Draft
from newsletter.text import one_line

#: Said of somebody who is there with other details.
DIFFERS = "says otherwise, or less"

#: How many people are looked up at once.
_AT_ONCE = 500

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


class Settled:
    """What is to be done, kept on disk: people changed, people added, addresses suppressed."""

    def __init__(self) -> None:
        self._changed, self._added, self._suppressed = Spool(), Spool(), Spool()

    def close(self) -> None:
        """Let go of it."""
        for spool in (self._changed, self._added, self._suppressed):
            spool.close()

    @property
    def changes_anything(self) -> bool:
        """Whether there is anything to do."""
        return bool(len(self._changed) or len(self._added) or len(self._suppressed))

    def change(self, before: Subscriber, after: Subscriber) -> None:
        """Note that somebody is to be another way."""
        self._changed.add([data_of(before), data_of(after)])

    def add(self, place: str, wire: str, key: str, person: Mapping[str, object], asked: str) -> None:
        """Note that somebody is to be added, as `data_of` has them."""
        self._added.add([place, wire, key, person, asked])

    def suppress(self, one: NewSuppression) -> None:
        """Note that somebody must not be mailed."""
        self._suppressed.add([one.key, one.email, one.reason.value, one.note])

    @property
    def changes(self) -> Iterator[tuple[Subscriber, Subscriber]]:
        """People as they are, and as they are meant."""
        return ((person_of_data(before), person_of_data(after)) for before, after in self._changed)

    @property
    def people(self) -> "AddedPeople":
        """Who is added."""
        return AddedPeople(self._added)

    @property
    def suppressions(self) -> Iterator[NewSuppression]:
        """Who must not be mailed."""
        for key, email, reason, note in self._suppressed:
            yield NewSuppression(key=key, email=email, reason=SuppressionReason(reason), note=note)


class AddedPeople:
    """The people who are added, read from disk each time they are asked for."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def __len__(self) -> int:
        return len(self._spool)

    def __iter__(self) -> Iterator[Subscriber]:
        return (person_at(data["email"], wire, key, data) for _, wire, key, data, _ in self._spool)

    def consents(self, at: datetime) -> Iterator[Consent]:
        """A line for the record of each: from which list, and what it says of when they asked."""
        for place, _, key, data, asked in self._spool:
            yield Consent(key=key, email=data["email"], event=ConsentEvent.imported, at=at, source=place, note=asked)


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
        # The first row of each person who may be mailed, in the order of the lists.
        self._willing = Spool()
        self._ledger = Ledger()
        self.settled = Settled()
        self.counts: Counter[Kind] = Counter()

    def close(self) -> None:
        """Let go of what was taken."""
        self._willing.close()
        self._ledger.close()
        self.settled.close()

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
            known = self._ledger.forbidden(key)
            now = known
            if known is None or known.standing.strength < standing.strength:
                now = Forbidden(key, place, address.email, standing)
                self._ledger.forbid(now)
                place = known.place if known else ""
            if known is not None and now is not None:
                self._say(Kind.left_out, place, address.email, _already(place, now.place))
        elif standing.kind == "unclear" or row.trouble is not None:
            self._ledger.doubt(key, place)
            self._reject(place, row, row.trouble or standing.why)
        elif standing.kind == "waits":
            self._say(Kind.left_out, place, address.email, f"has not confirmed: {standing.why}")
        else:
            self._take_willing(place, row, key, address.email)

    def _take_willing(self, place: str, row: Row, key: str, email: str) -> None:
        before = self._ledger.willing(key, place)
        if before is not None:
            self._say(Kind.left_out, place, email, _already(place, before))
            return
        try:
            person = person_from({"email": email, **row.details}, self._check_digest)
        except UsageError as error:
            self._ledger.not_willing(key)
            self._ledger.doubt(key, place)
            self._reject(place, row, str(error))
            return
        self._willing.add([place, person.wire_email, key, data_of(person), "format" in row.details, row.asked])

    def _reject(self, place: str, row: Row, why: str) -> None:
        self._rejects.add(row, why)
        self._say(Kind.rejected, place, one_line(row.email, 100), why)

    def _say(self, kind: Kind, place: str, email: str, why: str = "") -> None:
        self.counts[kind] += 1
        self._tell(Outcome(kind=kind, place=place, email=email, why=why))

    # --------------------------------------------------------------------- settling

    def settle(self, draft: Draft, reasons: Reasons, *, update: bool) -> Settled:
        """Decide on every row that was taken.

        Args:
            draft: the list.
            reasons: who is suppressed.
            update: take over what the lists say about people who are there.
        """
        for forbidden in self._ledger.all_forbidden():
            self._suppress(forbidden, draft, reasons)
        waiting = iter(self._willing)
        while part := list(islice(waiting, _AT_ONCE)):
            self._settle(part, draft, reasons, update=update)
        return self.settled

    def _suppress(self, everybody: list[Forbidden], draft: Draft, reasons: Reasons) -> None:
        keys = [one.key for one in everybody]
        known, there = reasons(keys), draft.among(keys)
        for one in everybody:
            reason = one.standing.reason or SuppressionReason.manual
            has = known.get(one.key)
            if has is not None and REASONS_BY_STRENGTH.index(has) >= REASONS_BY_STRENGTH.index(reason):
                self._say(Kind.unchanged, one.place, one.email, f"is suppressed already ({has})")
                continue
            stays = f"; stays in {draft.called}, and is not mailed" if one.key in there else ""
            self._say(Kind.suppressed, one.place, one.email, f"{reason} ({one.standing.why}){stays}")
            note = f"{one.place}: {one.standing.why}"
            self.settled.suppress(NewSuppression(key=one.key, email=one.email, reason=reason, note=note))

    def _settle(self, part: list[list[Any]], draft: Draft, reasons: Reasons, *, update: bool) -> None:
        keys = [key for _, _, key, *_ in part]
        suppressed, there = reasons(keys), draft.among(keys)
        forbidden, doubtful = self._ledger.forbidden_among(keys), self._ledger.doubtful_among(keys)
        for place, wire, key, data, says_format, asked in part:
            email = data["email"]
            if key in forbidden:
                self._say(Kind.left_out, place, email, f"{forbidden[key].standing.reason} in {forbidden[key].place}")
            elif key in doubtful:
                self._say(Kind.left_out, place, email, f"there is a row that cannot be used, {doubtful[key]}")
            elif key in suppressed:
                self._say(Kind.withheld, place, email, _withheld(suppressed[key]))
            elif key not in there:
                self._say(Kind.added, place, email)
                self.settled.add(place, wire, key, data, asked)
            else:
                new = person_at(email, wire, key, data)
                kind, why = self._change(there[key], new, draft, says_format=says_format, update=update)
                self._say(kind, place, email, why)

    def _change(
        self, person: Subscriber, new: Subscriber, draft: Draft, *, says_format: bool, update: bool
    ) -> tuple[Kind, str]:
        """What becomes of somebody who is there, of whom the list knows more or otherwise; what it does not say stays."""
        merged = replace(
            person,
            name=new.name or person.name,
            # Who gets all digests keeps getting all of them.
            digests=tuple(dict.fromkeys((*person.digests, *new.digests))) if person.digests else (),
            language=new.language or person.language,
            format=new.format if says_format else person.format,
            timezone=new.timezone or person.timezone,
            tags=tuple(dict.fromkeys((*person.tags, *new.tags))),
            attributes={**person.attributes, **new.attributes},
        )
        try:
            # Together they may be more than a person can have.
            meant = person_from(data_of(merged), self._check_digest)
        except UsageError as error:
            return Kind.left_out, f"cannot be brought together with {draft.called}: {error}"
        change = difference(person, meant)
        if not change or not update:
            return Kind.unchanged, f"{draft.called} {DIFFERS}" if change else ""
        self.settled.change(person, meant)
        return Kind.changed, ", ".join(dict.fromkeys(".".join(path) for path in change))


def _already(place: str, first: str) -> str:
    """Said of a second row about a person."""
    file, _, line = first.rpartition(":")
    return f"is there already, in {f'line {line}' if place.rpartition(':')[0] == file else first}"


def _withheld(reason: SuppressionReason) -> str:
    if reason is SuppressionReason.erased:
        return "was erased here, and does not come back"
    return f"is suppressed here ({reason}), which wins over every list"
