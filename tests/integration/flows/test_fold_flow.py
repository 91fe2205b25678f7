"""Folding in Prefect: first in a minute's watch, whose evaluation it never holds up, and in a run of its own."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import select

from monitoring.store.clock import database_time
from monitoring.store.database import Database
from monitoring.store.rollup_tables import Rollup
from tests.integration.flows.conftest import PrefectServer
from tests.integration.rollups.log import add_subject, requests_between, store

pytestmark = pytest.mark.usefixtures("worker")


def test_a_watch_folds_first_and_a_fold_that_fails_holds_up_nothing(
    flow_deployments: PrefectServer, flows_database: Database
) -> None:
    flow_deployments.wait_until_over(["watch/watch", "fold/fold"])
    deployment_id = add_subject(flows_database)
    with flows_database.transaction() as session:
        start = database_time(session).replace(second=0, microsecond=0) - timedelta(minutes=9)
    store(flows_database, deployment_id, requests_between(start, start + timedelta(minutes=3), timedelta(seconds=30)))
    with broken_folding(flows_database):
        run = flow_deployments.wait_for(flow_deployments.enqueue("watch/watch", {}), {"COMPLETED"})
    assert "; folding failed (" in run["state"]["message"]
    assert folded_minutes(flows_database, deployment_id, start) == []
    run = flow_deployments.wait_for(flow_deployments.enqueue("fold/fold", {}), {"COMPLETED"})
    assert re.match(r"\d+ minutes folded", run["state"]["message"])
    assert folded_minutes(flows_database, deployment_id, start) == [0, 1, 2]
    late = start + timedelta(minutes=4)
    store(flows_database, deployment_id, requests_between(late, late + timedelta(minutes=2), timedelta(seconds=30)))
    run = flow_deployments.wait_for(flow_deployments.enqueue("watch/watch", {}), {"COMPLETED"})
    assert re.search(r"; \d+ minutes folded", run["state"]["message"])
    assert folded_minutes(flows_database, deployment_id, start) == [0, 1, 2, 4, 5]


def folded_minutes(database: Database, deployment_id: uuid.UUID, start: datetime) -> list[int]:
    """Return which minutes after `start` have a slice; other tests of flows leave rows of theirs to fold."""
    with database.transaction() as session:
        kept = session.exec(select(Rollup.start).where(Rollup.deployment_id == deployment_id, Rollup.minutes == 1))
        return sorted((each - start) // timedelta(minutes=1) for each in kept)


@contextmanager
def broken_folding(database: Database) -> Iterator[None]:
    """Let the database refuse every slice meanwhile."""
    with database.engine.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION refuse_slices() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'no slices today'; END $$; CREATE TRIGGER refuse_slices BEFORE INSERT "
                "ON rollup FOR EACH STATEMENT EXECUTE FUNCTION refuse_slices()"
            )
        )
    try:
        yield
    finally:
        with database.engine.begin() as connection:
            connection.execute(text("DROP FUNCTION refuse_slices CASCADE"))
