"""Reading `model.ini`, the text that heads a MOJO, the way H2O's own reader does."""

import re
from dataclasses import dataclass

from api.scoring.errors import MojoRefused, shown

_LINE_END = re.compile(r"\r\n|\n|\r")  # as Java's readLine, which knows no other
_BLANK = "".join(map(chr, range(33)))  # as Java's trim
_KEY_VALUE = re.compile(r"\s*=\s*")
_DOMAIN = re.compile(r"(\d{1,9}):\s*(\d{1,9}) ([A-Za-z0-9_.-]{1,64})")


@dataclass(frozen=True)
class Domain:
    """Where the labels of a categorical column are: `domains/<file>`, `size` of them."""

    column: int
    size: int
    file: str


@dataclass(frozen=True)
class ModelIni:
    """The three sections of a model.ini."""

    info: dict[str, str]
    columns: list[str]
    domains: list[Domain]

    def text(self, key: str) -> str:
        """Return a value of the [info] section; raises MojoRefused when it is not there."""
        value = self.info.get(key)
        if value is None:
            raise MojoRefused(f"The model.ini of the MOJO does not say its {key}")
        return value

    def number(self, key: str, *, default: int | None = None) -> int:
        """Return a whole number of the [info] section, not negative; raises MojoRefused."""
        value = self.info.get(key)
        if value is None and default is not None:
            return default
        text = self.text(key)
        if not (text.isascii() and text.isdigit() and len(text) <= 9):
            raise MojoRefused(f"The model.ini of the MOJO has {shown(text)} for {key}, which must be a whole number")
        return int(text)


def parse_model_ini(data: bytes) -> ModelIni:
    """Parse a model.ini; raises MojoRefused when it is not one."""
    try:
        lines = _LINE_END.split(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MojoRefused("The model.ini of the MOJO is not UTF-8 text") from error
    if b"\0" in data:
        raise MojoRefused("The model.ini of the MOJO is not plain text")
    ini = ModelIni({}, [], [])
    section = ""
    for raw in lines:
        line = raw.strip(_BLANK)
        if not line or line.startswith("#"):
            continue
        if line in {"[info]", "[columns]", "[domains]"}:
            section = line
        else:
            _take_line(ini, section, line)
    if not ini.info or not ini.columns:
        raise MojoRefused("The model.ini of the MOJO is incomplete")
    return ini


def _take_line(ini: ModelIni, section: str, line: str) -> None:
    if section == "[info]":
        parts = _KEY_VALUE.split(line, maxsplit=1)
        if len(parts) != 2 or parts[0] in ini.info:
            raise MojoRefused(f"The model.ini of the MOJO has a line that cannot be read: {shown(line)}")
        ini.info[parts[0]] = parts[1]
    elif section == "[columns]":
        ini.columns.append(line)
    elif section == "[domains]":
        found = _DOMAIN.fullmatch(line)
        if not found:
            raise MojoRefused(f"The model.ini of the MOJO has a line that cannot be read: {shown(line)}")
        ini.domains.append(Domain(int(found[1]), int(found[2]), found[3]))
    else:
        raise MojoRefused("The model.ini of the MOJO does not start with [info]")
