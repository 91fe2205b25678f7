import pytest

from api.privacy.catalogue import CATALOGUE
from api.privacy.column_names import read_name
from api.privacy.detection import MAX_TEXT, UNEXAMINED, Detector, Finding

ALL = Detector(CATALOGUE, column_map={}, threshold=0.5)


@pytest.mark.parametrize(
    ("column", "pii_type"),
    [
        ("email", "email_address"),
        ("customerEMail_2", "email_address"),
        ("E-Mail-Adresse", "email_address"),
        ("correo electrónico", "email_address"),
        ("Vorname", "first_name"),
        ("prénom", "first_name"),
        ("NACHNAME", "last_name"),
        ("apellidos", "last_name"),
        ("nom_de_famille", "last_name"),
        ("customer_name", "person_name"),
        ("dob", "date_of_birth"),
        ("Geburtsdatum", "date_of_birth"),
        ("fechaNacimiento", "date_of_birth"),
        ("IPAddress", "ipv4_address"),
        ("Telefonnummer", "phone_number"),
        ("Straße", "street_address"),
        ("zip5", "postal_code"),
        ("AGE", "age"),
        ("patient.mrn", "medical_record_number"),
    ],
)
def test_a_column_s_name_tells_in_many_languages(column: str, pii_type: str) -> None:
    assert read_name(column, CATALOGUE.keys()).types[0] == pii_type


@pytest.mark.parametrize(
    "column",
    [
        "email_domain", "has_phone", "num_phones", "product_name", "hour_sin", "cell_size", "age_group", "name_length",
        "number_of_addresses", "phone_type", "packages", "image", "message", "gender", "income", "loan_amount", "x",
    ],
)  # fmt: skip
def test_a_name_that_speaks_of_something_else_tells_nothing(column: str) -> None:
    assert read_name(column, CATALOGUE.keys()).types == ()


def test_the_column_map_comes_first_and_whatever_the_types() -> None:
    detector = Detector([], column_map={"x": "gender"}, threshold=1.0)
    assert detector.find("x", "f") == [Finding(0, 1, "gender", 1.0, "column map")]
    assert detector.find("x", 2.5) == [Finding(0, 3, "gender", 1.0, "column map")]
    assert detector.find("x", None) == []
    assert detector.find("x", "") == []
    assert detector.find("y", "f") == []


@pytest.mark.parametrize(
    ("column", "value", "score", "how"),
    [
        ("card_number", "4111111111111111", 0.98, "full validation and column name"),
        ("field_7", "4111111111111111", 0.9, "full validation"),
        ("field_7", "39053344705", 0.9, "check digit"),
        ("cpf", "39053344705", 0.98, "check digit and column name"),
        ("field_7", "314214987", 0.6, "one check digit"),
        ("phone", "0123 456 789", 0.8, "form and column name"),
        ("first_name", "Zoë", 0.8, "form and column name"),
        ("religion", "none of it", 0.55, "column name"),
        ("phone", "ask at the desk", 0.55, "column name"),
    ],
)
def test_scores_say_how_sure_it_is(column: str, value: str, score: float, how: str) -> None:
    finding = ALL.find(column, value)[0]
    assert (finding.score, finding.how) == (score, how)


def test_the_threshold_cuts() -> None:
    assert Detector(CATALOGUE, column_map={}, threshold=0.6).find("field_7", "314214987")
    assert not Detector(CATALOGUE, column_map={}, threshold=0.61).find("field_7", "314214987")
    assert not ALL.find("field_7", "1984-03-12")


def test_a_check_digit_proves_less_where_the_name_speaks_of_quantities() -> None:
    assert ALL.find("order_number", "314214987") == []
    assert ALL.find("order_number", "4111111111111111")[0].pii_type == "credit_card_number"


@pytest.mark.parametrize("value", ["", "n/a", "Unknown", "-"])
def test_a_value_that_says_nothing_is_nothing(value: str) -> None:
    assert ALL.find("email", value) == []


def test_a_better_proof_beats_a_name() -> None:
    assert ALL.find("user_id", "jane@example.com")[0].pii_type == "email_address"


def test_words_before_a_value_tell_as_a_name_does() -> None:
    text = "Patient born 1984-03-12, MRN 0048213, passport no C01X00T47, SSN 536904399, order 123456, seen 2024-05-06."
    found = {text[finding.start : finding.end]: finding.pii_type for finding in ALL.find("notes", text)}
    assert found == {
        "1984-03-12": "date_of_birth",
        "0048213": "medical_record_number",
        "C01X00T47": "passport_number",
        "536904399": "us_ssn",
    }


def test_a_text_longer_than_can_be_looked_at_is_one_finding() -> None:
    text = "a" * (MAX_TEXT + 1)
    for found in (ALL.find("notes", text), ALL.find_in_text(text)):
        assert [(finding.start, finding.end, finding.pii_type) for finding in found] == [(0, len(text), UNEXAMINED)]


def test_a_text_with_more_to_check_than_its_length_allows_is_one_finding() -> None:
    text = "+14155552671 " * 1_000
    assert [finding.pii_type for finding in ALL.find_in_text(text)] == [UNEXAMINED]


def test_of_overlapping_findings_the_surer_stays() -> None:
    text = "see https://jane:hunter22@example.com/x today"
    assert [finding.pii_type for finding in ALL.find_in_text(text)] == ["url_with_credentials"]
