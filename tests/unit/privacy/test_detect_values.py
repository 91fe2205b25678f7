import pytest

from api.privacy.catalogue import CATALOGUE, PiiType
from api.privacy.detection import Detector
from tests.benchmarks.privacy_negatives import make_negatives

ALL = Detector(CATALOGUE, column_map={}, threshold=0.5)
# Anyone's check digit: the same value is a valid number of another country as well.
AMBIGUOUS = {"lt_asmens_kodas", "ua_rntrc", "ca_sin", "au_tfn", "il_identity_number", "us_dea_number", "id_nik"}
BY_VALUE = [pii_type for pii_type in CATALOGUE.values() if pii_type.detector == "value"]
BY_NAME = [pii_type for pii_type in CATALOGUE.values() if pii_type.columns]


@pytest.mark.parametrize("pii_type", BY_VALUE, ids=lambda pii_type: pii_type.name)
def test_recognises_a_value_by_itself(pii_type: PiiType) -> None:
    finding = ALL.find("field_7", pii_type.example)[0]
    assert (finding.start, finding.end) == (0, len(pii_type.example))
    assert finding.pii_type == pii_type.name or pii_type.name in AMBIGUOUS


@pytest.mark.parametrize("pii_type", BY_NAME, ids=lambda pii_type: pii_type.name)
def test_a_telling_name_settles_which_type_it_is(pii_type: PiiType) -> None:
    only = Detector([pii_type.name], column_map={}, threshold=0.5)
    finding = only.find(pii_type.columns[0].lstrip("=").replace(" ", "_"), pii_type.example)[0]
    assert (finding.pii_type, finding.start, finding.end) == (pii_type.name, 0, len(pii_type.example))
    assert "column name" in finding.how


@pytest.mark.parametrize("pii_type", BY_VALUE, ids=lambda pii_type: pii_type.name)
def test_finds_a_value_within_a_sentence(pii_type: PiiType) -> None:
    text = f"They gave {pii_type.example} over there."
    if pii_type.name in {"private_key", "user_agent"}:
        text = f"They gave {pii_type.example}"
    start = text.index(pii_type.example)
    found = ALL.find("notes", text)
    assert any(finding.start <= start and finding.end >= start + len(pii_type.example) for finding in found)


@pytest.mark.parametrize("pii_type", BY_VALUE, ids=lambda pii_type: pii_type.name)
def test_finds_only_what_it_is_asked_for(pii_type: PiiType) -> None:
    others = Detector(CATALOGUE.keys() - {pii_type.name}, column_map={}, threshold=0.0)
    assert all(finding.pii_type != pii_type.name for finding in others.find("field_7", pii_type.example))


@pytest.mark.parametrize(
    "written",
    [
        "4111-1111-1111-1111",
        "４１１１１１１１１１１１１１１１",  # full width
        "٤١١١١١١١١١١١١١١١",  # Arabic-Indic
        "4111\u200b1111\u200b1111\u200b1111",  # zero width spaces
        "4111–1111–1111–1111",  # dashes
        "4111\u00a01111\u00a01111\u00a01111",  # no-break spaces
        " 4111111111111111 ",
    ],
)
def test_sees_through_the_ways_to_write_a_card_number(written: str) -> None:
    finding = ALL.find("field_7", written)[0]
    assert (finding.pii_type, finding.start, finding.end) == ("credit_card_number", 0, len(written))


def test_spans_stand_where_the_text_has_them_after_folding() -> None:
    text = "ﬁle\u200b №1 — mail ｊａｎｅ＠example.com!"
    finding = ALL.find_in_text(text)[0]
    assert text[finding.start : finding.end] == "ｊａｎｅ＠example.com"


@pytest.mark.parametrize("number", [4111111111111111, 4111111111111111.0])
def test_finds_a_card_number_sent_as_a_number(number: float) -> None:
    finding = ALL.find("field_7", number)[0]
    assert (finding.pii_type, finding.end) == ("credit_card_number", len(str(number)))


@pytest.mark.parametrize("number", [0, -5, 17.25, 12_345, 123_456_782, 10**400, float("nan"), float("inf"), 1e300])
def test_takes_ordinary_numbers_for_what_they_are(number: float) -> None:
    assert ALL.find("field_7", number) == []


def test_hard_negatives_in_their_columns_are_left_alone() -> None:
    negatives = make_negatives()
    found = [(column, value) for column, value in negatives if ALL.find(column, value)]
    assert len(found) <= len(negatives) // 500


@pytest.mark.parametrize(
    "text",
    [
        "debt_consolidation",
        "std::vector at 12:30:45",
        "2024-03-12T10:00:00Z",
        "v1.2.3.4",
        "0.12345, 0.23456, 0.34567",
        "ab:cd:ef:01:23:45:67:89",
        "6d92078a-8246-4ba4-ae5b-76104861e7dc",
    ],
)
def test_leaves_alone_what_only_looks_alike(text: str) -> None:
    assert ALL.find("field_7", text) == []


@pytest.mark.parametrize(
    "number",
    ["4222222222222", "5555555555554444", "2223003122003222", "378282246310005", "30569309025904", "3530111333300000",
     "6011111111111117", "6200000000000005", "6759649826438453", "6957753884333190", "2200000000000053"],
)  # fmt: skip
def test_knows_the_ranges_of_the_issuers(number: str) -> None:
    assert ALL.find("field_7", number)[0].pii_type == "credit_card_number"


@pytest.mark.parametrize("ssn", ["078-05-1120", "219-09-9999", "457-55-5462"])
def test_numbers_printed_as_examples_are_personal_like_any_other(ssn: str) -> None:
    """Somebody's number all the same, however often it was copied from an advertisement."""
    assert [finding.pii_type for finding in ALL.find("notes", f"SSN {ssn}")] == ["us_ssn"]
    assert ALL.find("field_7", ssn)


@pytest.mark.parametrize("never", ["000-12-3456", "666-12-3456", "912-12-3456", "123-00-3456", "123-45-0000"])
def test_what_is_never_given_out_is_no_ssn(never: str) -> None:
    assert all(finding.pii_type != "us_ssn" for finding in ALL.find("field_7", never))
