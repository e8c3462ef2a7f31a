"""What a person may change about their own mail, and how it is done so that nothing they have left comes back.

Everything here may block.  The order of the steps is chosen so that wherever it
breaks off the person gets less than they asked for, never more.
"""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from newsletter.address import mask
from newsletter.clock import Clock
from newsletter.errors import ConfigError, UsageError
from newsletter.model import (
    EVERY_DIGEST,
    Consent,
    ConsentEvent,
    Format,
    SignUp,
    Subscriber,
    Suppression,
    SuppressionReason,
)
from newsletter.people.editing import Edit
from newsletter.people.entry import Details
from newsletter.web.pages import offered
from newsletter.web.ports import Memory, People
from newsletter.web.site import Site

#: Lines of the record that say how somebody came to be on the list.
_BEGINNINGS = frozenset({ConsentEvent.confirmed, ConsentEvent.added, ConsentEvent.imported})
#: What a person can lift by showing that the address is theirs and works.
PROVEN = frozenset({SuppressionReason.unsubscribed, SuppressionReason.bounced, SuppressionReason.erased})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a person stands: their entry in the list, and what keeps mail from them.

    `since` is when they came to be on the list, as far as the record says; `paused_until` holds for all digests.
    """

    key: str
    email: str
    person: Subscriber | None
    suppressions: tuple[Suppression, ...]
    paused_until: datetime | None = None
    since: datetime | None = None

    @property
    def masked(self) -> str:
        """The address, enough to recognise, too little to harvest."""
        return mask(self.email)

    @property
    def has_left_all(self) -> bool:
        """Whether they have unsubscribed from everything."""
        return any(
            one.digest == EVERY_DIGEST and one.reason is SuppressionReason.unsubscribed for one in self.suppressions
        )

    def is_on(self, digest: str) -> bool:
        """Whether the list has them for a digest."""
        return self.person is not None and (not self.person.digests or digest in self.person.digests)

    def gets(self, digest: str) -> bool:
        """Whether the next issue of a digest goes to them, pauses aside."""
        return self.is_on(digest) and not any(one.digest in (EVERY_DIGEST, digest) for one in self.suppressions)

    def is_barred(self, digest: str) -> bool:
        """Whether something keeps a digest from them that is not theirs to lift."""
        holding = (one for one in self.suppressions if one.digest in (EVERY_DIGEST, digest))
        return any(one.reason not in PROVEN for one in holding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the preferences page sent: the digests that are ticked, and how they come.

    `pause` is for how many weeks, and 0 ends one; None leaves a value as it is.
    """

    digests: frozenset[str]
    language: str | None
    format: Format | None
    pause: int | None


class Members:
    """What people do about their own mail.

    Args:
        site: the project.
        memory: the store.
        people: the list.
        clock: what time it is.
    """

    def __init__(self, site: Site, memory: Memory, people: People, clock: Clock) -> None:
        self._site = site
        self._memory = memory
        self._people = people
        self._clock = clock
        # Edits of the list take turns here, rather than in ten seconds of waiting for its lock.
        self._turn = threading.Lock()

    def whose(self, digest: str, token: str) -> str | None:
        """The key of the person whom a personal link is for."""
        return self._memory.whose(digest, token)

    def glimpse(self, key: str) -> Standing:
        """As much of where a person stands as can be seen: a mistake in the list keeps nobody from a way out."""
        try:
            return self.standing(key)
        except ConfigError:
            return Standing(key=key, email=key, person=None, suppressions=())

    def standing(self, key: str, *, with_record: bool = False) -> Standing:
        """Read where a person stands; with the record also pause and history.

        Raises:
            ConfigError: the list has mistakes.
        """
        person = self._people.find(key)
        pauses = self._memory.pauses_of(key) if with_record else []
        record = self._memory.consents_of(key) if with_record else []
        return Standing(
            key=key,
            email=person.email if person else key,
            person=person,
            suppressions=tuple(self._memory.suppressions_of(key)),
            paused_until=next((one.until for one in pauses if one.digest == EVERY_DIGEST), None),
            since=next((line.at for line in record if line.event in _BEGINNINGS), None),
        )

    # ---------------------------------------------------------------- leaving, and back

    def leave(self, key: str, digest: str, source: str) -> None:
        """Unsubscribe a person, from one digest or (EVERY_DIGEST) all: they are sent nothing that has not begun.

        The list is not asked: somebody who wants to go is let go, also when it has mistakes.
        """
        email = self._memory.last_address(key) or key
        self._memory.leave(key, email, digest=digest, source=source)

    def is_being_sent_to(self, key: str) -> bool:
        """Whether a message that was begun before is still on its way to them."""
        return self._memory.is_sending_to(key)

    def undo(self, key: str, digest: str, source: str) -> Standing:
        """Take back that a person has just left."""
        email = self._memory.last_address(key) or key
        self._memory.come_back(key, email, digest=digest, source=source)
        return self.standing(key)

    # ---------------------------------------------------------------------- preferences

    def save(self, key: str, wanted: Wanted, source: str) -> Standing:
        """Make it so: first what takes mail away, then the list, then what lets mail through.

        Raises:
            ConfigError, BusyError: the list cannot be edited now; what was taken away stays away.
        """
        with self._turn:
            before = self.standing(key, with_record=True)
            if before.person is None:
                return before
            ticked = wanted.digests & set(self._site.names)
            for name in self._site.names:
                if name not in ticked and before.gets(name):
                    self._memory.leave(key, before.email, digest=name, source=source)
            self._edit(before, wanted, ticked, source)
            if ticked:
                for name in (EVERY_DIGEST, *sorted(ticked)):
                    self._memory.come_back(key, before.email, digest=name, source=source)
            self._pause(before, wanted.pause, source)
        return self.standing(key, with_record=True)

    def _edit(self, before: Standing, wanted: Wanted, ticked: Collection[str], source: str) -> None:
        person = before.person
        assert person is not None
        asked = [name for name in self._site.names if name in ticked]
        missing = [name for name in asked if not before.is_on(name)]
        digests = [*person.digests, *missing] if missing else None
        if before.has_left_all and asked:
            # What they had before they left must not come back with what they want now.
            digests = asked if tuple(asked) != tuple(person.digests) else None
        # Whoever left the choice as it was shown keeps what they have, region and all.
        is_same = wanted.language == offered(person.language, self._site.language)
        language = None if is_same else wanted.language
        format_ = None if wanted.format is person.format else wanted.format
        if digests is None and language is None and format_ is None:
            return
        self._people.edit(person.email, Edit(digests=digests, language=language, format=format_))
        said = [f"digests {', '.join(digests)}"] if digests else []
        said += [f"language {language}"] if language else []
        said += [f"format {format_.value}"] if format_ else []
        self._record(before.key, person.email, ConsentEvent.changed, source, "; ".join(said))

    def _pause(self, before: Standing, weeks: int | None, source: str) -> None:
        if weeks is None or (weeks == 0 and before.paused_until is None):
            return
        until = self._clock.now() + timedelta(weeks=weeks) if weeks else None
        self._memory.pause_until(before.key, before.email, until, source=source)

    # ---------------------------------------------------------------------- signing up

    def signup(self, token: str) -> SignUp | None:
        """The sign-up that a link in a confirmation mail belongs to."""
        return self._memory.signup(token)

    def welcome(self, signup: SignUp, source: str) -> None:
        """Put somebody on the list who has confirmed; the answer may be given when this returns.

        The list comes first and the record last, for the record is what says that
        it has happened: a crash in between is repaired by the same link.  Who had
        left everything gets what they ask for now, and nothing of what they had before.
        """
        with self._turn:
            self._enlist(signup)
            self._memory.confirm(signup, source=source)

    def enlist_unconfirmed(self, signup: SignUp, source: str) -> None:
        """Put somebody on the list who need not confirm, because nothing ever kept mail from them."""
        with self._turn:
            self._enlist(signup)
            self._record(signup.key, signup.email, ConsentEvent.added, source, "without confirmation")

    def _enlist(self, signup: SignUp) -> None:
        before = self.standing(signup.key)
        person = before.person
        if person is None:
            try:
                details = Details(
                    name=signup.name, digests=signup.digests, language=signup.language, format=signup.format
                )
                self._people.add(signup.email, details)
            except UsageError:
                # Somebody else has just added them, or a value is not to the list's taste.
                person = self._people.find(signup.email)
                if person is None:
                    raise
            else:
                return
        digests = self._digests_of(before, person, signup.digests)
        if digests != tuple(person.digests):
            self._people.edit(person.email, Edit(digests=digests))

    def _digests_of(self, before: Standing, person: Subscriber, asked: Sequence[str]) -> tuple[str, ...]:
        if before.has_left_all:
            return tuple(asked)
        if not person.digests:
            return ()
        return (*person.digests, *(name for name in asked or self._site.names if name not in person.digests))

    def _record(self, key: str, email: str, event: ConsentEvent, source: str, note: str) -> None:
        line = Consent(key=key, email=email, event=event, at=self._clock.now(), source=source, note=note)
        self._memory.record_consents([line])
