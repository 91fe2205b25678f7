"""Who is let in: by measured time, by count, by bytes; and how the measure follows what requests cost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.admission import SMALL_BYTES, Admission, Ticket, ticket_of
from api.errors import Unavailable
from api.service_time import ServiceTime

MB = 2**20


class Loop:
    """An event loop's clock; `works` says whether passing time is spent working."""

    def __init__(self) -> None:
        self.now = 0.0
        self.worked = 0.0

    def spend(self, seconds: float, *, works: bool = True) -> None:
        self.now += seconds
        self.worked += seconds if works else 0


def admission_of(loop: Loop, shed: list[None] | None = None) -> Admission:
    noted = [] if shed is None else shed
    return Admission(
        queue_s=0.025,
        most_large_bytes=64 * MB,
        on_shed=lambda: noted.append(None),
        clock=lambda: loop.now,
        processor_clock=lambda: loop.worked,
    )


def work_off(admission: Admission, loop: Loop, requests: int, each_s: float, *, works: bool = True) -> None:
    """Answer requests one after the other."""
    for _ in range(requests):
        ticket = admission.admit(500)
        assert ticket is not None
        loop.spend(each_s, works=works)
        ticket.close()


def fill(admission: Admission) -> list[Ticket]:
    """Ask for places until one is refused, and return those given."""
    tickets = []
    while (ticket := admission.admit(500)) is not None:
        tickets.append(ticket)
    return tickets


@pytest.mark.parametrize("each_s", [50e-6, 100e-6, 200e-6])
def test_the_queue_is_as_long_as_its_measured_time(each_s: float) -> None:
    loop, shed = Loop(), list[None]()
    admission = admission_of(loop, shed)
    work_off(admission, loop, 3000, each_s)
    tickets = fill(admission)
    assert len(tickets) == pytest.approx(0.025 / each_s, rel=0.05)
    assert admission.shed == len(shed) == 1
    for ticket in tickets:
        ticket.close()
    assert (admission.at_hand, admission.at_hand_s) == (0, 0.0)


def test_it_follows_when_requests_begin_to_cost_more_and_when_they_cost_less_again() -> None:
    loop = Loop()
    admission = admission_of(loop)
    for each_s in (100e-6, 900e-6, 80e-6):
        work_off(admission, loop, 2000, each_s)
        assert admission.service_time.expect(500 / 1024) == pytest.approx(each_s, rel=0.1)


def test_so_many_patient_callers_are_never_turned_away() -> None:
    loop = Loop()
    admission = admission_of(loop)
    work_off(admission, loop, 3000, 2e-3)
    assert len(fill(admission)) == 64


def test_unless_their_queue_were_far_too_long() -> None:
    loop = Loop()
    admission = admission_of(loop)
    work_off(admission, loop, 3000, 40e-3)
    assert len(fill(admission)) == pytest.approx(16 * 0.025 / 40e-3, abs=1)


def test_a_single_request_is_let_in_whatever_it_costs() -> None:
    loop = Loop()
    admission = admission_of(loop)
    work_off(admission, loop, 3000, 30.0)
    assert len(fill(admission)) == 1


def test_waiting_for_something_else_is_no_cost() -> None:
    """A key or a model that is read from the database: the loop sleeps meanwhile."""
    loop = Loop()
    admission = admission_of(loop)
    for _ in range(100):
        work_off(admission, loop, 31, 100e-6)
        work_off(admission, loop, 1, 2.0, works=False)
    assert admission.service_time.expect(500 / 1024) < 400e-6


def test_what_waits_for_the_log_is_no_work_at_hand() -> None:
    admission = admission_of(Loop())
    waiting = []
    for _ in range(5000):
        ticket = admission.admit(500)
        assert ticket is not None
        ticket.leave_loop()
        waiting.append(ticket)
    assert admission.at_hand == 0


def test_large_bodies_are_bounded_by_their_bytes() -> None:
    admission = admission_of(Loop())
    first, second = admission.admit(32 * MB), admission.admit(32 * MB)
    assert first is not None
    assert second is not None
    assert admission.admit(SMALL_BYTES + 1) is None
    assert admission.admit(SMALL_BYTES) is not None
    first.close()
    first.close()
    third = admission.admit(SMALL_BYTES + 1)
    assert third is not None
    third.grow(32 * MB)  # chunked: nobody said how long it would be
    assert admission.admit(MB) is None
    second.close()
    third.close()
    assert admission.large_bytes == 0
    assert admission.admit(500 * MB) is not None  # alone, a body of any size


def test_requests_in_threads_are_bounded_by_number() -> None:
    admission = admission_of(Loop())
    tickets = [admission.admit(500) for _ in range(64)]
    for ticket in tickets:
        assert ticket is not None
        ticket.enter_thread()
        ticket.enter_thread()
    assert (admission.in_threads, admission.at_hand) == (64, 0)
    late = admission.admit(500)
    assert late is not None
    with pytest.raises(Unavailable):
        late.enter_thread()
    for ticket in (*tickets, late):
        assert ticket is not None
        ticket.close()
    assert admission.in_threads == 0


def test_where_nobody_admits_nothing_is_held() -> None:
    ticket = ticket_of({"type": "http"})
    ticket.leave_loop()
    ticket.enter_thread()
    ticket.close()


@given(
    request_us=st.floats(20, 5000),
    kilobyte_us=st.floats(0, 200),
    sizes=st.lists(st.floats(0.1, 60), min_size=2, max_size=6, unique_by=round),
)
def test_the_cost_of_a_request_and_of_its_size_are_told_apart(
    request_us: float, kilobyte_us: float, sizes: list[float]
) -> None:
    measured = ServiceTime()
    for round_ in range(300):
        kilobytes = 32 * sizes[round_ % len(sizes)]
        measured.learn(32, kilobytes, 1e-6 * (32 * request_us + kilobyte_us * kilobytes))
    for size in sizes:
        expected = 1e-6 * (request_us + kilobyte_us * size)
        assert measured.expect(size) == pytest.approx(expected, rel=0.15, abs=30e-6)
