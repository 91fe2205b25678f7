"""Bounded logs and their last lines."""

import os
from pathlib import Path

from api.supervisor.log_files import bound, last_lines


def test_a_large_log_moves_aside_while_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(writer, b"x" * 100 + b"\n")
    bound(log, largest_bytes=50)
    os.write(writer, b"after\n")
    os.close(writer)
    assert log.read_bytes() == b"after\n"
    assert (tmp_path / "api.log.1").stat().st_size == 101


def test_a_small_or_missing_log_stays(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    bound(log)
    log.write_text("short\n")
    bound(log, largest_bytes=50)
    assert log.read_text() == "short\n"
    assert not (tmp_path / "api.log.1").exists()


def test_last_lines_are_those_of_this_process(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("earlier\n")
    start = log.stat().st_size
    with log.open("ab") as file:
        file.write(b"one\n\ntwo\nthr\xff\xfee\n")
    assert last_lines(log, 2, since_byte=start) == ["two", "thr��e"]
    assert last_lines(log, 9, since_byte=start) == ["one", "two", "thr��e"]


def test_last_lines_of_a_log_that_was_emptied_since(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    log.write_text("fresh\n")
    assert last_lines(log, since_byte=4000) == ["fresh"]
    assert last_lines(tmp_path / "none.log") == []
