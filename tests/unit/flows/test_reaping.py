"""Which runs a worker that died leaves behind, and what becomes of them."""

import os
import socket
import uuid
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.schemas.objects import StateType

from flows.reaping import SIGNING_GRACE, SUBMISSION_GRACE, OpenRun, Verdict, is_process_alive, judge, worker_name

NOW = datetime(2026, 3, 14, 15, tzinfo=UTC)
OPEN = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
ages = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=400))


def open_run(state: StateType, age: timedelta, worker: str | None) -> OpenRun:
    return OpenRun(uuid.uuid4(), state, NOW - age, worker)


@given(state=st.sampled_from(OPEN), age=ages, worker=st.text(min_size=1))
def test_a_living_workers_runs_are_left_alone(state: StateType, age: timedelta, worker: str) -> None:
    verdict = judge(open_run(state, age, worker), is_alive=lambda name, _: name == worker, now=NOW)
    assert verdict is Verdict.LEAVE


@pytest.mark.parametrize(
    ("state", "verdict"), [(StateType.RUNNING, Verdict.CRASH), (StateType.CANCELLING, Verdict.CANCEL)]
)
def test_a_dead_workers_runs_are_settled_at_once(state: StateType, verdict: Verdict) -> None:
    run = open_run(state, timedelta(0), "gone-1-1")
    assert judge(run, is_alive=lambda _name, _run: False, now=NOW) is verdict


@given(age=ages)
def test_a_run_that_waits_to_start_may_still_carry_its_last_workers_name(age: timedelta) -> None:
    verdict = judge(open_run(StateType.PENDING, age, "gone-1-1"), is_alive=lambda _name, _run: False, now=NOW)
    assert verdict is (Verdict.RESCHEDULE if age > SIGNING_GRACE else Verdict.LEAVE)


@given(state=st.sampled_from([StateType.PENDING, StateType.CANCELLING]), age=ages)
def test_an_unsigned_run_has_a_minute_to_be_signed(state: StateType, age: timedelta) -> None:
    verdict = judge(open_run(state, age, None), is_alive=lambda _name, _run: True, now=NOW)
    assert (verdict is Verdict.LEAVE) == (age <= SUBMISSION_GRACE)


@given(age=ages)
def test_a_run_that_no_worker_started_is_not_ours_to_end(age: timedelta) -> None:
    verdict = judge(open_run(StateType.RUNNING, age, None), is_alive=lambda _name, _run: False, now=NOW)
    assert verdict is Verdict.LEAVE


def test_a_name_says_which_process_it_is() -> None:
    host, name = socket.gethostname(), worker_name()
    assert is_process_alive(name, host=host) is True
    assert is_process_alive(name, host="elsewhere") is None
    started = int(psutil.Process().create_time())
    assert is_process_alive(f"{host}-{os.getpid()}-{started - 5}", host=host) is False, "a reused process id"
    assert is_process_alive(f"{host}-{2**22 + 1}-{started}", host=host) is False
    assert is_process_alive("ProcessWorker 0d4c", host=host) is None
