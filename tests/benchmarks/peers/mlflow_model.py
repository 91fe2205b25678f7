"""Saves a MOJO as a model of mlflow's h2o flavor: run inside mlflow's environment, with nothing of ours.

Arguments: the MOJO, the folder to write, the port of the H2O cluster that serving will start.
"""

import sys
import tempfile
from pathlib import Path

import h2o
import mlflow.h2o
import yaml

INIT = {"nthreads": 2, "max_mem_size": "1G", "bind_to_localhost": True, "verbose": False}


def main(mojo: str, folder: str, port: int) -> None:
    """Load the MOJO into a cluster and save it from there, as a model trained there would be."""
    with tempfile.TemporaryDirectory() as scratch:
        h2o.init(ip="127.0.0.1", port=port, ice_root=scratch, log_dir=scratch, name=f"peer-{port}", **INIT)
        try:
            # told what it needs, mlflow starts no second cluster to find out
            mlflow.h2o.save_model(h2o.upload_mojo(mojo), folder, pip_requirements=["h2o"])
        finally:
            h2o.cluster().shutdown()
    settings = Path(folder) / "model.h2o" / "h2o.yaml"
    written = yaml.safe_load(settings.read_text())
    written["init"] = {"ip": "127.0.0.1", "port": port, "name": f"peer-{port}", **INIT}
    settings.write_text(yaml.safe_dump(written))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
