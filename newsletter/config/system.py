"""What the system tells a program by its environment: where a user's settings are, who that is, who waits for news."""

import os
from pathlib import Path


def settings_folder() -> Path:
    """Where programs keep this user's settings (XDG Base Directory)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def user() -> str:
    """The user's name, or their number."""
    return os.environ.get("USER") or str(os.getuid())


def notify_socket() -> str:
    """Where systemd waits to hear how a service is doing (sd_notify(3)); "" where nobody does."""
    return os.environ.get("NOTIFY_SOCKET", "")


def watchdog_seconds() -> float:
    """How often systemd wants to hear that a service works (sd_watchdog_enabled(3)); 0 where it does not."""
    interval, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not interval.isdecimal() or process not in ("", str(os.getpid())):
        return 0.0
    return int(interval) / 1_000_000
