import tomllib
from importlib.resources import files

import pytest

from api.privacy.catalogue import CATALOGUE, PiiType
from api.privacy.column_names import read_name
from api.privacy.rule_checks import check_rule

TYPES = pytest.mark.parametrize("pii_type", CATALOGUE.values(), ids=CATALOGUE.keys())


def test_knows_at_least_the_seventy_two_types_of_a_compliance_team() -> None:
    assert len(CATALOGUE) >= 72


@TYPES
def test_each_type_is_described_and_has_a_default_action_that_can_be(pii_type: PiiType) -> None:
    assert pii_type.title
    assert pii_type.description
    assert pii_type.example
    check_rule(pii_type.name, pii_type.action, pii_type.config)


@TYPES
def test_each_telling_phrase_names_its_type(pii_type: PiiType) -> None:
    for phrase in pii_type.columns:
        assert pii_type.name in read_name(phrase.lstrip("=").replace(" ", "_"), CATALOGUE.keys()).types


@TYPES
def test_a_type_only_a_map_can_give_says_so(pii_type: PiiType) -> None:
    if pii_type.is_map_only:
        assert "only a column map gives it" in pii_type.description
        assert not read_name(pii_type.name, CATALOGUE.keys()).types
    else:
        assert pii_type.columns


def test_names_are_unique_and_in_the_file_s_own_words() -> None:
    tables = tomllib.loads(files("api.privacy").joinpath("data/pii_types.toml").read_text(encoding="utf-8"))
    assert list(tables) == list(CATALOGUE)
    assert all(name == name.lower() and name.replace("_", "").isalnum() for name in tables)
