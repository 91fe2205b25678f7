"""The flows as Prefect finds them: every entrypoint imports, and imports nothing heavy."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("evidently", "pandas", "polars", "pyarrow", "h2o", "adbc_driver_postgresql")
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=[deployment["name"] for deployment in DEPLOYMENTS])
def test_an_entrypoint_is_the_flow_it_is_deployed_as(deployment: dict[str, Any]) -> None:
    """`prefect deploy` returns 0 even when a flow cannot be imported."""
    module, _, name = deployment["entrypoint"].rpartition(".")
    flow = getattr(importlib.import_module(module), name)
    assert isinstance(flow, Flow)
    assert flow.name == deployment["name"]


def test_flow_modules_import_nothing_heavy() -> None:
    """In an interpreter of its own, so that no other test has imported it already."""
    modules = sorted({deployment["entrypoint"].rpartition(".")[0] for deployment in DEPLOYMENTS})
    script = f"import sys, {', '.join(modules)}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
