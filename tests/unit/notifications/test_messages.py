"""A notice as mail, Slack message and webhook: right in form, and nothing of a user's text taken for markup."""

import email.policy
import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from notifications import mail_message, slack_message, webhook_message
from notifications.notice import Notice
from tests.unit.notifications.notices import LINK, NOW, SECRET, a_notice, a_test_notice

SCHEMA = json.loads((Path(webhook_message.__file__).parent / "webhook.v1.schema.json").read_text())
NASTY = st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=http://10.0.0.1/>',
        "<!channel> <@U1> <http://evil.example|click>",
        "line\r\nBcc: victim@example.com\r\n\r\nbody",
        "{{7*7}} ${x} %s \\n",
        "\u202egnp.exe\u2066",
        "=?utf-8?q?=0D=0ABcc:_a@b.example?=",
        "file:///etc/passwd",
        "mailto://a:b@example.com",
    ]
)


def mail_of(notice: Notice) -> EmailMessage:
    message = mail_message.compose(
        notice, sender=("Pilothouse", "pilot@example.com"), recipient="o'b@ops.example", delivery_id="0195-x", now=NOW
    )
    parsed = message_from_bytes(message.as_bytes(), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_mail_says_it_in_text_and_html_with_the_link() -> None:
    mail = mail_of(a_notice())
    assert mail["Subject"] == "[CRITICAL] prod-v3: drift_psi 0.31 > 0.25 (income drifts)"
    assert (mail["From"], mail["To"]) == ("Pilothouse <pilot@example.com>", "o'b@ops.example")
    assert (mail["Message-ID"], mail["References"]) == ("<0195-x@example.com>", "<0195-a@example.com>")
    assert mail["Date"].datetime == NOW
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    for part in (plain.get_content(), html.get_content()):
        assert LINK in part
        assert "1200 samples" in part


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))


def _tags(html: str) -> list[tuple[str, list[tuple[str, str | None]]]]:
    parser = _Tags()
    parser.feed(html)
    return parser.seen


@given(NASTY | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80))
def test_nothing_of_a_users_text_becomes_markup_or_a_header(text: str) -> None:
    notice = a_notice(
        rule_name=text, deployment_name=text, model_name=text, project_name=text, feature=text, reason=text
    )
    mail = mail_of(notice)
    assert sorted(mail.keys()) == sorted(mail_of(a_notice()).keys())
    html, tame = mail.get_body(("html",)), mail_of(a_notice(feature="x")).get_body(("html",))
    assert html is not None
    assert tame is not None
    shown = [name for name, _ in _tags(html.get_content())]
    assert set(shown) <= {name for name, _ in _tags(tame.get_content())}
    assert shown.count("a") == 1
    for marked in _marked(json.loads(slack_message.compose(notice))):
        bare = marked.replace(f"<{LINK}|Open the alert>", "")
        assert "<" not in bare
        assert ">" not in bare


def _marked(value: Any) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _marked(item)]
    if not isinstance(value, dict):
        return []
    own = [value["text"]] if isinstance(value.get("text"), str) and value.get("type") != "plain_text" else []
    return own + [text for item in value.values() for text in _marked(item)]


@pytest.mark.parametrize("notice", [a_notice(), a_test_notice(), a_notice(rule_name="x" * 900, reason="y" * 9000)])
def test_a_slack_message_keeps_to_slacks_limits(notice: Notice) -> None:
    message = json.loads(slack_message.compose(notice))
    header, reason, fields, context, *rest = message["blocks"]
    assert header["type"] == "header"
    assert 0 < len(header["text"]["text"]) <= 150
    assert 0 < len(reason["text"]["text"]) <= 3000
    assert 0 < len(fields["fields"]) <= 10
    assert all(len(field["text"]) <= 2000 for field in fields["fields"])
    assert context["type"] == "context"
    assert [block["text"]["text"] for block in rest] == ([f"<{LINK}|Open the alert>"] if notice.link else [])
    assert message["text"].startswith(("[CRITICAL] prod-v3", "[TEST]"))


@pytest.mark.parametrize(
    "notice",
    [
        a_notice(),
        a_test_notice(),
        a_notice(kind="resolved", resolved_at="2026-03-01T12:30:00+00:00"),
        a_notice(kind="escalated", previous_severity="warning", feature="income"),
        a_notice(cause="no_data", value=None, samples=0),
    ],
)
def test_a_webhooks_body_is_what_its_schema_says(notice: Notice) -> None:
    body = json.loads(webhook_message.compose(notice))
    jsonschema.validate(body, SCHEMA, format_checker=jsonschema.FormatChecker())
    assert body.keys() == SCHEMA["properties"].keys()


def test_the_schema_refuses_another_version_and_a_missing_field() -> None:
    body = json.loads(webhook_message.compose(a_notice()))
    for wrong in (body | {"schema": "pilothouse.alert.v2"}, {k: v for k, v in body.items() if k != "kind"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, SCHEMA)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=50))
def test_a_receiver_verifies_the_signature_with_the_standard_library_for_it(text: str) -> None:
    body, now = webhook_message.compose(a_notice(reason=text)), datetime.now(UTC)
    headers = webhook_message.headers_for(body, delivery_id="0195-x", now=now, secret=SECRET, extra={})
    assert Webhook(SECRET).verify(body, headers)["reason"] == text
    for changed in (body + b" ", body.replace(b"0.25", b"0.26")):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(changed, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers | {"webhook-id": "another"})


def test_the_channels_headers_never_replace_ours() -> None:
    theirs = {"X-Team": "risk", "webhook-ID": "a", "Idempotency-key": "b", "HOST": "c", "content-type": "d"}
    headers = webhook_message.headers_for(b"{}", delivery_id="0195-x", now=NOW, secret=None, extra=theirs)
    assert {name.lower(): value for name, value in headers.items()} == {
        "x-team": "risk",
        "user-agent": "Pilothouse",
        "content-type": "application/json",
        "webhook-id": "0195-x",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "idempotency-key": "0195-x",
    }
    assert len(headers) == 6


def test_a_channels_own_user_agent_is_the_only_one() -> None:
    headers = webhook_message.headers_for(b"{}", delivery_id="x", now=NOW, secret=None, extra={"user-agent": "ours"})
    assert [value for name, value in headers.items() if name.lower() == "user-agent"] == ["ours"]


def test_a_stored_notice_of_another_version_still_reads() -> None:
    assert Notice.from_facts({**a_test_notice().__dict__, "later": 1, "link": "x"}, link=None) == a_test_notice()
