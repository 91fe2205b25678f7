"""A project with models whose age is the metric, rules on it and channels: evaluated by a clock of the test's own."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlmodel import Session, SQLModel, col, select

from flows.delivering import hand_over
from flows.evaluating import evaluate_rules
from flows.sending import Sender, Sent
from flows.settings import FlowSettings
from monitoring.store.alert_tables import Alert, AlertEvent, AlertRule, AlertState, Channel, Delivery, Notice
from monitoring.store.database import Database
from monitoring.store.ids import new_id
from monitoring.store.notices import Change
from monitoring.store.tables import Artifact, Deployment, Model, Project

START = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)
FRESH, STALE = timedelta(days=1), timedelta(days=400)
THRESHOLD_DAYS = 30.0


@dataclass
class World:
    """Its clock stands until it is moved. Deployments are made fresh: `age` makes a rule's metric breach or clear."""

    database: Database
    now: datetime = START
    project_id: uuid.UUID = field(init=False)
    _sha256: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        project = Project(name="watch")
        self.project_id = project.id
        self.add(project)
        self.add(Artifact(sha256=self._sha256, size_bytes=0))

    def add(self, *rows: SQLModel) -> None:
        with self.database.transaction() as session:
            session.add_all(rows)

    def deployment(self, name: str = "prod-v3", stage: str = "production", status: str = "active") -> uuid.UUID:
        model = Model(
            project_id=self.project_id,
            name=f"model of {name}",
            algo="gbm",
            category="Binomial",
            features=[],
            mojo_sha256=self._sha256,
            reference_rows=0,
            trained_at=self.now - FRESH,
        )
        deployment_id = new_id()
        self.add(model)
        self.add(
            Deployment(
                id=deployment_id,
                project_id=self.project_id,
                model_id=model.id,
                name=name,
                stage=stage,
                status=status,
                config={},
            )
        )
        return deployment_id

    def channel(self, url: str = "http://127.0.0.1:9/", **given: Any) -> uuid.UUID:
        channel_id = new_id()
        config = given.pop("config", {"url": url})
        row = {"name": f"channel {channel_id}", "type": "webhook", "config": config, **given}
        self.add(Channel(id=channel_id, project_id=self.project_id, **row))
        return channel_id

    def rule(self, channels: Sequence[uuid.UUID] = (), **given: Any) -> uuid.UUID:
        rule_id = new_id()
        row = {
            "name": f"rule {rule_id}",
            "metric": "model_staleness",
            "operator": "gt",
            "threshold": THRESHOLD_DAYS,
            "severity": "warning",
            "window_minutes": 60,
            "for_minutes": 0,
            "min_samples": 100,
            "cooldown_minutes": 60,
            "no_data": "ignore",
            **given,
        }
        self.add(AlertRule(id=rule_id, project_id=self.project_id, channels=list(channels), **row))
        return rule_id

    def change(self, table: type[SQLModel], row_id: uuid.UUID, **values: Any) -> None:
        with self.database.transaction() as session:
            row = session.get(table, row_id)
            assert row is not None
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)

    def age(self, deployment_id: uuid.UUID, age: timedelta) -> None:
        with self.database.transaction() as session:
            deployment = session.get(Deployment, deployment_id)
            assert deployment is not None
            model = session.get(Model, deployment.model_id)
            assert model is not None
            model.trained_at = self.now - age
            session.add(model)

    def evaluate(self, minutes: float = 0) -> list[Change]:
        """Evaluate all rules, that many minutes later."""
        self.now += timedelta(minutes=minutes)
        return evaluate_rules(self.database, self.now)

    def promote(self, old: uuid.UUID, new: uuid.UUID) -> None:
        self.change(Deployment, old, stage="archived", status="inactive")
        self.change(Deployment, new, stage="production")

    def clock(self, _session: Session) -> datetime:
        return self.now

    def sender(self, **given: Any) -> Sender:
        """Our sender through the real post office, loopback allowed, on the world's clock."""
        settings = FlowSettings(allowed_addresses="127.0.0.1", notice_timeout_s=given.pop("timeout_s", 5.0))
        sender = {"clock": self.clock, **given}
        return Sender(self.database, hand_over(settings), settings.notice_timeout_s, **sender)

    def deliver(self, minutes: float = 0, **given: Any) -> Sent:
        """Send what is due, that many minutes later, and nothing that is due after."""
        self.now += timedelta(minutes=minutes)
        return self.sender(**given).drain(seconds=20, patience_s=-1)

    def rows(self, table: type[SQLModel]) -> list[Any]:
        with self.database.transaction() as session:
            key = table.__table__.primary_key.columns  # type: ignore[attr-defined]
            return list(session.exec(select(table).order_by(*key)))

    def state(self, rule_id: uuid.UUID, deployment_id: uuid.UUID) -> AlertState:
        with self.database.transaction() as session:
            found = session.get(AlertState, (rule_id, deployment_id))
            assert found is not None
            return found

    def alerts(self) -> list[Alert]:
        return self.rows(Alert)

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.rows(Notice)]

    def history(self, rule_id: uuid.UUID) -> list[AlertEvent]:
        with self.database.transaction() as session:
            wanted = select(AlertEvent).where(AlertEvent.rule_id == rule_id)
            return list(session.exec(wanted.order_by(col(AlertEvent.first_at), col(AlertEvent.id))))

    def deliveries(self) -> list[Delivery]:
        return self.rows(Delivery)

    def count_rows(self) -> dict[str, int]:
        """Return how many rows each table of the watch has."""
        tables = ("alert_state", "alert", "alert_event", "notice", "delivery", "delivery_attempt")
        with self.database.transaction() as session:
            return {table: session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() for table in tables}
