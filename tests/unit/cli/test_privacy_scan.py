"""`pilothouse privacy scan`: what it finds in files, what it says of it, and that it shows no value."""

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from stdnum import luhn

from api.cli.main import main

CARD = 4111111111111111
MAIL = "kanarie@example.org"


def scan(path: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["privacy", "scan", str(path), *options])


def report(path: Path, *options: str) -> dict[str, Any]:
    result = scan(path, "--json", *options)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def shares(found: dict[str, Any]) -> dict[tuple[str, str], float]:
    return {(each["column"], each["pii_type"]): each["share"] for each in found["found"]}


def people(rows: int = 40) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "count": [place * 1.5 for place in range(rows)],
            "who": [f"{place}{MAIL}" if place % 4 == 0 else "nobody" for place in range(rows)],
            "paid with": [CARD if place % 2 else None for place in range(rows)],
            "remark": [f"ask {MAIL} or {MAIL}" if place == 7 else "fine" for place in range(rows)],
            "last_name": ["Zwetschge"] * rows,
        }
    )


@pytest.fixture(params=["csv", "parquet"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[pl.DataFrame], Path]:
    """Return a function that writes a frame as CSV and as Parquet."""

    def write(frame: pl.DataFrame) -> Path:
        path = tmp_path / f"data.{request.param}"
        frame.write_csv(path) if request.param == "csv" else frame.write_parquet(path)
        return path

    return write


def test_columns_are_named_with_type_share_and_score(write: Callable[[pl.DataFrame], Path]) -> None:
    found = report(write(people()))
    assert (found["rows"], found["columns"]) == (40, 5)
    assert shares(found) == {
        ("who", "email_address"): 0.25,
        ("paid with", "credit_card_number"): 1.0,  # of the values that are there
        ("remark", "email_address"): 1 / 40,
        ("last_name", "last_name"): 1.0,
    }
    assert all(0.5 <= each["score"] <= 1 and each["how"] for each in found["found"])


def test_values_are_never_shown(write: Callable[[pl.DataFrame], Path]) -> None:
    path = write(people())
    for result in (scan(path), scan(path, "--json")):
        assert result.exit_code == 0
        assert not [value for value in ("kanarie", str(CARD), "Zwetschge") if value in result.output]


def test_the_table_is_for_people(write: Callable[[pl.DataFrame], Path]) -> None:
    lines = scan(write(people())).output.splitlines()
    assert lines[0].split() == ["Column", "Type", "Share", "Score", "Because", "of"]
    assert [line for line in lines if line.startswith("who") and "E-mail address" in line and "25.0 %" in line]
    assert lines[-1] == "40 rows: personal data in 4 of 5 columns"


@pytest.mark.parametrize(("options", "status"), [((), 0), (("--fail-on-found",), 3)])
def test_found_data_fails_only_where_wanted(tmp_path: Path, options: tuple[str, ...], status: int) -> None:
    people().write_csv(tmp_path / "people.csv")
    assert scan(tmp_path / "people.csv", *options).exit_code == status
    people().select("count").write_csv(tmp_path / "amounts.csv")
    clean = scan(tmp_path / "amounts.csv", "--fail-on-found")
    assert clean.exit_code == 0
    assert clean.output == "40 rows: personal data in none of 1 columns\n"


def test_threshold_and_share_cut(write: Callable[[pl.DataFrame], Path]) -> None:
    path = write(people())
    assert ("remark", "email_address") not in shares(report(path, "--min-share", "0.1"))
    assert shares(report(path, "--threshold", "1")) == {}
    assert scan(path, "--threshold", "1.2").exit_code == 2


def test_only_the_first_rows_are_read_where_asked(write: Callable[[pl.DataFrame], Path]) -> None:
    found = report(write(people()), "--rows", "4")
    assert found["rows"] == 4
    assert shares(found)[("who", "email_address")] == 0.25
    assert ("remark", "email_address") not in shares(found)


def test_rows_of_many_pieces_are_all_counted(write: Callable[[pl.DataFrame], Path]) -> None:
    frame = pl.DataFrame({"who": [MAIL if place % 10 == 0 else f"n{place % 50}" for place in range(30_000)]})
    found = report(write(frame))
    assert found["rows"] == 30_000
    assert [(each["values"], each["share"]) for each in found["found"]] == [(3_000, 0.1)]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_told(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "data.txt"
    people().write_csv(path, separator=separator)
    assert ("last_name", "last_name") in shares(report(path))


def test_a_file_without_header_shows_no_value_as_a_name(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text(f"{MAIL},1\nother{MAIL},2\n")
    found = report(path)
    assert (found["has_header"], found["rows"]) == (False, 2)
    assert shares(found) == {("column 1", "email_address"): 1.0}
    assert "kanarie" not in scan(path).output
    assert "The first line holds values" in scan(path).output


def test_leading_zeros_quotes_and_broken_bytes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b'note,postal_code\n"line one\nmail ' + MAIL.encode() + b'",01067\ncaf\xe9,01069\n')
    found = shares(report(path))
    assert found == {("note", "email_address"): 0.5, ("postal_code", "postal_code"): 1.0}


def test_numbers_of_a_csv_are_numbers_unless_they_begin_as_none(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    rows = [f"{place / 7},{CARD},+44 20 7946 08{place:02}" for place in range(10, 60)]
    path.write_text("\n".join(["amount,paid,call", *rows]))
    assert set(shares(report(path))) == {("paid", "credit_card_number"), ("call", "phone_number")}


def test_a_column_of_numbers_with_check_digits_is_told_where_one_is_not(write: Callable[[pl.DataFrame], Path]) -> None:
    imei = [490154200000000 + 10 * place for place in range(60)]
    valid = [number + int(luhn.calc_check_digit(str(number)[:-1])) for number in imei]
    mixed = [number + place % 10 for place, number in enumerate(imei)]
    found = shares(report(write(pl.DataFrame({"a": valid, "b": mixed}))))
    assert found == {("a", "imei"): 1.0}


def test_nested_and_typed_columns_are_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "data.parquet"
    frame = pl.DataFrame(
        {
            "contact": [{"email": MAIL, "seen": True}, {"email": None, "seen": None}],
            "tags": [["a", MAIL], []],
            "date_of_birth": [date(1957, 3, 14), None],
            "card": [Decimal(CARD), None],
            "kind": pl.Series([MAIL, None], dtype=pl.Categorical),
            "photo": [b"\x00\x01", None],
            "ok": [True, False],
        }
    )
    frame.write_parquet(path)
    found = report(path)
    assert set(shares(found)) == {
        ("contact", "email_address"),
        ("tags", "email_address"),
        ("date_of_birth", "date_of_birth"),
        ("card", "credit_card_number"),
        ("kind", "email_address"),
    }
    assert found["not_looked_at"] == {"photo": "its values are binary"}
    assert "Not looked at: photo, its values are binary" in scan(path).output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "is a zip archive"),
        (b"a,b\n\x00\x01", "is neither CSV (UTF-8) nor Parquet"),
        (b"PAR1" + b"kanarie" * 40, "cannot be read as a table"),
        (b'a,b\n"kanarie,2\n', "cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(content)
    result = scan(path)
    assert result.exit_code == 1
    assert said in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert "kanarie" not in result.output


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert scan(tmp_path / "none.csv").exit_code == 2
