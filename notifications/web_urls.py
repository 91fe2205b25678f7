"""URLs a notice may be sent to, read strictly: what two parsers could read differently is refused."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from notifications.allow_list import Address

_PLACE = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<name>[^\[\]:@]+))(?::(?P<port>[0-9]{1,5}))?")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*\.?")
_ENDS_IN_A_NUMBER = re.compile(r"(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)\.?$")
_DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_URL = 2000


class UrlRefused(ValueError):
    """A URL that notices are not sent to, with the reason in a sentence."""


@dataclass(frozen=True)
class WebUrl:
    """A URL in parts. `host` is a lower-case name, or an address without brackets; `literal` is that address."""

    scheme: str
    host: str
    port: int
    target: str
    literal: Address | None

    @property
    def origin(self) -> str:
        """Scheme, host and port, the port only where it is not the scheme's own."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_url(text: str) -> WebUrl:
    """Return the parts of an absolute http(s) URL; raise UrlRefused saying what is wrong with it."""
    if len(text) > LONGEST_URL or not text.isascii() or re.search(r"[\x00-\x20\x7f\\]", text):
        raise UrlRefused("a URL is printable ASCII without spaces and backslashes, of at most 2000 characters")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise UrlRefused("the URL cannot be read") from error
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise UrlRefused("the URL must start with http:// or https://")
    if "@" in parts.netloc:
        raise UrlRefused("the URL must hold no user name or password: send credentials in a header")
    place = _PLACE.fullmatch(parts.netloc.lower())
    if place is None or not 0 < int(place["port"] or _DEFAULT_PORTS[scheme]) <= 65535:
        raise UrlRefused("the URL must hold a host, and a port of 1 to 65535 if any")
    host, literal = _host(place["name"], place["ipv6"])
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebUrl(scheme, host, int(place["port"] or _DEFAULT_PORTS[scheme]), target, literal)


def _host(host: str | None, ipv6: str | None) -> tuple[str, Address | None]:
    if host is None:
        try:
            address = ipaddress.IPv6Address(ipv6 or "")
        except ValueError as error:
            raise UrlRefused("the URL's host is no IPv6 address") from error
        return str(address), address
    if _ENDS_IN_A_NUMBER.search(host):
        # 0177.1, 2130706433, 0x7f000001: resolvers read them as addresses, each in its own way.
        try:
            return host, ipaddress.IPv4Address(host)
        except ValueError as error:
            raise UrlRefused("the URL's host must be a name, or an address in its usual form") from error
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise UrlRefused("the URL's host is no host name")
    return host, None
