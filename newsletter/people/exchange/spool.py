"""Values that wait on disk, in the order they came: a list of a hundred thousand need not stand in memory."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

_IN_MEMORY = 4_000_000


class Spool:
    """Plain values (texts, numbers, lists, mappings) in a file without a name, which is gone when it is closed."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._end = 0

    def add(self, value: Any) -> int:
        """Store a value at the end; returns the place it can be fetched from."""
        place = self._end
        self._file.seek(place)
        # Half a character, from a broken list, has a form in JSON only as an escape.
        self._end += self._file.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
        return place

    def fetch(self, place: int) -> Any:
        """The value stored at a place."""
        self._file.seek(place)
        return json.loads(self._file.readline())

    def fetch_all(self, places: Iterable[int]) -> Iterator[Any]:
        """The values at several places, one at a time."""
        return map(self.fetch, places)

    def __iter__(self) -> Iterator[Any]:
        """All values, in the order they came."""
        place = 0
        while place < self._end:
            self._file.seek(place)
            line = self._file.readline()
            place += len(line)
            yield json.loads(line)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
