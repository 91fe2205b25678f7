"""Deliveries: what became of each notice, attempt by attempt, and one more try by hand."""

import uuid

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.auth import Principal, requires
from api.schemas.common import Paging
from api.schemas.deliveries import DeliveryPage, DeliveryView
from monitoring.store import audit, deliveries
from monitoring.store.alerts import find_alert
from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.pages import Page

_TAGS = ["deliveries"]


@get(
    "/api/mlops/alerts/{alert_id:uuid}/deliveries",
    operation_id="ListDeliveries",
    summary="List an alert's deliveries",
    tags=_TAGS,
    guards=[requires("read")],
    sync_to_thread=True,
)
def list_deliveries(
    alert_id: FromPath[uuid.UUID],
    database: NamedDependency[Database],
    principal: NamedDependency[Principal],
    paging: NamedDependency[Paging],
) -> DeliveryPage:
    """List an alert's deliveries, each with its attempts, what they got, and when the next one is due."""
    with database.transaction() as session:
        alert = find_alert(session, alert_id)
        principal.require_project(alert.project_id, kind="alert", identifier=alert_id)
        stories, total = deliveries.list_deliveries(session, alert_id, Page(paging.limit, paging.offset))
    return DeliveryPage([DeliveryView.of(story) for story in stories], total, paging.limit, paging.offset)


@post(
    "/api/mlops/deliveries/{delivery_id:uuid}/retry",
    operation_id="RetryDelivery",
    summary="Try a delivery again",
    tags=_TAGS,
    guards=[requires("write")],
    status_code=200,
    sync_to_thread=True,
)
def retry_delivery(
    delivery_id: FromPath[uuid.UUID], database: NamedDependency[Database], principal: NamedDependency[Principal]
) -> DeliveryView:
    """Make a failed or waiting delivery due now, a failed one for 24 h more; it goes out within the minute.

    409 when it was sent or is being sent, or its channel was removed or is disabled.
    """
    with database.transaction() as session:
        row = deliveries.find_delivery(session, delivery_id)
        principal.require_project(row.project_id, kind="delivery", identifier=delivery_id)
        before = audit.snapshot(row)
        row = deliveries.retry_delivery(session, delivery_id, now=database_time(session))
        after = audit.snapshot(row)
        audit.record(
            session, actor=principal.key_id, action="delivery.retried", subject=row, before=before, after=after
        )
        return DeliveryView.of(deliveries.tell_stories(session, [row])[0])
