"""The flow that trains an H2O AutoML and leaves the chosen model's MOJO and its reference in the home folder.

It never talks to our API: whoever asked for it imports the files, named in `result.json`, over HTTP.
"""

import importlib.util
import json
import threading
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_progress_artifact, create_table_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.h2o_cluster import Cluster, h2o_cluster, repeat_cut_requests
from flows.settings import FlowSettings

CONTRIBUTION_ALGOS = {"gbm", "xgboost", "drf"}
PROSTATE_CATEGORICAL = ["CAPSULE", "RACE", "DPROS", "DCAPS", "GLEASON"]


@dataclass(frozen=True)
class Recipe:
    """What to train on, and how long."""

    reference: Path
    target: str
    categorical: list[str]
    max_models: int
    max_runtime_secs: int
    algorithms: list[str] | None
    prefer_explainable: bool


@dataclass(frozen=True)
class Trained:
    """What `result.json` says; `mojo` and `reference` are file names beside it."""

    mojo: str
    reference: str
    target: str
    algo: str
    name: str
    metrics: dict[str, float]
    trained_at: str


@flow(name="train", flow_run_name="train {name}")
def train(  # noqa: PLR0913, PLR0917 - a flow's parameters are its form in Prefect's UI
    data: str | None = None,
    target: str = "CAPSULE",
    ignored: list[str] | None = None,
    categorical: list[str] | None = None,
    max_models: int = 10,
    max_runtime_secs: int = 120,
    algorithms: list[str] | None = None,
    prefer_explainable: bool = True,
    memory_mb: int = 1024,
    threads: int = 2,
    name: str = "prostate",
) -> State[Any]:
    """Train an AutoML on a CSV or Parquet file (default: H2O's prostate data) and export the model chosen from it."""
    folder = FlowSettings().home / "training" / str(flow_run.get_id() or uuid.uuid4())
    folder.mkdir(parents=True, exist_ok=True)
    defaults = data is None
    recipe = Recipe(
        reference=write_reference(data, ["ID"] if defaults and ignored is None else ignored or [], folder),
        target=target,
        categorical=PROSTATE_CATEGORICAL if defaults and categorical is None else categorical or [],
        max_models=max_models,
        max_runtime_secs=max_runtime_secs,
        algorithms=algorithms,
        prefer_explainable=prefer_explainable,
    )
    with h2o_cluster(memory_mb=memory_mb, threads=threads) as cluster:
        board = train_automl(cluster, recipe)
        show_leaderboard(board, name)
        result = export_model(recipe, board, folder, name)
    return Completed(message=f"{result.algo} of {len(board)} models, {_shown(result.metrics)}; files in {folder}")


@task
def write_reference(data: str | None, ignored: list[str], folder: Path) -> Path:
    """Write the training data as CSV without the ignored columns; raises FileNotFoundError or Polars' own."""
    import polars as pl  # noqa: PLC0415 - heavy

    source = Path(data) if data is not None else _prostate()
    if source.suffix.lower() in {".parquet", ".pq"}:
        frame = pl.read_parquet(source)
    else:
        frame = pl.read_csv(source, infer_schema=False)  # values stay as they are written
    reference = folder / "reference.csv"
    frame.drop(ignored, strict=False).write_csv(reference)
    get_run_logger().info("%s rows of %s", f"{frame.height:,}", source)
    return reference


@task
def train_automl(cluster: Cluster, recipe: Recipe) -> list[dict[str, Any]]:
    """Train within the recipe's bounds, showing progress; return the leaderboard, best first."""
    import h2o  # noqa: PLC0415 - heavy
    from h2o.automl import H2OAutoML  # noqa: PLC0415 - heavy

    repeat_cut_requests(h2o.connect(url=cluster.address, verbose=False))
    h2o.no_progress()
    types = dict.fromkeys(recipe.categorical, "enum") or None
    frame = h2o.import_file(str(recipe.reference), col_types=types)
    automl = H2OAutoML(
        max_models=recipe.max_models,
        max_runtime_secs=recipe.max_runtime_secs,
        include_algos=recipe.algorithms,
        seed=1,
    )
    failures: list[BaseException] = []

    def build() -> None:
        try:
            automl.train(y=recipe.target, training_frame=frame)
        except BaseException as error:  # carried to the task's own thread
            failures.append(error)

    worker = threading.Thread(target=build, daemon=True)  # so that a cancellation interrupts this thread at once
    worker.start()
    _follow(cluster, worker)
    if failures:
        raise failures[0]
    rows = automl.leaderboard.as_data_frame(use_pandas=False)
    return [_leaderboard_row(rows[0], row) for row in rows[1:]]


def _follow(cluster: Cluster, worker: threading.Thread) -> None:
    created = create_progress_artifact(progress=0.0, key="training", description="H2O AutoML")
    shown = uuid.UUID(str(created))
    while worker.is_alive():
        worker.join(timeout=1.0)
        update_progress_artifact(shown, progress=min(round(cluster.automl_progress() * 100, 1), 99.0))
    update_progress_artifact(shown, progress=100.0)


def _leaderboard_row(columns: list[str], values: list[str]) -> dict[str, Any]:
    model_id, *metrics = values
    return {"model_id": model_id, **{name: float(value) for name, value in zip(columns[1:], metrics, strict=True)}}


@task
def show_leaderboard(board: list[dict[str, Any]], name: str) -> None:
    """Put the leaderboard into Prefect's UI."""
    create_table_artifact(table=board, key="leaderboard", description=f"AutoML leaderboard of {name}, best first")


@task
def export_model(recipe: Recipe, board: list[dict[str, Any]], folder: Path, name: str) -> Trained:
    """Download the chosen model's MOJO into the folder and write `result.json` last."""
    import h2o  # noqa: PLC0415 - heavy

    algos = {row["model_id"]: str(h2o.get_model(row["model_id"]).algo) for row in board}
    chosen = choose(board, algos, prefer_explainable=recipe.prefer_explainable)
    mojo = Path(h2o.get_model(chosen["model_id"]).download_mojo(path=str(folder / "model.zip")))
    result = Trained(
        mojo=mojo.name,
        reference=recipe.reference.name,
        target=recipe.target,
        algo=algos[chosen["model_id"]],
        name=name,
        metrics={key: value for key, value in chosen.items() if key != "model_id"},
        trained_at=datetime.now(UTC).isoformat(),
    )
    unfinished = folder / "result.json.part"
    unfinished.write_text(json.dumps(asdict(result), indent=2))
    unfinished.replace(folder / "result.json")
    return result


def choose(board: list[dict[str, Any]], algos: dict[str, str], *, prefer_explainable: bool) -> dict[str, Any]:
    """Return the best row of all or, to prefer the explainable, of the trees (they give contributions)."""
    if not board:
        raise ValueError("AutoML built no model within its bounds: allow it more time or memory")
    trees = [row for row in board if algos[row["model_id"]] in CONTRIBUTION_ALGOS]
    single = [row for row in board if algos[row["model_id"]] != "stackedensemble"]
    return [*trees, *single, *board][0] if prefer_explainable else board[0]


def _prostate() -> Path:
    found = importlib.util.find_spec("h2o")
    if found is None or found.origin is None:
        raise FileNotFoundError("The h2o package, which brings the prostate data, is not installed")
    return Path(found.origin).parent / "h2o_data" / "prostate.csv"


def _shown(metrics: dict[str, float]) -> str:
    first = next(iter(metrics.items()), None)
    return "no metrics" if first is None else f"{first[0]} {first[1]:.3f}"
