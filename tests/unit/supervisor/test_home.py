"""The home: its files and its lock."""

import os
import stat
from pathlib import Path

import pytest

from api.supervisor.home import Home, HomeInUse, HomeLock, HomeUnusable, is_locked, replace_file


def test_one_lock_a_home(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "home")
    home.create()
    first, second = HomeLock(home), HomeLock(home)
    first.acquire()
    assert is_locked(home)
    with pytest.raises(HomeInUse, match=rf"already runs on .*pid {os.getpid()}.*PILOTHOUSE_HOME"):
        second.acquire()
    first.release()
    assert not is_locked(home)
    second.acquire()
    second.release()


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match="PILOTHOUSE_HOME"):
        Home(tmp_path / "file" / "home").create()


def test_the_database_address_is_for_us_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.create()
    home.write_database_url("postgresql://u:secret@db/x")
    written = tmp_path / "database.url"
    assert written.read_text().strip() == "postgresql://u:secret@db/x"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600


def test_replacing_leaves_nothing_beside(tmp_path: Path) -> None:
    replace_file(tmp_path / "up.json", "one")
    replace_file(tmp_path / "up.json", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["up.json"]
    assert (tmp_path / "up.json").read_text() == "two"
