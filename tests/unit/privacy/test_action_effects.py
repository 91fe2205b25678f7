import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.privacy.actions import check_rule, compile_action
from api.privacy.catalogue import CATALOGUE

KEY = b"one project's key, 32 bytes long"
OTHER_KEY = b"another project's key, also long"
SHAPE = " -./:,@()+"
shaped = st.text(st.sampled_from(string.ascii_letters + string.digits + SHAPE), max_size=60)


def act(pii_type: str, action: str, text: str, config: dict[str, Any] | None = None, key: bytes = KEY) -> str | None:
    return compile_action(pii_type, action, check_rule(pii_type, action, config or {}), key)(text)


def test_redact_replace_and_drop() -> None:
    assert act("email_address", "redact", "jane@example.com") == "[EMAIL_ADDRESS]"
    assert act("email_address", "replace", "jane@example.com", {"value": "removed"}) == "removed"
    assert act("email_address", "replace", "jane@example.com", {"value": ""}) == ""
    assert act("email_address", "drop", "jane@example.com") is None


@pytest.mark.parametrize(
    ("pii_type", "text", "first", "last", "masked"),
    [
        ("credit_card_number", "4111 1111-1111 1234", 6, 4, "4111 11**-**** 1234"),
        ("credit_card_number", "4111111111111234", 0, 4, "************1234"),
        ("credit_card_number", "41111234", 6, 4, "********"),
        ("credit_card_number", "4111 1111 1234", 6, 4, "**** **** ****"),
        ("bank_account_number", "12345", 0, 4, "*****"),
        ("bank_account_number", "123-456", 0, 4, "***-***"),
        ("bank_account_number", "1234567", 0, 4, "***4567"),
        ("us_ssn", "123-45-6789", 0, 0, "***-**-****"),
        ("person_name", "Seán O'Neill", 1, 0, "S*** *'*****"),
        ("person_name", "山田 太郎", 0, 0, "** **"),
        ("person_name", "नमस्ते", 0, 0, "******"),
        ("email_address", "jane.doe@mail.example.com", 1, 0, "j***.***@****.*******.com"),
        ("email_address", "jane@localhost", 0, 0, "****@*********"),
        ("email_address", "jane@example.4111111111111111", 0, 0, "****@*******.****************"),
        ("email_address", "no address", 0, 0, "** *******"),
    ],
)
def test_a_mask_keeps_the_format(pii_type: str, text: str, first: int, last: int, masked: str) -> None:
    assert act(pii_type, "mask", text, {"show_first": first, "show_last": last}) == masked


@given(shaped, st.integers(0, 8), st.integers(0, 8))
def test_a_mask_hides_all_content_but_the_ends(text: str, first: int, last: int) -> None:
    masked = act("iban", "mask", text, {"show_first": first, "show_last": last})
    assert masked is not None
    assert len(masked) == len(text)
    assert [c for c in masked if c in SHAPE] == [c for c in text if c in SHAPE]
    content = [c for c in text if c not in SHAPE]
    kept = [c for c in masked if c not in SHAPE]
    if not first + last or first + last <= len(content) - 3:
        hidden = len(content) - first - last
        assert kept == content[:first] + ["*"] * hidden + content[len(content) - last :]
    else:
        assert kept == ["*"] * len(content)


@given(st.text(max_size=40))
def test_a_mask_that_shows_nothing_leaves_only_separators(text: str) -> None:
    masked = act("person_name", "mask", text)
    assert masked is not None
    assert not any(char.isalnum() for char in masked)


@pytest.mark.parametrize("action", ["hash", "pseudonymize"])
@given(text=st.text(min_size=5, max_size=40))
def test_a_token_is_stable_in_a_project_and_differs_across(action: str, text: str) -> None:
    token = act("person_name", action, text)
    assert token == act("person_name", action, text)
    assert token != act("person_name", action, text, key=OTHER_KEY)
    assert token != act("last_name", action, text)
    assert token is not None
    assert text not in token.removeprefix("person_")


def test_tokens_have_their_shape() -> None:
    hashed = act("us_ssn", "hash", "123-45-6789")
    assert hashed is not None
    assert len(hashed) == 32
    assert set(hashed) <= set(string.hexdigits.lower())
    token = act("person_name", "pseudonymize", "Jane Sample")
    assert token is not None
    prefix, _, digits = token.partition("_")
    assert prefix == "person"
    assert len(digits) == 20
    assert hashed[:20] != (act("us_ssn", "pseudonymize", "123-45-6789") or "")[-20:]


@pytest.mark.parametrize(
    ("pii_type", "one", "same"),
    [
        ("email_address", "Jane.Doe@Example.com", " jane.doe@example.COM "),
        ("phone_number", "+44 (0)20 7946 0958", "0044 20 7946 0958"),
        ("phone_number", "+1 (415) 555-2671", "+14155552671"),
        ("phone_number", "+1 (415) 555-2671", "14155552671"),
        ("person_name", "Jane  Doe", "jane doe"),
        ("person_name", "Jane Doe", "Jane\u00a0Doe"),
        ("credit_card_number", "4111 1111 1111 1111", "4111-1111-1111-1111"),
        ("iban", "de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ("us_ssn", "123-45-6789", "123456789"),
        ("us_ssn", "123-45-6789", "\uff11\uff12\uff13-45-67\u200b89"),
        ("ipv6_address", "2001:DB8::1", "2001:0db8:0:0:0:0:0:1"),
        ("mac_address", "00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e"),
    ],
)
@pytest.mark.parametrize("action", ["hash", "pseudonymize"])
def test_one_value_spelled_twice_has_one_token(pii_type: str, one: str, same: str, action: str) -> None:
    assert act(pii_type, action, one) == act(pii_type, action, same)


@pytest.mark.parametrize(
    ("pii_type", "one", "other"),
    [
        ("bitcoin_address", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "1boatSLRHtKNngkdXEeobR76b53LETtpyT"),
        ("password", "Secret", "secret"),
        ("person_name", "Jane Doe", "Janet Doe"),
        ("phone_number", "+14155552671", "+14155552672"),
        ("customer_number", "--", "-"),
    ],
)
def test_two_values_have_two_tokens(pii_type: str, one: str, other: str) -> None:
    assert act(pii_type, "hash", one) != act(pii_type, "hash", other)


def test_a_lone_surrogate_has_a_token_too() -> None:
    assert act("person_name", "hash", "\ud800") != act("person_name", "hash", "\udfff")


@pytest.mark.parametrize("pii_type", sorted(CATALOGUE))
def test_no_default_action_leaves_the_example_as_it_is(pii_type: str) -> None:
    kind = CATALOGUE[pii_type]
    kept = act(pii_type, kind.action, kind.example, dict(kind.config))
    assert kept is None or kind.example not in kept
