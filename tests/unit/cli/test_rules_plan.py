"""The difference between a rules file and the server."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.cli.rules.document import FileWrong, read_document
from api.cli.rules.plan import Plan, plan
from api.cli.rules.present import Present
from api.cli.rules.rendering import exported, plan_json, plan_lines, rule_row
from api.cli.rules.spec import read_spec

PROJECT = {"id": "p", "name": "Fraud"}
V1 = {"id": "d1", "name": "v1", "is_active": True}
HOOK = {"url": "https://x.example/h", "headers": {"A": "********"}, "secret": "********"}
SECRET = "whsec_" + "A" * 32


def channel(name: str, kind: str = "email", config: Any = None) -> dict[str, Any]:
    given_config = {"to": ["ops@example.com"]} if config is None else config
    return {"id": f"c-{name}", "name": name, "type": kind, "config": given_config, "is_enabled": True}


def rule(name: str, **other: Any) -> dict[str, Any]:
    return {
        "id": f"r-{name}", "name": name, "deployment_id": None, "metric": "drift_psi", "feature": None,
        "operator": "gt", "threshold": 0.25, "severity": "warning", "channels": ["c-mail"], "window_minutes": 60,
        "for_minutes": 0, "min_samples": 100, "cooldown_minutes": 60, "escalation_minutes": None,
        "escalation_severity": None, "no_data": "ignore", "notify_resolved": True, "is_enabled": True, "states": [],
        **other,
    }  # fmt: skip


def present(*views: dict[str, Any], deployments: tuple[dict[str, Any], ...] = (V1,)) -> Present:
    channels = {each["name"]: each for each in views if "type" in each}
    rules = {each["name"]: each for each in views if "metric" in each}
    return Present(channels, rules, deployments)


def planned(text: str, now: Present, *, prune: bool = False) -> Plan:
    return plan(read_spec(read_document(text, "f"), {}), now, prune=prune)


MAIL = "channels:\n- {name: mail, type: email, config: {to: [ops@example.com]}}\n"
DRIFT = (
    "rules:\n- {name: drift, metric: drift_psi, operator: gt, threshold: 0.25, severity: warning, channels: [mail]}\n"
)


def test_everything_new_is_created_channels_first() -> None:
    found = planned(DRIFT + MAIL, present())
    assert [(each.action, each.kind, each.name) for each in found.changes] == [
        ("create", "channel", "mail"),
        ("create", "rule", "drift"),
    ]
    assert [line for line, _ in plan_lines(found)] == [
        "+ channel mail",
        "    type                  email",
        "    is_enabled            true",
        "    config.to             ops@example.com",
        "+ rule drift",
        "    metric                drift_psi",
        "    operator              gt",
        "    threshold             0.25",
        "    severity              warning",
        "    channels              mail",
        "    window_minutes        60",
        "    for_minutes           0",
        "    min_samples           100",
        "    cooldown_minutes      60",
        "    no_data               ignore",
        "    notify_resolved       true",
        "    is_enabled            true",
        "2 to create, 0 to update, 0 to delete, 0 unchanged",
    ]


def test_what_is_there_already_stays() -> None:
    found = planned(MAIL + DRIFT, present(channel("mail"), rule("drift")), prune=True)
    assert not found.differs
    assert not any(change.is_written for change in found.changes)
    assert [line for line, _ in plan_lines(found)] == ["0 to create, 0 to update, 0 to delete, 2 unchanged"]


def test_differences_are_told_field_by_field() -> None:
    text = MAIL.replace("ops@", "all@") + DRIFT.replace("0.25", "0.3").replace("metric:", "deployment: v1, metric:")
    found = planned(text, present(channel("mail"), rule("drift", min_samples=5)))
    assert [line for line, _ in plan_lines(found)] == [
        "~ channel mail",
        "    config.to             ops@example.com -> all@example.com",
        "~ rule drift",
        "    deployment            (whichever is in production) -> v1",
        "    threshold             0.25 -> 0.3",
        "    min_samples           5 -> 100",
        "0 to create, 2 to update, 0 to delete, 0 unchanged",
    ]
    assert found.changes[1].values["deployment_id"] == "d1"
    assert "deployment" not in found.changes[1].values


def test_pruning_deletes_rules_before_their_channels_and_only_where_asked() -> None:
    now = present(channel("mail"), channel("old"), rule("drift"), rule("gone"))
    found = planned(MAIL + DRIFT, now, prune=True)
    deleted = [(each.kind, each.name, each.id) for each in found.changes if each.action == "delete"]
    assert deleted == [("rule", "gone", "r-gone"), ("channel", "old", "c-old")]
    assert not planned(MAIL + DRIFT, now).differs
    only_rules = planned(DRIFT, now, prune=True)
    assert [each.name for each in only_rules.changes if each.action == "delete"] == ["gone"]


def test_the_order_of_channels_is_no_difference() -> None:
    text = DRIFT.replace("[mail]", "[mail, pager]")
    now = present(channel("mail"), channel("pager"), rule("drift", channels=["c-pager", "c-mail"]))
    assert not planned(text, now).differs


def test_a_secret_is_written_again_and_never_shown() -> None:
    config = f"{{url: 'https://x.example/h', headers: {{A: open-sesame}}, secret: {SECRET}}}"
    text = f"channels:\n- {{name: h, type: webhook, config: {config}}}\n"
    found = planned(text, present(channel("h", "webhook", HOOK)))
    assert not found.differs
    assert found.changes[0].is_written
    told = [line for line, _ in plan_lines(found)]
    assert told[0] == "= channel h: its secret is written again: it cannot be compared"
    for shown in ("\n".join(told), str(plan_json(found, PROJECT, applied=True)), repr(found)):
        assert SECRET not in shown
        assert "open-sesame" not in shown


def test_masked_secrets_are_kept_but_cannot_begin_a_channel() -> None:
    text = "channels:\n- {name: s, type: slack, config: {webhook_url: 'https://hooks.slack.com/…'}}\n"
    there = channel("s", "slack", {"webhook_url": "https://hooks.slack.com/…"})
    assert not any(change.is_written for change in planned(text, present(there)).changes)
    with pytest.raises(FileWrong, match=r"^f:2: channels\[0\].config: holds a masked secret"):
        planned(text, present())


@pytest.mark.parametrize(
    ("text", "prune", "said"),
    [
        (DRIFT.replace("[mail]", "[mail, nobody]"), False, r"f:2: rules\[0\].channels\[1\]: no channel 'nobody'"),
        (MAIL.replace("name: mail", "name: other") + DRIFT, True, r"f:4: rules.*: --prune would delete 'mail'"),
        (DRIFT.replace("metric:", "deployment: v9, metric:"), False, "the project has no deployment 'v9'"),
        (MAIL.replace("email", "webhook").replace("{to: [ops@example.com]}", "{url: 'https://x.example'}"), False,
         r"f:2: channels\[0\].type: stays email on the server"),
    ],
)  # fmt: skip
def test_names_that_mean_nothing_are_refused(text: str, prune: bool, said: str) -> None:
    with pytest.raises(FileWrong, match=said):
        planned(text, present(channel("mail")), prune=prune)


def test_a_deployments_name_means_the_active_one() -> None:
    was, now = {"id": "d0", "name": "v1", "is_active": False}, {"id": "d2", "name": "v1", "is_active": True}
    text = DRIFT.replace("metric:", "deployment: v1, metric:")
    assert planned(text, present(channel("mail"), deployments=(was, V1))).changes[0].values["deployment_id"] == "d1"
    with pytest.raises(FileWrong, match=r"'v1' is the name of 2 deployments: give one's id \(d1, d2\)"):
        planned(text, present(channel("mail"), deployments=(was, V1, now)))
    by_id = planned(text.replace("v1", "d2"), present(channel("mail"), deployments=(was, V1, now)))
    assert by_id.changes[0].values["deployment_id"] == "d2"


RULES = st.builds(
    rule,
    st.text("abc", min_size=1, max_size=3),
    threshold=st.floats(-1e300, 1e300),
    deployment_id=st.sampled_from([None, "d1", "d2"]),
    metric=st.sampled_from(["error_rate", "latency_p99"]),
    min_samples=st.integers(0, 10),
    channels=st.lists(st.sampled_from(["c-mail", "c-h", "c-on"]), unique=True),
    no_data=st.sampled_from(["ignore", "alert"]),
    is_enabled=st.booleans(),
)


@given(st.lists(RULES, max_size=4))
def test_what_was_exported_is_no_difference(rules: list[dict[str, Any]]) -> None:
    views = [channel("mail"), channel("h", "webhook", HOOK), channel("on", "slack", {"webhook_url": "https://a.b/…"})]
    now = present(*views, *rules, deployments=(V1, {"id": "d2", "name": "yes", "is_active": True}))
    text = exported(PROJECT, now)
    found = planned(text, now, prune=True)
    assert not any(change.is_written for change in found.changes)
    assert yaml.safe_load(text)["project"] == "Fraud"


def test_a_rules_row() -> None:
    states = [{"deployment_id": "d1", "phase": "firing"}]
    now = present(channel("mail"), rule("drift", feature="AGE", states=states))
    assert rule_row(now.rules["drift"], now) == (
        "drift", "drift_psi(AGE) > 0.25 over 60 min", "warning", "(whichever is in production)", "mail", "v1 firing"
    )  # fmt: skip
