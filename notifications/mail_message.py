"""A notice as a mail: plain text and HTML, with headers that let mail programs thread the notices of one alert."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from html import escape

from notifications import wording
from notifications.notice import Notice

# Seven bits: no server on the way needs to know 8BITMIME.
_POLICY = SMTP.clone(cte_type="7bit")


def compose(
    notice: Notice, *, sender: tuple[str, str], recipient: str, delivery_id: str, now: datetime
) -> EmailMessage:
    """Return the message; its Message-ID is the delivery's, the same at each attempt. `sender`: (name, address)."""
    name, address = sender
    domain = address.rpartition("@")[2]
    message = EmailMessage(policy=_POLICY)
    message["Subject"] = _header(wording.subject(notice))
    message["From"] = Address(_header(wording.one_line(name, 100)), addr_spec=address)
    message["To"] = Address(addr_spec=recipient)
    message["Date"] = now
    message["Message-ID"] = f"<{delivery_id}@{domain}>"
    if notice.alert_id:
        message["References"] = f"<{notice.alert_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(plain_text(notice))
    message.add_alternative(html_text(notice), subtype="html")
    return message


def _header(line: str) -> str:
    # The email package decodes `=?utf-8?q?=0D=0ABcc:...?=` in what it is given, line break included.
    return line.replace("=?", "= ?")


def plain_text(notice: Notice) -> str:
    """Return the notice for reading as text."""
    rows = wording.facts(notice)
    width = max(len(label) for label, _ in rows) + 2
    table = "\n".join(f"{label + ':':<{width}}{text}" for label, text in rows)
    link = wording.link(notice)
    parts = [wording.subject(notice), wording.reason(notice), table, link or ""]
    return "\n\n".join(part for part in parts if part) + "\n"


def html_text(notice: Notice) -> str:
    """Return the notice as a small HTML page that loads nothing."""
    rows = "".join(
        f'<tr><th align="left" valign="top" style="padding-right:1em">{escape(label)}</th><td>{escape(text)}</td></tr>'
        for label, text in wording.facts(notice)
    )
    link = wording.link(notice)
    words = "Open the alert" if notice.alert_id else "Open Pilothouse"
    anchor = f'<p><a href="{escape(link)}">{words}</a></p>' if link else ""
    return (
        '<!doctype html><html><body style="font-family:sans-serif">'
        f"<h3>{escape(wording.subject(notice))}</h3><p>{escape(wording.reason(notice))}</p>"
        f"<table>{rows}</table>{anchor}</body></html>\n"
    )
