"""Every name that the catalogue calls telling tells, though it holds a word that speaks about others."""

import pytest

from api.privacy.catalogue import CATALOGUE
from api.privacy.column_names import read_name


@pytest.mark.parametrize("pii_type", [name for name, kind in CATALOGUE.items() if kind.columns])
def test_all_phrases_of_a_type_tell_it(pii_type: str) -> None:
    phrases = [phrase.lstrip("=") for phrase in CATALOGUE[pii_type].columns]
    assert [phrase for phrase in phrases if pii_type not in read_name(phrase, CATALOGUE).types] == []


@pytest.mark.parametrize("name", ["has_blood_type", "email_domain", "phone_count", "num_phones", "card_valid_count"])
def test_names_of_something_about_a_type_do_not(name: str) -> None:
    assert read_name(name, CATALOGUE).types == ()
