"""Keccak-256 as Ethereum uses it: the original padding, which the standard library's SHA-3 does not have."""

_MASK = (1 << 64) - 1
_RATE = 136
_ROUNDS = 24


def keccak_256(message: bytes) -> bytes:
    """Return the 32-byte digest of a message of less than 136 bytes (one block)."""
    block = bytearray(200)
    block[: len(message)] = message
    block[len(message)] ^= 0x01
    block[_RATE - 1] ^= 0x80
    lanes = [int.from_bytes(block[place : place + 8], "little") for place in range(0, 200, 8)]
    for constant in _CONSTANTS:
        _permute(lanes, constant)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permute(lanes: list[int], constant: int) -> None:
    """Apply one round of Keccak-f[1600] in place; lane (x, y) stands at x + 5 y."""
    columns = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
    mixed = [columns[x - 1] ^ _rotate(columns[(x + 1) % 5], 1) for x in range(5)]
    moved = [0] * 25
    for place, (target, turn) in enumerate(_MOVES):
        moved[target] = _rotate(lanes[place] ^ mixed[place % 5], turn)
    for row in range(0, 25, 5):
        a, b, c, d, e = moved[row : row + 5]
        lanes[row : row + 5] = (a ^ (~b & c), b ^ (~c & d), c ^ (~d & e), d ^ (~e & a), e ^ (~a & b))
    lanes[0] ^= constant


def _rotate(lane: int, turn: int) -> int:
    return (lane << turn | lane >> (64 - turn)) & _MASK


def _list_moves() -> list[tuple[int, int]]:
    """Return, by place, where a lane moves and how far it turns (the steps rho and pi)."""
    moves = [(0, 0)] * 25
    x, y = 1, 0
    for step in range(24):
        moves[x + 5 * y] = (y + 5 * ((2 * x + 3 * y) % 5), (step + 1) * (step + 2) // 2 % 64)
        x, y = y, (2 * x + 3 * y) % 5
    return moves


def _list_constants() -> list[int]:
    """Return the round constants (the step iota), from their shift register."""
    constants, register = [], 1
    for _ in range(_ROUNDS):
        constant = 0
        for bit in range(7):
            if register & 1:
                constant |= 1 << ((1 << bit) - 1)
            register = register << 1 ^ (0x171 if register >> 7 else 0)
        constants.append(constant)
    return constants


_MOVES = _list_moves()
_CONSTANTS = _list_constants()
