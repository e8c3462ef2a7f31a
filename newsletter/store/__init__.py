"""The memory of a project: entries, issues, the outbox.

`Store.open` is the way in; see `store` for all it can do.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from newsletter.store.outbox import OutboxWriter
    from newsletter.store.store import Store, StoreInfo

__all__ = ["OutboxWriter", "Store", "StoreInfo"]


def __getattr__(name: str) -> Any:
    # Loaded when asked for: `glance` does without SQLAlchemy.
    if name == "OutboxWriter":
        from newsletter.store.outbox import OutboxWriter

        return OutboxWriter
    if name in __all__:
        from newsletter.store import store

        return getattr(store, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
