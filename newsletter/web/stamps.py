"""When a form was given out, signed: people take a moment to fill one in, programs do not; and no cookie is needed."""

import hmac
import re
from base64 import urlsafe_b64encode
from enum import Enum
from typing import Final

from newsletter.clock import Clock

#: The name under which the store keeps the secret behind the stamps.
SECRET_NAME: Final = "forms"  # noqa: S105 - a name, not a secret
#: Seconds that a person needs at least, and that a form may lie open.
SHORTEST: Final = 2
LONGEST: Final = 24 * 3600
_STAMP = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{22})", re.ASCII)


class Judged(Enum):
    """What a stamp says of the form that comes back with it."""

    good = "good"
    early = "early"
    bad = "bad"  # forged, none at all, or too old


class Stamps:
    """Makes stamps and judges them.

    Args:
        secret: 32 bytes.
        clock: what time it is.
    """

    def __init__(self, secret: bytes, clock: Clock) -> None:
        self._secret = secret
        self._clock = clock

    def make(self) -> str:
        """The stamp of a form that is given out now."""
        moment = str(int(self._clock.now().timestamp()))
        return f"{moment}.{self._signature(moment)}"

    def judge(self, stamp: str) -> Judged:
        """What a stamp that came back says."""
        found = _STAMP.fullmatch(stamp)
        if found is None or not hmac.compare_digest(found[2], self._signature(found[1])):
            return Judged.bad
        age = self._clock.now().timestamp() - int(found[1])
        if age > LONGEST or age < 0:
            return Judged.bad
        return Judged.good if age >= SHORTEST else Judged.early

    def _signature(self, moment: str) -> str:
        mac = hmac.digest(self._secret, f"form|{moment}".encode(), "sha256")
        return urlsafe_b64encode(mac[:16])[:22].decode("ascii")
