"""The counter of the post office: a notice and a destination in, what became of it out."""

from datetime import datetime

from notifications.channels import Destination
from notifications.notice import Notice
from notifications.outcome import Outcome
from notifications.settings import NoticeSettings

__all__ = ["Outcome", "PostOffice"]


class PostOffice:
    """Hands notices over, one at a time, from any thread; retries nothing (the outbox does)."""

    def __init__(self, settings: NoticeSettings) -> None:
        self._settings = settings

    def send(self, notice: Notice, destination: Destination, *, delivery_id: str, now: datetime) -> Outcome:
        """Hand one notice over and say what became of it; a send that fails is an outcome, never an exception."""
        raise NotImplementedError
