"""The post office's settings are refused at the start when they cannot work."""

import pytest
from pydantic import ValidationError

from notifications.settings import NoticeSettings


def test_what_is_given_is_kept() -> None:
    settings = NoticeSettings(
        smtp_from="Pilothouse <ops@example.com>", public_url="https://pilot.example/", allowed_addresses="a, 10.0.0.0/8"
    )
    assert settings.public_url == "https://pilot.example"


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_from": "ops"},
        {"smtp_from": "ops@example.com\nBcc: a@b.example"},
        {"smtp_security": "ssl"},
        {"allowed_addresses": "10.0.0.1/8"},
        {"public_url": "javascript:alert(1)"},
        {"notice_timeout_s": 0},
    ],
)
def test_what_cannot_work_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        NoticeSettings(**wrong)  # type: ignore[arg-type]


def test_the_password_is_not_shown() -> None:
    assert "verysecret" not in repr(NoticeSettings(smtp_password="verysecret"))  # type: ignore[arg-type]
