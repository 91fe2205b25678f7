"""The tables the test models are trained on and the rows they score, plain and the same every time."""

import csv
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h2o

SEED = 20260
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Plain rows with the type of each column; the last column is the target."""

    rows: list[Row]
    types: dict[str, str]

    @property
    def target(self) -> str:
        return list(self.types)[-1]

    @property
    def features(self) -> list[str]:
        return list(self.types)[:-1]


def mixed_table(kind: str, rows: int = 600) -> Table:
    """Twenty features: numbers, integers, awkward category labels and holes, with a target that depends on them."""
    rng = random.Random(SEED)
    categories: dict[str, list[str]] = {
        "plan": ["basic", "very long plan name", "gold, plus", 'the "best"'],
        "city": ["Zürich", "São Paulo", "東京", "Paris"],
        "code": ["1", "2", "10", "007"],
        "rate": ["1.0", "2.5", "3.0"],
        "active": ["true", "false"],
        "flag": ["0", "1"],
        "Case": ["a", "A", "b"],
    }
    types = {f"x{i}": "numeric" for i in range(9)}
    types |= {"count items": "numeric", "age": "numeric", "is_new": "numeric", "größe": "numeric"}
    types |= dict.fromkeys(categories, "enum")
    table: list[Row] = []
    for _ in range(rows):
        row: Row = {f"x{i}": round(rng.gauss(i, 1 + i), 4) for i in range(9)}
        row |= {"count items": rng.randint(0, 40), "age": rng.randint(18, 90), "is_new": rng.randint(0, 1)}
        row["größe"] = round(rng.lognormvariate(3, 1), 3)
        row |= {name: rng.choice(labels) for name, labels in categories.items()}
        signal = row["x0"] + row["x1"] / 2 + row["age"] / 30 + (row["city"] == "東京") * 2 + (row["code"] == "10")
        signal += (row["plan"] == "gold, plus") * 1.5 - (row["active"] == "true") + rng.gauss(0, 0.6)
        for name in ("x2", "x5", "age", "city", "rate", "active"):
            if rng.random() < 0.06:
                row[name] = None
        row["target"] = _target(kind, signal)
        table.append(row)
    return Table(table, types | {"target": "numeric" if kind == "regression" else "enum"})


def _target(kind: str, signal: float) -> Any:
    if kind == "regression":
        return round(signal * 10, 3)
    if kind == "binomial":
        return "will leave" if signal > 3.2 else "stays (ça va)"
    return "10" if signal > 4.2 else "low risk" if signal > 2.6 else "2"


def packaged_table(name: str, target: str, enums: Sequence[str]) -> Table:
    """Read a CSV file that comes inside the h2o wheel, the target put last."""
    path = Path(h2o.__file__).parent / "h2o_data" / name
    with path.open(newline="") as file:
        raw = list(csv.DictReader(file))
    kept = [column for column in raw[0] if column not in {target, "ID"}] + [target]
    types = {column: "enum" if column in enums else "numeric" for column in kept}
    rows = [{column: _typed(record[column], types[column]) for column in kept} for record in raw]
    return Table(rows, types)


def _typed(text: str, kind: str) -> Any:
    return text if kind == "enum" else float(text)


def rows_to_score(table: Table) -> list[Row]:
    """Take real rows, then the same with holes, absent keys, unseen categories and far values, then nothing at all."""
    rng = random.Random(SEED + 1)
    real = [{name: row[name] for name in table.features} for row in rng.sample(table.rows, 40)]
    changed = []
    for row in real:
        other = dict(row)
        for name in table.features:
            dice = rng.random()
            if dice < 0.12:
                other[name] = None
            elif dice < 0.2:
                del other[name]
            elif dice < 0.35:
                other[name] = "never seen" if table.types[name] == "enum" else rng.choice([-1e6, 0, 0.5, 1e9])
        changed.append(other)
    all_unseen = {name: "Nie gesehen" for name in table.features if table.types[name] == "enum"}
    return [*real, *changed, all_unseen, dict.fromkeys(table.features), {}]


def write_csv(path: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
    """Write rows as CSV, missing values as empty fields."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_MINIMAL)
        writer.writerow(names)
        writer.writerows([row.get(name) for name in names] for row in rows)
