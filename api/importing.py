"""Model import, the use case: check the archive, load the model, score its reference, freeze the profile, store all.

Everything is examined before anything is stored, and stored in one transaction: a refusal leaves nothing behind.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sqlmodel import Session

from api.errors import FieldError, Invalid, Unavailable
from api.scoring.archive import check_archive
from api.scoring.errors import InvalidRows, MojoRefused
from api.scoring.mojo import MojoScorer
from api.scoring.probe import probe_mojo
from monitoring.frames import ReferenceRefused, read_reference, reference_matrix
from monitoring.profile import Category, Predictions, build_profile, importance_shares
from monitoring.samples import reference_sample
from monitoring.store.artifacts import store_artifact
from monitoring.store.models import add_model
from monitoring.store.tables import Model

_SCORED_AT_ONCE = 10_000


@dataclass(frozen=True)
class Submission:
    """What a caller hands in. None leaves the MOJO's own word."""

    mojo: Path
    reference: Path
    name: str | None = None
    target: str | None = None
    trained_at: datetime | None = None
    metrics: dict[str, Any] | None = None


@dataclass(frozen=True)
class Examined:
    """A submission found good: the model without its project and file, its frozen profile and sample."""

    values: dict[str, Any]
    profile: dict[str, Any]
    sample: bytes


class ImportGate:
    """Bounds imports: a few may be under way, fewer still may use the processor."""

    def __init__(self, *, admitted: int, working: int) -> None:
        self._free = admitted
        self.working = asyncio.Semaphore(working)

    @asynccontextmanager
    async def admit(self) -> AsyncIterator[None]:
        """Hold one place for the block. Raises Unavailable when all are taken."""
        if self._free == 0:
            raise Unavailable("As many models as the server takes at once are being imported", retry_after_s=15)
        self._free -= 1
        try:
            yield
        finally:
            self._free += 1


def examine(submission: Submission, *, heap_mb: int) -> Examined:
    """Do all the work that needs no database. Raises Invalid naming `file`, `reference` or `target`.

    A process of its own with a heap as large as ours tries the MOJO first: one that never ends, or ends the JVM, ends
    that process and not this one.
    """
    try:
        check_archive(submission.mojo)
        probe_mojo(submission.mojo, max_heap_mb=heap_mb)
        scorer = MojoScorer.load(submission.mojo)
    except MojoRefused as error:
        raise Invalid(FieldError("file", error.reason)) from error
    target = submission.target or scorer.target
    frame = _read_reference(submission.reference, scorer, target)
    if submission.target is not None and submission.target not in frame.columns:
        raise Invalid(FieldError("target", "is not a column of the reference"))
    predictions = _score(scorer, reference_matrix(frame, scorer.features))
    importances = scorer.info.variable_importances
    profile = build_profile(
        frame,
        scorer.features,
        predictions,
        target=target,
        importance=importance_shares(importances, scorer.features),
    )
    return Examined(
        values=_describe(submission, scorer, target) | {"reference_rows": frame.height},
        profile=profile.to_json(),
        sample=reference_sample(frame, scorer.features, predictions),
    )


def store_model(session: Session, project_id: uuid.UUID, submission: Submission, examined: Examined) -> Model:
    """Store what was examined: the archive by its content, the model, its profile and sample."""
    sha256 = store_artifact(session, submission.mojo)
    model = Model(project_id=project_id, mojo_sha256=sha256, **examined.values)
    return add_model(session, model, profile=examined.profile, sample=examined.sample)


def _read_reference(path: Path, scorer: MojoScorer, target: str) -> pl.DataFrame:
    if any(feature.name == target for feature in scorer.features):
        raise Invalid(FieldError("target", "is a feature of the model"))
    try:
        return read_reference(path, scorer.features, target)
    except ReferenceRefused as error:
        raise Invalid(FieldError("reference", str(error))) from error


def _score(scorer: MojoScorer, matrix: NDArray[np.float64]) -> Predictions:
    """Score the reference piece by piece, so that memory stays bounded. Raises Invalid naming the row at fault."""
    score: list[float] = []
    labels: list[str] = []
    for start in range(0, len(matrix), _SCORED_AT_ONCE):
        try:
            scores = scorer.score(matrix[start : start + _SCORED_AT_ONCE])
        except InvalidRows as error:
            first = error.errors[0]
            raise Invalid(FieldError("reference", f"data row {start + first.row + 1}: {first.message}")) from error
        score += scores.score
        labels += scores.labels or []
    return Predictions(cast("Category", scorer.category), score, labels if scorer.labels else None, scorer.labels or ())


def _describe(submission: Submission, scorer: MojoScorer, target: str) -> dict[str, Any]:
    info = scorer.info
    return {
        "name": submission.name or _default_name(scorer),
        "algo": scorer.algo,
        "category": scorer.category,
        "target": target,
        "features": [
            {"name": feature.name, "type": feature.type, "domain_size": len(feature.domain) if feature.domain else None}
            for feature in scorer.features
        ],
        "metrics": {**info.metrics, **(submission.metrics or {})},
        "parameters": info.parameters,
        "variable_importances": info.variable_importances,
        "trained_at": submission.trained_at or info.trained_at,
    }


def _default_name(scorer: MojoScorer) -> str:
    """Return the id H2O gave the model, else its algorithm."""
    named = scorer.info.parameters.get("model_id")
    usable = isinstance(named, str) and named.strip() and "\0" not in named
    return str(named if usable else scorer.algo)[:200]
