"""`reader` over all feeds: DATABASE FILE-OF-ADDRESSES; runs in the peers' own environment."""

import sys

from reader import make_reader

reader = make_reader(sys.argv[1])
with open(sys.argv[2]) as file:
    for line in file:
        reader.add_feed(line.strip(), exist_ok=True)
reader.update_feeds(workers=10)
counts = reader.get_entry_counts()
print(counts.total)
