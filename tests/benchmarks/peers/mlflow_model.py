"""Saves a model of mlflow's h2o flavor: run inside mlflow's environment, with nothing of ours.

The flavor keeps H2O's binary of a model, and a MOJO that was loaded into a cluster cannot be kept so (H2O saves it
without its content). So the same kind of forest is trained on the reference: as many trees, as deep.
Arguments: the reference, its target, the row to be asked (JSON; its names are the features), the folder to write, the
port of the H2O cluster that serving will start.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import h2o
import mlflow.h2o
import yaml
from h2o.estimators import H2OGradientBoostingEstimator

INIT = {"nthreads": 2, "max_mem_size": "1G", "bind_to_localhost": True, "verbose": False}


def main(reference: str, target: str, row: dict[str, Any], folder: str, port: int) -> None:
    """Train in a cluster and save from there."""
    with tempfile.TemporaryDirectory() as scratch:
        h2o.init(ip="127.0.0.1", port=port, ice_root=scratch, log_dir=scratch, name=f"peer-{port}", **INIT)
        try:
            # types as H2O guesses them, since the flavor lets it guess those of a request, too
            frame = h2o.upload_file(reference, col_types={target: "enum"})
            forest = H2OGradientBoostingEstimator(ntrees=20, max_depth=4, seed=1)
            forest.train(x=list(row), y=target, training_frame=frame)
            # told what it needs, mlflow starts no second cluster to find out
            mlflow.h2o.save_model(forest, folder, pip_requirements=["h2o"])
        finally:
            h2o.cluster().shutdown()
    settings = Path(folder) / "model.h2o" / "h2o.yaml"
    written = yaml.safe_load(settings.read_text())
    written["init"] = {"ip": "127.0.0.1", "port": port, "name": f"peer-{port}", **INIT}
    settings.write_text(yaml.safe_dump(written))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
