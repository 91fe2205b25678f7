"""Files by their content: MOJO archives in the database, cached below the home folder, verified whenever read."""

import hashlib
import uuid
from pathlib import Path

from sqlalchemy import delete, exists
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from monitoring.store.errors import NotFound
from monitoring.store.tables import Artifact, ArtifactChunk, Model, utc_now

CHUNK_BYTES = 4 * 2**20


class ArtifactCorrupt(Exception):
    """What the database holds under a SHA-256 does not have that SHA-256."""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def store_artifact(session: Session, path: Path) -> str:
    """Store a file once by its content and return its SHA-256; the row stays locked against removal until commit."""
    sha256 = file_sha256(path)
    locked = select(Artifact.sha256).where(Artifact.sha256 == sha256).with_for_update(read=True, key_share=True)
    while True:
        row = {"sha256": sha256, "size_bytes": path.stat().st_size, "created_at": utc_now()}
        added = insert(Artifact).values(row).on_conflict_do_nothing().returning(col(Artifact.sha256))
        if session.execute(added).first() is not None:
            _add_chunks(session, sha256, path)
            return sha256
        if session.exec(locked).first() is not None:
            return sha256


def _add_chunks(session: Session, sha256: str, path: Path) -> None:
    with path.open("rb") as file:
        position = 0
        while data := file.read(CHUNK_BYTES):
            session.execute(insert(ArtifactChunk).values(sha256=sha256, position=position, data=data))
            position += 1


def materialize(session: Session, sha256: str, folder: Path) -> Path:
    """Return a file in `folder` with this content: the one cached there when its digest holds, else a fresh copy.

    Raises NotFound for an unknown digest, ArtifactCorrupt when the stored chunks do not have it.
    """
    path = folder / f"{sha256}.zip"
    if path.is_file() and file_sha256(path) == sha256:
        return path
    if session.get(Artifact, sha256) is None:
        raise NotFound("artifact", sha256)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{sha256}.{uuid.uuid4().hex}.part"
    try:
        if _write_chunks(session, sha256, partial) != sha256:
            raise ArtifactCorrupt(f"The stored copy of artifact {sha256} is damaged: import the model again")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _write_chunks(session: Session, sha256: str, path: Path) -> str:
    """Write an artifact's chunks to `path` one by one and return the SHA-256 of what was written."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        position = 0
        while (data := _chunk(session, sha256, position)) is not None:
            digest.update(data)
            file.write(data)
            position += 1
    return digest.hexdigest()


def _chunk(session: Session, sha256: str, position: int) -> bytes | None:
    wanted = (ArtifactChunk.sha256 == sha256, ArtifactChunk.position == position)
    return session.exec(select(ArtifactChunk.data).where(*wanted)).first()


def delete_unused_artifact(session: Session, sha256: str) -> bool:
    """Remove an artifact that no model refers to any more; say whether it went.

    Locks first and looks after, in a second statement: an import of the same content either holds the row until its
    model is there to be seen, or finds it gone and stores it anew.
    """
    session.exec(select(Artifact.sha256).where(Artifact.sha256 == sha256).with_for_update()).first()
    in_use = exists().where(col(Model.mojo_sha256) == sha256)
    removed = session.execute(
        delete(Artifact).where(col(Artifact.sha256) == sha256, ~in_use).returning(col(Artifact.sha256))
    )
    return removed.first() is not None
