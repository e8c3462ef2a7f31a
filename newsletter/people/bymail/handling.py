"""Doing what a mail asks for, when whoever wrote it may ask for it.

    unsubscribe TOKEN   the token is proof, whoever carries it; holds for its digest
    unsubscribe         only takes mail away: honoured for the address it says it is from, for all digests
    pause N             the same, for N weeks
    subscribe [DIGEST]  anybody can write this in anybody's name: a mail with a token goes to that address
    confirm TOKEN       the answer to it puts the person on the list

An address gets one mail a day at most, all together no more than `IN_ALL`, and
no machine gets any: two programs that answer each other stop at the first mail.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from newsletter.address import Address, parse_address
from newsletter.clock import Clock
from newsletter.errors import AddressError, NewsletterError, UsageError
from newsletter.model import EVERY_DIGEST, SignUp, Subscriber, Suppression, SuppressionReason
from newsletter.people.bounces.reading import Report
from newsletter.people.bymail.commands import Command, Wish, read_command
from newsletter.people.entry import Details

#: To one address, and to all of them, in this time.
WITHIN: Final = timedelta(days=1)
IN_ALL: Final = 500
#: How long a confirmation may take.
ANSWERED_WITHIN: Final = timedelta(days=7)
#: Weeks of a pause.
USUAL_PAUSE: Final = 4
LONGEST_PAUSE: Final = 52
SOURCE: Final = "a mail to the project"
#: What somebody can lift by answering from the address.
_THEIRS = frozenset({SuppressionReason.unsubscribed, SuppressionReason.bounced, SuppressionReason.erased})


class Memory(Protocol):
    """What handling asks of the store."""

    def whose(self, digest: str, token: str) -> str | None:
        """The key of the person who has this token in this digest."""
        ...

    def leave(self, key: str, email: str, *, digest: str, source: str) -> bool:
        """Unsubscribe a person; says whether that changed anything."""
        ...

    def pause_until(self, key: str, email: str, until: datetime | None, *, source: str) -> None:
        """Send a person nothing until a moment."""
        ...

    def suppressions_of(self, key: str) -> list[Suppression]:
        """Every suppression of one person."""
        ...

    def sign_up(self, key: str, email: str, *, name: str, digests: Sequence[str], source: str) -> SignUp:
        """Remember that somebody asked."""
        ...

    def signup(self, token: str) -> SignUp | None:
        """The sign-up with this token."""
        ...

    def confirm(self, signup: SignUp, *, source: str) -> bool:
        """Note that the person has confirmed; says whether this was the first time."""
        ...

    def may_answer(self, key: str, *, within: timedelta, at_most: int) -> bool:
        """Take the right to write one mail to somebody."""
        ...

    def not_answered(self, key: str) -> None:
        """Give the right back: the mail could not be sent."""
        ...


class People(Protocol):
    """The list, wherever it is kept."""

    def find(self, email: str) -> Subscriber | None:
        """The person with that address, in whichever spelling."""
        ...

    def add(self, email: str, details: Details) -> object:
        """Add a person; UsageError where they are there already."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A mail that a program writes to a person: what it is about, and what it answers."""

    to: Address
    signup: SignUp


@dataclass(frozen=True, slots=True, kw_only=True)
class MailCommands:
    """Does what mails ask for.

    Args:
        digests: the names of the project's digests.
        memory: the store.
        people: the list.
        is_token: whether a token is that person's in a digest (`delivery.links.is_token_of`).
        everybody: those whom a token may belong to that the store does not know.
        answer: mails the token to confirm with; not called for addresses that may not be mailed.
        reaches: whether mail may go to an address at all.
        ours: the keys of the project's own addresses.
        clock: what time it is.
    """

    digests: tuple[str, ...]
    memory: Memory
    people: People
    is_token: Callable[[str, str, str], bool]
    everybody: Callable[[], Iterable[str]]
    answer: Callable[[Answer], None]
    reaches: Callable[[Address], bool]
    clock: Clock
    ours: frozenset[str] = field(default=frozenset())

    def __call__(self, report: Report) -> str | None:
        """What a mail led to, in words; None where it asks for nothing.

        Raises:
            NewsletterError: it could not be done now; the same mail may be tried again.
        """
        command = read_command(report)
        if command is None:
            return None
        try:
            sender = parse_address(command.sender)
        except AddressError:
            return None
        do = {
            Wish.unsubscribe: self._unsubscribe,
            Wish.pause: self._pause,
            Wish.subscribe: self._subscribe,
            Wish.confirm: self._confirm,
        }[command.wish]
        return None if sender.key in self.ours else do(command, sender)

    # ------------------------------------------------------------------ taking mail away

    def _unsubscribe(self, command: Command, sender: Address) -> str | None:
        if command.word:
            found = self._whose(command.word, sender.key)
            if found is None:
                return "unsubscribe with a token that is nobody's: nothing changed"
            digest, key = found
            person = self.people.find(key)
            changed = self.memory.leave(key, person.email if person else key, digest=digest, source=SOURCE)
            return f"unsubscribed from {digest}" if changed else f"had unsubscribed from {digest} before"
        person = None if command.by_machine else self.people.find(sender.email)
        if person is None:
            return None
        changed = self.memory.leave(person.key, person.email, digest=EVERY_DIGEST, source=SOURCE)
        return "unsubscribed from everything" if changed else "had unsubscribed before"

    def _whose(self, token: str, sender_key: str) -> tuple[str, str] | None:
        """The digest and the person of a token; most mails come from that person."""
        for digest in self.digests:
            key = self.memory.whose(digest, token)
            if key is not None:
                return digest, key
            if self.is_token(token, digest, sender_key):
                return digest, sender_key
        for key in self.everybody():
            for digest in self.digests:
                if self.is_token(token, digest, key):
                    return digest, key
        return None

    def _pause(self, command: Command, sender: Address) -> str | None:
        weeks = min(int(command.word or USUAL_PAUSE), LONGEST_PAUSE)
        person = None if command.by_machine or not weeks else self.people.find(sender.email)
        if person is None:
            return None
        self.memory.pause_until(person.key, person.email, self.clock.now() + timedelta(weeks=weeks), source=SOURCE)
        return f"paused for {weeks} week{'' if weeks == 1 else 's'}"

    # --------------------------------------------------------------------- asking for mail

    def _subscribe(self, command: Command, sender: Address) -> str | None:
        if command.by_machine or not self.reaches(sender):
            return None
        digests = (command.word.lower(),) if command.word else ()
        if not set(digests) <= set(self.digests):
            return f"asked for a digest that there is not ({command.word}): nothing changed"
        if self._gets(sender, digests):
            return "asked for what they get already: nothing changed"
        if self._is_barred(sender.key, digests):
            return "asked for mail, and the keeper of the list or a complaint forbids it: nothing changed"
        if not self.memory.may_answer(sender.key, within=WITHIN, at_most=IN_ALL):
            return "asked for mail again within a day, or too many did: not answered"
        signup = self.memory.sign_up(sender.key, sender.email, name=command.name, digests=digests, source=SOURCE)
        try:
            self.answer(Answer(to=sender, signup=signup))
        except NewsletterError:
            self.memory.not_answered(sender.key)
            raise
        return "asked for mail: a mail to confirm it is on its way"

    def _confirm(self, command: Command, _: Address) -> str | None:
        signup = self.memory.signup(command.word)
        if signup is None or signup.asked_at < self.clock.now() - ANSWERED_WITHIN:
            return "confirmed with a token that is unknown or too old: nothing changed"
        # First the list and then the record: what breaks off in between is repaired by the same mail.
        if self.people.find(signup.email) is None:
            try:
                self.people.add(signup.email, Details(name=signup.name, digests=signup.digests))
            except UsageError:
                if self.people.find(signup.email) is None:
                    raise
        first = self.memory.confirm(signup, source=SOURCE)
        return "subscribed" if first else "had confirmed before"

    def _gets(self, address: Address, asked: Sequence[str]) -> bool:
        person = self.people.find(address.email)
        wanted = set(asked or self.digests)
        if person is None or (person.digests and not wanted <= set(person.digests)):
            return False
        return not any(one.digest in (EVERY_DIGEST, *wanted) for one in self.memory.suppressions_of(address.key))

    def _is_barred(self, key: str, asked: Sequence[str]) -> bool:
        holding = {EVERY_DIGEST, *(asked or self.digests)}
        return any(one.digest in holding and one.reason not in _THEIRS for one in self.memory.suppressions_of(key))
