"""A file of people while many of them are changed at once, by an import say."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from newsletter.model import Subscriber
from newsletter.people.editing import difference
from newsletter.people.entry import data_of, person_of_data, written
from newsletter.people.exchange.spool import Spool
from newsletter.yamlfile import Change, Data, EditedText


class FileDraft:
    """The file, while many people are changed."""

    called = "the file"

    def __init__(self, text: EditedText, people_in: Callable[[EditedText], Iterator[Subscriber]]) -> None:
        self._text = text
        self._people_in = people_in
        self._people = Spool()
        # By key: where the person is kept, once the file has been read.
        self._places: dict[str, int] | None = None

    def among(self, keys: Collection[str]) -> Mapping[str, Subscriber]:
        """Those of these people who stand in the file.

        Raises:
            ConfigError: with every mistake in the file.
        """
        places = self._read()
        return {key: self._person(place)[1] for key in keys if (place := places.get(key)) is not None}

    def change(self, changes: Iterable[tuple[Subscriber, Subscriber]]) -> None:
        """Let people be another way.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        places = self._read()
        meant: dict[int, Change] = {}
        for before, after in changes:
            meant[self._person(places[before.key])[0]] = difference(before, after)
        if meant:
            self._text.change(meant, short="email")

    def extend(self, people: Iterable[Subscriber]) -> None:
        """Add people at the end.

        Raises:
            ConfigError: the layout allows no edit that is sure to change nothing else.
        """
        self._text.extend(_Entries(people))

    def close(self) -> None:
        """Let go of what was read."""
        self._people.close()

    def _read(self) -> dict[str, int]:
        if self._places is None:
            self._places = {
                person.key: self._people.add([index, person.line, data_of(person)])
                for index, person in enumerate(self._people_in(self._text))
            }
        return self._places

    def _person(self, place: int) -> tuple[int, Subscriber]:
        index, line, data = self._people.fetch(place)
        return index, replace(person_of_data(data), line=line)


class _Entries:
    """People as the file has them, as often as one asks."""

    def __init__(self, people: Iterable[Subscriber]) -> None:
        self._people = people

    def __iter__(self) -> Iterator[Data]:
        return (written(data_of(person)) for person in self._people)
