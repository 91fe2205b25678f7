"""The secret that tokens are made under, and the keys derived from it."""

import base64
import stat
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from api.privacy.keys import KEY_FILE, PrivacyKeyUnusable, decode_secret, master_secret, project_key
from api.settings import Settings

SECRET = bytes(range(224, 256))
PROJECT = uuid.UUID(int=7)


@dataclass(frozen=True)
class Where:
    """Settings that say where the secret is."""

    home: Path
    privacy_key: SecretStr | None = None


def given(secret: bytes, home: Path = Path("/nowhere")) -> Where:
    return Where(home, SecretStr(base64.b64encode(secret).decode()))


def test_each_project_and_generation_has_a_key_of_its_own() -> None:
    keys = {
        project_key(given(secret), project, generation)
        for secret in (SECRET, SECRET[::-1])
        for project in (PROJECT, uuid.UUID(int=8))
        for generation in (1, 2)
    }
    assert len(keys) == 8
    assert {len(key) for key in keys} == {32}


def test_the_key_does_not_change_from_release_to_release() -> None:
    """Tokens in logs of years stand and fall with it: the figure was made by openssl."""
    expected = "394e42e928b17598701606308f7a26e636f3eefbfb37bd5396685ceb00e5251f"
    assert project_key(given(SECRET), PROJECT, 1).hex() == expected


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("strip", ["", "="])
def test_both_alphabets_padded_or_not_give_the_same_secret(encode: type, strip: str) -> None:
    assert decode_secret(encode(SECRET).decode().rstrip(strip) + "\n") == SECRET


@pytest.mark.parametrize("text", ["", "secret", base64.b64encode(SECRET[:31]).decode(), "é" * 64, "a" * 43 + "!"])
def test_what_is_short_or_no_base64_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="base64 of at least 32 random bytes") as refused:
        decode_secret(text)
    assert not text or text not in str(refused.value)


def test_a_wrong_setting_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTHOUSE_PRIVACY_KEY", "hunter2hunter2")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("PILOTHOUSE_PRIVACY_KEY", "")
    assert Settings().privacy_key is None


def test_a_home_gets_one_secret_that_only_its_owner_reads(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    with ThreadPoolExecutor(16) as pool:
        secrets = set(pool.map(lambda _: master_secret(Where(home)), range(64)))
    assert len(secrets) == 1
    assert [path.name for path in home.iterdir()] == [KEY_FILE]
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600
    assert master_secret(Where(tmp_path / "other")) not in secrets


def test_the_setting_goes_before_the_file(tmp_path: Path) -> None:
    assert master_secret(given(SECRET, tmp_path)) == SECRET
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe"])
def test_a_damaged_file_is_not_replaced(tmp_path: Path, content: bytes) -> None:
    (tmp_path / KEY_FILE).write_bytes(content)
    with pytest.raises(PrivacyKeyUnusable, match=KEY_FILE):
        master_secret(Where(tmp_path))
    assert (tmp_path / KEY_FILE).read_bytes() == content


def test_a_home_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PrivacyKeyUnusable, match="cannot be used"):
        master_secret(Where(tmp_path / "file"))
