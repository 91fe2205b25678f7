"""Replaying goes on after whatever befalls it, and blames no row for what is not its fault."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session

from api.inference_log.records import encode_header, encode_record, segment_id_of
from api.inference_log.replaying import Replaying
from api.inference_log.spool import Spool, SpoolBounds
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from tests.integration.serving.log_rows import a_request, stored_ids
from tests.integration.serving.spools import a_deployment, as_spooled, replay_left_behind


class Busy(Database):
    """A database whose third transaction finds every connection taken."""

    transactions = 0

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session, or wait in vain for a connection."""
        self.transactions += 1
        if self.transactions == 3:
            raise PoolTimeout("QueuePool limit reached")
        with super().transaction() as session:
            yield session


def test_rows_are_not_set_aside_because_all_connections_are_taken(database: Database, tmp_path: Path) -> None:
    deployment_id: uuid.UUID = a_deployment(database)
    spool = Spool(tmp_path, new_id(), SpoolBounds(keep_free_bytes=0))
    spool.append([as_spooled(a_request(deployment_id, rows=2))])
    busy = Busy(database.url)
    replaying = Replaying(busy, spool, lambda: True)
    replaying.replay_all()
    assert busy.transactions == 3
    assert spool.figures.set_aside_rows == spool.figures.replayed_rows == 0
    replaying.replay_all()
    assert spool.figures.replayed_rows == len(stored_ids(database, deployment_id)) == 2
    spool.close()
    busy.close()


def test_a_segment_that_cannot_be_understood_does_not_end_replaying(database: Database, tmp_path: Path) -> None:
    worker_id = new_id()
    segment_id = segment_id_of(worker_id, "000001.seg")
    (tmp_path / str(worker_id)).mkdir()
    record = encode_record(as_spooled(a_request(a_deployment(database))), segment_id)
    segment = tmp_path / str(worker_id) / "000001.seg"
    segment.write_bytes(encode_header(segment_id, worker_id, "no column, 1") + record)
    replay_left_behind(database, tmp_path)
    assert segment.exists()
