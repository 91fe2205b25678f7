"""`pilothouse rules`."""

import json
import os
import sys
from pathlib import Path

import click

from api.cli.errors import expected, read_settings
from api.cli.remote import address_options, connected, find_project
from api.cli.rules.applying import Stopped, apply
from api.cli.rules.document import FileWrong, Problem, read_document
from api.cli.rules.plan import Change, Plan, plan
from api.cli.rules.present import read_present
from api.cli.rules.rendering import exported, plan_json, plan_lines, rule_row
from api.cli.rules.spec import Spec, read_spec
from api.cli.tables import print_table

_LARGEST_CHARACTERS = 2_000_000


@click.group("rules")
def rules_group() -> None:
    """Alert rules and channels as a file. The key is PILOTHOUSE_KEY; on the machine itself none is needed."""


@rules_group.command("apply")
@click.option("-f", "--file", "path", required=True, help="The rules file (YAML); - reads standard input.")
@address_options
@click.option("--prune", is_flag=True, help="Delete what the file's sections do not name.")
@click.option("--dry-run", is_flag=True, help="Show the difference and change nothing.")
@click.option("--exit-code", is_flag=True, help="With --dry-run: exit with 2 when there are differences.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@expected
def apply_command(  # noqa: PLR0913 - one a option
    *, path: str, url: str | None, project: str | None, prune: bool, dry_run: bool, exit_code: bool, as_json: bool
) -> None:
    """Make the server's channels and alert rules what a file says.

    \b
    project: Fraud                    # or --project
    channels:
      - name: on-call
        type: email                   # or slack, webhook
        config: {to: [ops@example.com]}
    rules:
      - name: inputs drift
        metric: drift_psi
        operator: gt
        threshold: 0.25
        severity: warning
        channels: [on-call]           # by name
        deployment: v3                # left out: whichever is in production

    Keys are those of the API; ${NAME} in a channel's config is read from the environment. A section that is not in the
    file is left alone. Names identify: a renamed rule is another rule.
    """
    spec = read_spec(read_document(_text(path), "-" if path == "-" else Path(path).name), os.environ)
    with connected(read_settings(), url) as remote:
        owner = find_project(remote, project or spec.project)
        present = read_present(remote, owner["id"])
        planned = plan(spec, present, prune=prune)
        if not as_json:
            _show(planned)
        if not dry_run:
            try:
                apply(remote, owner["id"], planned, present, told=_silent if as_json else _tell)
            except Stopped as stopped:
                raise _located(stopped, spec) from stopped
    if as_json:
        click.echo(json.dumps(plan_json(planned, owner, applied=not dry_run), indent=2))
    if dry_run and exit_code and planned.differs:
        sys.exit(2)


@rules_group.command("list")
@address_options
@expected
def list_command(*, url: str | None, project: str | None) -> None:
    """Show a project's alert rules and where they stand."""
    with connected(read_settings(), url) as remote:
        owner = find_project(remote, project)
        present = read_present(remote, owner["id"])
        details = [remote.call("GET", f"/api/mlops/alert-rules/{each['id']}") for each in present.rules.values()]
    rows = [rule_row(each, present) for each in sorted(details, key=lambda each: str(each["name"]))]
    print_table(("Rule", "Condition", "Severity", "Watches", "Channels", "State"), rows)


@rules_group.command("export")
@address_options
@expected
def export_command(*, url: str | None, project: str | None) -> None:
    """Print a project's channels and rules as such a file.

    Secrets are masked. Applied to the same project, masked secrets stay as they were.
    """
    with connected(read_settings(), url) as remote:
        owner = find_project(remote, project)
        click.echo(exported(owner, read_present(remote, owner["id"])), nl=False)


def _text(path: str) -> str:
    with click.open_file(path, encoding="utf-8") as file:
        text = file.read(_LARGEST_CHARACTERS + 1)
    if len(text) > _LARGEST_CHARACTERS:
        raise ValueError(f"{path} is larger than {_LARGEST_CHARACTERS} characters")
    return str(text)


def _show(planned: Plan) -> None:
    for line, colour in plan_lines(planned):
        click.secho(line, fg=colour)


def _tell(change: Change) -> None:
    done = {"create": "created", "update": "updated", "delete": "deleted", "unchanged": "written"}[change.action]
    click.echo(f"{change.kind} {change.name} {done}")


def _silent(_: Change) -> None: ...


def _located(stopped: Stopped, spec: Spec) -> Exception:
    """Return the refusal at the line of the file that it is about, where it is about one."""
    path = stopped.change.path
    if path is None:
        return stopped
    field = stopped.refused.errors[0][0].replace("deployment_id", "deployment") if stopped.refused.errors else ""
    line = spec.document.problem((*path, *field.split(".")), "").line
    return FileWrong(spec.document.name, [Problem(line, (), str(stopped))])
