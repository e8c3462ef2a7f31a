"""What a round of fetching is given to work with; apart from `fetch`, so that who only hands it on loads no HTTP library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from newsletter import __version__

#: What fetches the headers of a feed that hold a password.
Secret = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How much a feed may ask of us, and we of a feed's server.

    `deadline` is in seconds and covers everything one feed needs, from the
    look-up of the name to the last byte, over all redirects.  `max_bytes`
    counts decoded bytes.  `connections` are open at once, `per_host` of them to
    one host.  Between the beginnings of two requests to one host lie `host_gap`
    seconds, but on private networks.
    """

    deadline: float = 20.0
    max_bytes: int = 10_000_000
    max_redirects: int = 5
    connections: int = 16
    per_host: int = 2
    host_gap: float = 0.5
    user_agent: str = f"newsletter/{__version__} (feed reader)"
