import tracemalloc
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.privacy.detection import MAX_TEXT
from api.privacy.masker import REDACTED, Masker
from api.privacy.rule_set import Rule, RuleSet, default_rule_set

KEY = b"one project's key, 32 bytes long"
CARD = "4111111111111111"
EMAIL = "jane.sample@example.com"
REDACT = RuleSet(0.5, {name: Rule("redact") for name in default_rule_set().rules})


def masker(rules: RuleSet = REDACT, threshold: float | None = None, known: frozenset[str] = frozenset()) -> Masker:
    return Masker(rules, column_map={}, threshold=threshold, key=KEY, version_id=uuid.UUID(int=1), known_columns=known)


MASKER = masker()


def mask(value: Any, column: str = "x") -> Any:
    return MASKER.mask_record({column: value}).record[column]


def test_whole_values_are_replaced_and_explained() -> None:
    masked = MASKER.mask_record({"contact": EMAIL, "pan": CARD, "size": 12})
    assert masked.record == {"contact": "[EMAIL_ADDRESS]", "pan": "[CREDIT_CARD_NUMBER]", "size": 12}
    assert masked.touched.keys() == {"contact", "pan"}
    assert masked.touched["contact"].pii_types == ("email_address",)
    assert 0.5 <= masked.touched["contact"].score < 1.0
    assert masked.touched["pan"].how


@pytest.mark.parametrize("value", [int(CARD), float(CARD), CARD, "4111 1111 1111 1111", "4111-1111-1111-1111"])
def test_a_card_number_is_found_however_it_is_written(value: object) -> None:
    assert mask(value) == "[CREDIT_CARD_NUMBER]"


def test_free_text_is_masked_span_by_span() -> None:
    text = f"Write to {EMAIL}, card {CARD}, thanks."
    assert mask(text) == "Write to [EMAIL_ADDRESS], card [CREDIT_CARD_NUMBER], thanks."
    assert MASKER.mask_text(text) == "Write to [EMAIL_ADDRESS], card [CREDIT_CARD_NUMBER], thanks."
    masked = MASKER.mask_record({"note": text})
    assert set(masked.touched["note"].pii_types) == {"email_address", "credit_card_number"}
    assert masked.touched["note"].actions == ("redact", "redact")


def test_a_dropped_span_leaves_the_rest_of_a_text() -> None:
    dropping = masker(RuleSet(0.5, {"email_address": Rule("drop")}))
    assert dropping.mask_record({"note": f"to {EMAIL}!", "mail": EMAIL}).record == {"note": "to !"}


def test_only_types_with_a_rule_are_masked() -> None:
    cards = masker(RuleSet(0.5, {"credit_card_number": Rule("redact")}))
    record = {"contact": EMAIL, "pan": CARD}
    assert cards.mask_record(record).record == {"contact": EMAIL, "pan": "[CREDIT_CARD_NUMBER]"}


def test_the_threshold_cuts() -> None:
    record = {"contact": EMAIL}
    assert masker(threshold=1.0).mask_record(record).record is record
    assert masker(threshold=0.1).mask_record(record).record != record


def test_disguised_values_are_found() -> None:
    for disguised in (
        CARD.translate({code: code + 0xFEE0 for code in range(48, 58)}),
        "\u200b".join(CARD),
        EMAIL.replace("@", "\uff20"),
    ):
        assert mask(disguised).startswith("[")
        assert mask(f"see {disguised} there").startswith("see [")


def test_nested_values_of_refused_requests_are_looked_at() -> None:
    masked = MASKER.mask_record({"a": [{"b": [EMAIL]}], "c": {"d": {"e": int(CARD)}}}).record
    assert masked == {"a": [{"b": ["[EMAIL_ADDRESS]"]}], "c": {"d": {"e": "[CREDIT_CARD_NUMBER]"}}}


def test_names_of_columns_are_looked_at_unless_they_are_known() -> None:
    record = {EMAIL: 1, CARD: {CARD: 2}}
    masked = MASKER.mask_record(record)
    assert masked.record == {"[EMAIL_ADDRESS]": 1, "[CREDIT_CARD_NUMBER]": {"[CREDIT_CARD_NUMBER]": 2}}
    assert masked.touched.keys() == {"[EMAIL_ADDRESS]", "[CREDIT_CARD_NUMBER]"}
    assert masker(known=frozenset({EMAIL})).mask_record({EMAIL: 1}).record == {EMAIL: 1}


def test_a_text_too_long_to_be_looked_at_is_redacted() -> None:
    assert mask("a " * MAX_TEXT) == REDACTED
    assert mask(["a " * MAX_TEXT]) == [REDACTED]
    assert MASKER.mask_text("a " * MAX_TEXT) == REDACTED
    name = "a " * MAX_TEXT
    assert MASKER.mask_record({name: 1}).record == {REDACTED: 1}
    assert MASKER.mask_record({"note": "a " * MAX_TEXT}).touched["note"].action == "redact"


def test_without_rules_nothing_is_touched() -> None:
    record = {"contact": EMAIL, "note": "a " * 10}
    assert masker(RuleSet(0.5, {})).mask_record(record).record is record


def test_equal_values_of_other_types_are_told_apart() -> None:
    assert [mask(value, "email") for value in (1, 1.0, True)] == [
        MASKER.mask_value("email", value) for value in (1, 1.0, True)
    ]
    assert mask(int(CARD), "y") == mask(CARD, "y")


def test_threads_share_a_masker() -> None:
    records = [{"contact": f"jane{number}@example.com", "n": number} for number in range(300)]
    shared = masker(default_rule_set())
    with ThreadPoolExecutor(8) as pool:
        masked = list(pool.map(lambda record: shared.mask_record(record).record, records * 4))
    alone = [masker(default_rule_set()).mask_record(record).record for record in records[:20]]
    assert masked[:20] == alone
    assert masked[:300] == masked[300:600]


around = st.text("abc \t.,;:'\"!?äß漢\u0301", max_size=12)


@given(around, around, st.sampled_from([EMAIL, CARD, "DE89370400440532013000", "203.0.113.9"]))
def test_what_stands_apart_in_a_text_is_never_left_raw(before: str, after: str, value: str) -> None:
    low = MASKER if value != "203.0.113.9" else masker(threshold=0.2)
    text = f"{before} {value} {after}"
    assert value not in low.mask_text(text)
    assert value not in str(low.mask_record({"note": text}).record["note"])


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30) | st.integers() | st.floats() | st.booleans()))
def test_masking_any_record_gives_json_and_the_same_again(record: dict[str, Any]) -> None:
    one, again = MASKER.mask_record(record), MASKER.mask_record(record)
    assert repr(one.record) == repr(again.record)
    assert one.touched == again.touched


def test_long_names_of_columns_are_not_kept() -> None:
    made = MASKER
    tracemalloc.start()
    for place in range(30):
        made.mask_record({f"{place}{'x' * 1_000_000}": 1})
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 5_000_000


@pytest.mark.parametrize(
    "said", ["tel: 030 901820", "Tel. 089/1234567", "phone 030 901820", "telephone number 020 7946 0958"]
)
def test_a_national_telephone_number_is_told_by_the_word_before_it(said: str) -> None:
    masked = mask(f"Reach them by {said}, please.")
    assert masked.endswith("[PHONE_NUMBER], please.")


def test_numbers_after_other_words_are_no_telephone_numbers() -> None:
    text = "The mobile app has 030 901820 downloads, and this phone costs 1299.00"
    assert mask(text) == text
