"""Small archives for tests: one that passes for a MOJO, and whatever a stranger may send instead."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

INFO = {
    "h2o_version": "3.46.0.11",
    "mojo_version": "1.40",
    "algo": "gbm",
    "algorithm": "Gradient Boosting Machine",
    "category": "Binomial",
    "supervised": "true",
    "n_features": "2",
    "n_classes": "2",
    "n_columns": "3",
    "n_domains": "2",
    "timestamp": "2026-01-02T03:04:05.678Z",
    "n_trees": "1",
    "n_trees_per_class": "1",
    "_genmodel_encoding": "AUTO",
}


def model_ini(info: dict[str, str] | None = None, **changed: str | None) -> str:
    """Return the text of a model.ini; a value of None leaves the key out."""
    values = (INFO if info is None else info) | changed
    lines = ["[info]", *(f"{key} = {value}" for key, value in values.items() if value is not None)]
    return "\n".join(
        [*lines, "", "[columns]", "age", "plan", "churn", "", "[domains]", "1: 2 d000.txt", "2: 2 d001.txt"]
    )


def members(ini: str | None = None, details: Any = None) -> dict[str, bytes]:
    """Return the members of an archive that passes."""
    found = {
        "model.ini": (model_ini() if ini is None else ini).encode(),
        "domains/d000.txt": b"basic\ngold\n",
        "domains/d001.txt": b"no\nyes\n",
        "trees/t00_000.bin": bytes(40),
        "trees/t00_000_aux.bin": bytes(40),
    }
    if details is not None:
        found["experimental/modelDetails.json"] = json.dumps(details).encode()
    return found


def zipped(contents: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return the members as a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def written(folder: Path, data: bytes) -> Path:
    """Write bytes to a file and return its path."""
    path = folder / "model.zip"
    path.write_bytes(data)
    return path
