"""`pilothouse demo`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import click
import httpx

from api.cli.demo.calls import KEY_VARIABLE
from api.cli.demo.client import DemoClient, DemoFailed
from api.cli.demo.steps import STEPS
from api.cli.demo.story import Story
from api.cli.demo.training import prefect_answers
from api.cli.errors import expected, read_settings
from api.cli.keys import issue_key
from api.cli.opened_database import opened_database
from api.settings import Settings
from api.supervisor.console import Voice
from api.supervisor.parts import api_address
from api.supervisor.prefect_parts import prefect_address

_KEY_LIFE = timedelta(hours=12)


@click.command("demo")
@click.option("--max-models", default=6, show_default=True, envvar="PILOTHOUSE_DEMO_MAX_MODELS", help="Models to try.")
@click.option(
    "--max-seconds",
    default=60,
    show_default=True,
    envvar="PILOTHOUSE_DEMO_MAX_SECONDS",
    help="Seconds to train at most.",
)
@expected
def demo_command(*, max_models: int, max_seconds: int) -> None:
    """Train, deploy, predict and watch drift on real data.

    Needs a running `pilothouse up` and shows every step as the curl line that does it. The key is PILOTHOUSE_KEY or
    PILOTHOUSE_ADMIN_KEY; without either, one that lasts 12 hours is made in the database of this machine.
    """
    settings, voice = read_settings(), Voice()
    _require_servers(settings)
    client = DemoClient(_key(settings, voice), voice)
    training = {"max_models": max_models, "max_runtime_secs": max_seconds}
    story = Story(client, api_address(settings), prefect_address(settings), settings.home, training)
    for number, (title, step) in enumerate(STEPS, start=1):
        voice.say(f"{number}/{len(STEPS)} {title}", style="bold")
        try:
            with _spinner_off_afterwards(voice):
                voice.say(f"  -> {step(story)}", style="green")
        except (DemoFailed, KeyError, OSError) as error:
            reason = f"the answer lacks {error}" if isinstance(error, KeyError) else str(error)
            click.echo(f"The demo failed at step {number} ({title}): {reason}", err=True)
            click.echo(f"Logs are in {settings.home / 'logs'}; `pilothouse status` shows the parts", err=True)
            sys.exit(1)
    _links(story, voice)


def _require_servers(settings: Settings) -> None:
    api, prefect = api_address(settings), prefect_address(settings)
    try:
        httpx.get(f"{api}/health/live", timeout=5.0, trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        raise click.ClickException(f"No API answers at {api}: start it with `pilothouse up`") from error
    if not prefect_answers(prefect):
        raise click.ClickException(f"Prefect does not answer at {prefect}: start it with `pilothouse up`")


def _key(settings: Settings, voice: Voice) -> str:
    given = os.environ.get(KEY_VARIABLE) or (settings.admin_key.get_secret_value() if settings.admin_key else None)
    if given:
        return given
    with opened_database(settings) as database, database.transaction() as session:
        expires = datetime.now(UTC) + _KEY_LIFE
        key = issue_key(session, name="demo", scopes=("read", "write", "predict"), expires_at=expires)
    voice.say("A key for the lines below, good for 12 hours:")
    voice.say(f"  $ export {KEY_VARIABLE}={key}", style="cyan")
    return key


@contextmanager
def _spinner_off_afterwards(voice: Voice) -> Iterator[None]:
    try:
        yield
    finally:
        voice.settled()


def _links(story: Story, voice: Voice) -> None:
    voice.say("Done. To look further (where a browser asks: any user name, the key as password):", style="bold")
    lines = {
        "Deployment": story.deployment,
        "API": f"{story.api}/schema",
        "Training": f"{story.prefect}/runs/flow-run/{story.train_run}",
        "Drift run": story.drift_run,
        "Alert": f"{story.api}/api/mlops/alerts/{story.alert_id}",
        "Report": f"{story.deployment}/drift/report",
    }
    for name, value in lines.items():
        voice.say(f"  {name:<12}{value}")
