"""From input rows to the answer's bytes and the log's lines: the processor's part of a prediction, without any I/O."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from api.inference_log.rows import LoggedRequest, Masking
from api.privacy.serving import Privacy, Rows
from api.schemas.predictions import (
    Contribution,
    InputRow,
    PredictAnswer,
    Prediction,
    PredictOptions,
    UnseenWarning,
)
from api.scoring.errors import InvalidRows
from api.scoring.features import Encoded
from api.scoring.mojo import MojoScorer, Scores
from api.scoring.registry import Served
from monitoring.store.inference_ids import stamp

_encode = msgspec.json.Encoder().encode
_ROW_BYTES = 250  # what a log row takes beside its inputs, roughly


class Predicted(msgspec.Struct, frozen=True):
    """An answer that may leave once its log rows are durable."""

    answer: bytes
    log: LoggedRequest


class Asked(msgspec.Struct, frozen=True):
    """What one request asks; `started` (time.perf_counter) is when it began, `size_bytes` how long its body was.

    `privacy` is what masks it, if anything does.
    """

    rows: Sequence[InputRow]
    options: PredictOptions
    started: float
    size_bytes: int
    privacy: Privacy | None = None


def predict(served: Served, scorer: MojoScorer, asked: Asked) -> Predicted:
    """Answer one request. Raises InvalidRows and ContributionsUnavailable."""
    encoded = scorer.encode(asked.rows)
    scores = scorer.score(encoded.matrix)
    contributions = contributions_of(scorer, encoded.matrix) if asked.options.include_contributions else UNSET
    return _predicted(served, scorer, asked, encoded, scores, contributions)


def predict_together(served: Served, scorer: MojoScorer, asked: Sequence[Asked]) -> list[Predicted | InvalidRows]:
    """Answer several requests, none for contributions, by one call of the model; a bad one spoils only itself."""
    encoded = [_encode_or_explain(scorer, each.rows) for each in asked]
    good = [each.matrix for each in encoded if not isinstance(each, InvalidRows)]
    try:
        scores = iter(_split(scorer.score(np.concatenate(good)), [len(matrix) for matrix in good]) if good else ())
    except InvalidRows:
        return [_predict_or_explain(served, scorer, each) for each in asked]
    return [
        rows if isinstance(rows, InvalidRows) else _predicted(served, scorer, each, rows, next(scores))
        for each, rows in zip(asked, encoded, strict=True)
    ]


def _encode_or_explain(scorer: MojoScorer, rows: Sequence[InputRow]) -> Encoded | InvalidRows:
    try:
        return scorer.encode(rows)
    except InvalidRows as error:
        return error


def _predict_or_explain(served: Served, scorer: MojoScorer, asked: Asked) -> Predicted | InvalidRows:
    try:
        return predict(served, scorer, asked)
    except InvalidRows as error:
        return error


def _split(scores: Scores, lengths: Sequence[int]) -> Iterator[Scores]:
    """Yield the scores of each request out of those of all."""
    start = 0
    for length in lengths:
        end = start + length
        yield Scores(
            scores.labels and scores.labels[start:end],
            scores.score[start:end],
            scores.probabilities and scores.probabilities[start:end],
        )
        start = end


def _predicted(
    served: Served,
    scorer: MojoScorer,
    asked: Asked,
    encoded: Encoded,
    scores: Scores,
    contributions: list[list[Contribution]] | UnsetType = UNSET,
) -> Predicted:
    inputs: Rows | None = encoded.inputs if asked.options.store_payload else None
    warnings, masking = encoded.warnings, None
    if asked.privacy is not None:
        inputs, masking, warnings = _masked(asked.privacy, inputs, encoded)
    latency_ms = milliseconds_since(asked.started)
    at = stamp()
    rows = len(asked.rows)
    answer = PredictAnswer(
        predictions=predictions_of(scorer, scores),
        latency_ms=latency_ms,
        deployment_id=served.facts.deployment_id,
        model_id=served.facts.model_id,
        inference_ids=at.row_ids(rows),
        contributions=contributions,
        warnings=[UnseenWarning(**warning) for warning in warnings] or UNSET,
    )
    logged = LoggedRequest(
        stamp=at,
        deployment_id=served.deployment_hex,
        status_code=200,
        latency_ms=latency_ms,
        row_count=rows,
        size_bytes=asked.size_bytes + _ROW_BYTES * rows,
        inputs=inputs,
        predictions=scores.labels,
        scores=scores.score,
        probabilities=scores.probabilities,
        masking=masking,
    )
    return Predicted(_encode(answer), logged)


def _masked(
    privacy: Privacy, inputs: Rows | None, encoded: Encoded
) -> tuple[Rows | None, Masking | None, list[dict[str, Any]]]:
    """Return inputs and what is kept beside them as the log may have them, and warnings as the caller may."""
    warnings = encoded.warnings
    if warnings and privacy.response:
        warnings = privacy.mask_echoes(warnings)
    if not privacy.logs:
        return inputs, None, warnings
    rows, masking = privacy.mask_rows([None] * len(encoded.inputs) if inputs is None else inputs, binned=True)
    return rows, masking, warnings


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request got no prediction: its status, one sentence, and for single rows their own reason."""

    status_code: int
    reason: str
    by_row: Mapping[int, str] | None = None


def refused_rows(
    deployment_id: uuid.UUID,
    refusal: Refusal,
    inputs: Sequence[InputRow | None],
    privacy: Privacy | None,
    *,
    started: float,
) -> LoggedRequest:
    """Return the log rows of a request that is refused: one for each item of `inputs`, masked and encoded.

    The reasons are logged as they are given.
    """
    masking = None
    if privacy is not None and privacy.logs:
        inputs, masking = privacy.mask_rows(inputs, binned=False)
    others = "another row of the batch was refused" if refusal.by_row else refusal.reason
    by_row = refusal.by_row or {}
    return LoggedRequest(
        stamp=stamp(),
        deployment_id=deployment_id.hex,
        status_code=refusal.status_code,
        latency_ms=milliseconds_since(started),
        row_count=len(inputs),
        size_bytes=0,
        inputs=inputs,
        errors=[by_row.get(place, others) for place in range(len(inputs))],
        masking=masking,
    ).encoded()


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
