"""A call over HTTP as data: made by httpx, shown as curl."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEY_VARIABLE = "PILOTHOUSE_KEY"


@dataclass(frozen=True)
class Call:
    """One request. At most one of `body` (JSON), `body_file` (JSON in a file) and `form` (multipart) is given.

    Form values that are paths are sent as files. `keyed` calls carry the API key; Prefect's do not.
    """

    method: str
    url: str
    body: dict[str, Any] | None = None
    body_file: Path | None = None
    form: dict[str, str | Path] = field(default_factory=dict)
    keyed: bool = True


def curl(call: Call) -> str:
    """Return the command line that does the same, the key read from $PILOTHOUSE_KEY."""
    words = ["curl", "-sS"]
    if call.method != "GET":
        words += ["-X", call.method]
    words.append(shlex.quote(call.url))
    if call.keyed:
        words += ["-H", f'"Authorization: Bearer ${KEY_VARIABLE}"']
    if call.body is not None or call.body_file is not None:
        words += ["-H", "'Content-Type: application/json'"]
    if call.body is not None:
        words += ["-d", shlex.quote(json.dumps(call.body))]
    if call.body_file is not None:
        words += ["--data-binary", shlex.quote(f"@{call.body_file}")]
    for name, value in call.form.items():
        words += ["-F", shlex.quote(f"{name}={_form_value(value)}")]
    return " ".join(words)


def _form_value(value: str | Path) -> str:
    """Quote as curl's -F reads it: inside quotes only the quote and the backslash are special."""
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'@"{escaped}"' if isinstance(value, Path) else f'"{escaped}"'
