"""What drift needs to know of a model's input: its name, its type and the labels it knows."""

from collections.abc import Iterable
from typing import Protocol

NUMERIC = "numeric"
CATEGORICAL = "categorical"


class FeatureSpec(Protocol):
    """One input of a model; `type` is `numeric` or `categorical`, `domain` the labels in the model's order or None."""

    @property
    def name(self) -> str:
        """The column's name."""

    @property
    def type(self) -> str:
        """`numeric` or `categorical`."""

    @property
    def domain(self) -> tuple[str, ...] | None:
        """The labels the model knows, in its order; None when numeric or not known."""


def prediction_column(features: Iterable[FeatureSpec]) -> str:
    """Return the name predictions have beside these features: `prediction`, underscored until it is free."""
    names = {feature.name for feature in features}
    column = "prediction"
    while column in names:
        column += "_"
    return column
