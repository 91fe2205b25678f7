"""Hard negatives: what data is full of and looks like personal data, each in the column it would stand in."""

import base64
import hashlib
import random
import uuid
from datetime import UTC, datetime, timedelta

EACH = 250
_EPOCH = datetime(2019, 1, 1, tzinfo=UTC)


def make_negatives() -> list[tuple[str, object]]:
    """Return pairs of a column's name and a value that is no personal data; the same ones at each call."""
    numbers = random.Random(20_001)
    return [pair for _ in range(EACH) for pair in _make_round(numbers)]


def _make_round(numbers: random.Random) -> list[tuple[str, object]]:
    moment = _EPOCH + timedelta(seconds=numbers.randrange(230_000_000))
    seconds = int(moment.timestamp())
    digest = hashlib.sha256(str(numbers.random()).encode()).hexdigest()
    amount = round(numbers.lognormvariate(6, 2), 2)
    small = [numbers.randrange(30) for _ in range(4)]
    return [
        ("order_no", f"ORD-{moment:%Y}-{numbers.randrange(10**6):06}"),
        ("order_number", f"{moment:%Y%m%d}{numbers.randrange(10**6):06}"),
        ("order_id", numbers.randrange(10**8, 10**12)),
        ("invoice", f"RE{moment:%y}{numbers.randrange(10**5):05}"),
        ("created_ts", seconds),
        ("created_ms", seconds * 1000 + numbers.randrange(1000)),
        ("event_time", f"{seconds}"),
        ("timestamp", moment.isoformat()),
        ("time", f"{moment:%H:%M:%S}"),
        ("log_time", f"{moment:%Y-%m-%d %H:%M:%S.%f}"),
        ("md5", digest[:32]),
        ("sha256", digest),
        ("commit", digest[:40]),
        ("commit_short", digest[:10]),
        ("version", f"{small[0]}.{small[1]}.{small[2]}"),
        ("version", ".".join(map(str, small))),
        ("build", f"v{small[0]}.{small[1]}.{numbers.randrange(9999)}-rc{small[2]}+{digest[:7]}"),
        ("request_uuid", str(uuid.UUID(digest[:32]))),
        ("price", f"{amount:,.2f}"),
        ("price", f"{amount:.2f} EUR"),
        ("total_amount", amount),
        ("revenue", int(amount * 100_000)),
        ("ean", _ean(numbers)),
        ("sku", f"{numbers.choice('ABCDEFG')}{numbers.choice('KLMNP')}-{numbers.randrange(10**5):05}-{small[3]}"),
        ("tracking", f"1Z{digest[:6].upper()}{numbers.randrange(10**10):010}"),
        ("embedding", ", ".join(f"{numbers.gauss(0, 1):.6f}" for _ in range(8))),
        ("ratio", numbers.random()),
        ("payload", base64.b64encode(bytes.fromhex(digest)).decode()),
        ("path", f"/var/log/app/{moment:%Y/%m/%d}/part-{numbers.randrange(10**5):05}.gz"),
        ("purpose", numbers.choice(["debt_consolidation", "car", "home improvement", "small_business", "A12", "B2-C"])),
        (
            "comment",
            f"Paid {amount:.2f} on {moment:%d.%m.%Y}, order {numbers.randrange(10**5, 10**8)}, {small[0]} items.",
        ),
        ("log_message", f"Error {numbers.randrange(10**4):04}: std::vector at line {numbers.randrange(9999)}"),
        ("dimensions", f"{small[0]}x{small[1]}x{small[2]} cm, {amount:.1f} kg"),
        ("period", f"{moment:%Y}-{moment.year + 1}"),
    ]


def _ean(numbers: random.Random) -> str:
    digits = f"{numbers.randrange(10**12):012}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits))
    return f"{digits}{-total % 10}"
