"""How much each key may sign in a day of network time: points and money of a merchant's till key,
gas money of a relayer.

A charge is stored before the signature is made, under the nonce that is signed: signing the same
nonce again (after a crash, or a fee bump) charges what it costs more, never twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update

from gateway.clock import DAY_S, NetworkClock
from gateway.custody.purposes import Place
from gateway.database import Database
from gateway.errors import SigningCapReached
from gateway.tables import signing_charges
from wallet_sdk.orders import IssueBatch
from wallet_sdk.types import address_of

GWEI: Final = 10**9

# What a cap was reached with stays readable for a month.
KEEP_DAYS: Final = 35


@dataclass(frozen=True, slots=True)
class Caps:
    """Most that one key may sign in a day; None: no cap.

    Attributes:
        till_points: points issued by a till key.
        till_money: what these issues cost, units of the settlement asset.
        relayer_gwei: fee cap x gas limit of a relayer's transactions.
    """

    till_points: int | None = None
    till_money: int | None = None
    relayer_gwei: int | None = None


class DailyCharges:
    """Charges keys in the order book's database, shared by all processes."""

    def __init__(
        self, database: Database, caps: Caps, clock: NetworkClock, price: Callable[[int], int]
    ) -> None:
        self._database = database
        self._caps = caps
        self._clock = clock
        self._price = price

    def charge_issue(self, place: Place, order: IssueBatch) -> None:
        """Before an issue is signed. Raises SigningCapReached, NotReady (no price)."""
        if self._caps.till_points is None and self._caps.till_money is None:
            return
        points = sum(entry[1] for entry in order.entries)
        money = points * self._price(self._clock.now())
        self._charge(
            place, order.nonce, points, money, self._caps.till_points, self._caps.till_money
        )

    def charge_gas(self, place: Place, transaction: Mapping[str, Any]) -> None:
        """Before a relayer's transaction is signed. Raises SigningCapReached."""
        if self._caps.relayer_gwei is None:
            return
        # Rounded up: many cheap ones are not free.
        gwei = -(-transaction["gas"] * transaction["maxFeePerGas"] // GWEI)
        self._charge(place, transaction["nonce"], 0, gwei, None, self._caps.relayer_gwei)

    def _charge(
        self,
        place: Place,
        nonce: int,
        points: int,
        money: int,
        points_max: int | None,
        money_max: int | None,
    ) -> None:
        day = self._clock.now() // DAY_S
        c = signing_charges.c
        this = (c.address == place.address, c.nonce == nonce)
        with self._database.write() as connection:
            self._database.lock_name(connection, f"charges of 0x{place.address.hex()}")
            before = connection.execute(select(c.points, c.money).where(*this)).one_or_none()
            had_points, had_money = (0, 0) if before is None else before
            points, money = max(points, had_points), max(money, had_money)
            sums = select(
                func.coalesce(func.sum(c.points), 0), func.coalesce(func.sum(c.money), 0)
            ).where(c.address == place.address, c.day == day, c.nonce != nonce)
            used_points, used_money = (int(n) for n in connection.execute(sums).one())
            for used, more, limit, what in (
                (used_points, points, points_max, "points"),
                (used_money, money, money_max, "money"),
            ):
                if limit is not None and used + more > limit:
                    raise SigningCapReached(
                        f"{address_of(place.address)} has signed {used} of {limit} ({what}) "
                        f"today; {more} more are too many",
                        place,
                        until=(day + 1) * DAY_S,
                    )
            row = {"points": points, "money": money, "day": day}
            if before is None:
                new = {"address": place.address, "nonce": nonce, **row}
                connection.execute(insert(signing_charges), new)
                connection.execute(delete(signing_charges).where(c.day < day - KEEP_DAYS))
            else:
                connection.execute(update(signing_charges).where(*this).values(row))
