"""What the owner is told: something begins that needs them, and ends."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """Something that is so now and that the owner should know.

    `over` is said when it ends; "": its end goes unsaid.
    """

    words: str
    hint: str = ""
    over: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that the owner has not been told yet: that a matter began, or (`is_over`) that it ended.

    `key` names the matter, for as long as it lasts.
    """

    key: str
    words: str
    hint: str
    since: datetime
    is_over: bool = False
    tried_at: datetime | None = None
    error: str = ""
