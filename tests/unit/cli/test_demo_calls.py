"""Curl lines do what the calls do."""

import json
import shlex
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from api.cli.demo.calls import Call, curl


def test_the_key_is_left_to_the_shell() -> None:
    line = curl(Call("GET", "http://localhost:8888/api/projects"))
    assert line == 'curl -sS http://localhost:8888/api/projects -H "Authorization: Bearer $PILOTHOUSE_KEY"'


def test_prefect_gets_no_key() -> None:
    assert "Authorization" not in curl(Call("GET", "http://localhost:4200/api/health", keyed=False))


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20) | st.integers() | st.none(), max_size=4))
def test_any_body_survives_the_shell(body: dict[str, str | int | None]) -> None:
    words = shlex.split(curl(Call("POST", "http://h/x", body)))
    assert json.loads(words[words.index("-d") + 1]) == body
    assert words[words.index("-X") + 1] == "POST"


def test_files_and_texts_of_a_form() -> None:
    form: dict[str, str | Path] = {"file": Path('/a b/it"s.zip'), "name": "x; type=y"}
    words = shlex.split(curl(Call("POST", "http://h/x", form=form)))
    assert words[-4:] == ["-F", r'file=@"/a b/it\"s.zip"', "-F", 'name="x; type=y"']


def test_a_body_in_a_file() -> None:
    words = shlex.split(curl(Call("POST", "http://h/x", body_file=Path("/b/a b.json"))))
    assert words[-2:] == ["--data-binary", "@/b/a b.json"]
    assert "Content-Type: application/json" in words
