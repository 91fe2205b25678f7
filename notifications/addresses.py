"""The address guard: which IP addresses a notice may be sent to, and which ones a URL's host has.

Sources of the ranges: the IANA special-purpose address registries (RFC 6890), RFC 4291, 6052, 3056, 4380.
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence

from notifications.allow_list import Address, AllowList
from notifications.web_urls import WebUrl

Resolver = Callable[[str, int], Sequence[str]]

MOST_ADDRESSES = 16
_IPV6_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Beside what `is_global` refuses: whatever wraps another address, and what answers to the machine's own cloud.
_NEVER_V4 = tuple(map(ipaddress.IPv4Network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
_NEVER_V6 = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "2620:4f:8000::/48"))
)


class DestinationRefused(ValueError):
    """A destination that notices are not sent to, with the reason in a sentence."""


class NameUnresolved(OSError):
    """A host name that has no address now; it may have one later."""


def is_public(address: Address) -> bool:
    """Tell whether an address is one host of the public internet, and nothing that stands for another address.

    A NAT64 address is judged by the IPv4 address inside it; mapped, compatible, 6to4 and Teredo ones are refused.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in range_ for range_ in _NEVER_V4)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (
        address in _IPV6_UNICAST
        and address.is_global
        and not any(address in range_ for range_ in _NEVER_V6)
        and not _is_isatap(address)
    )


def _is_isatap(address: ipaddress.IPv6Address) -> bool:
    return (int(address) >> 32) & 0xFDFFFFFF == 0x5EFE  # RFC 5214: an IPv4 address in the lowest 32 bits


def resolve_by_system(host: str, port: int) -> list[str]:
    """Ask the system's resolver; raises OSError when it knows no address."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(place[4][0]) for place in found]


class AddressGuard:
    """Resolves a host once and answers only when each of its addresses may be sent to."""

    def __init__(self, allowed: AllowList, resolve: Resolver = resolve_by_system) -> None:
        self._allowed = allowed
        self._resolve = resolve

    def check(self, url: WebUrl, *, timeout_s: float) -> list[str]:
        """Return the addresses to connect to, all of them checked; connect to nothing else.

        Raises DestinationRefused when one is not public and not allowed, NameUnresolved when there is none in time.
        """
        if url.literal is not None:
            addresses: list[Address] = [url.literal]
        else:
            addresses = [_read(text) for text in self._look_up(url, timeout_s)]
        for address in addresses:
            if not self._allowed.holds(url.host, address) and not is_public(address):
                raise DestinationRefused(f"refused: {url.host} is, or has, an address that is not public")
        return list(dict.fromkeys(map(str, addresses)))[:MOST_ADDRESSES]

    def _look_up(self, url: WebUrl, timeout_s: float) -> Sequence[str]:
        # getaddrinfo takes no timeout; a thread that hangs in it is left behind.
        answer: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answer.put(self._resolve(url.host, url.port))
            except Exception as error:  # whatever a resolver raises: no address
                answer.put(error)

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        try:
            found = answer.get(timeout=timeout_s)
        except queue.Empty:
            raise NameUnresolved(f"looking up {url.host} took longer than {timeout_s:.3g} s") from None
        if isinstance(found, Exception) or not found:
            raise NameUnresolved(f"the host name {url.host} has no address")
        return found


def _read(text: str) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise DestinationRefused("refused: the resolver answered with something that is no address") from error
