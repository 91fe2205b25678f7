"""The folder of a process's spool, where the disk fails while it is made."""

from pathlib import Path

import pytest

from api.inference_log import folders
from monitoring.store.ids import new_id


def test_a_folder_whose_making_broke_off_is_taken_at_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(5, "Input/output error")

    worker_id = new_id()
    with monkeypatch.context() as broken:
        broken.setattr(folders, "sync_folder", refuse)
        with pytest.raises(OSError, match="Input/output"):
            folders.create_folder(tmp_path, worker_id)
    made = folders.create_folder(tmp_path, worker_id)
    assert made.path == tmp_path / str(worker_id)
    assert [*folders.adopt_folders(tmp_path, new_id())] == []
    made.let_go()
    assert [*tmp_path.iterdir()] == []
