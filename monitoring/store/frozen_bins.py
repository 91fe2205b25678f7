"""The frozen bins of a model's features as they are stored: for those who read single rows and load no Polars."""

import uuid
from typing import Any

from sqlmodel import Session, col, select

from monitoring.store.tables import Model, ReferenceProfile


def read_frozen_bins(session: Session, model_id: uuid.UUID) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the names of a model's features, and their profiles ({name, edges} or {name, labels, others}, ...).

    The second is empty for a model without a profile.
    """
    statement = (
        select(Model.features, col(ReferenceProfile.profile)["features"])
        .outerjoin(ReferenceProfile, col(ReferenceProfile.model_id) == col(Model.id))
        .where(Model.id == model_id)
    )
    found = session.execute(statement).first()
    if found is None:
        return [], []
    return [str(feature["name"]) for feature in found[0]], list(found[1] or [])
