"""Model import over HTTP: a multipart form in, a model out."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio.to_thread
import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Operation, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from litestar.params import FromPath
from sqlalchemy.exc import DataError

from api.auth import Principal, requires
from api.errors import FieldError, Invalid
from api.idempotency import Once
from api.importing import ImportGate, Submission, examine, store_model
from api.request import ApiRequest
from api.routes.models import AUDITED
from api.schemas.common import AwareTime, LongText, Name, in_utc
from api.schemas.models import ModelImported, ModelView
from api.uploads import FormShape, ReceivedForm, UploadFolder
from monitoring.store import audit
from monitoring.store.database import Database
from monitoring.store.projects import find_project

FORM = FormShape(files=frozenset({"file", "reference"}), texts=frozenset({"name", "target", "trained_at", "metrics"}))
_CLOCK_SKEW = timedelta(days=1)


@dataclass
class ImportOperation(Operation):
    """The operation in the OpenAPI document: the framework does not see the form, for we stream it ourselves."""

    def __post_init__(self) -> None:
        """Describe the form."""
        text, binary = Schema(type=OpenAPIType.STRING), Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY)
        time = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.DATE_TIME)
        form = Schema(
            type=OpenAPIType.OBJECT,
            required=sorted(FORM.files),
            additional_properties=False,
            properties={
                "file": binary,
                "reference": binary,
                "name": text,
                "target": text,
                "trained_at": time,
                "metrics": text,
            },
        )
        self.request_body = RequestBody(
            content={"multipart/form-data": OpenAPIMediaType(schema=form)},
            required=True,
            description="`file`: a MOJO; `reference`: its training data, CSV or Parquet; `metrics`: a JSON object",
        )


@post(
    "/api/projects/{project_id:uuid}/models",
    operation_id="ImportModel",
    operation_class=ImportOperation,
    summary="Import a model",
    tags=["models"],
    guards=[requires("write")],
)
async def import_model(
    request: ApiRequest,
    project_id: FromPath[uuid.UUID],
    principal: NamedDependency[Principal],
    once: NamedDependency[Once],
    state: State,
) -> ModelImported:
    """Import an H2O MOJO with the data it was trained on, whose distributions drift is measured against from now on."""
    principal.require_project(project_id)
    gate: ImportGate = state.import_gate
    uploads: UploadFolder = state.uploads
    importer = Importer(state.database, principal, project_id, heap_mb=state.settings.jvm_heap_mb)
    await anyio.to_thread.run_sync(importer.check_project)
    async with gate.admit(), uploads.receive(request, FORM) as form:
        submission = read_submission(form)
        async with gate.working:
            return await anyio.to_thread.run_sync(importer.run, submission, once, _fingerprint(form))


def _fingerprint(form: ReceivedForm) -> dict[str, Mapping[str, str]]:
    return {"texts": form.texts, "files": {name: file.sha256 for name, file in form.files.items()}}


class Importer:
    """Brings one submission into one project, for one caller."""

    def __init__(self, database: Database, principal: Principal, project_id: uuid.UUID, *, heap_mb: int) -> None:
        self._database = database
        self._principal = principal
        self._project_id = project_id
        self._heap_mb = heap_mb

    def check_project(self) -> None:
        """Raise NotFound when the project is not there: before the upload, not after."""
        with self._database.transaction() as session:
            find_project(session, self._project_id)

    def run(self, submission: Submission, once: Once, fingerprint: object) -> ModelImported:
        """Examine and store; give the first answer to a repeated Idempotency-Key."""
        with once.claim(fingerprint) as claim:
            examined = examine(submission, heap_mb=self._heap_mb)
            try:
                with self._database.transaction() as session:
                    find_project(session, self._project_id)
                    model = store_model(session, self._project_id, submission, examined)
                    audit.record(
                        session,
                        actor=self._principal.key_id,
                        action="model.imported",
                        subject=model,
                        after=audit.snapshot(model, *AUDITED),
                    )
                    answer = ModelImported(ModelView.of(model), model.id)
                    claim.keep(session, answer)
            except DataError as error:
                raise Invalid(FieldError("file", "holds text that cannot be stored (a NUL character)")) from error
        return answer


def read_submission(form: ReceivedForm) -> Submission:
    """Return what the form submits. Raises Invalid naming the field that cannot be read."""
    texts = {name: text for name, text in form.texts.items() if text.strip()}
    return Submission(
        mojo=form.files["file"].path,
        reference=form.files["reference"].path,
        name=_text(texts, "name", Name),
        target=_text(texts, "target", LongText),
        trained_at=_trained_at(texts.get("trained_at")),
        metrics=_metrics(texts.get("metrics")),
    )


def _text(texts: Mapping[str, str], field: str, kind: Any) -> str | None:  # noqa: ANN401 - an Annotated type
    try:
        return msgspec.convert(texts[field], kind) if field in texts else None
    except msgspec.ValidationError as error:
        raise Invalid(FieldError(field, str(error))) from error


def _trained_at(text: str | None) -> datetime | None:
    try:
        given = None if text is None else msgspec.convert(text.strip(), AwareTime, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(FieldError("trained_at", "must be an ISO 8601 time with an offset, or Z")) from error
    time = in_utc(given, "trained_at")
    if time is not None and time > datetime.now(UTC) + _CLOCK_SKEW:
        raise Invalid(FieldError("trained_at", "lies in the future"))
    return time


def _metrics(text: str | None) -> dict[str, Any] | None:
    try:
        metrics = None if text is None else msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Invalid(FieldError("metrics", f"must be a JSON object: {error}")) from error
    if metrics is not None and "\\u0000" in json.dumps(metrics):
        raise Invalid(FieldError("metrics", "must not hold a NUL character"))
    return metrics
