"""Things of the internet in a text: e-mail addresses, URLs, IPv6 and MAC addresses, user agents, coordinates."""

import ipaddress
from collections.abc import Iterator

from api.privacy.recognising import Recogniser, Verdict, compile_pattern
from api.privacy.scores import Grade

_LOCAL = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~\xff"
_SECRET_PARAMETER = compile_pattern(
    rb"(?i)[?&#;](?:access_token|auth|token|api_?key|key|sig|signature|secret|password|passwd|pwd|client_secret|code|sas)="
    rb"[^&\s]{6}"
)
_WEBHOOKS = ("https://hooks.slack.com/", "https://discord.com/api/webhooks/", "https://discordapp.com/api/webhooks/")


def _check_email(text: str) -> Iterator[Verdict]:
    local, _, domain = text.rpartition("@")
    labels = domain.rstrip(".-").split(".")
    top = labels[-1]
    is_host = len(labels) >= 2 and all(label and label[0] != "-" and len(label) <= 63 for label in labels)
    if local and is_host and len(top) >= 2 and not top.isdigit():
        yield "email_address", Grade.VALID


def _check_url(text: str) -> Iterator[Verdict]:
    authority = text.partition("://")[2].partition("/")[0]
    user, at, _ = authority.rpartition("@")
    if (at and ":" in user) or text.startswith(_WEBHOOKS) or _SECRET_PARAMETER.search(text.encode("latin-1")):
        yield "url_with_credentials", Grade.VALID
    if "." in authority or authority.startswith(("localhost", "[")):
        yield "url", Grade.TELLING


def _check_ipv6(text: str) -> Iterator[Verdict]:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return
    parts = [part for part in text.split(":") if part]
    is_doubtful = len(parts) < 3 or {len(part) for part in parts} == {2}  # pairs are a fingerprint's or a key's
    yield "ipv6_address", Grade.FORM if is_doubtful or int(address) < 2 else Grade.VALID


def _check_ipv4(text: str) -> Iterator[Verdict]:
    """Yield an address of four octets; one of small figures, or after a "v", is as likely a version."""
    octets = text.lstrip("vV").split(".")
    if len(octets) != 4 or any(int(octet) > 255 or (octet[0] == "0" and len(octet) > 1) for octet in octets):
        return
    is_version = text[0] in "vV" or (max(map(int, octets)) < 30 and octets[0] != "10")
    yield "ipv4_address", Grade.FORM if is_version else Grade.TELLING


def _check_mac(text: str) -> Iterator[Verdict]:
    if len({char for char in text if char in ":-."}) == 1 and len(text) in {14, 17}:
        yield "mac_address", Grade.VALID


def _check_coordinates(text: str) -> Iterator[Verdict]:
    parts = text.replace(";", ",").split(",")
    if len(parts) != 2:
        return
    latitude, longitude = parts
    decimals = min(len(part.strip().partition(".")[2]) for part in (latitude, longitude))
    if abs(float(latitude)) <= 90 and abs(float(longitude)) <= 180:
        yield "coordinates", Grade.TELLING if decimals >= 4 else Grade.FORM


def _check_user_agent(_: str) -> Iterator[Verdict]:
    yield "user_agent", Grade.TELLING


INTERNET = (
    Recogniser(rb"[" + _LOCAL + rb"-][" + _LOCAL + rb".-]*@[A-Za-z0-9\xff.-]*[A-Za-z0-9\xff]", _check_email),
    Recogniser(rb"(?i)\b[a-z][a-z0-9+.]{1,20}(?:-[a-z]{1,9})?://[^\s\"'<>`\x80]+", _check_url, 2),
    Recogniser(rb"(?i)\bwww\.[a-z0-9-]+\.[^\s\"'<>`\x80]+", lambda _: iter([("url", Grade.FORM)])),
    Recogniser(rb"\b[vV]?[0-9]{1,3}(?:\.[0-9]{1,3})+\b", _check_ipv4),
    Recogniser(rb"(?:\b[0-9A-Fa-f]{1,4}|:):[0-9A-Fa-f:.]*[0-9A-Fa-f:]", _check_ipv6, 2),
    Recogniser(
        rb"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){4}(?:[:-][0-9A-Fa-f]{2})+\b|\b[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\b",
        _check_mac,
    ),
    # A longer run of such numbers is a vector of something else.
    Recogniser(rb"-?\b[0-9]{1,3}\.[0-9]{3,15}(?: ?[,;] ?-?[0-9]{1,3}\.[0-9]{3,15})+\b", _check_coordinates),
    Recogniser(rb"\b(?:Mozilla|Opera|Dalvik)/[0-9]\.[0-9]+\.?[ .]?\([^\r\n]*", _check_user_agent),
)
