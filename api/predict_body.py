"""Reading the body of a prediction: fast when it is right, and naming row and field when it is not."""

import json
import math
from typing import Any

import msgspec

from api.errors import FieldError, Invalid, field_error
from api.schemas.predictions import MAX_ROWS, InputRow, PredictOptions, PredictRequest

_DEFAULT = PredictOptions()
_decode_whole = msgspec.json.Decoder(PredictRequest).decode
_decode_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_row = msgspec.json.Decoder(InputRow).decode
_OUT_OF_RANGE = ("Number out of range", "Integer value out of range")
_LONGEST_INTEGER = 400


class _InParts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    inputs: msgspec.Raw
    options: PredictOptions | None = None


_decode_parts = msgspec.json.Decoder(_InParts).decode


class PredictBody(msgspec.Struct, frozen=True):
    """What a caller asks. `doubt` is what is wrong with JSON that only a lenient reader takes (NaN, 1e999)."""

    rows: list[InputRow]
    is_list: bool
    options: PredictOptions
    size_bytes: int
    doubt: Any = None  # Invalid | None; msgspec knows no exceptions

    def check(self) -> None:
        """Raise Invalid for what no model could answer: no rows, or too many."""
        if not self.rows:
            raise Invalid(FieldError("inputs", "holds no rows"))
        if len(self.rows) > MAX_ROWS:
            message = f"holds {len(self.rows)} rows; at most {MAX_ROWS} go into one request"
            raise Invalid(FieldError("inputs", message))

    @property
    def fits(self) -> bool:
        """Say whether there are rows, and no more than a request may have."""
        return 0 < len(self.rows) <= MAX_ROWS

    def place(self, row: int, field: str | None) -> str:
        """Return the path of a field of a row, as it stands in the body."""
        path = f"inputs[{row}]" if self.is_list else "inputs"
        return path if field is None else f"{path}.{field}"


def read_body(raw: bytes) -> PredictBody:
    """Decode in one go: fast, but the interpreter does nothing else meanwhile. Raises Invalid."""
    try:
        return _body(_decode_whole(raw), len(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _read_leniently(raw, error)


def read_large_body(raw: bytes) -> PredictBody:
    """Decode row by row, so that other threads have their turns. Raises Invalid."""
    try:
        parts = _decode_parts(raw)
        if bytes(memoryview(parts.inputs)[:1]) != b"[":
            return read_body(raw)
        rows = [_decode_row(row) for row in _decode_rows(parts.inputs)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return read_body(raw)
    return PredictBody(rows, True, parts.options or _DEFAULT, len(raw))


def _body(request: PredictRequest, size_bytes: int, doubt: Invalid | None = None) -> PredictBody:
    is_list = isinstance(request.inputs, list)
    rows = request.inputs if isinstance(request.inputs, list) else [request.inputs]
    return PredictBody(rows, is_list, request.options or _DEFAULT, size_bytes, doubt)


def _read_leniently(raw: bytes, error: Exception) -> PredictBody:
    """Read JSON that the strict reader refuses, so that the model's encoder can name the row and field at fault."""
    doubt = _explain(error)
    if isinstance(error, msgspec.ValidationError) and not str(error).startswith(_OUT_OF_RANGE):
        raise doubt from error
    try:
        return _body(msgspec.convert(_loads(raw), PredictRequest), len(raw), doubt)
    except msgspec.ValidationError as wrong:
        raise Invalid(field_error(wrong)) from wrong
    except (ValueError, RecursionError) as unreadable:
        raise doubt from unreadable


def _loads(raw: bytes) -> Any:  # noqa: ANN401
    return json.loads(raw.decode("utf-8"), parse_int=_integer)


def _integer(digits: str) -> int | float:
    """Read an integer; one beyond any float is infinite, and refused as such."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else math.inf


def _explain(error: Exception) -> Invalid:
    if isinstance(error, msgspec.ValidationError):
        return Invalid(field_error(error))
    if isinstance(error, RecursionError):
        return Invalid(FieldError("body", "The body is nested too deeply"))
    if isinstance(error, UnicodeDecodeError):
        return Invalid(FieldError("body", "The body is not UTF-8 text"))
    return Invalid(FieldError("body", f"The body is not valid JSON: {error}"))
