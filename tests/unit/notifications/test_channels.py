"""Channel configurations: checked strictly, shown without secrets, edited without giving secrets away."""

import base64
from typing import Any

import pytest

from notifications.channels import (
    MASK,
    ConfigRefused,
    Email,
    Slack,
    Webhook,
    check_config,
    destination_of,
    merge_config,
    public_config,
)
from tests.unit.notifications.notices import SECRET

SLACK = {"webhook_url": "https://hooks.slack.com/services/T0/B0/verysecret"}
WEBHOOK = {"url": "https://example.com/in?a=b", "headers": {"Authorization": "Bearer verysecret"}, "secret": SECRET}


@pytest.mark.parametrize(
    ("type_", "config", "stored"),
    [
        (
            "email",
            {"to": [" Ops@Example.COM", "Ops@example.com", "o'b+x@b.example"]},
            ["Ops@example.com", "o'b+x@b.example"],
        ),
        ("slack", SLACK, None),
        ("webhook", WEBHOOK, None),
        ("webhook", {"url": "http://10.0.0.1:8080/"}, None),
    ],
)
def test_keeps_what_is_right(type_: str, config: dict[str, Any], stored: list[str] | None) -> None:
    assert check_config(type_, config) == ({"to": stored} if stored else config)


@pytest.mark.parametrize(
    ("type_", "config", "field"),
    [
        ("pager", {}, "type"),
        ("email", {}, "to"),
        ("email", {"to": []}, "to"),
        ("email", {"to": "ops@example.com"}, "to"),
        ("email", {"to": [1]}, "to"),
        ("email", {"to": ["a@b.example"] * 51}, "to"),
        ("email", {"to": ["a@b.example"], "cc": ["c@d.example"]}, "cc"),
        *(
            ("email", {"to": [address]}, "to")
            for address in (
                *("a", "a@", "@b.example", "a b@c.example", "a@b@c.example", "a@b..example", ".a@b.example"),
                *("Ops <a@b.example>", "a@b.example,c@d.example", "a@b.example\r\nBcc: c@d.example", "a@b.example\n"),
                *("a@[127.0.0.1]", "ä@b.example", "mailto:a@b.example?cc=c@d.example", "x" * 65 + "@b.example"),
            )
        ),
        ("slack", {}, "webhook_url"),
        ("slack", {"webhook_url": "slack://T/B/x"}, "webhook_url"),
        ("slack", {"webhook_url": "https://hooks.slack.com/…"}, "webhook_url"),
        ("slack", {"webhook_url": "https://hooks.slack.com/x", "channel": "#a"}, "channel"),
        ("webhook", {}, "url"),
        ("webhook", {"url": 1}, "url"),
        ("webhook", {"url": "https://a:b@example.com/"}, "url"),
        ("webhook", WEBHOOK | {"secret": MASK}, "secret"),
        ("webhook", WEBHOOK | {"secret": "whsec_" + base64.b64encode(b"x" * 23).decode()}, "secret"),
        ("webhook", WEBHOOK | {"secret": "whsec_" + base64.b64encode(b"x" * 65).decode()}, "secret"),
        ("webhook", WEBHOOK | {"secret": "whsec_" + "*" * 40}, "secret"),
        ("webhook", WEBHOOK | {"headers": ["a"]}, "headers"),
        ("webhook", WEBHOOK | {"headers": {f"X-{n}": "a" for n in range(21)}}, "headers"),
        ("webhook", WEBHOOK | {"headers": {"X A": "a"}}, "headers"),
        ("webhook", WEBHOOK | {"headers": {"X-A": "a\r\nX-B: b"}}, "headers.X-A"),
        ("webhook", WEBHOOK | {"headers": {"X-A": ""}}, "headers.X-A"),
        ("webhook", WEBHOOK | {"headers": {"X-A": 1}}, "headers.X-A"),
        ("webhook", WEBHOOK | {"headers": {"X-A": MASK}}, "headers.X-A"),
        ("webhook", WEBHOOK | {"headers": {"X-A": "a", "x-a": "b"}}, "headers.x-a"),
        *(
            ("webhook", WEBHOOK | {"headers": {name: "a"}}, f"headers.{name}")
            for name in (
                "Host",
                "Content-Length",
                "Transfer-Encoding",
                "Webhook-Id",
                "webhook-signature",
                "Idempotency-Key",
            )
        ),
    ],
)
def test_refuses_what_is_wrong_and_names_the_field(type_: str, config: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigRefused) as refused:
        check_config(type_, config)
    assert refused.value.field == field
    assert "verysecret" not in str(refused.value)


def test_shows_no_secret() -> None:
    assert public_config("slack", SLACK) == {"webhook_url": "https://hooks.slack.com/…"}
    assert public_config("webhook", WEBHOOK) == WEBHOOK | {"headers": {"Authorization": MASK}, "secret": MASK}
    assert public_config("email", {"to": ["a@b.example"]}) == {"to": ["a@b.example"]}
    assert "verysecret" not in repr([destination_of("slack", SLACK, ""), destination_of("webhook", WEBHOOK, "")])


def test_what_was_shown_can_be_sent_back() -> None:
    for type_, config in (("slack", SLACK), ("webhook", WEBHOOK)):
        assert merge_config(type_, config, public_config(type_, config)) == config
    moved = public_config("webhook", WEBHOOK) | {"url": "https://example.com/other", "headers": {"X-B": "b"}}
    assert merge_config("webhook", WEBHOOK, moved) == {
        "url": "https://example.com/other",
        "headers": {"X-B": "b"},
        "secret": SECRET,
    }


@pytest.mark.parametrize(
    "url", ["https://other.example/", "http://example.com/in", "https://example.com:444/", "x", None]
)
@pytest.mark.parametrize("kept", [{"secret": MASK}, {"headers": {"Authorization": MASK}}])
def test_a_secret_kept_unseen_does_not_follow_to_another_receiver(url: str | None, kept: dict[str, Any]) -> None:
    with pytest.raises(ConfigRefused):
        merge_config("webhook", WEBHOOK, {"url": url} | kept)


def test_there_must_be_a_secret_to_keep() -> None:
    for kept in ({"secret": MASK}, {"headers": {"X-A": MASK}}):
        with pytest.raises(ConfigRefused):
            merge_config("webhook", {"url": "https://example.com/"}, {"url": "https://example.com/"} | kept)


def test_destinations() -> None:
    assert destination_of("email", {"to": ["a@b.example", "c@d.example"]}, "c@d.example") == Email("c@d.example")
    assert destination_of("slack", SLACK, "") == Slack(SLACK["webhook_url"])
    assert destination_of("webhook", {"url": "https://example.com/"}, "") == Webhook("https://example.com/", {}, None)
