"""What the flows read from the environment (prefix PILOTHOUSE_), and their way to the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlmodel import Session

from monitoring.store.database import Database
from monitoring.store.location import StoreSettings
from monitoring.store.retention_settings import RetentionSettings
from notifications.settings import NoticeSettings


class FlowSettings(StoreSettings, NoticeSettings, RetentionSettings):
    """The settings of store, post office and retention, and where the API listens, for links."""

    host: str = "127.0.0.1"
    port: int = 8888

    @property
    def api_address(self) -> str:
        """The address links to the API start with."""
        return self.public_url or f"http://{self.host}:{self.port}"


@contextmanager
def open_database() -> Iterator[Database]:
    """Yield the database with connections of its own, closed afterwards."""
    database = Database(FlowSettings().resolved_database_url(), pool_size=1)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def transaction() -> Iterator[Session]:
    """Yield a session on a connection of its own, closed afterwards: a flow run holds none while it computes."""
    with open_database() as database, database.transaction() as session:
        yield session
