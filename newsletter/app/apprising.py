"""Telling by any service that Apprise knows: an extra, loaded when something is told."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from newsletter.config.secret import PasswordSource
from newsletter.errors import NewsletterError

_SECONDS: Final = 60.0
_LONGEST: Final = 3_000


async def notify(source: PasswordSource, title: str, text: str) -> None:
    """Send a text to every service whose address stands at `source`, one after another, apart by blanks.

    Raises:
        NewsletterError: Apprise is not installed, an address is none, or a service did not take it; never with
            an address, which has a key in it.
    """
    try:
        import apprise
    except ImportError as error:
        raise NewsletterError(
            "notify names services of Apprise, which is not installed",
            hint='pip install "newsletter-press[notify]"',
        ) from error
    addresses = source.read().reveal().split()
    try:
        # Its own way of waiting blocks.
        async with asyncio.timeout(_SECONDS):
            wrong, is_taken = await asyncio.to_thread(_notify, apprise.Apprise(), addresses, title, text[:_LONGEST])
    except TimeoutError as error:
        raise NewsletterError(f"Apprise has not finished within {_SECONDS:.0f} s") from error
    except Exception as error:  # noqa: BLE001 - another library's, and what it says may have the address in it
        raise NewsletterError(f"Apprise failed with {type(error).__name__}") from None
    if wrong or not addresses:
        what = f"{wrong} of the addresses are none that it knows" if wrong else "there is no address for it"
        raise NewsletterError(f"Apprise: {what}", hint="try one with: apprise -b test ADDRESS")
    if not is_taken:
        raise NewsletterError("a service of Apprise did not take the notice")


def _notify(services: Any, addresses: Sequence[str], title: str, text: str) -> tuple[int, bool]:
    """How many of the addresses are none, and whether all services took the text; nothing is sent if any is."""
    wrong = sum(not services.add(address) for address in addresses)
    return wrong, not wrong and bool(addresses) and bool(services.notify(title=title, body=text))
