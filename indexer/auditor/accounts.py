"""The packed account of Points, replayed word by word. The auditor's own arithmetic.

    bits 240-255 newest epoch | 216-239 highest nonce | 211-215 window | 210 member | 6 lanes of 35

Every write of the contract ages the word to the epoch of its block first; so do the functions here,
and the word at the end can be compared with storage bit by bit. Source:
`contracts/types/Account.sol`.
"""

from __future__ import annotations

from typing import Final

LANES: Final = 6
LANE_BITS: Final = 35
LANE_MASK: Final = (1 << LANE_BITS) - 1
LANES_MASK: Final = (1 << (LANES * LANE_BITS)) - 1
MEMBER_BIT: Final = 1 << 210
EPOCH_SHIFT: Final = 240
NONCE_SHIFT: Final = 216
NONCE_MASK: Final = (1 << 24) - 1
WINDOW_SHIFT: Final = 211
WINDOW_MASK: Final = 31
NONCE_AHEAD_MAX: Final = 6
NONCES_MASK: Final = (NONCE_MASK << NONCE_SHIFT) | (WINDOW_MASK << WINDOW_SHIFT)
_MIDDLE_MASK: Final = ((1 << EPOCH_SHIFT) - 1) ^ LANES_MASK


class Impossible(Exception):
    """A step that the packed account cannot take; the message says which."""


def aged(word: int, epoch: int) -> int:
    """The word seen in `epoch`: lanes move up by the epochs that passed, the expired are gone."""
    newest = word >> EPOCH_SHIFT
    if newest == epoch:
        return word
    if newest > epoch:
        raise Impossible(f"the account was written in epoch {newest}, after epoch {epoch}")
    shift = min(epoch - newest, LANES) * LANE_BITS
    lanes = ((word & LANES_MASK) << shift) & LANES_MASK
    return (epoch << EPOCH_SHIFT) | (word & _MIDDLE_MASK) | lanes


def lanes_of(word: int) -> list[tuple[int, int]]:
    """(epoch, points) of the lanes that hold any, newest first."""
    newest = word >> EPOCH_SHIFT
    lanes = word & LANES_MASK
    found = []
    while lanes:
        points = lanes & LANE_MASK
        if points:
            found.append((newest, points))
        lanes >>= LANE_BITS
        newest -= 1
    return found


def balance(word: int) -> int:
    """Sum of the lanes; of an aged word, the live balance."""
    lanes, total = word & LANES_MASK, 0
    while lanes:
        total += lanes & LANE_MASK
        lanes >>= LANE_BITS
    return total


def credited(word: int, lanes: int) -> int:
    """The word with lanes of the same epoch added. Raises Impossible: a lane would be full."""
    held = word & LANES_MASK
    added, shift = lanes, 0
    while added:
        if ((held >> shift) & LANE_MASK) + (added & LANE_MASK) > LANE_MASK:
            raise Impossible("a lane of 35 bits takes more than it holds")
        added >>= LANE_BITS
        shift += LANE_BITS
    return word + lanes


def spent(word: int, points: int) -> tuple[int, int]:
    """The word after `points` were taken soonest to expire first, and the lanes that were taken.

    Raises Impossible: the account does not hold them.
    """
    taken, missing = 0, points
    for shift in range(LANE_BITS * (LANES - 1), -1, -LANE_BITS):
        take = min((word >> shift) & LANE_MASK, missing)
        taken |= take << shift
        missing -= take
        if not missing:
            return word - taken, taken
    raise Impossible(f"{points} points leave an account that holds {points - missing}")


def debited(word: int, lanes: int) -> int:
    """The word with these lanes of the same epoch taken out. Raises Impossible: not held."""
    left, shift = lanes, 0
    while left:
        if (word >> shift) & LANE_MASK < left & LANE_MASK:
            raise Impossible("a bucket gives more than it holds")
        left >>= LANE_BITS
        shift += LANE_BITS
    return word - lanes


def nonce_used(word: int, nonce: int) -> int:
    """The word with the nonce used up. Raises Impossible: it was used, or lies too far ahead."""
    highest = (word >> NONCE_SHIFT) & NONCE_MASK
    if nonce < highest:
        back = highest - nonce
        if back > 5 or (word >> (WINDOW_SHIFT + back - 1)) & 1:
            raise Impossible(f"nonce {nonce} was used before (the highest is {highest})")
        return word | (1 << (WINDOW_SHIFT + back - 1))
    ahead = nonce - highest
    if not 0 < ahead <= NONCE_AHEAD_MAX or nonce > NONCE_MASK:
        raise Impossible(f"nonce {nonce} is used or too far ahead (the highest is {highest})")
    window = (word >> WINDOW_SHIFT) & WINDOW_MASK
    window = (((window << 1) | 1) << (ahead - 1)) & WINDOW_MASK
    return (word & ~NONCES_MASK) | (nonce << NONCE_SHIFT) | (window << WINDOW_SHIFT)


def with_member(word: int, member: bool) -> int:
    """The word with the member bit set or cleared."""
    return word | MEMBER_BIT if member else word & ~MEMBER_BIT
