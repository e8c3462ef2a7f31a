"""What names a DKIM key in the DNS (RFC 6376 §3.1): a domain and a selector."""

import re

from newsletter.address import parse_address
from newsletter.errors import AddressError

_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)*", re.ASCII)
_LONGEST_SELECTOR = 63


def signing_domain(text: str) -> str:
    """A domain as the DNS has it: in ASCII and small letters.

    Raises:
        ValueError: it is none.
    """
    try:
        domain = parse_address(f"x@{text.strip().removesuffix('.')}").domain
    except AddressError as error:
        raise ValueError("is not a domain such as example.com") from error
    if "_" in domain:
        raise ValueError("is not a domain such as example.com")
    return domain


def selector(text: str) -> str:
    """What stands before `._domainkey` in the DNS.

    Raises:
        ValueError: it is none.
    """
    found = text.strip().lower()
    if "_domainkey" in found:
        raise ValueError("must be what stands before ._domainkey in the DNS, and no more")
    if not _SELECTOR.fullmatch(found) or len(found) > _LONGEST_SELECTOR:
        raise ValueError("must be of letters, digits and -, as it stands in the DNS before ._domainkey")
    return found
