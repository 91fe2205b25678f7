"""How much personal data is found, and how much of what is found is none: recall and precision per type.

Run by hand: `uv run python -m tests.benchmarks.privacy_accuracy [--threshold 0.5]`. Values are Faker's, of 25 locales,
and for numbers it has none of, random ones that pass the official check. Each value is looked at three times: alone in
a column of no telling name ("alone"), in one with a telling name ("named") and within a sentence ("in text").
"as such" is the share of those found alone that also got the right one of several possible types: many countries'
numbers cannot be told apart without a name. Precision counts what is found, under any name, in the hard negatives
of `privacy_negatives`, each in its natural column and in one of no telling name.

The last line is the check: types with check digits have a recall of at least 0.99 alone and named, and a precision of
at least 0.98 with the negatives in their natural columns; exit code 1 when one has not. "weak" types have one check
digit: one in ten numbers of their length passes by chance.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from api.privacy.catalogue import CATALOGUE
from api.privacy.detection import Detector, Finding
from tests.benchmarks.privacy_negatives import make_negatives
from tests.benchmarks.privacy_values import CHECKED, WEAK, make_values

PER_TYPE = 200
MIN_RECALL, MIN_PRECISION = 0.99, 0.98
NEUTRAL = "field_7"
SENTENCE = "Noted on the call, {} as given, see the file."


@dataclass
class Tally:
    """What happened to the values of one type; `false` counts negatives found as this type, by kind of column."""

    values: int = 0
    alone: int = 0
    named: int = 0
    in_text: int = 0
    as_such: int = 0
    false: Counter[str] = field(default_factory=Counter)

    def precision(self, column: str) -> float:
        """Return the share of right ones among what was found as this type, in columns of one kind."""
        found = self.named if column == "natural" else self.alone
        return found / (found + self.false[column]) if found + self.false[column] else 1.0


def measure(threshold: float) -> dict[str, Tally]:
    """Return the tally of every type that values are made of, or that a negative was taken for."""
    detector = Detector(CATALOGUE, column_map={}, threshold=threshold)
    tallies = {name: Tally() for name in CATALOGUE}
    for name, values in make_values(PER_TYPE).items():
        column = next(iter(CATALOGUE[name].columns), name).lstrip("=").replace(" ", "_")
        for value in values:
            _look_at(detector, tallies[name], name, column, value)
    for column, value in make_negatives():
        for kind, name in (("natural", column), ("neutral", NEUTRAL)):
            for finding in detector.find(name, value):
                tallies[finding.pii_type].false[kind] += 1
    return tallies


def _look_at(detector: Detector, tally: Tally, name: str, column: str, value: str) -> None:
    alone = detector.find(NEUTRAL, value)
    sentence = SENTENCE.format(value)
    start = sentence.index(value)
    covered = [f for f in detector.find("notes", sentence) if f.start <= start and f.end >= start + len(value)]
    tally.values += 1
    tally.alone += _is_covered(alone, value)
    tally.as_such += _is_covered(alone, value) and alone[0].pii_type == name
    tally.named += _is_covered(detector.find(column, value), value)
    tally.in_text += bool(covered)


def _is_covered(findings: list[Finding], value: str) -> bool:
    return bool(findings) and findings[0].start == 0 and findings[0].end >= len(value)


def _rows(tallies: dict[str, Tally]) -> Iterator[tuple[str, list[str]]]:
    for name, tally in tallies.items():
        if not tally.values and not tally.false:
            continue
        kind = "check digits" if name in CHECKED else "weak" if name in WEAK else CATALOGUE[name].detector
        shares = [tally.alone, tally.named, tally.in_text]
        recall = [f"{share / tally.values:.3f}" if tally.values else "" for share in shares]
        as_such = f"{tally.as_such / tally.alone:.3f}" if tally.alone else ""
        precision = [f"{tally.precision(column):.3f}" for column in ("neutral", "natural")]
        yield kind, [name, kind, str(tally.values), *recall, as_such, *precision]


def _print(tallies: dict[str, Tally], negatives: int, threshold: float) -> None:
    table = Table(title=f"At threshold {threshold}, {negatives} negatives")
    for heading in ("type", "kind", "values", "alone", "named", "in text", "as such", "precision", "natural columns"):
        table.add_column(heading, justify="left" if heading in {"type", "kind"} else "right")
    for _, row in sorted(_rows(tallies), key=lambda row: (row[0], row[1])):
        table.add_row(*row)
    Console(width=130).print(table)


def _failures(tallies: dict[str, Tally]) -> list[str]:
    failures = []
    for name in (*CHECKED, *WEAK):
        tally = tallies[name]
        recall = min(tally.alone, tally.named) / tally.values
        precision = tally.precision("natural")
        if recall < MIN_RECALL or precision < MIN_PRECISION:
            failures.append(f"{name}: recall {recall:.3f}, precision {precision:.3f}")
    return failures


def main() -> None:
    """Measure, print the table, and end with 1 when a type with check digits misses the mark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--threshold", type=float, default=0.5)
    threshold = parser.parse_args().threshold
    tallies = measure(threshold)
    _print(tallies, len(make_negatives()), threshold)
    failures = _failures(tallies)
    print("\n".join(failures) or f"All {len(CHECKED) + len(WEAK)} types with check digits keep the marks.")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
