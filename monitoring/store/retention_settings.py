"""How long the log and the history of the watch stay, and where log rows go before they are let go."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RetentionSettings(BaseSettings):
    """Plain values out of the environment (prefix PILOTHOUSE_); a project may set days of its own for its log."""

    model_config = SettingsConfigDict(env_prefix="PILOTHOUSE_", extra="ignore", frozen=True)

    log_retention_days: int = Field(default=0, ge=0, le=3650, description="days that log rows stay; 0: for good")
    log_export_to: str | None = Field(default=None, description="a folder or fsspec address for Parquet files")
    history_retention_days: int = Field(default=365, ge=1, description="days that what is over and done with stays")
