"""`pilothouse privacy rotate-key`: another key for a project's hashes and pseudonyms from now on."""

import uuid
from datetime import UTC, datetime

import click
from sqlmodel import Session, col, select

from api.cli.errors import expected, read_settings
from api.cli.opened_database import opened_database
from monitoring.store.privacy_keys import rotate_key
from monitoring.store.tables import Project


@click.command("rotate-key")
@click.option("--project", "wanted", required=True, help="The project's id, or its name if no other has it.")
@expected
def rotate_command(*, wanted: str) -> None:
    """Give a project the next generation of its privacy key.

    Hashes and pseudonyms made before stay as they are; the same value gets another token from now on, so rows before
    and after cannot be joined by it. Every process that serves follows at once. There is no way back.
    """
    with opened_database(read_settings()) as database, database.transaction() as session:
        project = _project(session, wanted)
        generation = rotate_key(session, project.id, actor="system", now=datetime.now(UTC))
    click.echo(f"Project {project.name!r} ({project.id}) uses generation {generation} of its privacy key")


def _project(session: Session, wanted: str) -> Project:
    """Return the project of that id or name. Raises LookupError when there is none, or more than one."""
    try:
        where = col(Project.id) == uuid.UUID(wanted)
    except ValueError:
        where = col(Project.name) == wanted
    found = session.exec(select(Project).where(where).limit(2)).all()
    if not found:
        raise LookupError(f"There is no project {wanted}")
    if len(found) > 1:
        raise LookupError(f"More than one project is named {wanted!r}: give its id")
    return found[0]
