"""Where feeds may not lead us: the addresses of this machine and of the networks behind it.

The check sits at the dial.  `socket_factory` is called with the resolved address
of every connection, so names, IP literals, redirects and a name that resolves
differently the second time all pass through it (CWE-918).
"""

import socket
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[str | int, ...]]

# Written out rather than asked of `ipaddress`: what `is_global` says of multicast,
# 6to4 and NAT64 differs between Python versions.
# https://www.iana.org/assignments/iana-ipv4-special-registry
_CLOSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; 0.0.0.0 dials loopback on Linux
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: the metadata services of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays, RFC 7526
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# https://www.iana.org/assignments/iana-ipv6-special-registry
# Only 2000::/3 is handed out as global unicast (RFC 4291 §2.4).  What lies outside
# (loopback, link-local, unique local, v4-mapped, NAT64 in 64:ff9b::/96 and
# 64:ff9b:1::/48, multicast) needs no row of its own.
_OPEN_V6 = IPv6Network("2000::/3")
_CLOSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries an IPv4 address, any one
        "3fff::/20",  # documentation, RFC 9637
    )
)


class PrivateAddressError(OSError):
    """The address dialled is not one of the public internet.

    The text is the same for every address: a connection that tries several
    keeps the class of the error only where all of them say the same.
    """

    def __init__(self, address: str) -> None:
        super().__init__("not a public address")
        self.address = address


def is_public(ip: str) -> bool:
    """Whether an address, as text, belongs to the public internet.

    Anything that is not plainly public is not: names, malformed text, every
    special range, and every IPv6 form that carries an IPv4 address.
    """
    try:
        v4 = IPv4Address(ip)
    except AddressValueError:
        pass
    else:
        return not any(v4 in network for network in _CLOSED_V4)
    try:
        v6 = IPv6Address(ip)
    except AddressValueError:
        return False
    return v6 in _OPEN_V6 and not any(v6 in network for network in _CLOSED_V6)


def socket_factory(allow_private: bool) -> Callable[[AddressInfo], socket.socket]:  # noqa: FBT001 - one question, one answer
    """Make the `socket_factory` of an aiohttp `TCPConnector`.

    Args:
        allow_private: let every address through, for a feed whose owner said so.

    The function returned raises `PrivateAddressError` before a socket exists.
    """

    def open_socket(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if not allow_private and not is_public(str(address[0])):
            raise PrivateAddressError(str(address[0]))
        return socket.socket(family, kind, protocol)

    return open_socket
