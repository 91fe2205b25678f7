"""Whether a database takes connections; light to import, for commands that only look."""

import re

import psycopg

_SCHEME = re.compile(r"^postgres(ql)?(\+\w+)?://")
_TIMEOUT_S = 3


def answers(url: str) -> bool:
    """Say whether the database takes a connection now."""
    try:
        plain = _SCHEME.sub("postgresql://", url)
        with psycopg.connect(plain, connect_timeout=_TIMEOUT_S, autocommit=True) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
