"""Where this installation keeps its data and how to reach its database."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

DATABASE_URL_FILE = "database.url"


def default_home() -> Path:
    """Return the data folder used when PILOTHOUSE_HOME is not set.

    Root gets a system folder: the embedded PostgreSQL must open search permission on the parents of its
    data for the unprivileged user it runs as, and root's own home should stay closed.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/pilothouse")
    return Path.home() / ".local" / "share" / "pilothouse"


class StoreSettings(BaseSettings):
    """The settings every door needs: the home folder and the database in it or elsewhere."""

    model_config = SettingsConfigDict(env_prefix="PILOTHOUSE_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=default_home)
    database_url: str | None = None

    def resolved_database_url(self) -> str:
        """Return the PostgreSQL URL: the setting, else the one `up` wrote for its embedded server.

        Raises RuntimeError when neither exists.
        """
        if self.database_url:
            return self.database_url
        written = self.home / DATABASE_URL_FILE
        if written.is_file():
            return written.read_text().strip()
        raise RuntimeError(
            "No database: set PILOTHOUSE_DATABASE_URL, or start the embedded one with `pilothouse up` "
            f"(home {self.home})"
        )
