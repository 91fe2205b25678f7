"""The short form of the chaos run, and the long one for those who ask for it."""

from pathlib import Path

import pytest

from tests.chaos.plan import one_of_each, rounds
from tests.chaos.run import chaos, settle_alerts
from tests.h2o_models import TrainedModels


@pytest.mark.timeout(540)
def test_whatever_dies_every_answer_is_kept_once_and_every_alert_told(
    tmp_path_factory: pytest.TempPathFactory, h2o_models: TrainedModels
) -> None:
    with chaos(_folder(tmp_path_factory), h2o_models["gbm_binomial"], seed=5) as (subject, receiver):
        for this in one_of_each():
            account, _ = subject.run(this)
            assert not account.wrong, str(this)
        settle_alerts(subject.subject, receiver, account)
    assert not account.wrong
    assert account.answered > 100
    assert account.spooled > 0


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_hundred_rounds(tmp_path_factory: pytest.TempPathFactory, h2o_models: TrainedModels) -> None:
    with chaos(_folder(tmp_path_factory), h2o_models["gbm_binomial"], seed=1) as (subject, receiver):
        for this in rounds(1, 100):
            account, _ = subject.run(this)
            assert not account.wrong, f"round {this.number}: {this}"
        settle_alerts(subject.subject, receiver, account)
    assert not account.wrong


def test_a_plan_follows_from_its_seed() -> None:
    assert list(rounds(7, 20)) == list(rounds(7, 20))
    assert list(rounds(7, 20)) != list(rounds(8, 20))
    kinds = {fault.kind for this in rounds(1, 100) for fault in this.faults}
    assert len(kinds) == 8


def _folder(factory: pytest.TempPathFactory) -> Path:
    return factory.mktemp("chaos")
