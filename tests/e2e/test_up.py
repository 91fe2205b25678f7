"""`pilothouse up` as a person meets it: ready, said, kept alive, stopped whole, started again after the worst."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from tests.e2e.installation import PARTS, REPOSITORY, Installation

pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One installation for the module; the tests below are its life, in order."""
    short = {"PILOTHOUSE_DEMO_MAX_MODELS": "2", "PILOTHOUSE_DEMO_MAX_SECONDS": "150"}
    made = Installation(tmp_path_factory.mktemp("e2e") / "home", **short)
    made.start("--demo")
    made.wait_ready()
    yield made
    made.stop()


def test_everything_gets_ready_and_the_key_works(installation: Installation) -> None:
    said = installation.said()
    assert f"http://127.0.0.1:{installation.port}/schema" in said
    assert f"http://127.0.0.1:{installation.prefect_port}" in said
    assert "\x1b" not in said
    assert "Warning" not in said
    headers = {"Authorization": f"Bearer {installation.admin_key()}"}
    assert httpx.get(f"http://127.0.0.1:{installation.port}/api/projects", headers=headers).status_code == 200


def test_status_knows_every_part(installation: Installation) -> None:
    found = installation.run("status", "--json")
    assert found.returncode == 0, found.stderr
    status = installation.status()
    assert status["ready"]
    assert {part["name"] for part in status["parts"]} == PARTS
    table = installation.run("status")
    assert all(part in table.stdout for part in PARTS)


def test_nothing_lies_open(installation: Installation) -> None:
    for path in (installation.home / "database.url", installation.home / "up.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((installation.home / "postgres" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((installation.home / "postgres" / "run").stat().st_mode) == 0o700
    listening = [each.laddr for process in installation.seen.values() for each in _listening(process)]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    assert {installation.port, installation.prefect_port} <= {address.port for address in listening}


def test_the_flow_deployments_are_registered(installation: Installation) -> None:
    prefect = f"http://127.0.0.1:{installation.prefect_port}/api"
    names = {each["name"] for each in httpx.post(f"{prefect}/deployments/filter", json={}).json()}
    assert {"drift", "drift-sweep", "train"} <= names
    scheduled = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    installation.wait(lambda: bool(httpx.post(f"{prefect}/flow_runs/filter", json=scheduled).json()), timeout_s=30)


def test_a_second_up_is_refused(installation: Installation) -> None:
    same_home = installation.run("up")
    assert same_home.returncode == 1
    assert installation.up is not None
    assert f"pid {installation.up.pid}" in same_home.stderr
    assert "PILOTHOUSE_HOME" in same_home.stderr
    same_port = installation.run("up", PILOTHOUSE_HOME=f"{installation.home}-2")
    assert same_port.returncode == 1
    assert f"Port {installation.port} on 127.0.0.1" in same_port.stderr
    assert "PILOTHOUSE_PORT" in same_port.stderr
    for refused in (same_home, same_port):
        assert "Traceback" not in refused.stdout + refused.stderr


def test_keys_are_made_on_the_machine(installation: Installation) -> None:
    made = installation.run("key", "create", "--name", "ci", "--scope", "read", "--expires", "1h")
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    url = f"http://127.0.0.1:{installation.port}/api/projects"
    assert httpx.get(url, headers=headers).status_code == 200
    assert httpx.post(url, headers=headers, json={"name": "x"}).status_code == 403


def test_the_demo_is_the_main_job(installation: Installation) -> None:
    """What `up --demo` began once it was ready: trained, deployed, drifted, and somebody was told."""
    ended = re.compile(r"^(Done\.|The demo failed)", re.MULTILINE)
    installation.wait(lambda: ended.search(installation.said()) is not None, timeout_s=390)
    told = installation.said()
    assert "The demo failed" not in told, told
    assert "13/13" in told
    tables = re.findall(r"^    Feature .*\n((?:    .*\n)+)", told, re.MULTILINE)
    last = {row.split()[0]: row.split()[-1] for row in tables[-1].splitlines()}
    assert (last["AGE"], last["PSA"], last["RACE"]) == ("high", "high", "low")
    message = [line.removeprefix("    | ") for line in told.splitlines() if line.startswith("    | ")]
    assert any(re.fullmatch(r"To: captain-\w+@pilothouse.example", line) for line in message), told
    subject = next(line for line in message if line.startswith("Subject: "))
    assert "[WARNING]" in subject
    assert "drift_psi" in subject
    calls = [line.strip() for line in told.splitlines() if line.startswith("  $ curl")]
    key = installation.admin_key()
    drift = next(line for line in reversed(calls) if line.endswith('/drift -H "Authorization: Bearer $PILOTHOUSE_KEY"'))
    answer = subprocess.run(["bash", "-c", drift[2:]], env={"PILOTHOUSE_KEY": key}, capture_output=True, check=True)
    assert json.loads(answer.stdout)["features"]["PSA"]["status"] == "high"


def test_the_readmes_tour_runs_as_written(installation: Installation) -> None:
    """Every line of the tour, in order, in one shell, against the installation that the demo just used."""
    tour = (REPOSITORY / "README.md").read_text().split("## A tour")[1].split("\n## ")[0]
    blocks = re.findall(r"```bash\n(.*?)```", tour, re.DOTALL)
    script = "set -euo pipefail\n" + "\n".join(blocks)
    told = subprocess.run(
        ["bash", "-c", script], env=installation.environment, cwd=REPOSITORY, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert '"contributions"' in told.stdout
    assert '"overall_status":"insufficient_data"' in told.stdout
    assert "rule slow created" in told.stdout
    assert re.search(r"captain@pilothouse\.example +sent", told.stdout)
    assert '"outcome":"too_few_samples"' in told.stdout


def test_parts_that_die_are_restarted_and_said(installation: Installation) -> None:
    names = ("api", "worker", "postgres")
    before = {name: installation.parts()[name]["pid"] for name in names}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def are_back() -> bool:
        status = installation.status()
        now = {part["name"]: part["pid"] for part in status["parts"]}
        return status["ready"] and all(now[name] not in {None, before[name]} for name in names)

    installation.wait(are_back, timeout_s=90)
    for title in ("API", "Worker", "PostgreSQL"):
        assert re.search(rf"{title} +was killed by SIGKILL; attempt 2 in 0.5 s", installation.said())


def test_it_starts_again_after_everything_was_killed(installation: Installation) -> None:
    key = installation.admin_key()
    installation.kill_everything()
    assert installation.run("status").returncode == 1
    installation.start()
    installation.wait_ready()
    assert "Admin key" not in installation.said()
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"http://127.0.0.1:{installation.port}/api/projects", headers=headers).status_code == 200


def test_children_do_not_outlive_a_killed_supervisor(installation: Installation) -> None:
    assert installation.up is not None
    installation.remember()
    children = psutil.Process(installation.up.pid).children()
    installation.up.kill()
    installation.up.wait(10)
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert len(gone) >= 4
    installation.start()
    installation.wait_ready()


def test_it_stops_whole(installation: Installation) -> None:
    installation.remember()
    assert installation.stop() == 0
    assert installation.said().rstrip().endswith("Stopped")
    assert installation.alive() == []
    assert not list((installation.home / "postgres" / "run").glob(".s.*"))
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", installation.port))


def test_a_part_that_cannot_start_is_said_and_given_up(tmp_path: Path, postgres_url: str) -> None:
    """On a server of the user's own, where the databases are created too."""
    url = make_url(postgres_url).set(database=f"own_{uuid.uuid4().hex[:8]}")
    broken = Installation(
        tmp_path / "home",
        PILOTHOUSE_DATABASE_URL=url.render_as_string(hide_password=False),
        PREFECT_LOGGING_LEVEL="NO_SUCH_LEVEL",
    )
    broken.start()
    assert broken.up is not None
    assert broken.up.wait(150) == 1
    said = broken.said()
    assert re.search("Prefect +exited with code 1; given up after 3 attempts", said)
    assert str(broken.home / "logs") in said
    assert "Traceback (most recent call last)" not in [line.strip() for line in said.splitlines()]
    assert not (broken.home / "postgres").exists()
    with psycopg.connect(postgres_url) as connection:
        found = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
    assert {url.database, f"{url.database}_prefect"} <= found


def _listening(process: psutil.Process) -> list[Any]:
    try:
        return [each for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.NoSuchProcess:
        return []
