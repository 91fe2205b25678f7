import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.privacy.catalogue import CATALOGUE
from api.privacy.masker import Masker, text_of
from api.privacy.rule_set import Rule, RuleSet, default_rule_set

KEY = b"one project's key, 32 bytes long"
VERSION = uuid.UUID(int=7)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def masker(rules: RuleSet | None = None, key: bytes = KEY, **column_map: str) -> Masker:
    chosen = default_rule_set() if rules is None else rules
    return Masker(chosen, column_map=column_map, threshold=None, key=key, version_id=VERSION)


OF_EACH_TYPE = masker(**{name: name for name in CATALOGUE})


def mask(record: dict[str, Any], **column_map: str) -> dict[str, Any]:
    return masker(**column_map).mask_record(record).record


def test_mapped_columns_are_masked_whatever_they_hold() -> None:
    record = {"who": "nobody you would recognise", "amount": 12.5, "code": 737}
    masked = masker(who="last_name", code="card_security_code").mask_record(record)
    assert masked.record.keys() == {"who", "amount"}
    assert masked.record["who"].startswith("last_name_")
    assert masked.record["amount"] == 12.5
    assert record["who"] == "nobody you would recognise"
    assert [(name, found.pii_type, found.action, found.score) for name, found in masked.touched.items()] == [
        ("who", "last_name", "pseudonymize", 1.0),
        ("code", "card_security_code", "drop", 1.0),
    ]


def test_columns_keep_their_order() -> None:
    assert list(mask({"a": 1, "b": "x", "c": 2}, b="last_name")) == ["a", "b", "c"]


def test_an_untouched_record_is_the_callers_own_object() -> None:
    record = {"length": 1.5, "flag": True, "nothing": None, "empty": ""}
    masked = masker(empty="last_name", nothing="last_name").mask_record(record)
    assert masked.record is record
    assert masked.touched == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [(4111111111111111, "4111111111111111"), (4111111111111111.0, "4111111111111111"), (True, "True"), (1.5, "1.5")],
)
def test_numbers_are_masked_by_their_digits(value: object, text: str) -> None:
    assert text_of(value) == text
    assert mask({"x": value}, x="credit_card_number") == mask({"x": text}, x="credit_card_number")


def test_a_number_and_its_text_have_one_token() -> None:
    records = [{"id": value} for value in (123456, 123456.0, "123456", "123 456")]
    assert len({mask(record, id="customer_number")["id"] for record in records}) == 1


def test_one_person_has_one_token_in_a_project_and_another_in_the_next() -> None:
    record = {"name": "Jane Sample"}
    one, again, other = (
        masker(name="person_name"),
        masker(name="person_name"),
        masker(key=b"another project's key, also long", name="person_name"),
    )
    token = one.mask_record(record).record["name"]
    assert token == again.mask_record(record).record["name"]
    assert token != other.mask_record(record).record["name"]


def test_a_mapped_type_without_a_rule_gets_its_default_action() -> None:
    masked = masker(RuleSet(0.5, {}), who="last_name").mask_record({"who": "Sample", "other": "Sample"})
    assert masked.record["who"].startswith("last_name_")
    assert masked.record["other"] == "Sample"


def test_a_policys_rule_comes_before_the_default_action() -> None:
    rules = RuleSet(0.5, {"last_name": Rule("redact")})
    assert masker(rules, who="last_name").mask_record({"who": "Sample"}).record == {"who": "[LAST_NAME]"}


def test_nested_values_of_a_mapped_column_are_masked_leaf_by_leaf() -> None:
    record = {"who": {"first": "Jane", "others": ["Ann", None, {"x": "Bob"}]}, "list": [{"who": "Carl"}]}
    masked = masker(RuleSet(0.5, {"last_name": Rule("redact")}), who="last_name").mask_record(record)
    hidden = "[LAST_NAME]"
    assert masked.record == {
        "who": {"first": hidden, "others": [hidden, None, {"x": hidden}]},
        "list": [{"who": hidden}],
    }
    assert set(masked.touched) == {"who", "list"}


@pytest.mark.parametrize("spelt", ["col7", "Col7", " COL7", "COL_7", "Ｃｏｌ7"])
def test_a_mapped_column_is_known_by_another_spelling_too(spelt: str) -> None:
    assert mask({spelt: "Jane Sample"}, COL7="person_name")[spelt].startswith("person_")


def test_a_column_of_the_model_is_none_that_is_spelt_alike() -> None:
    columns = frozenset({"COL7", "col7"})
    made = Masker(
        default_rule_set(),
        column_map={"COL7": "person_name"},
        threshold=None,
        key=KEY,
        version_id=VERSION,
        known_columns=columns,
    )
    assert made.mask_record({"col7": "Jane Sample"}).record == {"col7": "Jane Sample"}


def test_a_telling_name_tells_of_what_is_nested_in_it() -> None:
    record = {
        "customer_name": {"value": "Jane Sample", "others": ["Ann Sample"], "x": {"y": "Bob Sample"}},
        "ssn": {"value": 123456},
        "size": {"value": "Medium"},
    }
    masked = mask(record)
    assert "Sample" not in repr(masked)
    assert masked["ssn"] != record["ssn"]
    assert masked["size"] == record["size"]


def test_dropped_leaves_disappear() -> None:
    assert mask({"list": [{"pin": 1, "x": 2}], "pin": [1, 2]}, pin="card_pin") == {"list": [{"x": 2}], "pin": []}


def test_what_is_too_deep_to_be_looked_at_is_redacted() -> None:
    deep: Any = "Sample"
    for _ in range(2000):
        deep = [deep]
    masked = masker().mask_record({"x": deep})
    assert "Sample" not in repr(masked.record)
    assert masked.touched["x"].action == "redact"


def test_one_value_is_masked_like_one_of_a_record() -> None:
    one = masker(who="last_name", pin="card_pin")
    assert one.mask_value("who", "Sample") == one.mask_record({"who": "Sample"}).record["who"]
    assert one.mask_value("pin", 1234) is None
    assert one.mask_value("size", 12) == 12


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        masker(key=b"")


def test_an_unknown_mapped_type_is_refused() -> None:
    with pytest.raises(KeyError):
        masker(x="shoe_size")


def test_the_version_and_the_threshold_are_told() -> None:
    rules = default_rule_set(0.7)
    assert masker(rules).version_id == VERSION
    assert masker(rules).threshold == 0.7
    assert Masker(rules, column_map={}, threshold=0.9, key=KEY, version_id=VERSION).threshold == 0.9


@given(value=st.text("abcdefgh12345678", min_size=6, max_size=20))
def test_no_mapped_value_of_any_type_is_left_raw(value: str) -> None:
    masked = OF_EACH_TYPE.mask_record(dict.fromkeys(CATALOGUE, value))
    assert masked.touched.keys() == CATALOGUE.keys()
    assert not [name for name, kept in masked.record.items() if value in kept]


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5))
def test_any_record_of_json_can_be_masked(record: dict[str, Any]) -> None:
    before = repr(record)
    masked = OF_EACH_TYPE.mask_record(record)
    assert repr(record) == before
    assert masked.record is record or masked.touched
