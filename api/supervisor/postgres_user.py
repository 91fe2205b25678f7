"""The unprivileged system user that the embedded PostgreSQL runs as when we are root."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

_USER = "pilothouse"
_SEARCH = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH


class NoUser(RuntimeError):
    """There is no unprivileged user and none could be made."""


def require_user() -> str:
    """Return the name of the user, made when missing. Raises NoUser."""
    try:
        return pwd.getpwnam(_USER).pw_name
    except KeyError:
        pass
    command = ("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/false", _USER)
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip()
        raise NoUser(
            f"PostgreSQL does not run as root, and the system user {_USER!r} could not be made ({said}). "
            "Run as another user, or set PILOTHOUSE_DATABASE_URL"
        ) from error
    return pwd.getpwnam(_USER).pw_name


def open_path_to(path: Path) -> None:
    """Give everybody search permission (not read) on the parents of a path, where it lacks."""
    for parent in path.parents:
        mode = parent.stat().st_mode
        if mode & _SEARCH != _SEARCH:
            parent.chmod(stat.S_IMODE(mode) | _SEARCH)


def own(path: Path, user: str) -> None:
    """Make a path and everything below it the user's."""
    entry = pwd.getpwnam(user)
    os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    for folder, names, files in os.walk(path):
        for name in (*names, *files):
            os.chown(Path(folder, name), entry.pw_uid, entry.pw_gid, follow_symlinks=False)
