"""The frozen profiles of models, as drift runs read them."""

import uuid

from sqlmodel import Session, col, select

from monitoring.profile import Profile
from monitoring.store.tables import Deployment, ReferenceProfile


class ProfileMissing(LookupError):
    """There is no such deployment, or its model has no profile."""


def deployment_profile(session: Session, deployment_id: uuid.UUID) -> Profile:
    """Return the profile of a deployment's model; raises ProfileMissing."""
    statement = (
        select(ReferenceProfile.profile)
        .join(Deployment, col(Deployment.model_id) == col(ReferenceProfile.model_id))
        .where(Deployment.id == deployment_id)
    )
    data = session.exec(statement).first()
    if data is None:
        raise ProfileMissing(f"Deployment {deployment_id} has no reference profile")
    return Profile.from_json(data)


def deployment_sample(session: Session, deployment_id: uuid.UUID) -> bytes:
    """Return the reference sample (Parquet) of a deployment's model; raises ProfileMissing."""
    statement = (
        select(ReferenceProfile.sample)
        .join(Deployment, col(Deployment.model_id) == col(ReferenceProfile.model_id))
        .where(Deployment.id == deployment_id)
    )
    sample = session.exec(statement).first()
    if sample is None:
        raise ProfileMissing(f"Deployment {deployment_id} has no reference profile")
    return sample
