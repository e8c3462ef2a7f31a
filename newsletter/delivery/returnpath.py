"""Where a message's reports go: the sender's address of the envelope (RFC 5321 §3.6.3, §4.4).

With a secret each message has a return path of its own, so that a report says
by its address alone which message came back, whatever else it says:

    bounces+2f-k3v6a7q2n4x5c2e7@example.com      delivery 0x2f, and 80 bits that only we can make

Nobody can make one up, and it names nobody.  Letters count in either case:
some servers change it.
"""

import hmac
import re
from base64 import b32encode
from typing import Final

_VERSION: Final = "v1"
#: Tokens looked at in one text.
_MOST: Final = 20
#: The name under which the store keeps the secret.
SECRET_NAME: Final = "return-path"  # noqa: S105 - a name, not a secret


class ReturnPath:
    """The return path of each message.

    Args:
        address: where reports go, as it goes on the wire.
        secret: gives each message its own (`Store.secret(SECRET_NAME)`); None: all have the same.
    """

    def __init__(self, address: str, secret: bytes | None = None) -> None:
        self.address = address
        self._secret = secret
        self._local, _, self._domain = address.rpartition("@")
        pattern = rf"{re.escape(self._local)}\+([0-9a-f]{{1,16}})-([a-z2-7]{{16}})@{re.escape(self._domain)}"
        self._pattern = re.compile(pattern, re.IGNORECASE)

    def of(self, delivery_id: int) -> str:
        """The address that reports on this message go to."""
        if self._secret is None:
            return self.address
        return f"{self._local}+{delivery_id:x}-{self._mac(delivery_id)}@{self._domain}"

    def deliveries_in(self, text: str) -> tuple[int, ...]:
        """The messages whose return paths a text holds; what is forged is left out."""
        if self._secret is None:
            return ()
        found: dict[int, None] = {}
        for number, match in enumerate(self._pattern.finditer(text)):
            if number == _MOST:
                break
            delivery_id = int(match.group(1), 16)
            if hmac.compare_digest(match.group(2).lower(), self._mac(delivery_id)):
                found[delivery_id] = None
        return tuple(found)

    def _mac(self, delivery_id: int) -> str:
        assert self._secret is not None
        mac = hmac.digest(self._secret, f"{_VERSION}|{delivery_id}".encode(), "sha256")
        return b32encode(mac[:10]).decode("ascii").lower()
