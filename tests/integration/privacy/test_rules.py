"""The rules of a policy over HTTP, and what a preview shows of them."""

from typing import Any

import httpx
import pytest

from tests.integration.alerts.conftest import fields_of, timeline_of
from tests.integration.privacy.conftest import AddRule, MakePolicy, in_force, look

POLICIES = "/api/privacy/policies"
CARD = "4539578763621486"


def preview(client: httpx.Client, policy: dict[str, Any], inputs: Any, **said: Any) -> dict[str, Any]:
    """Return what a policy makes of records."""
    shown = client.post(f"{POLICIES}/{policy['id']}/preview", json={"inputs": inputs} | said)
    assert shown.status_code == 200, shown.text
    return dict(shown.json())


def test_a_rule_stands_over_the_profile_until_it_is_removed(
    client: httpx.Client, project_id: str, make_policy: MakePolicy, add_rule: AddRule
) -> None:
    policy = make_policy(profile="hipaa")
    before = in_force(client, policy)
    rule = add_rule(policy, "email_address", "mask", config={"show_first": 2})
    path = f"{POLICIES}/{policy['id']}/rules/{rule['id']}"
    assert rule["config"] == {"show_first": 2, "show_last": 0, "char": "*"}
    assert client.get(path).json() == rule
    assert in_force(client, policy) == before | {"email_address": ("mask", "rule")}
    replaced = client.put(path, json={"pii_type": "email_address", "action": "drop"}).json()
    assert (replaced["action"], replaced["config"], replaced["is_enabled"]) == ("drop", {}, True)
    disabled = client.put(path, json={"pii_type": "email_address", "action": "drop", "is_enabled": False})
    assert disabled.status_code == 200
    assert "email_address" not in in_force(client, policy)
    assert look(client, policy)["rules"] == [disabled.json()]
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert in_force(client, policy) == before
    assert look(client, policy)["version"] == 5
    events = timeline_of(client, project_id)[:4]
    assert [event["action"].removeprefix("privacy_rule.") for event in events] == [
        *("deleted", "updated", "updated", "created")
    ]
    assert (events[2]["before"]["action"], events[2]["after"]["action"]) == ("mask", "drop")
    assert {event["subject_id"] for event in events} == {policy["id"]}


def test_a_type_has_one_rule(client: httpx.Client, make_policy: MakePolicy, add_rule: AddRule) -> None:
    policy = make_policy()
    add_rule(policy, "us_ssn", "redact")
    iban = add_rule(policy, "iban", "redact")
    path = f"{POLICIES}/{policy['id']}/rules"
    assert client.post(path, json={"pii_type": "us_ssn", "action": "drop"}).status_code == 409
    assert client.put(f"{path}/{iban['id']}", json={"pii_type": "us_ssn", "action": "drop"}).status_code == 409
    listed = client.get(path).json()
    assert [rule["pii_type"] for rule in listed["items"]] == ["iban", "us_ssn"]
    assert client.get(f"{POLICIES}/{make_policy()['id']}/rules/{iban['id']}").status_code == 404


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"pii_type": "shoe_size", "action": "redact"}, "pii_type"),
        ({"pii_type": "us_ssn", "action": "encrypt"}, "action"),
        ({"pii_type": "us_ssn", "action": "redact", "config": {"char": "x"}}, "config.char"),
        ({"pii_type": "us_ssn", "action": "mask", "config": {"show_last": -1}}, "config.show_last"),
        ({"pii_type": "us_ssn", "action": "replace"}, "config.value"),
        ({"pii_type": "us_ssn", "action": "replace", "config": {"value": "\x00"}}, "config.value"),
        ({"pii_type": "date_of_birth", "action": "generalize", "config": {"to": "fog"}}, "config.to"),
        ({"pii_type": "us_ssn"}, "action"),
        ({"pii_type": "us_ssn", "action": "redact", "enabled": True}, "enabled"),
    ],
)
def test_a_wrong_rule_is_refused_by_field(
    client: httpx.Client, make_policy: MakePolicy, rule: dict[str, Any], field: str
) -> None:
    policy = make_policy()
    assert fields_of(client.post(f"{POLICIES}/{policy['id']}/rules", json=rule)) == {field}
    assert look(client, policy)["version"] == 1


def test_pci_shows_no_more_than_first_six_and_last_four_and_keeps_no_security_code(
    client: httpx.Client, make_policy: MakePolicy, add_rule: AddRule
) -> None:
    policy = make_policy(profile="pci_dss")
    path = f"{POLICIES}/{policy['id']}/rules"
    mask = {"pii_type": "credit_card_number", "action": "mask"}
    most = client.post(path, json=mask | {"config": {"show_first": 6, "show_last": 4}})
    assert most.status_code == 201
    more = client.put(f"{path}/{most.json()['id']}", json=mask | {"config": {"show_first": 6, "show_last": 5}})
    assert fields_of(more) == {"config.show_last"}
    off = client.put(f"{path}/{most.json()['id']}", json=mask | {"is_enabled": False})
    assert fields_of(off) == {"is_enabled"}
    kept = client.post(path, json={"pii_type": "card_security_code", "action": "hash"})
    assert fields_of(kept) == {"action"}
    assert look(client, policy)["version"] == 2
    lax = make_policy()
    add_rule(lax, "card_security_code", "hash")
    assert fields_of(client.put(f"{POLICIES}/{lax['id']}", json={"profile": "pci_dss"})) == {"profile"}
    assert look(client, lax)["profile"] == "custom"


def test_a_preview_shows_what_would_be_stored(
    client: httpx.Client, project_id: str, make_policy: MakePolicy, add_rule: AddRule
) -> None:
    policy = make_policy(status="draft")
    add_rule(policy, "credit_card_number", "mask", config={"show_last": 4})
    add_rule(policy, "email_address", "pseudonymize")
    add_rule(policy, "us_ssn", "drop")
    row = {"card": int(CARD), "note": "write to jo@example.org", "taxpayer": "078-05-1120", "amount": 29.99}
    before = timeline_of(client, project_id)
    shown = preview(client, policy, row, column_map={"taxpayer": "us_ssn"})
    assert (shown["version"], shown["threshold"]) == (4, 0.5)
    record = shown["records"][0]
    assert record["stored"]["card"] == "************1486"
    assert record["stored"]["note"].startswith("write to email_")
    assert "jo@example.org" not in record["stored"]["note"]
    assert record["stored"]["amount"] == 29.99
    assert "taxpayer" not in record["stored"]
    fields = record["fields"]
    assert fields.keys() == {"card", "note", "taxpayer"}
    assert (fields["taxpayer"]["pii_type"], fields["taxpayer"]["score"]) == ("us_ssn", 1.0)
    assert (fields["taxpayer"]["action"], fields["taxpayer"]["how"]) == ("drop", "column map")
    assert (fields["card"]["pii_type"], fields["card"]["action"]) == ("credit_card_number", "mask")
    assert 0.5 <= fields["card"]["score"] <= 1
    assert timeline_of(client, project_id) == before


def test_a_previewed_token_is_the_persons_in_this_project_alone(
    client: httpx.Client, make_policy: MakePolicy, add_rule: AddRule
) -> None:
    other = client.post("/api/projects", json={"name": "Other"}).json()["project_id"]
    here, also_here, there = make_policy(), make_policy(), make_policy(project_id=other)
    tokens = []
    for policy in (here, also_here, there):
        add_rule(policy, "email_address", "pseudonymize")
        shown = preview(client, policy, [{"email": "Jo@Example.org"}, {"email": "jo@example.org"}])
        first, second = (record["stored"]["email"] for record in shown["records"])
        assert first == second
        tokens.append(first)
    assert tokens[0] == tokens[1] != tokens[2]


def test_the_threshold_cuts(client: httpx.Client, make_policy: MakePolicy, add_rule: AddRule) -> None:
    policy = make_policy(settings={"confidence_threshold": 1.0})
    add_rule(policy, "email_address", "redact")
    row = {"x": "jo@example.org"}
    assert preview(client, policy, row)["records"] == [{"stored": row, "fields": {}}]
    assert preview(client, policy, row, threshold=0.3)["records"][0]["stored"] == {"x": "[EMAIL_ADDRESS]"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"inputs": {"a": {"b": 1}}}, "inputs[...]"),
        ({"inputs": "x"}, "inputs"),
        ({"inputs": {}, "column_map": {"a": "shoe_size"}}, "column_map"),
        ({"inputs": {}, "threshold": 2}, "threshold"),
        ({}, "inputs"),
    ],
)
def test_a_wrong_preview_is_refused_by_field(
    client: httpx.Client, make_policy: MakePolicy, body: dict[str, Any], field: str
) -> None:
    assert fields_of(client.post(f"{POLICIES}/{make_policy()['id']}/preview", json=body)) == {field}
