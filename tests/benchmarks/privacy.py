"""What masking adds to a prediction, and what hostile text costs.

Run by hand: `uv run python -m tests.benchmarks.privacy`. Each record has values of its own, so that no cache of
findings helps; medians of one run. A record has seven personal fields and eight that models usually take: figures and
categories. "mapped" is a deployment whose personal columns a column map names. The harder record has a timestamp, an
article number and a sentence among the eight: they look like something personal until they are looked at.
"""

import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

from faker import Faker

from api.privacy.masker import Masker
from api.privacy.rule_set import default_rule_set
from tests.benchmarks.installation import machine

KEY = b"a key of the benchmark, 32 bytes"
RECORDS = 1000
ROUNDS = 5
COLUMN_MAP = {
    "customer": "person_name",
    "contact": "email_address",
    "call_at": "phone_number",
    "pan": "credit_card_number",
    "born": "date_of_birth",
    "zip": "postal_code",
    "origin": "ipv4_address",
}
SIZES = (10_000, 30_000, 90_000, 99_999, 300_000, 1_000_000)
HOSTILE = {
    "digits": "4111111111111111",
    "digits and dashes": "4-1 1.",
    "ones": "1",
    "at signs": "a@",
    "dots": "a.",
    "e-mail beginnings": "a.b-c_d+",
    "colons": "2001:db8:",
    "groups of hex": "0f:",
    "base64": "eyJhbGciOi.",
    "urls": "http://a:b@",
    "plus signs": "+49",
    "letters": "A",
    "IBAN beginnings": "DE89 ",
    "invisible": "1\u200b",
    "full width": "\uff14\uff11",
    "ligatures": "\ufdfa",
    "combining marks": "a\u0301\u0327",
    "brackets": "[[{(",
    "spaces": " ",
    "words": "lorem ipsum 12.5 ",
}


def make_records(*, harder: bool = False) -> list[dict[str, Any]]:
    """Return records of 15 fields, seven of them personal, figures and personal values all different."""
    Faker.seed(4)
    fake = Faker(["en_US", "de_DE", "fr_FR"])
    return [_make_record(fake) | (_harder_fields(fake) if harder else {}) for _ in range(RECORDS)]


def _make_record(fake: Faker) -> dict[str, Any]:
    return {
        "customer": fake.name(),
        "contact": fake.email(),
        "call_at": fake.phone_number(),
        "pan": fake.credit_card_number("visa"),
        "born": fake.date_of_birth().isoformat(),
        "zip": fake.postcode(),
        "origin": fake.ipv4_public(),
        "balance": fake.pyfloat(min_value=0, max_value=1e5),
        "rate": fake.pyfloat(min_value=0, max_value=1),
        "items": fake.pyint(),
        "segment": fake.random_element(("retail", "business", "premium")),
        "channel": fake.random_element(("web", "shop", "phone")),
        "tenure": fake.pyint(max_value=240),
        "returns": fake.pyint(max_value=9),
        "plan": fake.random_element(("S", "M", "L", "XL")),
    }


def _harder_fields(fake: Faker) -> dict[str, Any]:
    return {
        "tenure": 1_700_000_000 + fake.pyint(max_value=9_999_999),
        "returns": fake.bothify("??-####-##"),
        "plan": fake.sentence(),
    }


def make_masker(column_map: dict[str, str]) -> Masker:
    """Return a masker with the catalogue's own actions, its caches empty."""
    return Masker(default_rule_set(), column_map=column_map, threshold=None, key=KEY, version_id=uuid.uuid4())


def timed_us(work: Callable[[], object]) -> float:
    """Return how long one call keeps a processor, in microseconds: other load on the machine counts little so."""
    start = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - start) / 1000


def per_record_us(column_map: dict[str, str], records: list[dict[str, Any]]) -> float:
    """Return the median time of a single record, names of columns known, values new."""
    masker = make_masker(column_map)
    masker.mask_record(records[0])
    return statistics.median(timed_us(lambda record=record: masker.mask_record(record)) for record in records[1:])


def batch_ms(column_map: dict[str, str], records: list[dict[str, Any]]) -> float:
    """Return the median time of all records, each round with a masker of its own."""
    times = []
    for _ in range(ROUNDS):
        masker = make_masker(column_map)
        times.append(timed_us(lambda masker=masker: [masker.mask_record(record) for record in records]) / 1000)
    return statistics.median(times)


def show_hostile() -> None:
    """Print what looking at hostile text of growing size costs, and stop where it passes its bound."""
    masker = make_masker({})
    print(f"\n{'hostile text, ms by characters':30}" + "".join(f"{size:>10}" for size in SIZES))
    for name, piece in HOSTILE.items():
        texts = [(piece * (size // len(piece) + 1))[:size] for size in SIZES]
        times = [
            min(timed_us(lambda text=text: masker.mask_value("x", text)) for _ in range(3)) / 1000 for text in texts
        ]
        print(f"{name:30}" + "".join(f"{ms:10.2f}" for ms in times), flush=True)
        assert times[0] < 10, f"{name}: 10 kB take {times[0]:.1f} ms"


def main() -> None:
    """Print the figures and compare them with their bounds."""
    print(machine())
    records, harder = make_records(), make_records(harder=True)
    for name, value, bound, unit in (
        ("record of 15 fields, 7 mapped", per_record_us(COLUMN_MAP, records), 100, "us"),
        ("record of 15 fields, none mapped", per_record_us({}, records), 300, "us"),
        ("harder record, 7 mapped", per_record_us(COLUMN_MAP, harder), 100, "us"),
        ("harder record, none mapped", per_record_us({}, harder), 300, "us"),
        ("1,000 records, 7 mapped", batch_ms(COLUMN_MAP, records), 60, "ms"),
        ("1,000 harder records, 7 mapped", batch_ms(COLUMN_MAP, harder), 60, "ms"),
        ("1,000 records, none mapped", batch_ms({}, records), 300, "ms"),
    ):
        print(f"{name:36} {value:8.1f} {unit}   (bound {bound})", flush=True)
    show_hostile()


if __name__ == "__main__":
    main()
