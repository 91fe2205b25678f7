"""Receivers, a certificate authority that the post office trusts, and a post office that may reach loopback."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from notifications.post_office import PostOffice
from notifications.settings import NoticeSettings
from tests.integration.notifications.certificates import Authority
from tests.integration.notifications.receivers import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on 127.0.0.1 that answers 200."""
    with receiving() as running:
        yield running


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority whose certificates the post offices made after it trust."""
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def loopback_office(**settings: Any) -> PostOffice:
    """A post office that may reach 127.0.0.1, and finds every host name there."""
    given = {"allowed_addresses": "127.0.0.1", "notice_timeout_s": 5} | settings
    return PostOffice(NoticeSettings(**given), resolve=lambda _host, _port: ["127.0.0.1"])
