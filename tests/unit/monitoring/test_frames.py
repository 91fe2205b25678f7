"""Reading references: CSV and Parquet as models read them, and refusals that name the place."""

import datetime as dt
import random
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet as parquet_files

from monitoring.frames import ReferenceLimits, ReferenceRefused, read_reference, reference_matrix
from tests.drift_material import PlainFeature

AGE = PlainFeature("age", "numeric")
CITY = PlainFeature("city", "categorical", ("Delft", "Ghent"))
FLAG = PlainFeature("flag", "categorical", ("0", "1"))


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "reference"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(folder: Path, frame: pl.DataFrame) -> Path:
    path = folder / "reference"
    frame.write_parquet(path)
    return path


def test_csv_is_typed_by_the_models_features_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, "city,unused,age,bought\nDelft,x,20,yes\nNA,y,,no\n Ghent ,z,3e1,\n")
    frame = read_reference(path, [AGE, CITY], "bought")
    assert frame.schema == {"age": pl.Float64, "city": pl.String, "bought": pl.String}
    assert frame.rows() == [(20.0, "Delft", "yes"), (None, None, "no"), (30.0, "Ghent", "")]


def test_the_target_may_be_absent(tmp_path: Path) -> None:
    assert read_reference(write(tmp_path, "age\n1\n"), [AGE], "bought").columns == ["age"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_found_by_the_columns_wanted(tmp_path: Path, separator: str) -> None:
    text = "\n".join([separator.join(["city", "age"]), separator.join(["Delft", "1"])])
    assert read_reference(write(tmp_path, text), [AGE, CITY]).rows() == [(1.0, "Delft")]


def test_quotes_line_breaks_crlf_blank_lines_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    feature = PlainFeature('the "city"', "categorical")
    content = b'\xef\xbb\xbf\r\n"the ""city""",age\r\n"a,b",1\r\n\r\n"c\r\nd",2\r\n'
    assert read_reference(write(tmp_path, content), [AGE, feature]).rows() == [(1.0, "a,b"), (2.0, "c\r\nd")]


def test_numbers_may_be_missing_true_or_moments(tmp_path: Path) -> None:
    values = ["", "NA", "nan", "null", "inf", "-Infinity", "1e999", "true", "FALSE", " 7 "]
    values += ["2020-01-31", "2020-01-31 00:00:01", "2020-01-31T02:00:00+02:00", "01/31/2020"]
    frame = read_reference(write(tmp_path, "x,age\n" + "".join(f"0,{v}\n" for v in values)), [AGE])
    day = dt.datetime(2020, 1, 31, tzinfo=dt.UTC).timestamp() * 1000
    assert frame["age"].to_list() == [None] * 7 + [1.0, 0.0, 7.0, day, day + 1000, day, day]


def test_labels_take_the_models_spelling(tmp_path: Path) -> None:
    truth = PlainFeature("truth", "categorical", ("False", "True"))
    words = PlainFeature("word", "categorical", ("NA", "?"))
    rows = "1,true,NA\n1.0,TRUE,?\n0.00,false,x\n2,maybe,\n"
    frame = read_reference(write(tmp_path, "flag,truth,word\n" + rows), [FLAG, truth, words])
    assert frame["flag"].to_list() == ["1", "1", "0", "2"]
    assert frame["truth"].to_list() == ["True", "True", "False", "maybe"]
    assert frame["word"].to_list() == ["NA", "?", "x", None]


def test_parquet_columns_of_any_single_type_are_read(tmp_path: Path) -> None:
    moment = dt.datetime(2020, 1, 31, tzinfo=dt.UTC)
    frame = pl.DataFrame(
        {
            "float": [1.5, float("nan"), float("inf")],
            "int": [1, 2, None],
            "bool": [True, False, None],
            "text": ["1", "NA", "2.5"],
            "date": [dt.date(2020, 1, 31), None, None],
            "time": [moment, None, None],
            "null": [None, None, None],
            "flag": [1.0, 0.0, None],
            "truth": [True, False, None],
        }
    )
    path = parquet(tmp_path, frame)
    numeric = [PlainFeature(name, "numeric") for name in ("float", "int", "bool", "text", "date", "time", "null")]
    truth = PlainFeature("truth", "categorical", ("FALSE", "TRUE"))
    read = read_reference(path, [*numeric, FLAG, truth])
    stamp = moment.timestamp() * 1000
    assert read.row(0) == (1.5, 1.0, 1.0, 1.0, stamp, stamp, None, "1", "TRUE")
    assert read.row(1) == (None, 2.0, 0.0, None, None, None, None, "0", "FALSE")
    assert read.row(2) == (None, None, None, 2.5, None, None, None, None, None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"age,city\n", "no rows"),
        (b"age,city", "no rows"),
        (b"city\nDelft\n", "lacks column 'age'"),
        (b"age,age,city\n1,2,Delft\n", "'age' more than once"),
        (b"age,city\n1,Delft\nold,Ghent\n", r"column 'age', line 3: 'old' is not a number"),
        (b"age,city\n1,Delft\n1,Ghent,3\n", "line 3: Expected 2 columns, got 3"),
        (b"age,city\n1\n", "line 2: Expected 2 columns, got 1"),
        (b"age,city\n1,\xff\n", "line 2: .*UTF8"),
        (b'age,city\n1,Ghent\n1,"Delft\n2,Ghent\n', "a quote in line 3"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x1f\x8brest", "gzip"),
        ("age,city\n1,Delft\n".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02", "neither CSV"),
        (b"PAR1 and then nothing", "Parquet"),
        (b"PAR1", "Parquet"),
    ],
)
def test_refusals_say_what_and_where(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(ReferenceRefused, match=reason):
        read_reference(write(tmp_path, content), [AGE, CITY])


def test_a_lone_quote_inside_a_value_is_just_a_sign(tmp_path: Path) -> None:
    frame = read_reference(write(tmp_path, 'age,city\n1,5" pipe\n2,Ghent\n'), [AGE, CITY])
    assert frame["city"].to_list() == ['5" pipe', "Ghent"]


def test_the_line_is_right_far_down_the_file(tmp_path: Path) -> None:
    lines = ["age,filler"] + ["1," + "x" * 100] * 150_000 + ["one,x"]
    with pytest.raises(ReferenceRefused, match="line 150002: 'one' is not a number"):
        read_reference(write(tmp_path, "\n".join(lines)), [AGE])


def test_parquet_refusals_name_column_and_row(tmp_path: Path) -> None:
    path = parquet(tmp_path, pl.DataFrame({"age": ["1", "x"], "city": [["Delft"], None], "flag": ["a\0b", "c"]}))
    with pytest.raises(ReferenceRefused, match="column 'age', row 2: 'x' is not a number"):
        read_reference(path, [AGE])
    with pytest.raises(ReferenceRefused, match=r"column 'city', row 1: holds List"):
        read_reference(path, [CITY])
    with pytest.raises(ReferenceRefused, match=r"column 'flag', row 1: holds a NUL"):
        read_reference(path, [FLAG])
    with pytest.raises(ReferenceRefused, match="lacks columns 'p', 'q', 'r', 's', 't' and 1 more"):
        read_reference(path, [PlainFeature(name, "numeric") for name in "pqrstu"])


def test_limits_hold_for_both_kinds(tmp_path: Path) -> None:
    frame = pl.DataFrame({"age": [1, 2, 3], "city": ["Delft", "Ghent", "x" * 100]})
    text, table = tmp_path / "csv", tmp_path / "parquet"
    frame.write_csv(text)
    frame.write_parquet(table)
    for path in (text, table):
        assert read_reference(path, [AGE, CITY], limits=ReferenceLimits(max_rows=3)).height == 3
        with pytest.raises(ReferenceRefused, match=r"rows"):
            read_reference(path, [AGE], limits=ReferenceLimits(max_rows=2))
        with pytest.raises(ReferenceRefused, match="larger than 10 bytes"):
            read_reference(path, [AGE], limits=ReferenceLimits(max_bytes=10))
        with pytest.raises(ReferenceRefused, match="'city' is free text"):
            read_reference(path, [AGE, CITY], limits=ReferenceLimits(max_label_bytes=50))
        with pytest.raises(ReferenceRefused, match="too much memory"):
            read_reference(path, [AGE, CITY], limits=ReferenceLimits(max_frame_bytes=50))


def test_a_small_file_that_unfolds_to_a_terabyte_is_refused(tmp_path: Path) -> None:
    rows = 1_000_000
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array(["x" * rows]))
    path = tmp_path / "bomb"
    parquet_files.write_table(pa.table({"city": texts, "age": np.arange(rows)}), path, compression="zstd")
    with pytest.raises(ReferenceRefused, match="'city' is free text"):
        read_reference(path, [AGE, CITY])


def test_a_label_as_long_as_a_page_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "age,city\n1,Delft\n2," + "x" * 1_001 + "\n")
    with pytest.raises(ReferenceRefused, match="column 'city', line 3: is longer than 1,000 bytes"):
        read_reference(path, [AGE, CITY])


def test_damaged_parquet_never_ends_the_process(tmp_path: Path) -> None:
    frame = pl.DataFrame({"age": list(range(500)), "city": ["Delft", "Ghent"] * 250})
    whole = parquet(tmp_path, frame).read_bytes()
    chance = random.Random(7)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
        cut = chance.choice([len(damaged), chance.randrange(len(damaged))])
        try:
            read_reference(write(tmp_path, bytes(damaged[:cut])), [AGE, CITY])
        except ReferenceRefused:
            refused += 1
    assert refused > 150


def test_the_matrix_holds_numbers_and_places_in_the_domain() -> None:
    frame = pl.DataFrame({"age": [1.5, None, 3.0], "city": ["Ghent", None, "Pisa"]})
    matrix = reference_matrix(frame, [CITY, AGE])
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous
    np.testing.assert_array_equal(matrix, [[1.0, 1.5], [np.nan, np.nan], [np.nan, 3.0]])


def test_a_label_without_a_domain_is_missing_to_the_model() -> None:
    frame = pl.DataFrame({"city": ["Ghent"]})
    assert np.isnan(reference_matrix(frame, [PlainFeature("city", "categorical")])).all()
