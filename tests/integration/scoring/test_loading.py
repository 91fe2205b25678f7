"""What becomes of real archives, whole, foreign and tampered with."""

import re
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from api.scoring.archive import check_archive
from api.scoring.errors import ContributionsUnavailable, InvalidRows, MojoRefused
from api.scoring.mojo import MojoScorer
from api.scoring.probe import probe_mojo
from tests.h2o_models import TrainedModels

Change = Callable[[bytes], bytes]


def tampered(folder: Path, mojo: Path, changes: dict[str, Change | None]) -> Path:
    """Write a copy of a MOJO with members changed, or dropped where the change is None."""
    path = folder / "tampered.zip"
    with zipfile.ZipFile(mojo) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            change = changes.get(name, bytes)
            if change is not None:
                target.writestr(name, change(source.read(name)))
    return path


def ini(pattern: str, replacement: str) -> dict[str, Change | None]:
    """Return a change to model.ini that must hit."""

    def change(data: bytes) -> bytes:
        text, hits = re.subn(pattern, replacement, data.decode(), flags=re.MULTILINE)
        assert hits
        return text.encode()

    return {"model.ini": change}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("kmeans.zip", "'kmeans' \\('Clustering'\\) is not served"),
        ("isolation_forest.zip", "'isolationforest' \\('AnomalyDetection'\\) is not served"),
        ("gbm_one_hot.zip", "encoding 'OneHotExplicit'"),
        ("xgboost_label_encoder.zip", "encoding 'LabelEncoder'"),
        ("gbm_offset.zip", "offset column \\('x8'\\)"),
        ("pojo.java", "POJO"),
        ("binary_model", "binary model"),
    ],
)
def test_real_h2o_files_we_do_not_serve_are_refused(h2o_models: TrainedModels, name: str, said: str) -> None:
    with pytest.raises(MojoRefused, match=said):
        MojoScorer.load(h2o_models.refused(name))


def test_a_real_mojo_tells_of_its_training(h2o_models: TrainedModels) -> None:
    info = check_archive(h2o_models["automl_gbm_binomial"].mojo)
    assert 0.5 < info.metrics["cross_validation"]["auc"] <= 1
    assert 0.5 < info.metrics["training"]["auc"] <= 1
    assert info.metrics["training"]["rows"] == 600
    assert info.parameters["nfolds"] == 3
    assert info.trained_at is not None
    assert info.variable_importances is not None
    assert {row["feature"] for row in info.variable_importances} <= set(info.features)
    assert info.variable_importances[0]["scaled"] == 1
    assert sum(row["percentage"] for row in info.variable_importances) == pytest.approx(1)


def test_importances_of_every_algorithm_are_of_features(h2o_models: TrainedModels) -> None:
    for name in ("xgboost_binomial", "glm_binomial", "deeplearning_binomial", "drf_regression"):
        info = check_archive(h2o_models[name].mojo)
        assert info.variable_importances, name
        assert {row["feature"] for row in info.variable_importances} <= set(info.features), name
    assert check_archive(h2o_models["stackedensemble_binomial"].mojo).variable_importances is None


def test_the_file_is_not_needed_after_loading(h2o_models: TrainedModels, tmp_path: Path) -> None:
    trained = h2o_models["drf_binomial"]
    path = tampered(tmp_path, trained.mojo, {})
    scorer = MojoScorer.load(path)
    path.write_bytes(b"gone")
    path.unlink()
    matrix = scorer.encode(trained.rows).matrix
    assert scorer.score(matrix).labels == [row["prediction"] for row in trained.predictions]
    assert len(scorer.contributions(matrix)) == len(trained.rows)


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("gbm_binomial", ini("^n_trees = .*", "n_trees = 60")),
        ("gbm_binomial", ini("^n_trees = .*", "n_trees = lots")),
        ("gbm_binomial", ini("^n_classes = .*", "n_classes = 7")),
        ("gbm_binomial", ini("^n_classes = .*", "n_classes = 1")),
        ("gbm_binomial", ini("^category = .*", "category = Regression")),
        ("gbm_regression", ini("^category = .*", "category = Binomial")),
        ("gbm_binomial", ini("^mojo_version = .*", "mojo_version = 99.0")),
        ("gbm_binomial", ini("^mojo_version = .*", "mojo_version = soon")),
        ("gbm_binomial", ini("^distribution = .*", "distribution = nonsense")),
        ("gbm_binomial", ini("^default_threshold = .*", "default_threshold = [1, 2]")),
        ("gbm_binomial", ini("^supervised = .*", "supervised = 7")),
        ("gbm_binomial", ini(r"^(\d+): 2 d003.txt", r"\1: 5 d003.txt")),
        ("gbm_binomial", ini(r"^(\d+): 2 d003.txt", r"\1: 1 d003.txt")),
        ("gbm_binomial", {"domains/d003.txt": lambda _: b"1\n1\n"}),
        ("gbm_binomial", {"domains/d003.txt": lambda _: b"1\n\0\n"}),
        ("gbm_binomial", {"domains/d003.txt": lambda _: b""}),
        ("gbm_binomial", {"domains/d003.txt": None}),
        ("gbm_binomial", {"trees/t00_003.bin": lambda data: data[:5]}),
        ("gbm_binomial", {"trees/t00_003.bin": lambda _: b""}),
        ("gbm_multinomial", {"domains/d000.txt": lambda _: b"a\nb\nc\nd\n"}),
        ("xgboost_binomial", {"boosterBytes": None}),
        ("xgboost_binomial", {"boosterBytes": lambda data: data[:100]}),
        ("xgboost_binomial", ini("^cat_offsets = .*", "cat_offsets = [0]")),
        ("xgboost_binomial", ini("^cats = .*", "cats = 999")),
        ("glm_binomial", ini("^beta = .*", "beta = [1.0]")),
        ("glm_binomial", ini("^cats = .*", "cats = 999")),
        ("deeplearning_binomial", ini("^neural_network_sizes = .*", "neural_network_sizes = [1]")),
        ("deeplearning_binomial", ini("^activation = .*", "activation = None")),
        ("stackedensemble_binomial", ini("^metalearner = .*", "metalearner = nobody")),
    ],
)
def test_a_mojo_whose_parts_contradict_one_another_is_refused_at_load(
    h2o_models: TrainedModels, tmp_path: Path, model: str, changes: dict[str, Change | None]
) -> None:
    path = tampered(tmp_path, h2o_models[model].mojo, changes)
    with pytest.raises(MojoRefused) as refused:
        MojoScorer.load(path)
    assert refused.value.reason.isprintable()
    assert len(refused.value.reason) < 500


@pytest.mark.parametrize("data", [b"", b"{", b"[[[[", b'{"output": {"variable_importances": {"data": "x"}}}'])
def test_unreadable_training_facts_cost_the_facts_not_the_model(
    h2o_models: TrainedModels, tmp_path: Path, data: bytes
) -> None:
    trained = h2o_models["drf_binomial"]
    path = tampered(tmp_path, trained.mojo, {"experimental/modelDetails.json": lambda _: data})
    scorer = MojoScorer.load(path)
    matrix = scorer.encode(trained.rows).matrix
    assert scorer.score(matrix).labels == [row["prediction"] for row in trained.predictions]
    assert scorer.info.metrics == {}
    with pytest.raises(ContributionsUnavailable):
        scorer.contributions(matrix)


def test_rows_that_a_model_cannot_answer_are_named(h2o_models: TrainedModels, tmp_path: Path) -> None:
    changes = ini("^beta = .*", f"beta = [{', '.join(['1e308'] * 36)}]")
    scorer = MojoScorer.load(tampered(tmp_path, h2o_models["glm_regression"].mojo, changes))
    matrix = np.zeros((6, 20))
    matrix[4, 7:] = 1e308
    for rows in (matrix, matrix[3:6]):
        with pytest.raises(InvalidRows) as refused:
            scorer.score(rows)
        assert all(error.field is None and "finite" in error.message for error in refused.value.errors)


# A split node whose right child lies before it: colId 0, value -1e30, and a jump of minus its own length.
ENDLESS_TREE = struct.pack("<BHBfi", 0x03, 0, 2, -1e30, -12)


def test_a_tree_that_never_ends_is_refused_by_the_probe(h2o_models: TrainedModels, tmp_path: Path) -> None:
    path = tampered(tmp_path, h2o_models["gbm_binomial"].mojo, {"trees/t00_000.bin": lambda _: ENDLESS_TREE})
    assert check_archive(path).algo == "gbm"
    with pytest.raises(MojoRefused, match="took longer than 4 s"):
        probe_mojo(path, timeout_s=4)


def test_a_model_too_large_for_the_heap_is_refused_by_the_probe(h2o_models: TrainedModels, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).bytes(24 << 20)
    path = tampered(tmp_path, h2o_models["gbm_binomial"].mojo, {"trees/t00_000_aux.bin": lambda _: noise})
    with pytest.raises(MojoRefused, match="more memory"):
        probe_mojo(path, max_heap_mb=16)


def test_the_probe_lets_real_models_through_and_repeats_refusals(h2o_models: TrainedModels) -> None:
    probe_mojo(h2o_models["stackedensemble_multinomial"].mojo)
    with pytest.raises(MojoRefused, match="'kmeans'"):
        probe_mojo(h2o_models.refused("kmeans.zip"))


def test_threads_share_scorers(h2o_models: TrainedModels) -> None:
    names = [
        "xgboost_binomial",
        "deeplearning_multinomial",
        "drf_regression",
        "gbm_binomial",
        "stackedensemble_binomial",
    ]
    scorers = [MojoScorer.load(h2o_models[name].mojo) for name in names]
    matrices = [s.encode(h2o_models[name].rows).matrix for s, name in zip(scorers, names, strict=True)]

    def answers(position: int) -> tuple[list[float], list[float], list[list[float]] | None]:
        scorer, matrix = scorers[position], matrices[position]
        single = scorer.score(matrix[:1]).score
        return (
            scorer.score(matrix).score,
            single,
            scorer.contributions(matrix) if scorer.supports_contributions else None,
        )

    alone = [answers(position) for position in range(len(scorers))]
    wrong: list[object] = []

    def work(first: int) -> None:
        for turn in range(20):
            position = (first + turn) % len(scorers)
            if answers(position) != alone[position]:
                wrong.append(position)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
