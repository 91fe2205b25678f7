"""Channels: what each type's configuration must hold, what of it is shown, and where it leads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from notifications.mail_addresses import AddressRefused, parse_mailbox
from notifications.web_urls import UrlRefused, parse_url
from notifications.webhook_config import ConfigRefused, check_headers, check_secret

__all__ = ["ConfigRefused", "Destination", "Email", "Slack", "Webhook"]
__all__ += ["check_config", "destination_of", "merge_config", "public_config"]

MASK = "********"
CHANNEL_TYPES = ("email", "slack", "webhook")
MOST_RECIPIENTS = 50
_FIELDS = {"email": {"to"}, "slack": {"webhook_url"}, "webhook": {"url", "headers", "secret"}}


@dataclass(frozen=True)
class Email:
    """One mail address."""

    address: str


@dataclass(frozen=True)
class Slack:
    """A Slack incoming webhook; its URL is a secret."""

    webhook_url: str = field(repr=False)


@dataclass(frozen=True)
class Webhook:
    """A receiver of our JSON, with headers of its own and a signing secret."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret: str | None = field(default=None, repr=False)


Destination = Email | Slack | Webhook


def destination_of(type: str, config: Mapping[str, Any], target: str) -> Destination:  # noqa: A002 - the field's name
    """Return where a delivery goes: `target` is the mail address, and empty for the other types."""
    if type == "email":
        return Email(target)
    if type == "slack":
        return Slack(config["webhook_url"])
    return Webhook(config["url"], config.get("headers") or {}, config.get("secret"))


def check_config(type: str, config: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Return the configuration in its stored form; raise ConfigRefused naming the field that is wrong."""
    if type not in _FIELDS:
        raise ConfigRefused("type", f"must be one of {', '.join(CHANNEL_TYPES)}")
    unknown = sorted(set(config) - _FIELDS[type])
    if unknown:
        raise ConfigRefused(unknown[0], f"is not a setting of the channel type {type}")
    if type == "email":
        return {"to": _check_recipients(config.get("to"))}
    if type == "slack":
        return {"webhook_url": _check_url("webhook_url", config.get("webhook_url"))}
    checked: dict[str, Any] = {"url": _check_url("url", config.get("url"))}
    if config.get("headers"):
        checked["headers"] = check_headers(config["headers"], mask=MASK)
    if config.get("secret") is not None:
        checked["secret"] = check_secret(config["secret"])
    return checked


def public_config(type: str, config: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Return the configuration as it may be shown: header values, secrets and Slack's URL are masked."""
    shown = dict(config)
    if type == "slack":
        shown["webhook_url"] = _masked_url(config["webhook_url"])
    if shown.get("headers"):
        shown["headers"] = dict.fromkeys(shown["headers"], MASK)
    if shown.get("secret") is not None:
        shown["secret"] = MASK
    return shown


def merge_config(type: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:  # noqa: A002
    """Return the new configuration, unchecked, with the old secret wherever its masked form came back.

    Raises ConfigRefused when a masked secret would go to another origin than the one it was given for: a secret that
    cannot be read must not be sent to a receiver of the editor's choice either.
    """
    merged = dict(new)
    if type == "slack" and new.get("webhook_url") == _masked_url(old["webhook_url"]):
        merged["webhook_url"] = old["webhook_url"]
    if type != "webhook":
        return merged
    if new.get("secret") == MASK:
        merged["secret"] = _kept("secret", old.get("secret"), old, new)
    headers = new.get("headers")
    if isinstance(headers, Mapping) and MASK in headers.values():
        known = old.get("headers") or {}
        merged["headers"] = {
            name: _kept(f"headers.{name}", known.get(name), old, new) if value == MASK else value
            for name, value in headers.items()
        }
    return merged


def _kept(name: str, secret: str | None, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if secret is None:
        raise ConfigRefused(name, "has no earlier value to keep: give it")
    if parse_url(old["url"]).origin != parse_url(_check_url("url", new.get("url"))).origin:
        raise ConfigRefused(name, "give it again: the URL leads to another host than the one it was given for")
    return secret


def _masked_url(url: str) -> str:
    return f"{parse_url(url).origin}/…"


def _check_url(name: str, url: object) -> str:
    if not isinstance(url, str):
        raise ConfigRefused(name, "must be a URL")
    try:
        parse_url(url)
    except UrlRefused as refused:
        raise ConfigRefused(name, str(refused)) from refused
    return url


def _check_recipients(to: object) -> list[str]:
    if not isinstance(to, list) or not 1 <= len(to) <= MOST_RECIPIENTS or not all(isinstance(one, str) for one in to):
        raise ConfigRefused("to", f"must be a list of 1 to {MOST_RECIPIENTS} mail addresses")
    try:
        return list(dict.fromkeys(parse_mailbox(one) for one in to))
    except AddressRefused as refused:
        raise ConfigRefused("to", str(refused)) from refused
