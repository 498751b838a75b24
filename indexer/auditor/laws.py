"""The laws of the network by name, each with its two sides, after the last block."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from indexer.auditor import accounts as acc
from indexer.auditor.ledger import Ledger
from wallet_sdk.epochs import EpochSchedule


@dataclass(frozen=True, slots=True)
class Law:
    """`left` and `right` in points or units of the settlement asset; they are equal where the law
    is an equation. `holds` None: nothing on chain can show it.
    """

    number: int
    name: str
    left_name: str
    left: int
    right_name: str
    right: int
    holds: bool | None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """As the report's schema has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Money:
    """What is owed and what is there, in units of the settlement asset."""

    live_points: int
    reserve: int
    positive_positions: int
    credit_drawn: int
    breakage: int
    income: int
    guarantee: int
    surplus: int
    assets: int

    @property
    def owed(self) -> int:
        """All that the assets must cover."""
        owed = self.positive_positions + self.reserve + self.breakage + self.income
        return owed + self.guarantee + self.surplus


def live_points(ledger: Ledger, schedule: EpochSchedule) -> int:
    """Supply by flows, over the live epochs at the time of the last block."""
    live = schedule.live_epochs(max(ledger.timestamp, schedule.first_start))
    return sum(supply.live for epoch, supply in ledger.supply.items() if epoch in live)


def points_in_accounts(ledger: Ledger, schedule: EpochSchedule) -> int:
    """Live balances of all accounts, added up from their words."""
    epoch = schedule.epoch_at(max(ledger.timestamp, schedule.first_start))
    return sum(acc.balance(acc.aged(word, epoch)) for word in ledger.accounts.values())


def money_of(ledger: Ledger, schedule: EpochSchedule, face_value: int) -> Money:
    """Both sides of law 3."""
    now = max(ledger.timestamp, schedule.first_start)
    epoch = schedule.epoch_at(now)
    live = live_points(ledger, schedule)
    expired_open = sum(
        supply.live
        for e, supply in ledger.supply.items()
        if schedule.is_expired(e, now) and e not in ledger.closings
    )
    positions = [m.position for m in ledger.merchants.values()]
    return Money(
        live_points=live,
        reserve=live * face_value,
        positive_positions=sum(p for p in positions if p > 0),
        credit_drawn=-sum(p for p in positions if p < 0),
        breakage=expired_open * face_value + ledger.breakage_unclaimed,
        income=ledger.income(epoch)[0],
        guarantee=ledger.guarantee,
        surplus=ledger.surplus,
        assets=ledger.assets,
    )


def laws_of(ledger: Ledger, schedule: EpochSchedule, face_value: int) -> list[Law]:
    """Laws 1 to 4 with their figures, then those that were asked at every step of the replay."""
    # Long because it is the list of laws, one after the other.
    money = money_of(ledger, schedule, face_value)
    in_accounts = points_in_accounts(ledger, schedule)
    now = max(ledger.timestamp, schedule.first_start)
    supplies = ledger.supply.values()
    expired = sum(s.live for e, s in ledger.supply.items() if schedule.is_expired(e, now))
    flows = sum(s.live for s in supplies) - expired
    worst = min((m.position + m.limit for m in ledger.merchants.values()), default=0)
    covered = money.assets + money.credit_drawn
    refunded = sum(ledger.refunded.values())
    issued_net = sum(i.issued - i.returned for i in ledger.issues.values())
    counts = ledger.counts
    return [
        Law(
            *(1, "live supply is what was issued and not spent"),
            *("points in all accounts", in_accounts),
            *("issued - returned - redeemed + refunded - expired", flows),
            holds=in_accounts == flows,
        ),
        Law(
            *(2, "the reserve is live points at face value"),
            *("reserve", money.reserve),
            *(f"{money.live_points:,} points x {face_value}", money.live_points * face_value),
            holds=money.reserve == money.live_points * face_value,
        ),
        Law(
            *(3, "money and credit cover what is owed"),
            *("assets held + credit drawn", covered),
            *("positions + reserve + breakage + income + guarantee + surplus", money.owed),
            holds=covered == money.owed and money.credit_drawn <= money.guarantee,
            note=f"credit drawn {money.credit_drawn:,} of a guarantee of {money.guarantee:,}",
        ),
        Law(
            *(4, "no debit takes a position under its limit"),
            *("smallest position + limit, where under 0", min(worst, 0)),
            *("nothing under 0", 0),
            holds=worst >= 0,
            note="asked at every debit",
        ),
        Law(
            *(5, "one order, at most one effect"),
            *("effects", counts.orders),
            *("nonces used up by orders that were seen", counts.nonces),
            holds=counts.orders - counts.orders_unseen == counts.nonces,
            note="each nonce was unused before; that one purchase leads to one issue is shown by a "
            "merchant's list of references",
        ),
        Law(
            *(6, "refunds never exceed their redemption"),
            *("points refunded", refunded),
            *("points given back in supply", sum(s.refunded for s in supplies)),
            holds=refunded == sum(s.refunded for s in supplies),
            note="root, proof, epochs and prices asked at every refund",
        ),
        Law(
            *(7, "returns stay within what was issued"),
            *("issued by merchants, net", issued_net),
            *("issued in epochs, net", sum(s.issued_net for s in supplies)),
            holds=issued_net == sum(s.issued_net for s in supplies),
            note="window, cap and price asked at every return",
        ),
        Law(
            *(8, "expiry touches only expired epochs, breakage is booked once"),
            *("epochs closed", len(ledger.closings)),
            *("of these expired", _expired(ledger, schedule, now)),
            holds=len(ledger.closings) == _expired(ledger, schedule, now),
        ),
        Law(
            *(9, "no effect without the signature of the charged party"),
            *("orders that took effect", counts.orders),
            *("of these seen and signed by a key", _signed(ledger)),
            holds=True if counts.orders == _signed(ledger) else None,
            note=_signature_note(ledger),
        ),
        Law(
            *(16, "old points keep their terms"),
            *("changes of terms", len(ledger.terms)),
            *("of these in order", _in_order(ledger)),
            holds=len(ledger.terms) == _in_order(ledger),
            note="the price of every movement was computed again",
        ),
    ]


def _expired(ledger: Ledger, schedule: EpochSchedule, now: int) -> int:
    return sum(schedule.is_expired(epoch, now) for epoch in ledger.closings)


def _in_order(ledger: Ledger) -> int:
    epochs = [t.from_epoch for t in ledger.terms]
    return len(set(epochs)) if epochs == sorted(epochs) else 0


def _signed(ledger: Ledger) -> int:
    counts = ledger.counts
    return counts.orders - counts.orders_unseen - counts.orders_by_contract


def _signature_note(ledger: Ledger) -> str:
    counts = ledger.counts
    parts = [f"{counts.signatures:,} signatures of keys recovered and found valid at their log"]
    if counts.contract_signatures:
        parts.append(
            f"{counts.contract_signatures} answers of ERC-1271 wallets cannot be asked again at "
            "that point of a block: no pass"
        )
    if counts.orders_unseen:
        parts.append(f"{counts.orders_unseen} orders came inside calls of other contracts: no pass")
    return "; ".join(parts)
