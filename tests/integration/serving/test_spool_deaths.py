"""Processes killed while they spool or replay: what they promised is in the log once, by whoever comes next."""

import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

from sqlalchemy import text

from api.inference_log.folders import adopt_folders
from api.inference_log.spool import Spool, SpoolBounds
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from monitoring.store.inference_ids import stamp
from tests.integration.serving.log_rows import a_request, counted_rows, stored_ids
from tests.integration.serving.spools import (
    a_deployment,
    as_spooled,
    assert_balanced,
    files,
    replay_left_behind,
    segment_facts,
)

LATER = bytes.fromhex(
    "fffe504853504f4f4c29000000e71d681094c41000000000000000000000000000000001c41000000000000000000000000000000002a2696402"
)  # a header of format 2
MODULE = "tests.integration.serving.spooling_process"


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-m", MODULE, *arguments], stdout=subprocess.PIPE, text=True)


def spool_until_killed(root: Path, deployment_id: uuid.UUID, rows: int) -> list[str]:
    """Have a process spool until it has promised so many rows, and kill it; return the ids it promised."""
    process = start("spool", str(root), str(deployment_id))
    assert process.stdout is not None
    promised = [process.stdout.readline().strip() for _ in range(rows)]
    process.kill()
    rest = process.stdout.read().split("\n")[:-1]  # a line that was cut off promised nothing
    process.wait()
    return promised + rest


def leave_behind(root: Path, deployment_id: uuid.UUID, *, requests: int, rows: int) -> list[Path]:
    """Leave the spool of a process that ended; return its segments."""
    spool = Spool(root, new_id(), SpoolBounds(segment_bytes=200_000))
    for _ in range(requests // 10):
        spool.append([as_spooled(a_request(deployment_id, rows=rows)) for _ in range(10)])
    spool.close()
    return [path for path in files(root) if path.suffix == ".seg"]


def replayed_rows(database: Database) -> int:
    with database.transaction() as session:
        return int(session.execute(text("SELECT coalesce(sum(rows), 0) FROM spool_segment")).scalar_one())


def test_what_a_killed_process_promised_is_replayed_once(database: Database, tmp_path: Path) -> None:
    deployment_id = a_deployment(database)
    promised = spool_until_killed(tmp_path, deployment_id, 300)
    replay_left_behind(database, tmp_path)
    stored = stored_ids(database, deployment_id)
    assert len(promised) >= 300
    assert set(promised) <= set(stored)
    assert len(stored) == len(set(stored)) == counted_rows(database, deployment_id)
    total = assert_balanced(database)
    assert total.served == total.spooled == total.replayed == len(stored)
    assert [*tmp_path.iterdir()] == []
    replay_left_behind(database, tmp_path)
    assert stored_ids(database, deployment_id) == stored


def test_a_process_killed_while_it_replays_is_followed_by_another(database: Database, tmp_path: Path) -> None:
    deployment_id = a_deployment(database)
    leave_behind(tmp_path, deployment_id, requests=600, rows=20)
    process = start("replay", str(tmp_path), database.url)
    while replayed_rows(database) == 0 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert 0 < counted_rows(database, deployment_id) < 12_000
    replay_left_behind(database, tmp_path)
    stored = stored_ids(database, deployment_id)
    assert len(stored) == len(set(stored)) == counted_rows(database, deployment_id) == 12_000
    assert_balanced(database)
    assert [*tmp_path.iterdir()] == []


def test_folders_left_behind_are_shared_out_between_those_who_adopt(database: Database, tmp_path: Path) -> None:
    deployment_id = a_deployment(database)
    for _ in range(6):
        leave_behind(tmp_path, deployment_id, requests=20, rows=3)
    alive = Spool(tmp_path, new_id())
    alive.append([as_spooled(a_request(deployment_id))])
    adopters = [threading.Thread(target=replay_left_behind, args=(database, tmp_path)) for _ in range(3)]
    for adopter in adopters:
        adopter.start()
    for adopter in adopters:
        adopter.join(60)
    stored = stored_ids(database, deployment_id)
    assert len(stored) == len(set(stored)) == counted_rows(database, deployment_id) == 6 * 20 * 3
    assert [path.name for path in tmp_path.iterdir()] == [str(alive.worker_id)]
    alive.close()
    assert_balanced(database)


def test_damage_in_the_middle_costs_the_damaged_record_and_is_told(database: Database, tmp_path: Path) -> None:
    deployment_id = a_deployment(database)
    [segment] = leave_behind(tmp_path, deployment_id, requests=30, rows=1)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0x10
    segment.write_bytes(bytes(data[:-7]))  # and the last record cut off
    spool = replay_left_behind(database, tmp_path)
    assert len(stored_ids(database, deployment_id)) == spool.figures.replayed_rows == 28
    assert spool.figures.torn_records == 2
    assert [facts["torn_records"] for facts in segment_facts(database)] == [2]
    assert_balanced(database)
    assert files(tmp_path) == []


def test_a_damaged_header_costs_no_row(database: Database, tmp_path: Path) -> None:
    deployment_id = a_deployment(database)
    [segment] = leave_behind(tmp_path, deployment_id, requests=10, rows=1)
    data = bytearray(segment.read_bytes())
    data[20] ^= 0xFF
    segment.write_bytes(bytes(data))
    replay_left_behind(database, tmp_path)
    assert len(stored_ids(database, deployment_id)) == 10
    [facts] = segment_facts(database)
    assert (facts["torn_records"], str(facts["worker_id"])) == (1, segment.parent.name)


def test_a_segment_of_a_later_version_is_left_where_it_is(database: Database, tmp_path: Path) -> None:
    deployment_id = a_deployment(database)
    [segment] = leave_behind(tmp_path, deployment_id, requests=10, rows=1)
    segment.write_bytes(LATER + segment.read_bytes())
    replay_left_behind(database, tmp_path)
    assert segment.exists()
    assert stored_ids(database, deployment_id) == []


def test_the_folder_of_a_living_process_is_not_adopted(tmp_path: Path) -> None:
    alive = Spool(tmp_path, new_id())
    alive.append([as_spooled(a_request(uuid.uuid4(), at=stamp()))])
    assert [*adopt_folders(tmp_path, new_id())] == []
    alive.close()
    [left] = adopt_folders(tmp_path, new_id())
    assert left.worker_id == alive.worker_id
    os.close(left.lock)
