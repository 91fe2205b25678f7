"""Wire types of predictions."""

import uuid
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

MAX_ROWS = 10_000

InputRow = dict[str, Any]


class PredictOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to answer and what to keep. `routing_key` pins a request to a project to one side of its traffic split."""

    include_contributions: bool = False
    store_payload: bool = True
    privacy_policy_id: str | None = None
    anonymize_logs: bool | None = None
    anonymize_response: bool | None = None
    routing_key: str | None = None


class PredictRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input row or up to 10,000 of them."""

    inputs: Annotated[InputRow | list[InputRow], Meta(description="feature values: one row, or a list of rows")]
    options: PredictOptions | None = None


class Prediction(msgspec.Struct, frozen=True, gc=False):
    """The answer to a row: a value (regression), or the label by the model's own threshold and the probabilities."""

    prediction: str | float
    probability: float | UnsetType = UNSET
    probabilities: dict[str, float] | UnsetType = UNSET


class Contribution(msgspec.Struct, frozen=True, gc=False):
    """What one feature added to the row's margin."""

    feature: str
    value: float


class UnseenWarning(msgspec.Struct, frozen=True):
    """Categories the model has not seen: they count as missing."""

    feature: str
    unseen: int
    examples: list[str]


class PredictAnswer(msgspec.Struct, frozen=True):
    """Predictions in the order of the inputs; each inference id is that row's id in the inference log."""

    predictions: list[Prediction]
    latency_ms: float
    deployment_id: uuid.UUID
    model_id: uuid.UUID
    inference_ids: list[str]
    contributions: list[list[Contribution]] | UnsetType = UNSET
    warnings: list[UnseenWarning] | UnsetType = UNSET
