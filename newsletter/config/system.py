"""What the system tells a program by its environment: where a user's settings are, who that is, what they write with, who waits for news."""

import hmac
import os
from pathlib import Path
from typing import Final

#: Where systems with systemd, and some others, keep a name of this installation (machine-id(5)).
_MACHINE_ID: Final = Path("/etc/machine-id")


def settings_folder() -> Path:
    """Where programs keep this user's settings (XDG Base Directory)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def user() -> str:
    """The user's name, or their number."""
    return os.environ.get("USER") or str(os.getuid())


def editor() -> str:
    """The command of the program that this user edits text with."""
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"


def notify_socket() -> str:
    """Where systemd waits to hear how a service is doing (sd_notify(3)); "" where nobody does."""
    return os.environ.get("NOTIFY_SOCKET", "")


def machine() -> str:
    """A name of this machine that tells nothing about it elsewhere; "" where it has none.

    machine-id(5) wants its id hashed with a key of the program's own.  A container has
    none, or one of its image; then where files lie has to do.
    """
    try:
        found = _MACHINE_ID.read_bytes()[:100].strip()
    except OSError:
        return ""
    return hmac.digest(b"newsletter: where the state is at home", found, "sha256").hex()[:16] if found else ""


def watchdog_seconds() -> float:
    """How often systemd wants to hear that a service works (sd_watchdog_enabled(3)); 0 where it does not."""
    interval, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not interval.isdecimal() or process not in ("", str(os.getpid())):
        return 0.0
    return int(interval) / 1_000_000
