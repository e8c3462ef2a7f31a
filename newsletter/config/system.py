"""What the system tells a program by its environment: where a user's settings are, who that is, what they write with, who waits for news."""

import os
from pathlib import Path


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
