"""Telling systemd how a service of ours is doing (sd_notify(3)): a datagram to the socket that it names."""

import socket
from contextlib import suppress

from newsletter.config.system import notify_socket


def tell_systemd(state: str) -> None:
    """Send a state such as READY=1; nothing happens where nobody waits for it."""
    address = notify_socket()
    if not address.startswith(("/", "@")):
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notice:
        # "@" stands for the zero byte of an abstract address (unix(7)).
        notice.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        notice.sendall(state.encode())
