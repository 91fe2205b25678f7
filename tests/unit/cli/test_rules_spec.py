"""What a rules file may say."""

import pytest

from api.cli.rules.document import FileWrong, read_document
from api.cli.rules.spec import Spec, is_masked, read_spec

SECRET = "whsec_" + "A" * 32
RULE = "rules:\n- {name: r, metric: drift_psi, operator: gt, threshold: 0.2, severity: warning, channels: []"


def spec_of(text: str, **environment: str) -> Spec:
    return read_spec(read_document(text, "f"), environment)


def problems_of(text: str) -> list[str]:
    with pytest.raises(FileWrong) as refused:
        spec_of(text)
    return str(refused.value).splitlines()


def test_defaults_are_those_of_the_api() -> None:
    found = spec_of(f"{RULE}}}\n")
    assert found.channels is None
    assert found.rules is not None
    values = found.rules[0].values
    assert (values["window_minutes"], values["min_samples"], values["cooldown_minutes"]) == (60, 100, 60)
    assert (values["no_data"], values["notify_resolved"], values["is_enabled"]) == ("ignore", True, True)
    assert values["deployment"] is None
    assert isinstance(values["threshold"], float)


def test_every_problem_is_told_at_once_with_its_line() -> None:
    text = """project: Fraud
channels:
  - name: on-call
    type: email
    config:
      to: [nobody]
  - name: pager
    type: pigeon
    config: {}
rules:
  - name: drift
    metrics: drift_psi
    operator: above
    threshold: high
    severity: info
    channels: [on-call, 3]
  - drift
"""
    assert problems_of(text) == [
        "f:6: channels[0].config.to: 'nobody' is not a plain mail address like ops@example.com",
        "f:8: channels[1].type: must be one of email, slack, webhook",
        "f:11: rules[0]: lacks the key 'metric'",
        "f:12: rules[0].metrics: is not a known key: did you mean metric?",
        "f:13: rules[0].operator: must be one of gt, lt, gte, lte, eq, neq",
        "f:14: rules[0].threshold: Expected float, got str",
        "f:16: rules[0].channels[1]: Expected str, got int",
        "f:17: rules[1]: must be a mapping of keys to values",
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (", escalation_minutes: 5", "rules[0].escalation_severity: give escalation_minutes and escalation_severity"),
        (", escalation_minutes: 5, escalation_severity: warning", "escalation_severity: must be higher than"),
        (", escalation_minutes: 5, escalation_severity: info", "escalation_severity: must be one of warning, critical"),
        (", cooldown_minutes: 1441", "rules[0].cooldown_minutes: Expected int <= 1440"),
        (", window_minutes: 1.5", "rules[0].window_minutes: Expected int, got float"),
        (", is_enabled: 'yes'", "rules[0].is_enabled: Expected bool, got str"),
        (", threshold: .nan", "f:2: rules[0]: 'threshold' is given twice"),
    ],
)
def test_what_a_rule_may_not_say(more: str, said: str) -> None:
    assert said in problems_of(f"{RULE}{more}}}\n")[0]


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_thresholds_are_finite(number: str) -> None:
    assert "rules[0].threshold" in problems_of(f"{RULE}}}\n".replace("0.2", number))[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "f:1: must be a mapping of keys to values"),
        ("project: x", "f:1: has neither `channels` nor `rules`"),
        ("rule: []", "f:1: rule: is not a known key: did you mean rules?"),
        ("rules: {a: 1}", "f:1: rules: Expected array | null, got object"),
        (f"{RULE}}}\n{RULE[7:]}}}\n", "f:3: rules[1].name: 'r' is the name of rules[0]"),
    ],
)
def test_what_a_file_may_not_be(text: str, said: str) -> None:
    assert said in problems_of(text)


def test_secrets_come_from_the_environment() -> None:
    config = "{url: 'https://x.example/', headers: {A: 'b ${T}'}, secret: '${S}'}"
    text = f"channels:\n- {{name: h, type: webhook, config: {config}}}\n"
    found = spec_of(text, S=SECRET, T="t")
    assert found.channels is not None
    config = found.channels[0].values["config"]
    assert (config["headers"], config["secret"]) == ({"A": "b t"}, SECRET)
    assert SECRET not in repr(found)
    assert problems_of(text) == [
        "f:2: channels[0].config.headers.A: the environment has no T",
        "f:2: channels[0].config.secret: the environment has no S",
    ]


def test_a_config_as_the_server_shows_it_is_taken() -> None:
    found = spec_of("channels:\n- {name: s, type: slack, config: {webhook_url: 'https://hooks.slack.com/…'}}\n")
    assert found.channels is not None
    assert is_masked(found.channels[0].values["config"])
