"""`pilothouse key`: API keys made straight in the database, for who has the machine but no admin key."""

import uuid
from datetime import UTC, datetime, timedelta

import click
from sqlmodel import Session

from api.cli.errors import expected, read_settings
from api.cli.opened_database import opened_database
from monitoring.store import audit
from monitoring.store.keys import SCOPES, create_key
from monitoring.store.tables import Project

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def _future(_: click.Context, __: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    now = datetime.now(UTC)
    moment = parse_expiry(text, now=now)
    if moment is None:
        raise click.BadParameter(f"{text!r} is neither a span (12h, 30d, 4w) nor a time (2030-01-31T12:00:00Z)")
    if moment <= now:
        raise click.BadParameter(f"{text} is in the past")
    return moment


def parse_expiry(text: str, *, now: datetime) -> datetime | None:
    """Return the time that a span from `now` or an ISO 8601 text means, in UTC, or None when it is neither."""
    try:
        if text[-1:] in _UNITS and text[:-1].isdecimal():
            return now + int(text[:-1]) * _UNITS[text[-1]]
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@click.group("key")
def key_group() -> None:
    """Manage API keys on this machine."""


@key_group.command("create")
@click.option("--name", required=True, help="What the key is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; repeat for more than one. `admin` may do everything.",
)
@click.option("--project", type=click.UUID, help="The one project it is good for; all when left out.")
@click.option("--expires", callback=_future, help="When it ends: 12h, 30d, 4w or 2030-01-31T12:00:00Z.")
@expected
def create_command(*, name: str, scopes: tuple[str, ...], project: uuid.UUID | None, expires: datetime | None) -> None:
    """Create a key and print it: this is the only time it can be read."""
    with opened_database(read_settings()) as database, database.transaction() as session:
        click.echo(issue_key(session, name=name, scopes=scopes, project_id=project, expires_at=expires))


def issue_key(
    session: Session,
    *,
    name: str,
    scopes: tuple[str, ...],
    project_id: uuid.UUID | None = None,
    expires_at: datetime | None = None,
) -> str:
    """Store a key and the audit event of it, and return its text. Raises LookupError for an unknown project."""
    if project_id is not None and session.get(Project, project_id) is None:
        raise LookupError(f"There is no project {project_id}")
    row, text = create_key(session, name=name, scopes=sorted(set(scopes)), project_id=project_id, expires_at=expires_at)
    audit.record(session, actor="system", action="key.created", subject=row, after=audit.snapshot(row))
    return text
