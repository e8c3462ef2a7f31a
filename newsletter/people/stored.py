"""The list of people in the store: for as many as there are, and for more than one machine."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from newsletter.address import parse_address
from newsletter.errors import AddressError, ConfigError, Problem
from newsletter.model import Home, Subscriber
from newsletter.people.editing import Edit
from newsletter.people.entry import Details, data_of, entry_data, person_from
from newsletter.people.roster import Draft, Keeper, KnownDigests, not_there, there_already
from newsletter.yamlfile import shown_path

#: What messages call it.
SHOWN: Final = "the database"


class StoredRoster:
    """A list of people in the store.

    Args:
        store: the project's, to be changed; asked for at first use.
        look: the same for a look, which may make none.
        digests: the names a person may ask for; None: any.
        left: the file that people stand in who have not been brought here; None: no matter.
        config: the project's file, for messages.
    """

    def __init__(
        self,
        store: Callable[[], Keeper],
        digests: Collection[str] | None = None,
        *,
        look: Callable[[], Keeper] | None = None,
        left: Path | None = None,
        config: Path | None = None,
    ) -> None:
        self._store = store
        self._look = look or store
        self._digests = KnownDigests(digests)
        self._left = left
        self._config = config

    @property
    def shown(self) -> str:
        """What messages call it."""
        return SHOWN

    def place_of(self, person: Subscriber) -> str:  # noqa: ARG002
        """Where a person stands."""
        return SHOWN

    def people(self, digest: str | None = None) -> Iterator[Subscriber]:
        """Read everybody in the order in which they came, or who gets a digest, in flat memory.

        Raises:
            ConfigError: the people have not been brought here.
        """
        return (replace(person, line=None) if person.line else person for person in self._seen().people(digest))

    def keys(self, digest: str | None = None) -> Iterator[str]:
        """Read everybody's key, or those of who gets a digest."""
        return self._seen().people_keys(digest)

    def count(self, digest: str | None = None) -> int:
        """Count the people, or who gets a digest."""
        return self._seen().count_people(digest)

    def find(self, email: str) -> Subscriber | None:
        """The person with that address, in whichever spelling.

        Raises:
            AddressError: it is not an address.
        """
        return self._find(parse_address(email).key)

    def _find(self, key: str) -> Subscriber | None:
        found = self._seen().people_by_key([key]).get(key)
        return None if found is None else replace(found, line=None)

    def add(self, email: str, details: Details = Details()) -> Subscriber:  # noqa: B008 - it is frozen
        """Add a person.

        Raises:
            AddressError: it is not an address.
            UsageError: the person is there already, or another value cannot be used.
        """
        address = parse_address(email.strip())
        added = replace(person_from(entry_data(address.email, details), self.check_digest), line=None)
        if not self._own().add_people([added]):
            before = self._find(address.key)
            raise there_already(before.email if before else address.email, f"in {SHOWN}")
        return added

    def edit(
        self, email: str, edit: Edit, *, before_writing: Callable[[], object] = lambda: None
    ) -> tuple[Subscriber, Subscriber]:
        """Change what is said about a person.

        Raises:
            AddressError: one of the addresses is none.
            UsageError: there is no such person, the new address is another one's, or a value cannot be used.
        """
        wanted = parse_address(email.strip()).key
        new = wanted if edit.email is None else parse_address(edit.email.strip()).key
        store = self._own()
        found = store.people_by_key([wanted, new])
        if wanted not in found:
            raise not_there(email, SHOWN)
        if new != wanted and new in found:
            raise there_already(found[new].email, f"in {SHOWN}")
        before = replace(found[wanted], line=None)
        after = replace(person_from(data_of(edit.applied(before)), self.check_digest), line=None)
        if before != after:
            before_writing()
            store.change_people([(wanted, after)])
        return before, after

    def remove(self, email: str) -> Subscriber:
        """Take a person off the list.

        Raises:
            UsageError: there is nobody with that address.
        """
        try:
            key = parse_address(email.strip()).key
        except AddressError:
            key = email.strip()
        removed = self._own().remove_person(key)
        if removed is None:
            raise not_there(email, SHOWN, hint=None)
        return replace(removed, line=None)

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Change many people inside the block; each change counts at once."""
        yield _StoredDraft(self._own())

    def check_digest(self, name: str) -> str | None:
        """Why a person cannot have a digest, in words; None if they can."""
        return self._digests.check(name)

    def _own(self) -> Keeper:
        """The store, to be changed."""
        return self._checked(self._store())

    def _seen(self) -> Keeper:
        """The store, for a look."""
        return self._checked(self._look())

    def _checked(self, store: Keeper) -> Keeper:
        """The store, if the list is at home there."""
        home = store.people_home()
        at_home = home is not None and home.home is not Home.file
        if at_home or self._left is None or not (home is not None or self._left.exists()):
            return store
        file = home.file if home is not None and home.file else self._left.name
        path = "newsletter.yaml" if self._config is None else shown_path(self._config)
        text = f"says database, and the people are still, or again, in {file}"
        problem = Problem(path=path, line=None, key="subscribers", text=text)
        raise ConfigError([problem], hint="newsletter subscriber move --to database")


class _StoredDraft:
    """The list in the store, while many people are changed."""

    called = SHOWN

    def __init__(self, store: Keeper) -> None:
        self._store = store

    def among(self, keys: Collection[str]) -> Mapping[str, Subscriber]:
        """Those of these people who are on the list."""
        return self._store.people_by_key(keys)

    def change(self, changes: Iterable[tuple[Subscriber, Subscriber]]) -> None:
        """Let people be another way."""
        self._store.change_people((before.key, after) for before, after in changes)

    def extend(self, people: Iterable[Subscriber]) -> None:
        """Add people; who has come meanwhile stays as they are."""
        self._store.add_people(people)
