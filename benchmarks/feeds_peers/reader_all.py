"""`reader` over all feeds: DATABASE FILE-OF-ADDRESSES; runs in the peers' own environment."""

import sys
from pathlib import Path

from reader import make_reader  # type: ignore[import-not-found]

reader = make_reader(sys.argv[1])
with Path(sys.argv[2]).open() as file:
    for line in file:
        reader.add_feed(line.strip(), exist_ok=True)
# All of them, however short ago they were asked: that is what is measured.
reader.update_feeds(scheduled=False, workers=10)
counts = reader.get_entry_counts()
print(counts.total)
