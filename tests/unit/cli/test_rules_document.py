"""YAML with line numbers."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.cli.rules.document import FileWrong, read_document, shown_path

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES.filter(lambda value: value is not None))
def test_values_are_those_of_yaml(value: object) -> None:
    text = yaml.safe_dump(value)
    assert read_document(text, "f").value == yaml.safe_load(text)


def test_each_value_knows_its_line() -> None:
    document = read_document("a: 1\nb:\n  - x\n  - c:\n      3\n", "f")
    assert document.problem(("b", 1, "c"), "").line == 4
    assert document.problem(("b", 0), "").line == 3
    assert document.problem(("b", 1, "unknown", "deeper"), "").line == 4
    assert document.problem((), "").line == 1


def test_own_keys_win_over_merged_ones() -> None:
    document = read_document("base: &b {x: 1, y: 2}\nown:\n  y: 3\n  <<: *b\n", "f")
    assert document.value["own"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f:1: the file is empty"),
        ("a: [1\nb: 2\n", "f:2: "),
        ("a: 1\nb: 2\na: 3\n", "f:3: 'a' is given twice"),
        ("a:\n  on: 1\n", "f:2: a: the key on is no text: put it in quotes"),
        ("a: 1\n---\nb: 2\n", "f:2: but found another document"),
        ("a: &x [*x]\n", "f:1: an alias stands for too much"),
        ("a: !!python/object/apply:os.system [ls]\n", "f:1: the tag 'tag:yaml.org,2002:python/object/apply:os"),
        ("a: 1\nb: 2030-13-45\n", "f:2: looks like a number or a date"),
        ("? [a]\n: 1\n", "f:1: the key "),
        ("[" * 5000, "f:1: is nested too deeply"),
        ("a: !mine x\n", "f:1: could not determine a constructor for the tag '!mine'"),
        ("a: 1\nb: \x00", "f:2: the character '\\x00' is not allowed"),
    ],
)
def test_what_cannot_be_used_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(FileWrong) as refused:
        read_document(text, "f")
    assert str(refused.value).startswith(said)


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(FileWrong, match="an alias stands for too much"):
        read_document("\n".join(lines), "f")


def test_paths_read_as_written() -> None:
    assert shown_path(("rules", 0, "config", "to", 1)) == "rules[0].config.to[1]"
