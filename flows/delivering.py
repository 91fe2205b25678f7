"""The flow that empties the outbox when a minute's evaluation could not, and the handing over of one delivery."""

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.retrying import DELAYS_S, is_outage
from flows.sending import Sender, Sent
from flows.settings import FlowSettings
from monitoring.store.database import Database
from monitoring.store.outbox import Claimed, Result

LONGEST_S = 600.0
PATIENCE_S = 20.0


@flow(name="deliver")
def deliver() -> State[Any]:
    """Send until nothing is due within the next 20 s, for at most 10 minutes. More of it at once are harmless."""
    return Completed(message=say(deliver_due(seconds=LONGEST_S, patience_s=PATIENCE_S)))


@task(retries=len(DELAYS_S), retry_delay_seconds=DELAYS_S, retry_condition_fn=is_outage)
def deliver_due(*, seconds: float, patience_s: float) -> Sent:
    """Send what is due, and what becomes due soon."""
    settings = FlowSettings()
    database = Database(settings.resolved_database_url(), pool_size=1)
    try:
        return Sender(database, hand_over(settings), settings.notice_timeout_s).drain(
            seconds=seconds, patience_s=patience_s
        )
    finally:
        database.close()


def hand_over(settings: FlowSettings) -> Callable[[Claimed, datetime], Result]:
    """Return what takes one delivery to its receiver by the post office; it never raises."""
    from notifications.channels import destination_of  # noqa: PLC0415 - loads Apprise
    from notifications.notice import Notice  # noqa: PLC0415
    from notifications.post_office import PostOffice  # noqa: PLC0415

    post_office = PostOffice(settings)

    def send(claimed: Claimed, now: datetime) -> Result:
        jitter = random.random()  # noqa: S311 - spreads retries
        try:
            notice = Notice.from_facts(claimed.facts, link=link_to(settings.api_address, claimed.facts))
            destination = destination_of(claimed.channel_type, claimed.config, claimed.target)
            outcome = post_office.send(notice, destination, delivery_id=str(claimed.delivery_id), now=now)
        except Exception as error:  # one that cannot be sent holds up no other; its text may hold secrets
            return Result(status="retry", response=f"Could not be sent ({type(error).__name__})", jitter=jitter)
        return Result(
            status=outcome.status, response=outcome.response, retry_after_s=outcome.retry_after_s, jitter=jitter
        )

    return send


def link_to(address: str, facts: dict[str, Any]) -> str | None:
    """Return the address at which the alert of a notice can be read."""
    alert_id = facts.get("alert_id")
    return None if alert_id is None else f"{address}/api/mlops/alerts/{alert_id}"


def say(sent: Sent) -> str:
    """Say a pass in one line: `12 sent, 1 to be tried again, 0 failed`."""
    return f"{sent.sent} sent, {sent.retried} to be tried again, {sent.failed} failed"
