"""Trying a channel: a real message, sent while the caller waits, and what became of it."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from litestar import post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlmodel import Session

from api.auth import Principal, requires
from api.idempotency import Once
from api.schemas.channels import ChannelTested
from api.schemas.deliveries import DeliveryView
from monitoring.store import audit, deliveries
from monitoring.store.alert_tables import Channel, Notice
from monitoring.store.channels import find_channel
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from monitoring.store.outbox import Claimed, Result, add_test_notice, record_results
from monitoring.store.projects import find_project, hold_project
from notifications import notice as notices
from notifications.channels import destination_of
from notifications.post_office import PostOffice

_AT_ONCE = 8
_LEASE = timedelta(minutes=15)  # 50 addresses, eight at a time, at the longest time that a send may take


@post(
    "/api/mlops/channels/{channel_id:uuid}/test",
    operation_id="TestChannel",
    summary="Send a test message",
    tags=["channels"],
    guards=[requires("write")],
    sync_to_thread=True,
)
def send_test_message(
    channel_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
    state: State,
) -> ChannelTested:
    """Send a real message to a channel, enabled or not, once, and return its deliveries: for e-mail one an address.

    A message that does not arrive is no error of this request: its delivery is `failed` and says what it got.
    """
    with database.transaction() as session:
        channel = find_channel(session, channel_id)
        principal.require_project(channel.project_id, kind="channel", identifier=channel_id)
    with once.claim(None) as claim:
        with database.transaction() as session:
            claimed = _write(session, channel_id, principal.key_id)
        results = _send(state.post_office, claimed)
        with database.transaction() as session:
            record_results(session, results, now=database_time(session))
            answer = _answer(session, channel_id, claimed)
            claim.keep(session, answer)
    return answer


def _write(session: Session, channel_id: uuid.UUID, actor: str) -> list[Claimed]:
    channel = find_channel(session, channel_id)
    hold_project(session, channel.project_id)
    now = database_time(session)
    notice = _test_notice(channel, find_project(session, channel.project_id).name, now)
    audit.record(session, actor=actor, action="channel.tested", subject=channel)
    return add_test_notice(session, channel, notice, now=now, lease=_LEASE)


def _test_notice(channel: Channel, project_name: str, now: datetime) -> Notice:
    notice_id = new_id()
    facts = {
        "notice_id": str(notice_id),
        "kind": "test",
        "created_at": now.isoformat().replace("+00:00", "Z"),
        "project_id": str(channel.project_id),
        "project_name": project_name,
        "severity": "info",
        "reason": f"This is a test of the channel {channel.name!r}: nothing is wrong.",
    }
    return Notice(id=notice_id, project_id=channel.project_id, kind="test", facts=facts, created_at=now)


def _send(post_office: PostOffice, claimed: list[Claimed]) -> list[tuple[Claimed, Result]]:
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="channel-test") as pool:
        results = list(pool.map(lambda one: _send_one(post_office, one), claimed))
    return list(zip(claimed, results, strict=True))


def _send_one(post_office: PostOffice, claimed: Claimed) -> Result:
    """Send one; what the outbox would try again counts as failed, for nobody waits for a test an hour later."""
    notice = notices.Notice.from_facts(claimed.facts, link=None)
    destination = destination_of(claimed.channel_type, claimed.config, claimed.target)
    now = datetime.fromisoformat(notice.created_at)
    outcome = post_office.send(notice, destination, delivery_id=str(claimed.delivery_id), now=now)
    return Result(status="sent" if outcome.status == "sent" else "failed", response=outcome.response)


def _answer(session: Session, channel_id: uuid.UUID, claimed: list[Claimed]) -> ChannelTested:
    rows = [deliveries.find_delivery(session, one.delivery_id) for one in claimed]
    views = [DeliveryView.of(story) for story in deliveries.tell_stories(session, rows)]
    return ChannelTested(all(view.state == "sent" for view in views), channel_id, views)
