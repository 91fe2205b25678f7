"""`pilothouse rules` and `pilothouse channels` against a served API."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import make_url
from sqlmodel import col, select

from api.app import create_app
from api.cli.demo.mail_sink import MailSink, plain_text, read_messages
from api.cli.main import main
from api.settings import Settings
from monitoring.store.alert_tables import Channel
from monitoring.store.database import Database
from monitoring.store.tables import ApiKey
from tests.integration.alerts.conftest import timeline_of
from tests.integration.alerts.furnishing import add_deployment
from tests.integration.api.conftest import Installation
from tests.integration.api.serving import served

SECRET = "whsec_" + "A" * 32
FILE = """\
channels:
  - name: on-call
    type: email
    config: {to: [ops@example.com]}
  - name: pager
    type: webhook
    config:
      url: https://pager.example.com/hook
      secret: ${PAGER_SECRET}
rules:
  - name: inputs drift
    metric: drift_psi
    operator: gt
    threshold: 0.25
    severity: warning
    channels: [on-call, pager]
    escalation_minutes: 30
    escalation_severity: critical
  - name: slow
    metric: latency_p99
    operator: gte
    threshold: 250
    severity: info
    channels: [on-call]
"""


class Cli:
    """Runs the command as a person with a key would."""

    def __init__(self, installation: Installation, project_id: str, folder: Path) -> None:
        self.environment: dict[str, str | None] = {
            "PILOTHOUSE_URL": installation.base_url,
            "PILOTHOUSE_KEY": installation.admin_key,
            "PAGER_SECRET": SECRET,
        }
        self.project_id = project_id
        self.file = folder / "rules.yaml"

    def run(self, *words: str) -> Result:
        return CliRunner(env=self.environment).invoke(main, [*words, "--project", self.project_id])

    def apply(self, text: str, *words: str) -> Result:
        self.file.write_text(text)
        return self.run("rules", "apply", "-f", str(self.file), *words)


@pytest.fixture
def cli(installation: Installation, project_id: str, tmp_path: Path) -> Cli:
    return Cli(installation, project_id, tmp_path)


def listed(client: httpx.Client, project_id: str, what: str) -> dict[str, Any]:
    items = client.get(f"/api/mlops/projects/{project_id}/{what}").raise_for_status().json()["items"]
    return {each["name"]: each for each in items}


def test_a_file_is_applied_changed_and_pruned(cli: Cli, client: httpx.Client, project_id: str) -> None:
    shown = cli.apply(FILE, "--dry-run", "--exit-code")
    assert shown.exit_code == 2, shown.output
    assert listed(client, project_id, "alert-rules") == {}
    made = cli.apply(FILE)
    assert made.exit_code == 0, made.output
    assert SECRET not in shown.output + made.output
    assert "rule slow created" in made.output
    channels, rules = listed(client, project_id, "channels"), listed(client, project_id, "alert-rules")
    assert set(rules["inputs drift"]["channels"]) == {channels["on-call"]["id"], channels["pager"]["id"]}
    assert (rules["slow"]["threshold"], rules["slow"]["deployment_id"]) == (250.0, None)

    changed = FILE.replace("250", "300").replace("ops@", "all@").replace("name: slow", "name: sluggish")
    done = json.loads(cli.apply(changed, "--prune", "--json").output)
    told = [(each["action"], each["kind"], each["name"]) for each in done["changes"]]
    assert told == [
        ("update", "channel", "on-call"),
        ("unchanged", "channel", "pager"),
        ("unchanged", "rule", "inputs drift"),
        ("create", "rule", "sluggish"),
        ("delete", "rule", "slow"),
    ]
    assert done["applied"] is True
    assert listed(client, project_id, "channels")["on-call"]["config"] == {"to": ["all@example.com"]}
    assert set(listed(client, project_id, "alert-rules")) == {"inputs drift", "sluggish"}
    emptied = cli.apply("channels: []\nrules: []\n", "--prune")
    assert emptied.exit_code == 0, emptied.output
    assert listed(client, project_id, "channels") == listed(client, project_id, "alert-rules") == {}


def test_applied_again_a_file_changes_nothing(cli: Cli, client: httpx.Client, project_id: str) -> None:
    text = FILE.replace("      secret: ${PAGER_SECRET}\n", "")
    assert cli.apply(text).exit_code == 0
    before = timeline_of(client, project_id)
    again = cli.apply(text, "--prune")
    assert again.output == "0 to create, 0 to update, 0 to delete, 4 unchanged\n"
    assert timeline_of(client, project_id) == before
    assert cli.apply(text, "--dry-run", "--exit-code").exit_code == 0


def test_what_was_exported_applies_and_keeps_the_secrets(cli: Cli, database: Database, project_id: str) -> None:
    assert cli.apply(FILE).exit_code == 0
    exported = cli.run("rules", "export").output
    assert SECRET not in exported
    again = cli.apply(exported.replace("https://pager.example.com/hook", "https://pager.example.com/other"), "--prune")
    assert again.exit_code == 0, again.output
    assert "0 to create, 1 to update, 0 to delete, 3 unchanged" in again.output
    assert "config.url            https://pager.example.com/hook -> https://pager.example.com/other" in again.output
    with database.transaction() as session:
        ours = select(Channel).where(Channel.project_id == uuid.UUID(project_id), col(Channel.name) == "pager")
        config = session.exec(ours).one().config
    assert config == {"url": "https://pager.example.com/other", "secret": SECRET}


def test_a_refusal_says_where_and_how_far_it_came(
    cli: Cli, client: httpx.Client, database: Database, project_id: str
) -> None:
    with database.transaction() as session:
        add_deployment(session, project_id, name="v1")
    refused = cli.apply(FILE.replace("drift_psi\n", "drift_psi\n    deployment: v1\n    feature: height\n"))
    assert refused.exit_code == 1
    last = refused.output.splitlines()[-1]
    assert last.startswith("Error: rules.yaml:14: create rule 'inputs drift' was refused: ")
    assert "has no feature 'height'" in last
    assert last.endswith("2 changes before it made, 1 after it not tried")
    assert set(listed(client, project_id, "channels")) == {"on-call", "pager"}
    assert listed(client, project_id, "alert-rules") == {}


def test_a_wrong_file_reaches_no_server(cli: Cli, client: httpx.Client, project_id: str) -> None:
    wrong = cli.apply(FILE.replace("operator: gt\n", "operator: above\n").replace("info", "mild"))
    assert wrong.exit_code == 1
    assert wrong.output.splitlines() == [
        "Error: rules.yaml:13: rules[0].operator: must be one of gt, lt, gte, lte, eq, neq",
        "rules.yaml:23: rules[1].severity: must be one of info, warning, critical",
    ]
    assert listed(client, project_id, "channels") == {}


def test_lists(cli: Cli) -> None:
    assert cli.apply(FILE).exit_code == 0
    rules = cli.run("rules", "list")
    assert rules.exit_code == 0, rules.output
    assert "latency_p99 >= 250 over 60 min" in rules.output
    assert "not evaluated yet" in rules.output
    channels = cli.run("channels", "list")
    assert "url: https://pager.example.com/hook, secret: ********" in channels.output


def test_a_list_longer_than_a_page_is_whole(cli: Cli, database: Database, project_id: str) -> None:
    names = [f"channel {number}" for number in range(405)]
    owner = uuid.UUID(project_id)
    rows = [Channel(project_id=owner, name=name, type="email", config={"to": ["a@example.com"]}) for name in names]
    with database.transaction() as session:
        session.add_all(rows)
    found = json.loads(cli.run("channels", "list", "--json").output)
    assert sorted(each["name"] for each in found) == sorted(names)


def test_on_the_machine_itself_no_key_is_needed(cli: Cli, installation: Installation, database: Database) -> None:
    address = make_url(installation.base_url)
    local = {"PILOTHOUSE_PORT": str(address.port), "PILOTHOUSE_DATABASE_URL": database.url}
    cli.environment = {**local, "PILOTHOUSE_URL": None, "PILOTHOUSE_KEY": None, "PILOTHOUSE_ADMIN_KEY": None}
    found = cli.run("channels", "list")
    assert found.exit_code == 0, found.output
    with database.transaction() as session:
        key = session.exec(select(ApiKey).where(ApiKey.name == "pilothouse command")).one()
    assert key.scopes == ["read", "write"]
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).total_seconds() <= 600


def test_another_machine_needs_a_key_of_its_own(cli: Cli) -> None:
    cli.environment |= {"PILOTHOUSE_KEY": None, "PILOTHOUSE_ADMIN_KEY": "pk_local_0123456789abcdef"}
    refused = cli.run("channels", "list")
    assert refused.exit_code == 1
    assert "Set PILOTHOUSE_KEY to a key of http://127.0.0.1" in refused.output


@pytest.mark.parametrize(
    ("wanted", "said"), [("Nothing of the kind", "No project"), ("Twice", "More than one project")]
)
def test_projects_by_name(cli: Cli, client: httpx.Client, wanted: str, said: str) -> None:
    for name in ("Twice", "Twice", f"Once {cli.project_id}"):
        client.post("/api/projects", json={"name": name}).raise_for_status()
    own, cli.project_id = f"Once {cli.project_id}", wanted
    refused = cli.run("channels", "list")
    assert refused.exit_code == 1
    assert said in refused.output
    cli.project_id = own
    assert cli.run("channels", "list").exit_code == 0
    for each in client.get("/api/projects", params={"search": "Twice"}).json()["items"]:
        client.delete(f"/api/projects/{each['id']}").raise_for_status()


def test_a_channels_test_arrives_in_the_mail_sink(
    installation: Installation, database: Database, client: httpx.Client, project_id: str, tmp_path: Path
) -> None:
    sink = MailSink(tmp_path / "mail")
    host, port = sink.start()
    mail = {"smtp_host": host, "smtp_port": port, "smtp_security": "none", "smtp_from": "watch@pilothouse.example"}
    settings = Settings(home=tmp_path / "home", database_url=database.url, prefect_port=9, **mail)
    addresses = ["one@example.com", "two@example.com"]
    channel = {"name": "on-call", "type": "email", "config": {"to": addresses}}
    client.post(f"/api/mlops/projects/{project_id}/channels", json=channel).raise_for_status()
    with served(create_app(settings)) as url:
        key = {"PILOTHOUSE_URL": url, "PILOTHOUSE_KEY": installation.admin_key}
        words = ["channels", "test", "on-call", "--project", project_id]
        told = CliRunner(env=key).invoke(main, words)
        sink.stop()
        failed = CliRunner(env=key).invoke(main, words)
        unknown = CliRunner(env=key).invoke(main, ["channels", "test", "pager", "--project", project_id])
    assert told.exit_code == 0, told.output
    rows = [line.split()[:3] for line in told.output.splitlines()[1:]]
    assert rows == [["email", address, "sent"] for address in addresses]
    for address in addresses:
        assert [plain_text(each) != "" for each in read_messages(tmp_path / "mail", address)] == [True]
    assert failed.exit_code == 1
    assert "sent" not in failed.output
    assert unknown.exit_code == 1
    assert "has no channel 'pager'" in unknown.output
