"""Compiled modules kept in `.cache`, also where the environment tells Python to keep none."""

import os
import sys
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / ".cache" / "bytecode"


def keep_bytecode() -> None:
    """Let the processes of the suite share what they compile: hundreds of them import the same thousands of modules.

    Where PYTHONDONTWRITEBYTECODE is set, as in many images, compiling takes most of the suite's time.
    """
    if sys.dont_write_bytecode:
        sys.dont_write_bytecode = False
        sys.pycache_prefix = str(_FOLDER)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(_FOLDER)
