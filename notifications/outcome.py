"""What became of one attempt to hand a notice over."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["sent", "retry", "failed"]
LONGEST_RESPONSE = 500


@dataclass(frozen=True)
class Outcome:
    """`retry`: may work later, not before `retry_after_s` where the receiver said so. `failed`: will not work.

    `response` is one line of at most 500 characters without secrets.
    """

    status: Status
    response: str
    retry_after_s: float | None = None
