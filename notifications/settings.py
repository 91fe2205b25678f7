"""How notices leave the house: the mail server, the addresses that may be private, and the bound on one send."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from notifications.allow_list import AllowList
from notifications.mail_addresses import AddressRefused, parse_sender


class NoticeSettings(BaseSettings):
    """Plain values out of the environment (prefix PILOTHOUSE_); the channels hold the rest."""

    model_config = SettingsConfigDict(env_prefix="PILOTHOUSE_", extra="ignore", frozen=True)

    smtp_host: str | None = None
    smtp_port: int = Field(default=587, ge=1, le=65535)
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_from: str | None = Field(default=None, description="the sender; else the user name, where it is an address")
    allowed_addresses: str | None = Field(default=None, description="comma list: hosts, networks that may be private")
    notice_timeout_s: float = Field(default=10, gt=0, le=60, description="how long one send may take, all in all")
    public_url: str | None = Field(default=None, description="what links in notices start with")

    @field_validator("allowed_addresses")
    @classmethod
    def _allow_list_reads(cls, value: str | None) -> str | None:
        AllowList.parse(value or "")
        return value

    @field_validator("smtp_from")
    @classmethod
    def _sender_is_an_address(cls, value: str | None) -> str | None:
        if value:
            try:
                parse_sender(value)
            except AddressRefused as refused:
                raise ValueError(str(refused)) from refused
        return value

    @field_validator("public_url")
    @classmethod
    def _public_url_is_http(cls, value: str | None) -> str | None:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("PILOTHOUSE_PUBLIC_URL must start with http:// or https://")
        return value.rstrip("/") if value else None
