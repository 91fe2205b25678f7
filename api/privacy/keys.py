"""The keys that values are hashed and pseudonymized with: one a project and generation, from one secret.

The secret is the setting PILOTHOUSE_PRIVACY_KEY, else the file `privacy.key` in the home, made at first need.
"""

import base64
import binascii
import hmac
import os
import secrets
import uuid
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

KEY_FILE = "privacy.key"
LEAST_BYTES = 32
_URL_SAFE = str.maketrans("-_", "+/")


class PrivacyKeyUnusable(RuntimeError):
    """The secret that keys are derived from is not there or not one."""


class KeySettings(Protocol):
    """What of the settings says where the secret is."""

    @property
    def home(self) -> Path:
        """The data folder."""

    @property
    def privacy_key(self) -> SecretStr | None:
        """The secret in base64, when it is given as a setting."""


def project_key(settings: KeySettings, project_id: uuid.UUID, generation: int) -> bytes:
    """Return a project's key (32 bytes): HMAC-SHA256 of project and generation under the installation's secret.

    Raises PrivacyKeyUnusable.
    """
    message = f"pilothouse/privacy/{project_id}/{generation}".encode()
    return hmac.digest(master_secret(settings), message, "sha256")


def master_secret(settings: KeySettings) -> bytes:
    """Return the installation's secret, made now if it has none. Raises PrivacyKeyUnusable."""
    if settings.privacy_key is not None:
        return decode_secret(settings.privacy_key.get_secret_value())
    path = settings.home / KEY_FILE
    try:
        return decode_secret(_read_or_make(path))
    except OSError as error:
        raise PrivacyKeyUnusable(f"The privacy key {path} cannot be used: {error.strerror}") from error
    except ValueError as error:
        raise PrivacyKeyUnusable(f"The privacy key {path} {error}") from None


def decode_secret(text: str) -> bytes:
    """Return the bytes of a secret in base64, of either alphabet, padded or not. Raises ValueError."""
    plain = "".join(text.split()).rstrip("=").translate(_URL_SAFE)
    try:
        secret = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) < LEAST_BYTES:
        raise ValueError(f"must be base64 of at least {LEAST_BYTES} random bytes, as `openssl rand -base64 32` prints")
    return secret


def _read_or_make(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        _make(path)
        return path.read_text(encoding="ascii", errors="replace")


def _make(path: Path) -> None:
    """Write a new secret unless another process has done so meanwhile: whole, on disk, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(LEAST_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)
