"""The command line itself: help, wrong settings, expiry times."""

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from api.cli.keys import parse_expiry
from api.cli.main import main

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "command",
    ["up", "status", "demo", "api", "migrate", "version", "key", "rules", "channels", "privacy", "backup", "restore"],
)
def test_every_command_has_help(command: str) -> None:
    found = CliRunner().invoke(main, [command, "--help"])
    assert found.exit_code == 0, found.output
    assert f"Usage: main {command}" in found.output
    assert command in CliRunner().invoke(main, ["--help"]).output


def test_an_unknown_command_is_refused() -> None:
    found = CliRunner().invoke(main, ["upp"])
    assert found.exit_code == 2
    assert "No such command 'upp'" in found.output


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PILOTHOUSE_PORT", "80000", "PILOTHOUSE_PORT is wrong"),
        ("PILOTHOUSE_ADMIN_KEY", "hunter2", "PILOTHOUSE_ADMIN_KEY is not a key"),
        ("PILOTHOUSE_PREFECT_PORT", "8888", "PILOTHOUSE_PORT and PILOTHOUSE_PREFECT_PORT are both 8888"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.delenv("PILOTHOUSE_PORT", raising=False)
    monkeypatch.setenv(variable, value)
    found = CliRunner().invoke(main, ["up"])
    assert found.exit_code == 1
    assert found.output.startswith(f"Error: {said}")
    assert "hunter2" not in found.output
    assert len(found.output.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("12h", NOW + timedelta(hours=12)),
        ("30d", NOW + timedelta(days=30)),
        ("2w", NOW + timedelta(weeks=2)),
        ("2030-02-01T12:00:00+02:00", datetime(2030, 2, 1, 10, tzinfo=UTC)),
        ("2030-02-01", datetime(2030, 2, 1, tzinfo=UTC)),
        ("soon", None),
        ("99999999999999d", None),
        ("", None),
    ],
)
def test_expiry(text: str, meant: datetime | None) -> None:
    assert parse_expiry(text, now=NOW) == meant
