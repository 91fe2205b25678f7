"""From input rows to the answer's bytes and the log's lines: the processor's part of a prediction, without any I/O."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec import UNSET

from api.inference_log.rows import EncodedRows, LoggedRequest
from api.schemas.predictions import (
    Contribution,
    InputRow,
    PredictAnswer,
    Prediction,
    PredictOptions,
    UnseenWarning,
)
from api.scoring.mojo import MojoScorer, Scores
from api.scoring.registry import Served
from monitoring.store.inference_ids import dashed, stamp

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Predicted:
    """An answer that may leave once its log rows are durable."""

    answer: bytes
    log: EncodedRows


def predict(
    served: Served, scorer: MojoScorer, rows: Sequence[InputRow], options: PredictOptions, *, started: float
) -> Predicted:
    """Score the rows; `started` (time.perf_counter) is when the request began.

    Raises InvalidRows and ContributionsUnavailable.
    """
    encoded = scorer.encode(rows)
    scores = scorer.score(encoded.matrix)
    contributions = contributions_of(scorer, encoded.matrix) if options.include_contributions else UNSET
    latency_ms = milliseconds_since(started)
    at = stamp()
    answer = PredictAnswer(
        predictions=predictions_of(scorer, scores),
        latency_ms=latency_ms,
        deployment_id=served.facts.deployment_id,
        model_id=served.facts.model_id,
        inference_ids=[dashed(at.row_hex(place)) for place in range(len(rows))],
        contributions=contributions,
        warnings=[UnseenWarning(**warning) for warning in encoded.warnings] or UNSET,
    )
    logged = LoggedRequest(
        stamp=at,
        deployment_id=served.facts.deployment_id.hex,
        status_code=200,
        latency_ms=latency_ms,
        row_count=len(rows),
        inputs=encoded.inputs if options.store_payload else None,
        predictions=scores.labels,
        scores=scores.score,
        probabilities=scores.probabilities,
    )
    return Predicted(_encode(answer), logged.encode())


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request got no prediction: its status, one sentence, and for single rows their own reason."""

    status_code: int
    reason: str
    by_row: Mapping[int, str] | None = None


def refused_rows(
    deployment_id: uuid.UUID, refusal: Refusal, inputs: Sequence[InputRow | None], *, started: float
) -> EncodedRows:
    """Return the log rows of a request that is refused: one for each item of `inputs`."""
    others = "another row of the batch was refused" if refusal.by_row else refusal.reason
    by_row = refusal.by_row or {}
    return LoggedRequest(
        stamp=stamp(),
        deployment_id=deployment_id.hex,
        status_code=refusal.status_code,
        latency_ms=milliseconds_since(started),
        row_count=len(inputs),
        inputs=inputs,
        errors=[by_row.get(place, others) for place in range(len(inputs))],
    ).encode()


def milliseconds_since(started: float) -> float:
    """Return how long ago `started` (time.perf_counter) was, to the microsecond."""
    return round((time.perf_counter() - started) * 1000, 3)


def contributions_of(scorer: MojoScorer, matrix: np.ndarray) -> list[list[Contribution]]:
    """Return what each feature added to each row's margin. Raises ContributionsUnavailable."""
    names = scorer.contribution_names
    return [
        [Contribution(name, value) for name, value in zip(names, row, strict=True)]
        for row in scorer.contributions(matrix)
    ]


def predictions_of(scorer: MojoScorer, scores: Scores) -> list[Prediction]:
    """Return scores as callers see them."""
    if scorer.labels is None or scores.labels is None or scores.probabilities is None:
        return [Prediction(value) for value in scores.score]
    labels = scorer.labels
    made = []
    for label, row in zip(scores.labels, scores.probabilities, strict=True):
        probabilities = dict(zip(labels, row, strict=True))
        made.append(Prediction(label, probabilities[label], probabilities))
    return made
