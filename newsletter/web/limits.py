"""How often somebody may do something, in memory that does not grow with the number of somebodies."""

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from newsletter.clock import Clock

#: A provider gives a household as many IPv6 addresses as it likes, all in one network of this length.
_NETWORK_BITS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """So many at once, and then one every so many seconds."""

    burst: int
    every: float


class Limiter:
    """Counts for each key by itself (GCRA: one number a key).

    Args:
        allowance: how often.
        clock: its monotonic hand is used.
        most: so many keys are remembered; the one that was quiet longest is forgotten first.
    """

    def __init__(self, allowance: Allowance, clock: Clock, *, most: int = 10_000) -> None:
        self._allowance = allowance
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def allows(self, key: str) -> bool:
        """Whether it may happen once more now; if so, it is counted."""
        now = self._clock.monotonic()
        due = max(now, self._full_at.get(key, now)) + self._allowance.every
        if due - now > self._allowance.burst * self._allowance.every:
            return False
        self._full_at[key] = due
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return True

    def __len__(self) -> int:
        return len(self._full_at)


def client_key(address: str) -> str:
    """What one client counts as: an IPv4 address, or the network of an IPv6 one."""
    try:
        found = ip_address(address.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return f"{int(found) >> (128 - _NETWORK_BITS):x}::"
    return str(found)
