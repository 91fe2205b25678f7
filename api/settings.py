"""The API door's settings, read once from the environment (prefix PILOTHOUSE_)."""

from pydantic import Field, SecretStr, computed_field, field_validator
from pydantic_settings import SettingsConfigDict

from api.privacy.keys import decode_secret
from monitoring.store.location import StoreSettings
from monitoring.store.retention_settings import RetentionSettings
from notifications.settings import NoticeSettings


class Settings(StoreSettings, NoticeSettings, RetentionSettings):
    """Where the API listens, which Prefect it talks to, how notices leave, and its bounds. Building is `app`'s."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8888, ge=1, le=65535)
    prefect_host: str = "127.0.0.1"
    prefect_port: int = Field(default=4200, ge=1, le=65535)
    prefect_database_url: str | None = None
    admin_key: SecretStr | None = None
    privacy_key: SecretStr | None = Field(default=None, description="base64 of 32 random bytes or more")
    jvm_heap_mb: int = Field(default=256, ge=64)
    max_request_mb: int = Field(default=32, ge=1, description="largest JSON body, in MiB")
    max_upload_mb: int = Field(default=512, ge=1, description="largest multipart upload, in MiB")
    spool_mb: int = Field(default=2048, ge=0, description="log rows on disk while PostgreSQL is away, in MiB; 0: none")
    spool_after_ms: float = Field(default=1000, ge=50, description="how long a log row waits for PostgreSQL")
    upload_patience_s: float = Field(default=900, gt=0, description="how long one upload may take to arrive")
    max_uploads: int = Field(default=8, ge=1, description="model imports under way at once; one more gets 503")
    max_examinations: int = Field(default=2, ge=1, description="model imports at work in the processor at once")
    queue_ms: float = Field(default=25, gt=0, description="work at hand beyond which predictions are turned away")
    max_large_mb: int = Field(default=64, ge=1, description="bodies of large predictions at hand together, in MiB")
    max_connections: int = Field(default=2000, ge=1, description="open connections of one process")
    workers: int = Field(default=1, ge=1, le=256, description="API processes that share the port")
    production_lease_s: float = Field(
        default=10.0, ge=1, le=300, description="how long a worker serves production unheard"
    )

    @field_validator("privacy_key", mode="before")
    @classmethod
    def _privacy_key_reads(cls, value: str | None) -> str | None:
        if not value:
            return None
        decode_secret(value)
        return value

    @computed_field  # type: ignore[prop-decorator]
    @property
    def prefect_address(self) -> str:
        """The address of Prefect's UI; its API is below `/api`."""
        return f"http://{self.prefect_host}:{self.prefect_port}"
