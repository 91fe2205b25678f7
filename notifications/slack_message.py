"""A notice as a Slack message: blocks, with a plain line for notifications."""

import json
from typing import Any

from notifications import wording
from notifications.notice import Notice

LONGEST_HEADER = 150
MOST_FIELDS = 10


def compose(notice: Notice) -> bytes:
    """Return the JSON body for an incoming webhook: header, reason, fields, context and link."""
    title = wording.subject(notice)
    context = f"Pilothouse · notice {notice.notice_id}"
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(wording.one_line(title, LONGEST_HEADER))},
        {"type": "section", "text": _markdown(escape(wording.reason(notice)) or "No reason given.")},
        {"type": "section", "fields": [_field(*row) for row in wording.facts(notice)[:MOST_FIELDS]]},
        {"type": "context", "elements": [_plain(context)]},
    ]
    link = wording.link(notice)
    if link:
        words = "Open the alert" if notice.alert_id else "Open Pilothouse"
        blocks.append({"type": "section", "text": _markdown(f"<{escape(link).replace('|', '%7C')}|{words}>")})
    return json.dumps({"text": escape(title), "mrkdwn": False, "blocks": blocks}).encode()


def escape(text: str) -> str:
    """Escape what Slack reads as control: without `<`, no mention, channel or link can be written."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _field(label: str, text: str) -> dict[str, Any]:
    return _markdown(f"*{label}*\n{escape(text)}")


def _markdown(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}  # verbatim: no links made of names and addresses


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}
