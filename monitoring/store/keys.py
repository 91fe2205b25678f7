"""API keys: `pk_<id>_<secret>`, of which only a SHA-256 of the secret is stored."""

import hashlib
import re
import secrets
import uuid
from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, func, or_, select

from monitoring.store.errors import Conflict, NotFound
from monitoring.store.tables import ApiKey

SCOPES = ("read", "write", "predict", "admin")
_KEY_FORMAT = re.compile(r"pk_(?P<id>[A-Za-z0-9]{1,64})_(?P<secret>[A-Za-z0-9_\-]{16,256})")


def parse_key(text: str) -> tuple[str, str] | None:
    """Return (id, secret) of a well-formed key, else None."""
    matched = _KEY_FORMAT.fullmatch(text)
    return (matched["id"], matched["secret"]) if matched else None


def secret_sha256(secret: str) -> bytes:
    """Return the digest that is stored and compared."""
    return hashlib.sha256(secret.encode()).digest()


def create_key(
    session: Session,
    *,
    name: str,
    scopes: Sequence[str],
    project_id: uuid.UUID | None = None,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Store a new key and return it with its text, which exists nowhere afterwards."""
    key_id, secret = secrets.token_hex(6), secrets.token_hex(24)
    row = ApiKey(
        id=key_id,
        name=name,
        secret_sha256=secret_sha256(secret),
        scopes=list(scopes),
        project_id=project_id,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, f"pk_{key_id}_{secret}"


def adopt_admin_key(session: Session, text: str) -> ApiKey:
    """Make the given key text a valid admin key of every project, creating or updating its row.

    Raises ValueError when the text is not `pk_<id>_<secret>` with a secret of 16 characters or more.
    """
    parsed = parse_key(text)
    if parsed is None:
        raise ValueError("An admin key looks like pk_<id>_<secret>: letters and digits, the secret 16 or more")
    key_id, secret = parsed
    row = session.get(ApiKey, key_id) or ApiKey(id=key_id, name="admin", secret_sha256=b"", scopes=["admin"])
    row.secret_sha256, row.scopes, row.project_id = secret_sha256(secret), ["admin"], None
    row.revoked_at, row.expires_at = None, None
    session.add(row)
    session.flush()
    return row


def has_admin_key(session: Session, *, now: datetime) -> bool:
    """Say whether any usable key with scope `admin` over all projects exists."""
    usable = select(ApiKey.id).where(
        col(ApiKey.scopes).contains(["admin"]),
        col(ApiKey.project_id).is_(None),
        col(ApiKey.revoked_at).is_(None),
        or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now),
    )
    return session.exec(usable.limit(1)).first() is not None


def find_key(session: Session, key_id: str) -> ApiKey | None:
    """Return a key's row, revoked or not."""
    return session.get(ApiKey, key_id)


def list_keys(session: Session, *, project_id: uuid.UUID | None, limit: int, offset: int) -> tuple[list[ApiKey], int]:
    """Return a page of keys, newest first, and how many there are; `project_id` narrows to one project's."""
    where = [] if project_id is None else [ApiKey.project_id == project_id]
    total = session.exec(select(func.count()).select_from(ApiKey).where(*where)).one()
    page = (
        select(ApiKey)
        .where(*where)
        .order_by(col(ApiKey.created_at).desc(), col(ApiKey.id).desc())
        .limit(limit)
        .offset(offset)
    )
    return list(session.exec(page)), total


def revoke_key(session: Session, key_id: str, *, now: datetime) -> ApiKey:
    """Revoke a key for good. Raises NotFound, or Conflict when it is revoked already."""
    row = session.get(ApiKey, key_id)
    if row is None:
        raise NotFound("API key", key_id)
    if row.revoked_at is not None:
        raise Conflict(f"API key {key_id} is revoked already")
    row.revoked_at = now
    session.add(row)
    session.flush()
    return row
