"""Wire types of readiness."""

from typing import Literal

import msgspec

Condition = Literal["ok", "degraded", "down"]


class PartHealth(msgspec.Struct, frozen=True):
    """How one part does: `down` stops predictions, `degraded` does not."""

    state: Condition
    detail: str = ""


class Health(msgspec.Struct, frozen=True):
    """How the server does as a whole, and its parts."""

    status: Condition
    parts: dict[str, PartHealth]

    @classmethod
    def of(cls, parts: dict[str, PartHealth]) -> "Health":
        """Return the whole: as bad as its worst part."""
        states = {part.state for part in parts.values()}
        return cls("down" if "down" in states else "degraded" if "degraded" in states else "ok", parts)


class Liveness(msgspec.Struct, frozen=True):
    """The process runs."""

    status: Literal["ok"] = "ok"
