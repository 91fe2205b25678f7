"""Whether the process lives and whether it is ready to serve."""

from litestar import get


@get("/health/live", operation_id="GetLiveness", tags=["health"])
async def get_liveness() -> dict[str, str]:
    """Answer as long as the process runs."""
    return {"status": "ok"}
