"""The packed account of Points, in Python: the same word, the same carries.

    bits 240-255  epoch of the newest bucket (the first is 1; 0: never touched)
    bits 216-239  highest order nonce used
    bits 211-215  window: which of the five nonces before it are used
    bit  210      member
    bits 0-209    six 35-bit lanes; lane i (bits 35i to 35i+34): the points of epoch newest - i

"Buckets" in events is the same word with everything between lanes and epoch left at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from wallet_sdk.epochs import EPOCH_MAX, VALIDITY_EPOCHS
from wallet_sdk.errors import InputInvalid
from wallet_sdk.types import Points

LANES: Final = VALIDITY_EPOCHS
LANE_BITS: Final = 35
LANE_MAX: Final = 2**LANE_BITS - 1
"""The most points one account can hold of one epoch."""
POINTS_MAX: Final = LANES * LANE_MAX
"""The most points one account can hold at all."""
NONCE_MAX: Final = 2**24 - 1
NONCE_AHEAD_MAX: Final = 6
"""An order's nonce may lie at most this far above the highest one used."""
WINDOW_BITS: Final = 5

_MEMBER_BIT: Final = 210
_WINDOW_SHIFT: Final = 211
_NONCE_SHIFT: Final = 216
_EPOCH_SHIFT: Final = 240
_WORD_MAX: Final = 2**256 - 1


def _check_word(word: int) -> None:
    if not 0 <= word <= _WORD_MAX:
        raise InputInvalid(f"not a 256-bit word: {word}")


def pack_buckets(newest_epoch: int, points_by_epoch: Mapping[int, Points]) -> int:
    """The word for these points, all of them of the six epochs up to `newest_epoch`.

    Raises InputInvalid: the epoch is out of range, or a lane cannot hold its points.
    """
    if not 0 <= newest_epoch <= EPOCH_MAX:
        raise InputInvalid(f"an epoch has 16 bits, got {newest_epoch}")
    word = newest_epoch << _EPOCH_SHIFT
    for epoch, points in points_by_epoch.items():
        lane = newest_epoch - epoch
        if not 0 <= points <= LANE_MAX:
            raise InputInvalid(
                f"a bucket holds 0 to {LANE_MAX} points, got {points} of epoch {epoch}"
            )
        if points and (epoch < 1 or not 0 <= lane < LANES):
            raise InputInvalid(
                f"no lane for epoch {epoch} in an account whose newest is {newest_epoch}"
            )
        if points:
            word |= points << (LANE_BITS * lane)
    return word


def unpack_buckets(word: int) -> dict[int, Points]:
    """Points by epoch, soonest to expire first; epochs without points are left out.

    Works on an account's word too: nonces and the member bit are not looked at. Nothing is aged:
    see `age`.
    """
    _check_word(word)
    newest = word >> _EPOCH_SHIFT
    found: dict[int, Points] = {}
    for lane in range(LANES - 1, -1, -1):
        points = (word >> (LANE_BITS * lane)) & LANE_MAX
        if points:
            found[newest - lane] = points
    return found


def age(points_by_epoch: Mapping[int, Points], current_epoch: int) -> dict[int, Points]:
    """What of these points is live in `current_epoch`, soonest to expire first."""
    oldest = current_epoch - LANES + 1
    return {e: p for e, p in sorted(points_by_epoch.items()) if p and e >= oldest}


def live_points(word: int, current_epoch: int) -> Points:
    """The balance that `balanceOf` gives in `current_epoch`."""
    return sum(age(unpack_buckets(word), current_epoch).values())


def take_soonest(points_by_epoch: Mapping[int, Points], points: Points) -> dict[int, Points]:
    """Which buckets a spend of `points` takes: soonest to expire first. Give it aged buckets.

    Raises InputInvalid when they do not reach.
    """
    if points < 0:
        raise InputInvalid(f"points are not negative, got {points}")
    taken: dict[int, Points] = {}
    left = points
    for epoch, held in sorted(points_by_epoch.items()):
        if not left:
            break
        part = min(held, left)
        if part:
            taken[epoch] = part
            left -= part
    if left:
        raise InputInvalid(f"{points} points asked, {points - left} there")
    return taken


@dataclass(frozen=True, slots=True)
class Account:
    """One account's word, unpacked. `window` bit i: the nonce `highest_nonce - 1 - i` is used."""

    newest_epoch: int
    highest_nonce: int
    window: int
    is_member: bool
    points_by_epoch: Mapping[int, Points]

    @classmethod
    def unpack(cls, word: int) -> Account:
        """Reads what `Points.accountOf` or storage gives. Raises InputInvalid on more than 256
        bits.
        """
        return cls(
            newest_epoch=word >> _EPOCH_SHIFT,
            highest_nonce=(word >> _NONCE_SHIFT) & NONCE_MAX,
            window=(word >> _WINDOW_SHIFT) & (2**WINDOW_BITS - 1),
            is_member=bool((word >> _MEMBER_BIT) & 1),
            points_by_epoch=unpack_buckets(word),
        )

    def pack(self) -> int:
        """The word again. Raises InputInvalid when a part does not fit."""
        if not 0 <= self.highest_nonce <= NONCE_MAX or not 0 <= self.window < 2**WINDOW_BITS:
            raise InputInvalid(f"nonce {self.highest_nonce} or window {self.window} out of range")
        word = pack_buckets(self.newest_epoch, self.points_by_epoch)
        word |= self.highest_nonce << _NONCE_SHIFT
        word |= self.window << _WINDOW_SHIFT
        return word | (int(self.is_member) << _MEMBER_BIT)

    def live(self, current_epoch: int) -> dict[int, Points]:
        """Live buckets in `current_epoch`, soonest to expire first."""
        return age(self.points_by_epoch, current_epoch)

    def is_nonce_used(self, nonce: int) -> bool:
        """Whether an order with this nonce would be refused as used; nonce 0 always is.

        Nonces more than five below the highest count as used whether or not they ever were.
        """
        distance = self.highest_nonce - nonce
        if distance < 0:
            return False
        return distance == 0 or distance > WINDOW_BITS or bool((self.window >> (distance - 1)) & 1)

    def free_nonces(self) -> list[int]:
        """The nonces that an order may use now, lowest first."""
        highest = self.highest_nonce
        below = [
            n for n in range(max(1, highest - WINDOW_BITS), highest) if not self.is_nonce_used(n)
        ]
        return below + list(range(highest + 1, min(highest + NONCE_AHEAD_MAX, NONCE_MAX) + 1))

    def use_nonce(self, nonce: int) -> Account:
        """The account once an order with this nonce took effect. Raises InputInvalid: not free.

        Those between the old highest nonce and a higher one stay free as far as the window reaches.
        """
        if nonce > NONCE_MAX or self.is_nonce_used(nonce):
            raise InputInvalid(f"nonce {nonce} is used or out of range")
        step = nonce - self.highest_nonce
        if step > NONCE_AHEAD_MAX:
            raise InputInvalid(f"nonce {nonce} lies {step} above {self.highest_nonce}")
        if step < 0:
            return replace(self, window=self.window | 1 << (-step - 1))
        window = ((self.window << 1 | 1) << (step - 1)) & (2**WINDOW_BITS - 1)
        return replace(self, highest_nonce=nonce, window=window)
