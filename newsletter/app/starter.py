"""What a new project begins with."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from newsletter.address import parse_mailbox
from newsletter.config import parse_project, starter_config, starter_people


def starter_files(
    *, feeds: Sequence[str], sender: str, title: str | None, timezone: str, smtp: str | None
) -> dict[str, str]:
    """Write the two files of a new project, and make sure that they are right.

    Args:
        feeds: addresses to begin with.
        sender: "Name <address>"; the first subscriber is that address.
        title: what the newsletter is called; None takes the sender's name.
        timezone: a name of the time zone database.
        smtp: "host" or "host:port"; None: later.

    Raises:
        AddressError: the sender is no address.
        ConfigError: another value cannot be used.
    """
    name, address = parse_mailbox(sender)
    config = starter_config(
        title=title or name or "My newsletter", from_=sender, feeds=feeds, timezone=timezone, smtp=smtp
    )
    parse_project(config, Path("newsletter.yaml"))
    return {"newsletter.yaml": config, "subscribers.yaml": starter_people(address.email)}


def local_timezone() -> str:
    """Guess this machine's time zone from where its settings point; UTC if they do not say."""
    try:
        target = os.path.realpath("/etc/localtime")
    except OSError:
        return "UTC"
    found = re.search(r"zoneinfo/(?:posix/|right/)?([A-Za-z]+(?:/[A-Za-z0-9_+-]+)*)$", target)
    return found[1] if found else "UTC"
