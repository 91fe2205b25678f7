"""The embedded PostgreSQL: set up where it is hard, refused where it is unsafe."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from api.supervisor import postgres_wheel
from api.supervisor.postgres import EmbeddedPostgres, PostgresUnusable


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
def test_programs_out_of_its_users_reach_are_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = postgres_wheel._inside_wheel()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for part in postgres_wheel._parts_of(installed):
        shutil.copytree(part, closed / part.relative_to(installed.parents[2]), symlinks=True)
    monkeypatch.setattr(postgres_wheel, "_inside_wheel", lambda: closed / installed.relative_to(installed.parents[2]))
    server = EmbeddedPostgres(tmp_path / "home" / "postgres")
    server.folder.parent.mkdir()
    server.prepare()
    program = server.command()[0]
    assert Path(program).is_relative_to(server.folder)
    said = subprocess.run([program, "--version"], user=server.user, cwd="/", capture_output=True, check=True, text=True)
    assert said.stdout.startswith("postgres (PostgreSQL) 18")
    assert (server.data / "PG_VERSION").read_text().strip() == "18"
    assert closed.stat().st_mode & 0o077 == 0


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    half = server.folder / "data.initializing"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server.prepare()
    assert (server.data / "global" / "pg_control").stat().st_size > 0
    assert not half.exists()


def test_another_versions_data_is_refused(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.data.mkdir(parents=True)
    (server.data / "PG_VERSION").write_text("16\n")
    with pytest.raises(PostgresUnusable, match=r"belongs to PostgreSQL 16, this is 18"):
        server.prepare()


def test_a_link_planted_as_the_sockets_folder_is_refused(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.prepare()
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    before = victim.stat()
    server.socket_folder.rmdir()
    server.socket_folder.symlink_to(victim)
    with pytest.raises(PostgresUnusable, match="is not a folder of ours"):
        server.prepare()
    assert (victim.stat().st_uid, victim.stat().st_mode) == (before.st_uid, before.st_mode)
