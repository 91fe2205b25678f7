"""The demo's steps of the watch: a rule, the alert it raises, and the message that somebody gets."""

import time
from collections.abc import Iterator
from typing import Any

from api.cli.channels import delivery_row
from api.cli.demo.calls import Call
from api.cli.demo.client import DemoFailed
from api.cli.demo.mail_sink import plain_text, read_messages, sink_folder
from api.cli.demo.story import Story
from api.supervisor.home import Home

_THRESHOLD = 0.25
_MIN_SAMPLES = 300  # of fewer rows the first batch alone may look like drift
_ALERT_TIMEOUT_S = 240.0
_NOTICE_TIMEOUT_S = 45.0
_POLL_S = 0.5


def make_rule(story: Story) -> str:
    """Make an e-mail channel, and a rule on the drift of whatever is in production."""
    folder = f"{story.api}/api/mlops/projects/{story.project_id}"
    story.address = f"captain-{story.project_id[-8:]}@pilothouse.example"
    channel = {"name": "captain", "type": "email", "config": {"to": [story.address]}}
    channel_id = story.client.make(Call("POST", f"{folder}/channels", channel))["id"]
    rule = {
        "name": "inputs drift",
        "metric": "drift_psi",
        "operator": "gt",
        "threshold": _THRESHOLD,
        "severity": "warning",
        "escalation_minutes": 30,
        "escalation_severity": "critical",
        "min_samples": _MIN_SAMPLES,
        "channels": [channel_id],
    }
    story.rule_id = story.client.make(Call("POST", f"{folder}/alert-rules", rule))["id"]
    return f"rule {story.rule_id}: tells {story.address} when PSI passes {_THRESHOLD:g}"


def wait_for_alert(story: Story) -> str:
    """Wait for the scheduled evaluation that sees the drift."""
    call = Call("GET", f"{story.api}/api/mlops/projects/{story.project_id}/alerts")
    alerts = story.client.make(call)["items"]
    began = time.monotonic()
    while not alerts:
        waited = time.monotonic() - began
        if waited > _ALERT_TIMEOUT_S:
            why = f"GET {story.api}/api/mlops/alert-rules/{story.rule_id}/history says why, {story.prefect} what ran"
            raise DemoFailed(f"The rule raised no alert within {_ALERT_TIMEOUT_S:g} s; {why}")
        story.client.voice.waiting(f"  waiting for the next evaluation, {waited:.0f} s")
        time.sleep(_POLL_S)
        alerts = story.client.make(call, show=False)["items"]
    story.client.voice.settled()
    story.alert_id = alerts[0]["id"]
    history = Call("GET", f"{story.api}/api/mlops/alert-rules/{story.rule_id}/history")
    for line in history_lines(story.client.make(history)["items"]):
        story.client.voice.say(f"    {line}")
    return f"alert {story.alert_id}: {alerts[0]['severity']}, PSI {alerts[0]['value']:.2f}"


def read_notice(story: Story) -> str:
    """Show the message, if the mail sink of `pilothouse up --demo` got it; else what became of it."""
    folder = sink_folder(Home(story.home))
    call = Call("GET", f"{story.api}/api/mlops/alerts/{story.alert_id}/deliveries")
    deliveries = story.client.make(call)["items"]
    deadline = time.monotonic() + _NOTICE_TIMEOUT_S
    while _are_under_way(deliveries) and time.monotonic() < deadline:
        story.client.voice.waiting("  the message is on its way")
        time.sleep(_POLL_S)
        deliveries = story.client.make(call, show=False)["items"]
    story.client.voice.settled()
    messages = read_messages(folder, story.address)
    if not messages:
        for delivery in deliveries:
            story.client.voice.say("    " + "  ".join(word for word in delivery_row(delivery) if word))
        return "no mail sink of ours got it: `pilothouse up --demo` runs one where PILOTHOUSE_SMTP_HOST is not set"
    message = messages[-1]
    lines = [f"{name}: {message[name]}" for name in ("From", "To", "Subject")]
    story.client.voice.quote([*lines, "", *plain_text(message).splitlines()])
    return f"received as written above; all mail of this demo is in {folder}"


def history_lines(events: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what a rule's evaluations saw and decided, the oldest first."""
    for event in reversed(events):
        count = event["evaluations"]
        times = f" ({count} evaluations)" if count > 1 else ""
        yield f"{event['last_at'][11:19]}  {event['phase']:<8}{event['reason']}{times}: {event['detail']}"


def _are_under_way(deliveries: list[dict[str, Any]]) -> bool:
    """Say whether a first attempt is still to be seen through; later ones take minutes."""
    return not deliveries or any(each["state"] == "sending" or each["attempt"] == 0 for each in deliveries)
