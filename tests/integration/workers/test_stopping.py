"""A team that is told to stop while a worker starts leaves nobody behind."""

import asyncio
import socket
from pathlib import Path

from api.settings import Settings
from api.team import Team
from tests.e2e.installation import free_port


class ToldWhileStarting(Team):
    """A team that is told to stop between the making of a worker's process and its being known."""

    made: asyncio.subprocess.Process | None = None

    async def _start(self, _: socket.socket, __: Path) -> asyncio.subprocess.Process:
        self._stopping.set()
        self.made = await asyncio.create_subprocess_exec("sleep", "60")
        await asyncio.sleep(0.1)  # the others are ended meanwhile
        return self.made


def test_a_worker_that_starts_while_the_team_stops_is_ended(tmp_path: Path) -> None:
    async def run() -> int | None:
        team = ToldWhileStarting(Settings(home=tmp_path, port=free_port()), 1)
        await asyncio.wait_for(team.run(), 20)
        return None if team.made is None else team.made.returncode

    assert asyncio.run(run()) == -9
