"""What a MOJO tells of its training, from its `experimental/modelDetails.json`: clean, bounded, JSON-safe."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_METRICS = {
    "AUC": "auc",
    "pr_auc": "pr_auc",
    "logloss": "logloss",
    "mean_per_class_error": "mean_per_class_error",
    "Gini": "gini",
    "MSE": "mse",
    "RMSE": "rmse",
    "mae": "mae",
    "rmsle": "rmsle",
    "r2": "r2",
    "mean_residual_deviance": "mean_residual_deviance",
    "nobs": "rows",
}
_SOURCES = {
    "training_metrics": "training",
    "validation_metrics": "validation",
    "cross_validation_metrics": "cross_validation",
}
_MAX_PARAMETERS = 300
_MAX_IMPORTANCES = 2000
_MAX_ITEMS = 100
_MAX_TEXT = 500


@dataclass(frozen=True)
class ModelDetails:
    """Training facts; every number is finite. All empty when the MOJO tells nothing readable.

    `metrics` is `{"training": {"auc": ..}, "cross_validation": {..}, ..}`; an importance is
    `{"feature", "relative", "scaled", "percentage"}` with `scaled` 1 for the largest and `percentage` of 1 in all.
    """

    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    variable_importances: list[dict[str, Any]] | None = None
    trained_at: datetime | None = None


def read_details(data: bytes, features: list[str]) -> ModelDetails:
    """Read modelDetails.json; importances of encoded columns (`plan.basic`) are added up by feature."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return ModelDetails()
    output = _dict(_dict(tree).get("output"))
    return ModelDetails(
        metrics=_metrics(output),
        parameters=_parameters(_dict(tree).get("parameters")),
        variable_importances=_importances(_dict(output.get("variable_importances")), features),
        trained_at=_time(output.get("end_time")) or _time(_dict(tree).get("timestamp")),
    )


def _metrics(output: dict[str, Any]) -> dict[str, dict[str, float]]:
    found = {}
    for source, name in _SOURCES.items():
        table = _dict(output.get(source))
        values = {ours: table[theirs] for theirs, ours in _METRICS.items() if _is_number(table.get(theirs))}
        if values:
            found[name] = values
    return found


def _parameters(listed: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    if not isinstance(listed, list):
        return {}
    return {
        _text(item["name"]): _plain(item.get("actual_value"))
        for item in listed[:_MAX_PARAMETERS]
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    }


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Return a parameter's value without H2O's schema wrapping: a key or column becomes its name."""
    if isinstance(value, dict):
        return _plain(value.get("name", value.get("column_name")))
    if isinstance(value, list):
        return [_plain(item) for item in value[:_MAX_ITEMS] if not isinstance(item, list)]
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or value is None or _is_number(value):
        return value
    return None


def _importances(table: dict[str, Any], features: list[str]) -> list[dict[str, Any]] | None:
    by_feature: dict[str, float] = {}
    for name, relative in _importance_rows(table):
        feature = _feature_of(name, features)
        by_feature[feature] = by_feature.get(feature, 0.0) + relative
    total, largest = sum(by_feature.values()), max(by_feature.values(), default=0.0)
    if not largest > 0 or not math.isfinite(total):
        return None
    ranked = sorted(by_feature.items(), key=lambda item: -item[1])[:_MAX_IMPORTANCES]
    return [
        {"feature": _text(name), "relative": value, "scaled": value / largest, "percentage": value / total}
        for name, value in ranked
    ]


def _importance_rows(table: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield (variable, relative importance) of an H2O table, which holds its data by column."""
    data = table.get("data")
    if not (isinstance(data, list) and len(data) >= 2 and all(isinstance(column, list) for column in data[:2])):
        return
    for name, relative in zip(data[0], data[1], strict=False):
        if isinstance(name, str) and _is_number(relative) and relative >= 0:
            yield name, float(relative)


def _feature_of(variable: str, features: list[str]) -> str:
    if variable in features:
        return variable
    return max((name for name in features if variable.startswith(f"{name}.")), key=len, default=variable)


def _time(milliseconds: Any) -> datetime | None:  # noqa: ANN401
    if not _is_number(milliseconds) or not 0 < milliseconds < 32_503_680_000_000:  # the year 3000
        return None
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _text(value: str) -> str:
    """Return a text that PostgreSQL can keep."""
    return value[:_MAX_TEXT].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _is_number(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -1e300 < value < 1e300


def _dict(value: Any) -> dict[str, Any]:  # noqa: ANN401
    return value if isinstance(value, dict) else {}
