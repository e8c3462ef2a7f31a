"""Values that wait on disk, in the order they came: a list of a hundred thousand need not stand in memory."""

import json
import tempfile
from collections.abc import Iterator
from typing import Any

_IN_MEMORY = 4_000_000


class Spool:
    """Plain values (texts, numbers, lists, mappings) in a file without a name, which is gone when it is closed."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by `close`
        self._end = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, value: Any) -> int:
        """Store a value at the end; returns the place it can be fetched from."""
        place = self._end
        self._count += 1
        self._file.seek(place)
        # Half a character, from a broken list, has a form in JSON only as an escape.
        self._end += self._file.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
        return place

    def fetch(self, place: int) -> Any:
        """The value stored at a place."""
        self._file.seek(place)
        return json.loads(self._file.readline())

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
