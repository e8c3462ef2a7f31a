"""The memory of a project: entries, issues, the outbox.

`Store.open` is the way in; see `store` for all it can do.
"""

from newsletter.store.outbox import OutboxWriter
from newsletter.store.store import Store, StoreInfo

__all__ = ["OutboxWriter", "Store", "StoreInfo"]
