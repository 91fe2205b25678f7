"""`prefect` for a PostgreSQL without the pg_trgm extension, such as the embedded one: trigram indexes are left out.

Prefect's migrations build them for searching by part of a name; without them such a search reads the table.
Run as `python -m flows.prefect_server server start ...`, with the arguments of `prefect`.
"""

from typing import Any

import alembic.op
from prefect.cli import app

TRIGRAM = "trgm"


def leave_out_trigrams() -> None:
    """Make migrations of this process skip every raw statement about the extension or an index of its kind."""
    execute = alembic.op.execute

    def execute_but_trigrams(statement: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Alembic's signature
        if TRIGRAM not in str(statement):
            execute(statement, *args, **kwargs)

    alembic.op.execute = execute_but_trigrams  # type: ignore[assignment]


if __name__ == "__main__":
    leave_out_trigrams()
    app()
