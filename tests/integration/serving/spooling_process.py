"""A process that spools or replays until it is killed, for tests: `python -m ... spool|replay <root> <url> [id]`."""

import sys
import uuid
from pathlib import Path

from api.inference_log.replaying import Replaying
from api.inference_log.spool import Spool, SpoolBounds
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from monitoring.store.inference_ids import stamp
from tests.integration.serving.log_rows import a_request
from tests.integration.serving.spools import as_spooled


def spool(root: Path, deployment_id: uuid.UUID) -> None:
    """Spool rows of that deployment without end, printing the id of each row that is safe."""
    own = Spool(root, new_id(), SpoolBounds(segment_bytes=20_000))
    while True:
        stamps = [stamp() for _ in range(3)]
        own.append([as_spooled(a_request(deployment_id, rows=2, at=at)) for at in stamps])
        for at in stamps:
            sys.stdout.write(f"{at.row_hex(0)}\n{at.row_hex(1)}\n")
        sys.stdout.flush()


def replay(root: Path, url: str) -> None:
    """Replay what dead processes left."""
    Replaying(Database(url), Spool(root, new_id()), lambda: True).replay_all()


if __name__ == "__main__":
    if sys.argv[1] == "spool":
        spool(Path(sys.argv[2]), uuid.UUID(sys.argv[3]))
    else:
        replay(Path(sys.argv[2]), sys.argv[3])
