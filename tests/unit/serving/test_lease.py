"""The lease on production, by a clock of the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from api.lease import Lease

LENGTH_S = 10.0
steps = st.lists(
    st.tuples(st.sampled_from(["renew", "absent", "wait"]), st.floats(min_value=0, max_value=20)), max_size=30
)


class Clock:
    """Time that passes when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_held_before_the_first_renewal() -> None:
    lease = Lease(LENGTH_S, Clock())
    assert not lease.is_held
    assert not lease.covers_memory()


@given(steps)
def test_a_lease_counts_from_when_its_renewal_was_sent(taken: list[tuple[str, float]]) -> None:
    """Whatever happened in between, memory is covered by the last renewal's length and a fresh proof alone."""
    clock = Clock()
    lease = Lease(LENGTH_S, clock)
    sent = proven = float("-inf")
    for step, seconds in taken:
        asked_at = clock.now
        clock.now += seconds  # the answer takes its time
        if step == "renew":
            lease.renew(asked_at)
            sent = asked_at
        elif step == "absent":
            lease.note_absence(asked_at)
            proven = asked_at
        assert lease.is_held == (clock.now < sent + LENGTH_S)
        assert lease.covers_memory() == (lease.is_held or clock.now < proven + 1)
