"""The list of people, wherever it is kept: in a file that belongs to a person (`file`), or in the store (`stored`)."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from newsletter.errors import UsageError
from newsletter.model import Home, PeopleHome, Subscriber
from newsletter.people.editing import Edit
from newsletter.people.entry import Details
from newsletter.text import one_line
from newsletter.yamlfile import did_you_mean


class Keeper(Protocol):
    """The store, as far as the list needs it; what each method promises stands there (`store.people`)."""

    def people_home(self) -> PeopleHome | None:
        """What the table of people is; None before anybody stood in it."""
        ...

    def people(self, digest: str | None = None) -> Iterator[Subscriber]:
        """Everybody in their order, or who gets a digest."""
        ...

    def people_keys(self, digest: str | None = None) -> Iterator[str]:
        """The key of everybody, or of who gets a digest."""
        ...

    def count_people(self, digest: str | None = None) -> int:
        """How many there are, or get a digest."""
        ...

    def people_by_key(self, keys: Iterable[str]) -> dict[str, Subscriber]:
        """Those of these people who are there."""
        ...

    def add_people(self, people: Iterable[Subscriber]) -> int:
        """Add people at the end; says how many were not there already."""
        ...

    def change_people(self, changes: Iterable[tuple[str, Subscriber]]) -> None:
        """Let people be as they are given, each named by the key they had."""
        ...

    def remove_person(self, key: str) -> Subscriber | None:
        """Take a person off the list."""
        ...

    def remember_people(
        self, people: Iterable[Subscriber], file: str, fingerprint: Callable[[], str], *, home: Home = ...
    ) -> bool:
        """Keep what a file says; says whether that was done."""
        ...

    def settle_people(
        self, new: PeopleHome, *, expected: PeopleHome | None, before: Callable[[], object] = ...
    ) -> None:
        """Say what the table is from now on."""
        ...

    def forget_kept(self, key: str) -> None:
        """Let go of what is kept of a person because a file says it."""
        ...


class Draft(Protocol):
    """The list while it is being changed in many places (`Roster.draft`)."""

    @property
    def called(self) -> str:
        """What one calls it in a sentence: `the file`, `the database`."""
        ...

    def among(self, keys: Collection[str]) -> Mapping[str, Subscriber]:
        """Those of these people who are on the list."""
        ...

    def change(self, changes: Iterable[tuple[Subscriber, Subscriber]]) -> None:
        """Let people who are on the list be another way: as they are there, and as they are meant."""
        ...

    def extend(self, people: Iterable[Subscriber]) -> None:
        """Add people at the end, at least one; they are asked for more than once."""
        ...


class Roster(Protocol):
    """A list of people.

    A list is followed only if all of it is right: whoever asks for its people
    gets every mistake, each with its line, after the last person at the latest,
    and must then undo what was done with the others (the freeze transaction
    does).  So nobody is mailed from a list that is half understood.

    The store's suppressions win over what stands here; they are no business of a list.
    """

    @property
    def shown(self) -> str:
        """What messages call it: the name of its file, or `the database`."""
        ...

    def place_of(self, person: Subscriber) -> str:
        """Where a person stands: `subscribers.yaml:3`."""
        ...

    def people(self, digest: str | None = None) -> Iterator[Subscriber]:
        """Read everybody in the order of the list, or who gets a digest; an empty `digests` asks for all.

        Raises:
            ConfigError: before the first person or after the last, with every mistake.
        """
        ...

    def keys(self, digest: str | None = None) -> Iterator[str]:
        """Read everybody's key, or those of who gets a digest; nobody's where the list is not begun.

        Raises:
            ConfigError: as `people`.
        """
        ...

    def count(self, digest: str | None = None) -> int:
        """Count the people, or who gets a digest.

        Raises:
            ConfigError: as `people`.
        """
        ...

    def find(self, email: str) -> Subscriber | None:
        """The person with that address, in whichever spelling; nobody where the list is not begun.

        Raises:
            AddressError: it is not an address.
            ConfigError: the list has a mistake before that person, or the person is not found.
        """
        ...

    def add(self, email: str, details: Details = ...) -> Subscriber:
        """Add a person at the end; the list is begun where there is none.

        Raises:
            AddressError: it is not an address.
            UsageError: the person is there already, or another value cannot be used.
            ConfigError: the list has mistakes, or cannot be edited safely.
            BusyError: another run is editing it.
        """
        ...

    def edit(
        self, email: str, edit: Edit, *, before_writing: Callable[[], object] = ...
    ) -> tuple[Subscriber, Subscriber]:
        """Change what is said about a person.

        Args:
            email: the person's address.
            edit: what is to be another way.
            before_writing: called when all is well and before anything is changed.

        Returns:
            the person before and after; they are equal where there was nothing to change.

        Raises:
            AddressError: one of the addresses is none.
            UsageError: there is no such person, the new address is another one's, or a value cannot be used.
            ConfigError: the list has mistakes, or cannot be edited safely.
            BusyError: another run is editing it.
        """
        ...

    def remove(self, email: str) -> Subscriber:
        """Take a person off the list, whatever else is wrong with it.

        Raises:
            UsageError: there is nobody with that address.
            ConfigError: the list cannot be edited safely.
            BusyError: another run is editing it.
        """
        ...

    def draft(self) -> AbstractContextManager[Draft]:
        """Change many people inside the block; what is changed counts when it ends without an error.

        Raises:
            ConfigError: the list cannot be read or edited safely, or was changed meanwhile.
            BusyError: another run is editing it.
        """
        ...

    def check_digest(self, name: str) -> str | None:
        """Why a person cannot have a digest, in words; None if they can."""
        ...


class KnownDigests:
    """The digests a person may ask for.

    Args:
        names: of the project's digests; None: any.
    """

    def __init__(self, names: Collection[str] | None) -> None:
        self.names = None if names is None else frozenset(names)

    def check(self, name: str) -> str | None:
        """Why a person cannot have a digest, in words; None if they can."""
        if self.names is None or name in self.names:
            return None
        return f"there is no digest {one_line(name, 60)}{did_you_mean(name, self.names)}"


def gets(person: Subscriber, digest: str | None) -> bool:
    """Whether a person asked for a digest; everybody did for None."""
    return digest is None or not person.digests or digest in person.digests


def there_already(email: str, place: str) -> UsageError:
    """Said of a second person with an address."""
    return UsageError(
        f"{email} is there already: {place}", hint=f"newsletter subscriber edit {email} changes what is said there"
    )


def not_there(email: str, shown: str, *, hint: str | None = "newsletter subscriber list shows who is") -> UsageError:
    """Said of an address that nobody on the list has."""
    return UsageError(f"{one_line(email, 100)} is not in {shown}", hint=hint)
