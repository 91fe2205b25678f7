"""Mail addresses taken literally: one mailbox, no display name, nothing a header or an SMTP command could misread."""

import re
from email.utils import parseaddr

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAILBOX = re.compile(rf"(?P<local>{_LOCAL})@(?P<domain>{_LABEL}(?:\.{_LABEL})*)")


class AddressRefused(ValueError):
    """A text that is not one plain mail address."""


def parse_mailbox(text: str) -> str:
    """Return the address with its domain in lower case; raise AddressRefused for anything but `local@domain`.

    ASCII only (write an international domain in its `xn--` form), at most 254 characters, 64 before the @.
    """
    match = _MAILBOX.fullmatch(text.strip(" "))
    if match is None or len(text) > 254 or len(match["local"]) > 64:
        raise AddressRefused(f"{text[:80]!r} is not a plain mail address like ops@example.com")
    return f"{match['local']}@{match['domain'].lower()}"


def parse_sender(text: str) -> tuple[str, str]:
    """Return (name, address) of `ops@example.com` or `Pilothouse <ops@example.com>`, or raise AddressRefused."""
    if not text.isprintable():
        raise AddressRefused("a sender holds no control characters")
    name, address = parseaddr(text)
    return name, parse_mailbox(address)
