"""A glance at a SQLite store that is at nobody's cost: for completion in a shell, which waits for nothing.

`store` is the way to read it for everything else.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

#: Seconds to wait for somebody who writes.
_PATIENCE: Final = 0.1
_MOST: Final = 30


def last_issues(path: Path) -> list[int]:
    """The numbers of the last issues of all digests, the newest first; none where they cannot be had at once."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE)) as store:
            rows = store.execute("SELECT number FROM issues ORDER BY id DESC LIMIT ?", (_MOST,)).fetchall()
    except (sqlite3.Error, ValueError):
        return []
    return list(dict.fromkeys(number for (number,) in rows if isinstance(number, int)))
