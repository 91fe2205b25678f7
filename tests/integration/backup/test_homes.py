"""A whole installation moves into an empty home: its key works, its models answer, its log goes on."""

import base64
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from api.app import create_app
from api.cli.backup.command import backup_command
from api.cli.backup.home_files import OpenedFiles
from api.cli.backup.restoring import restore_command
from api.inference_log.spool import Spool, SpoolBounds
from api.settings import Settings
from api.supervisor.brief_server import locked_home, running_database
from api.supervisor.home import Home
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from tests.integration.api.conftest import client_of
from tests.integration.api.serving import served
from tests.integration.serving.conftest import Deploy
from tests.integration.serving.log_rows import a_request
from tests.integration.serving.spools import as_spooled, files

SEGMENT = "spool/0199c0de-0000-7000-8000-000000000000/000001.seg"
KEYS = [base64.b64encode(bytes([number]) * 32).decode() for number in range(2)]
INPUTS = {"AGE": 65, "RACE": "1", "DPROS": "2", "DCAPS": "1", "PSA": 1.4, "VOL": 0, "GLEASON": 6}
Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs one of the two commands on a home."""

    def command(which: Any, path: Path, home: Path, *options: str, **environment: str) -> Result:
        for name in ("DATABASE_URL", "PRIVACY_KEY"):
            monkeypatch.delenv(f"PILOTHOUSE_{name}", raising=False)
        for name, value in {"HOME": str(home), **environment}.items():
            monkeypatch.setenv(f"PILOTHOUSE_{name}", value)
        return CliRunner().invoke(which, [str(path), *options])

    return command


def home_with(root: Path, files: dict[str, str]) -> Path:
    for name, said in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(said)
    return root


def predicted(client: httpx.Client, deployment_id: str) -> Any:
    answer = client.post(f"/api/mlops/deployments/{deployment_id}/predict", json={"inputs": INPUTS})
    return answer.raise_for_status().json()["predictions"]


def log_total(client: httpx.Client, deployment_id: str) -> int:
    return int(client.get(f"/api/mlops/deployments/{deployment_id}/inference-logs").raise_for_status().json()["total"])


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_installation_moves_into_an_empty_home(
    run: Run, client: httpx.Client, deploy: Deploy, admin_key: str, database: Database, tmp_path: Path
) -> None:
    deployment_id = deploy(stage="production")["deployment_id"]
    before = predicted(client, deployment_id)
    old = home_with(tmp_path / "old", {"privacy.key": KEYS[0]})
    spool = Spool(old / "spool", new_id(), SpoolBounds(keep_free_bytes=0))
    spool.append([as_spooled(a_request(uuid.UUID(deployment_id), rows=3))])
    made = run(backup_command, tmp_path / "b.zip", old, DATABASE_URL=database.url)
    assert made.exit_code == 0, made.output
    new = tmp_path / "new"
    restored = run(restore_command, tmp_path / "b.zip", new)
    assert restored.exit_code == 0, restored.output
    assert (new / "privacy.key").read_text() == KEYS[0]
    assert (new / "privacy.key").stat().st_mode & 0o777 == 0o600
    assert [path.read_bytes() for path in files(new / "spool")] == [path.read_bytes() for path in files(old / "spool")]
    spool.close()
    with running_database(Settings(home=new)) as url:
        app = create_app(Settings(home=new, database_url=url, prefect_port=9))
        with served(app) as address, client_of(address, admin_key) as moved:
            assert predicted(moved, deployment_id) == before
            wait_until(lambda: log_total(moved, deployment_id) == 2 + 3)  # what waited in the spool, too
    assert files(new / "spool") == []
    again = run(backup_command, tmp_path / "again.zip", new)
    assert again.exit_code == 0, again.output
    assert run(restore_command, tmp_path / "again.zip", new, "--verify-only").exit_code == 0
    refused = run(restore_command, tmp_path / "again.zip", new)
    assert (refused.exit_code, "holds tables already" in refused.output) == (1, True)


def test_a_backup_overwrites_nothing_and_leaves_nothing_half_made(run: Run, database: Database, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_text("precious")
    refused = run(backup_command, tmp_path / "b.zip", tmp_path / "home", DATABASE_URL=database.url)
    assert (refused.exit_code, "overwrites nothing" in refused.output) == (1, True)
    with database.transaction() as session:
        session.execute(text("DROP TABLE rollup_mark"))
    failed = run(backup_command, tmp_path / "c.zip", tmp_path / "home", DATABASE_URL=database.url)
    assert failed.exit_code == 1
    assert failed.output.splitlines() == [
        'Error: The database does not answer as it should: relation "rollup_mark" does not exist'
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip"]
    assert (tmp_path / "b.zip").read_text() == "precious"


REFUSED: tuple[tuple[dict[str, str], dict[str, str], str], ...] = (
    ({"privacy.key": KEYS[1]}, {}, "privacy.key is there already, and another"),
    ({}, {"PRIVACY_KEY": KEYS[1]}, "PILOTHOUSE_PRIVACY_KEY is another than where the backup was made"),
    ({SEGMENT: "others"}, {}, f"{SEGMENT} is there already, and another"),
    ({f"spool/{uuid.uuid4()}/000001.seg": "rows"}, {}, "Rows wait in"),
)


def test_a_home_that_is_not_empty_is_refused_unless_it_holds_the_same(
    run: Run, database: Database, empty_url: str, tmp_path: Path
) -> None:
    old = home_with(tmp_path / "old", {"privacy.key": KEYS[0], SEGMENT: "rows"})
    assert run(backup_command, tmp_path / "b.zip", old, DATABASE_URL=database.url).exit_code == 0
    for number, (there, environment, said) in enumerate(REFUSED):
        new = home_with(tmp_path / f"new{number}", there)
        refused = run(restore_command, tmp_path / "b.zip", new, DATABASE_URL=empty_url, **environment)
        assert (refused.exit_code, said in refused.output) == (1, True), refused.output
        assert all(key not in refused.output for key in KEYS)
    new = home_with(tmp_path / "new", {"privacy.key": KEYS[0], SEGMENT: "rows"})
    with locked_home(Home(new)):
        refused = run(restore_command, tmp_path / "b.zip", new, DATABASE_URL=empty_url)
    assert (refused.exit_code, "already runs on" in refused.output) == (1, True)
    restored = run(restore_command, tmp_path / "b.zip", new, DATABASE_URL=empty_url, PRIVACY_KEY=KEYS[0])
    assert restored.exit_code == 0, restored.output


def test_a_key_given_as_a_setting_is_not_in_the_backup_but_asked_for(
    run: Run, database: Database, empty_url: str, tmp_path: Path
) -> None:
    made = run(backup_command, tmp_path / "b.zip", tmp_path / "old", DATABASE_URL=database.url, PRIVACY_KEY=KEYS[0])
    assert made.exit_code == 0
    refused = run(restore_command, tmp_path / "b.zip", tmp_path / "new", DATABASE_URL=empty_url)
    assert "set it to the same value" in refused.output


def test_a_spooled_file_that_goes_meanwhile_is_still_read(tmp_path: Path) -> None:
    home_with(tmp_path, {SEGMENT: "rows"})
    with OpenedFiles(tmp_path) as files:
        files.gather()
        (tmp_path / SEGMENT).unlink()
        files.gather()
        assert {name: file.read() for name, file in files.opened()} == {SEGMENT: b"rows"}
