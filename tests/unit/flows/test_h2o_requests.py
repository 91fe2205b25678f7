"""Requests that a busy H2O cluster cuts are repeated, all but the one that would start a second build."""

from typing import Any

import pytest
from h2o.exceptions import H2OConnectionError

from flows import h2o_cluster


class Cutting:
    """Cuts the first `times` requests, as H2O's client reports it."""

    def __init__(self, times: int) -> None:
        self.left, self.asked = times, 0

    def request(self, endpoint: str, **_: Any) -> str:
        self.asked += 1
        if self.asked <= self.left:
            raise H2OConnectionError("Unexpected HTTP error: Connection aborted.")
        return f"answer to {endpoint}"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2o_cluster, "_PAUSES_S", (0.0, 0.0, 0.0))


def test_a_cut_request_is_repeated() -> None:
    connection = Cutting(times=3)
    h2o_cluster.repeat_cut_requests(connection)
    assert connection.request("GET /3/Jobs") == "answer to GET /3/Jobs"
    assert connection.asked == 4


def test_a_cluster_that_is_gone_is_not_asked_for_ever() -> None:
    connection = Cutting(times=9)
    h2o_cluster.repeat_cut_requests(connection)
    with pytest.raises(H2OConnectionError):
        connection.request("GET /3/Jobs")
    assert connection.asked == 4


def test_a_build_is_started_once() -> None:
    connection = Cutting(times=1)
    h2o_cluster.repeat_cut_requests(connection)
    with pytest.raises(H2OConnectionError):
        connection.request("POST /99/AutoMLBuilder", data={})
    assert connection.asked == 1
