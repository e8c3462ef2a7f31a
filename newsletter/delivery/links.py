"""The addresses in a message that know whom they were sent to: unsubscribe, preferences, web copy.

A token is 22 characters: 128 bits of a keyed hash over digest and subscriber.
It names nobody, cannot be forged without the project's secret, and stays the
same from issue to issue, so that an old message still unsubscribes.
"""

import hmac
from binascii import b2a_base64
from dataclasses import dataclass
from urllib.parse import quote

from newsletter.model import Envelope

#: The name of the first secret behind the tokens; which one an issue has says its envelope.
SECRET_NAME = "links"  # noqa: S105 - a name, not a secret
_VERSION = "v1"
#: Characters of a token: A-Z a-z 0-9 - _ (RFC 4648 §5).
TOKEN_LENGTH = 22
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """One subscriber's addresses in one issue; the first three are the merge fields of these names.

    Without a web address of the project, `unsubscribe_url` is the `mailto:`
    address, `preferences_url` is "", and so are the last two unless past issues stand
    somewhere as files.  `archive_url` is where past issues are.
    """

    unsubscribe_url: str
    mailto: str
    preferences_url: str = ""
    view_url: str = ""
    archive_url: str = ""

    @property
    def ways_out(self) -> tuple[str, ...]:
        """All ways to unsubscribe, the web page first (RFC 2369 §2: in order of preference)."""
        return (self.mailto,) if self.unsubscribe_url == self.mailto else (self.unsubscribe_url, self.mailto)

    @property
    def one_click(self) -> bool:
        """Whether unsubscribing takes one POST (RFC 8058 §3.1: HTTPS only)."""
        return self.unsubscribe_url.startswith("https://")


def token(secret: bytes, digest: str, key: str) -> str:
    """The token of one subscriber for one digest.

    Args:
        secret: the project's, 32 bytes (`Envelope.links_secret` is its name in the store).
        digest: the digest's name.
        key: the subscriber's key (`Subscriber.key`).
    """
    return Tokens(secret, digest).of(key)


class Tokens:
    """The tokens of many subscribers for one digest.

    Args:
        secret: as for `token`.
        digest: the digest's name.

    `prefix` stands before the key in what is hashed.
    """

    def __init__(self, secret: bytes, digest: str) -> None:
        self.prefix = f"{_VERSION}|{digest}|".encode()
        # Not hmac.digest: it lets go of the interpreter lock, and composing waits for the outbox thread to give it back.
        self._begun = hmac.new(secret, self.prefix, "sha256")

    def of(self, key: str) -> str:
        """The token of the subscriber with this key."""
        mac = self._begun.copy()
        mac.update(key.encode())
        return b2a_base64(mac.digest()[:16]).translate(_URL_SAFE)[:TOKEN_LENGTH].decode("ascii")


def is_token_of(candidate: str, secret: bytes, digest: str, key: str) -> bool:
    """Whether a token that came back is this subscriber's, in time that tells nothing."""
    ours = token(secret, digest, key)
    return bool(hmac.compare_digest(candidate.encode("utf-8", "replace"), ours.encode("ascii")))


def links_with(envelope: Envelope, digest: str, number: int, ours: str) -> Links:
    """The personal addresses in one issue of whoever has this token, or what stands for one.

    The web copy is the same for all: it carries nothing personal.  Where the
    project's pages are not served, it is a file of the archive (`web.still`), which is
    known by this name before it is written.
    """
    mailto = f"mailto:{quote(envelope.unsubscribe_email, safe='@+')}?subject=unsubscribe%20{ours}"
    name = quote(digest, safe="")
    if not envelope.base_url:
        past = None if envelope.archive_url is None else f"{envelope.archive_url.rstrip('/')}/i/{name}"
        return Links(
            unsubscribe_url=mailto,
            mailto=mailto,
            view_url=f"{past}/{number}.html" if past else "",
            archive_url=f"{past}/index.html" if past else "",
        )
    base = envelope.base_url.rstrip("/")
    return Links(
        unsubscribe_url=f"{base}/u/{name}/{ours}",
        mailto=mailto,
        preferences_url=f"{base}/p/{name}/{ours}",
        view_url=f"{base}/i/{name}/{number}",
        archive_url=f"{base}/i/{name}",
    )
