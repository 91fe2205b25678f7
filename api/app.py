"""The composition root: the one place that builds the world and hands it to the routes."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from api.admission import Admission
from api.auth import provide_principal
from api.crowd import Bounds, Crowd
from api.door_metrics import DoorCollector
from api.errors import EXCEPTION_HANDLERS
from api.health import Check, database_check, flag_check, log_check, prefect_check, production_check
from api.idempotency import provide_once
from api.importing import ImportGate
from api.openapi import complete_openapi, openapi_config
from api.prefect_api import PrefectApi
from api.request import ApiRequest
from api.routes.alert_evaluation import evaluate_alert_rule
from api.routes.alert_rules import (
    create_alert_rule,
    delete_alert_rule,
    get_alert_rule,
    list_alert_rules,
    replace_alert_rule,
    update_alert_rule,
)
from api.routes.alerts import acknowledge, get_alert, list_alerts, list_history, resolve
from api.routes.channel_trial import send_test_message
from api.routes.channels import (
    create_channel,
    delete_channel,
    get_channel,
    list_channels,
    replace_channel,
    update_channel,
)
from api.routes.deliveries import list_deliveries, retry_delivery
from api.routes.deployments import (
    create_deployment,
    deactivate_deployment,
    get_deployment,
    list_deployments,
    promote_deployment,
    roll_back_deployment,
)
from api.routes.drift import get_drift, get_drift_report, run_drift
from api.routes.feedback import get_performance, send_feedback
from api.routes.health import get_liveness, get_readiness
from api.routes.inference_logs import list_inference_logs
from api.routes.jobs import cancel_job, get_job
from api.routes.keys import create_api_key, list_api_keys, revoke_api_key
from api.routes.metrics import REQUEST_METRICS, get_metrics
from api.routes.model_import import import_model
from api.routes.model_predict import predict_by_model
from api.routes.models import delete_model, explain_model, get_model, get_model_parameters, list_models
from api.routes.predict import predict_by_deployment, predict_by_project
from api.routes.privacy_policies import (
    create_policy,
    delete_policy,
    get_policy,
    get_version,
    list_policies,
    list_versions,
    update_policy,
)
from api.routes.privacy_preview import list_pii_types, preview_policy
from api.routes.privacy_rules import create_rule, delete_rule, get_rule, list_rules, replace_rule
from api.routes.projects import (
    create_project,
    delete_project,
    get_project,
    get_timeline,
    list_projects,
    update_project,
)
from api.routes.readings import get_deployment_metrics
from api.routes.silences import create_silence, delete_silence, get_silence, list_silences, replace_silence
from api.schemas.common import provide_paging
from api.scoring import jvm
from api.scoring.recent import RecentScorers
from api.serving import Serving
from api.serving_metrics import ServingCollector, own_metrics
from api.settings import Settings
from api.shared_metrics import SharedFigures, shared_folder
from api.uploads import UploadFolder
from api.watch_metrics import WatchCollector, watch_check
from monitoring.store.database import Database
from notifications.post_office import PostOffice

ROUTES = [
    *(get_liveness, get_readiness, get_metrics),
    *(create_api_key, list_api_keys, revoke_api_key),
    *(create_project, list_projects, get_project, update_project, delete_project, get_timeline),
    *(list_models, get_model, explain_model, get_model_parameters, delete_model, predict_by_model),
    *(create_deployment, list_deployments, get_deployment),
    *(promote_deployment, roll_back_deployment, deactivate_deployment),
    *(predict_by_deployment, predict_by_project, list_inference_logs),
    *(run_drift, get_drift, get_drift_report, get_job, cancel_job),
    *(send_feedback, get_performance, get_deployment_metrics),
    *(create_channel, list_channels, get_channel, replace_channel, update_channel, delete_channel),
    *(send_test_message, evaluate_alert_rule),
    *(create_alert_rule, list_alert_rules, get_alert_rule, replace_alert_rule, update_alert_rule, delete_alert_rule),
    *(list_history, list_alerts, get_alert, acknowledge, resolve, list_deliveries, retry_delivery),
    *(create_silence, list_silences, get_silence, replace_silence, delete_silence),
    *(create_policy, list_policies, get_policy, update_policy, delete_policy, list_versions, get_version),
    *(create_rule, list_rules, get_rule, replace_rule, delete_rule, preview_policy, list_pii_types),
]
UPLOADS = [import_model]


def gathered(handlers: Sequence[HTTPRouteHandler], *, request_max_body_size: int) -> Router:
    """Return a router of these handlers, in which each path has all its methods at once.

    Litestar prepares a handler again with each later one on the same path, wraps it for the thread pool each time
    (https://github.com/litestar-org/litestar/pull/4738), and lets OPTIONS know of the first only.
    """
    router = Router("/", route_handlers=handlers, request_max_body_size=request_max_body_size)
    router.routes = [
        HTTPRoute(
            path=route.path,
            route_handlers=[handler for handler in route.route_handlers if "OPTIONS" not in handler.http_methods],
        )
        for route in router.routes
        if isinstance(route, HTTPRoute)
    ]
    return router


def create_app(settings: Settings) -> Litestar:
    """Return the application for these settings; services open with its lifespan and close with it."""
    database = Database(settings.resolved_database_url())
    serving = Serving(settings, database)
    prefect_api = PrefectApi(f"{settings.prefect_address}/api")
    admission = Admission(
        queue_s=settings.queue_ms / 1000,
        most_large_bytes=settings.max_large_mb * 2**20,
        on_shed=serving.writer.tally.shed,
    )
    crowd = Crowd(Bounds(connections=settings.max_connections))
    uploads = UploadFolder(settings.home / "uploads", patience_s=settings.upload_patience_s)
    figures = SharedFigures(shared_folder(), ServingCollector(serving), DoorCollector(admission, crowd))

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await asyncio.to_thread(uploads.prepare)
        try:
            async with serving.open(), figures.published():
                # What start-up made stays: without this the collector walks it all again and again under load,
                # tens of milliseconds each time.
                gc.collect()
                gc.freeze()
                yield
        finally:
            await asyncio.to_thread(prefect_api.close)
            await asyncio.to_thread(database.close)

    health_checks: dict[str, Check] = {
        "database": database_check(database, serving.predicts_without_database),
        "prefect": prefect_check(settings.prefect_address),
        "scorer": flag_check(jvm.is_running, "the Java virtual machine for scoring does not run"),
        "log_writer": log_check(serving.writer),
        "production": production_check(serving.lease),
        "watch": watch_check(database),
    }
    app = Litestar(
        route_handlers=[
            gathered(ROUTES, request_max_body_size=settings.max_request_mb * 2**20),
            gathered(UPLOADS, request_max_body_size=settings.max_upload_mb * 2**20),
        ],
        request_class=ApiRequest,
        exception_handlers=EXCEPTION_HANDLERS,
        dependencies={
            "database": Provide(lambda: database, sync_to_thread=False),
            "prefect_api": Provide(lambda: prefect_api, sync_to_thread=False),
            "principal": Provide(provide_principal, sync_to_thread=False),
            "once": Provide(provide_once, sync_to_thread=False),
            "paging": Provide(provide_paging, sync_to_thread=False),
        },
        state=State(
            {
                "settings": settings,
                "database": database,
                "key_ring": serving.key_ring,
                "serving": serving,
                "recent_scorers": RecentScorers(serving.registry.shelf),
                "metrics": own_metrics(figures, WatchCollector(database)),
                "health_checks": health_checks,
                "uploads": uploads,
                "post_office": PostOffice(settings),
                "admission": admission,
                "crowd": crowd,
                "import_gate": ImportGate(admitted=settings.max_uploads, working=settings.max_examinations),
            }
        ),
        lifespan=[lifespan],
        middleware=[REQUEST_METRICS.middleware],
        openapi_config=openapi_config(),
        logging_config=None,
        request_max_body_size=settings.max_request_mb * 2**20,
    )
    complete_openapi(app)
    return app
