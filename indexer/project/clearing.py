"""Merchants, keys, members, passes, terms and the treasury: journals of versions.

Each handler takes one log and appends the version that it makes. What a merchant's position did
stands on the event's own row, with the position after it, as on a bank statement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.decode import Other
from indexer.errors import MirrorInconsistent
from indexer.project.holdings import held_by
from indexer.project.rows import AMOUNTS, Batch, Row
from indexer.project.state import Memory, Network, Versions
from indexer.succession import COALITION
from wallet_sdk.epochs import EPOCH_MAX

_ZERO: Final = bytes(20)
_ZERO_WORD: Final = bytes(32)
_TREASURY: Final = tuple(c.name for c in t.treasury.columns)[1:]

# Which sums of the treasury an event of the Coalition moves, and in which direction.
_MONEY: Final[Mapping[str, tuple[str, int]]] = {
    "Deposited": ("deposited", 1),
    "Withdrawn": ("withdrawn", 1),
    "GuaranteeDeposited": ("guarantee", 1),
    "GuaranteeWithdrawn": ("guarantee", -1),
    "IncomeWithdrawn": ("income_withdrawn", 1),
    "BreakageClaimed": ("breakage_claimed", 1),
}


_MERCHANT_COLUMNS: Final[Mapping[str, tuple[str, str]]] = {
    "MerchantStatusSet": ("status", "status"),
    "CreditLimitSet": ("credit_limit", "limit"),
    "OwnerSet": ("owner", "owner"),
    "ProfileSet": ("profile_hash", "profile_hash"),
}
"""Events that change one column of a merchant, and the argument that is copied there."""


class Clearing:
    """Folds the logs that are no Transfer of Points."""

    def __init__(
        self, conn: Connection, network: Network, batch: Batch, memory: Memory, before: int
    ) -> None:
        self._conn = conn
        self._network = network
        self._appended = batch.appended
        self._trade = batch.trade
        self._memory = memory
        self._positions = memory.positions
        # State is read as it was before this log: a rebuild stands in the middle of the rows.
        self._before = before
        self.merchants = Versions(conn, t.merchants)
        self.members = Versions(conn, t.members)
        self.passes = Versions(conn, t.passes)
        # The pass that the newest log about passes burnt.
        self._burnt: Row | None = None

    def new_transaction(self) -> None:
        """What one transaction did with passes does not join with the next one's."""
        self._burnt = None

    def event(self, log: Other, time: int, month: int) -> None:
        """Appends the log's row and whatever it changes."""
        values = log.values
        name = log.name or ""
        merchant: Any = values.get("merchant") or None
        amount = balance = None
        if log.contract == COALITION:
            if name in AMOUNTS:
                column, sign = AMOUNTS[name]
                amount = sign * int(values[column])
                self._trade.add(
                    name,
                    int(merchant),
                    month,
                    values.get("epoch"),
                    values.get("points"),
                    amount,
                )
            if merchant is not None:
                balance = self._position(merchant) + (amount or 0)
                self._positions[merchant] = balance
        self._appended[t.events].append(
            (
                log.id,
                log.position,
                log.contract,
                log.name,
                values.get("digest"),
                merchant,
                values.get("member") or (values["from_"] if name == "Transferred" else None),
                values.get("epoch"),
                values.get("points"),
                amount,
                balance,
                values.get("leaf"),
                log.arguments,
                log.topics,
                log.data,
            )
        )
        self.version(log, time)

    def version(self, log: Other, time: int) -> None:
        """Appends the versions that the log makes, if any."""
        handler = _HANDLERS.get((log.contract, log.name or ""))
        if handler is not None:
            handler(self, log, time)

    def _position(self, merchant: int) -> int:
        known = self._positions.get(merchant)
        if known is None:
            e = t.events.c
            found = self._conn.execute(
                sa.select(e.balance)
                .where(e.merchant == merchant, e.id < self._before)
                .order_by(e.id.desc())
                .limit(1)
            ).scalar_one_or_none()
            known = self._positions[merchant] = found or 0
        return known

    # ---- merchants

    def _registered(self, log: Other, _time: int) -> None:
        v = log.values
        row = (v["merchant"], log.id, v["owner"], 1, 0, v["profile_hash"])
        self.merchants.put((v["merchant"],), row)
        self._version(t.merchants, row)

    def _changed(self, log: Other, _time: int) -> None:
        """Copies the argument into its column of the merchant's next version."""
        column, argument = _MERCHANT_COLUMNS[log.name or ""]
        merchant = log.values["merchant"]
        before = self.merchants.newest(merchant)
        if before is None:
            raise MirrorInconsistent(
                t.block_of(log.id), f"{log.name or log.id}: merchant {merchant} is unknown"
            )
        names = [c.name for c in t.merchants.columns]
        after = dict(zip(names, before, strict=True))
        after |= {"id": log.id, column: log.values[argument]}
        row = tuple(after[name] for name in names)
        self.merchants.put((merchant,), row)
        self._version(t.merchants, row)

    def _till_key(self, log: Other, _time: int) -> None:
        v = log.values
        self._version(t.till_keys, (v["key"], log.id, v["merchant"], v["active"]))

    def _version(self, table: sa.Table, row: Row) -> None:
        self._appended[table].append(row)

    # ---- the operator and clearing

    def _terms(self, log: Other, _time: int) -> None:
        v = log.values
        # An epoch has 16 bits: terms from a later one never come to hold.
        if int(v["from_epoch"]) <= EPOCH_MAX:
            self._version(
                t.terms,
                (v["from_epoch"], log.id, v["issue_fee"], v["redeem_fee"], v["issuers_share_bps"]),
            )

    def _closed(self, log: Other, _time: int) -> None:
        v = log.values
        self._version(
            t.closed_epochs,
            (v["epoch"], log.id, v["unspent"], v["issuers_pool"], v["operators_part"]),
        )

    def _asset_moved(self, log: Other, _time: int) -> None:
        v = log.values
        coalition = self._coalition()
        into = (v["to"] == coalition) - (v["from_"] == coalition)
        if into:
            self._money(log, "held", into * int(v["value"]))

    def _paid(self, log: Other, _time: int) -> None:
        column, sign = _MONEY[log.name or ""]
        self._money(log, column, sign * int(log.values["amount"]))

    def _money(self, log: Other, column: str, amount: int) -> None:
        sums = self._sums()
        sums[column] += amount
        self._version(t.treasury, (log.id, *(sums[name] for name in _TREASURY)))

    def _sums(self) -> dict[str, int]:
        """The treasury's columns as they stand."""
        if self._memory.treasury is None:
            row = self._conn.execute(
                sa.select(t.treasury).order_by(t.treasury.c.id.desc()).limit(1)
            ).one_or_none()
            self._memory.treasury = {n: 0 if row is None else getattr(row, n) for n in _TREASURY}
        return self._memory.treasury

    def _succession(self, log: Other, _time: int) -> None:
        """Points obeys another Coalition from the next log on. What that one holds of the asset is
        what the network holds: nothing, as a rule, until the old one hands over.
        """
        previous, current = log.values["previous"], log.values["current"]
        expected = _ZERO if previous == _ZERO else self._coalition()
        if previous != expected or (previous == _ZERO and current != self._network.coalition):
            raise MirrorInconsistent(
                t.block_of(log.id),
                f"Points turned from 0x{previous.hex()} to 0x{current.hex()}, and obeyed "
                f"0x{self._network.coalition.hex()} first by the deployment file",
            )
        self._version(t.coalitions, (log.id, current))
        self._memory.coalition = current
        if previous != _ZERO:
            before = min(log.id, self._before)
            held = held_by(self._conn, self._appended[t.events], current, before)
            self._money(log, "held", held - self._sums()["held"])

    def _coalition(self) -> bytes:
        """The Coalition that Points obeys."""
        if self._memory.coalition is None:
            found = self._conn.execute(
                sa.select(t.coalitions.c.address)
                .where(t.coalitions.c.id < self._before)
                .order_by(t.coalitions.c.id.desc())
                .limit(1)
            ).scalar_one_or_none()
            self._memory.coalition = bytes(found or self._network.coalition)
        return self._memory.coalition

    # ---- members and passes

    def _member(self, log: Other, _time: int) -> None:
        member, is_member = log.values["member"], bool(log.values["is_member"])
        before = self.members.newest(member)
        was_member = before is not None and before[2]
        if self._memory.counters is not None:
            self._memory.counters.members += is_member - was_member
        row = (member, log.id, is_member)
        self.members.put((member,), row)
        self._version(t.members, row)

    def _pass_moved(self, log: Other, time: int) -> None:
        """A recovery burns a pass and mints it in the very next log, with tier and joining time."""
        v = log.values
        key = _token(v["token_id"])
        if v["to"] == _ZERO:
            before = self.passes.newest(*key)
            tier, joined_at = (0, time) if before is None else before[4:6]
            row = (*key, log.id, False, tier, joined_at)
            self._burnt = row
        else:
            burnt, self._burnt = self._burnt, None
            follows = burnt is not None and (burnt[0], burnt[2] + 1) == (key[0], log.id)
            tier, joined_at = burnt[4:6] if burnt is not None and follows else (0, time)
            row = (*key, log.id, True, tier, joined_at)
        self.passes.put(key, row)
        self._version(t.passes, row)

    def _tier(self, log: Other, time: int) -> None:
        key = _token(log.values["token_id"])
        before = self.passes.newest(*key)
        held, joined_at = (True, time) if before is None else (before[3], before[5])
        row = (*key, log.id, held, log.values["tier"], joined_at)
        self.passes.put(key, row)
        self._version(t.passes, row)


# Not on the object: bound methods there would make a cycle, and the rows wait for the collector.
_HANDLERS: Final[Mapping[tuple[str, str], Callable[[Clearing, Other, int], None]]] = {
    ("Coalition", "MerchantRegistered"): Clearing._registered,
    **{("Coalition", name): Clearing._changed for name in _MERCHANT_COLUMNS},
    **{("Coalition", name): Clearing._paid for name in _MONEY},
    ("Coalition", "TillKeySet"): Clearing._till_key,
    ("Coalition", "TermsSet"): Clearing._terms,
    ("Coalition", "EpochClosed"): Clearing._closed,
    ("Points", "MemberSet"): Clearing._member,
    ("Points", "CoalitionChanged"): Clearing._succession,
    ("MembershipPass", "Transfer"): Clearing._pass_moved,
    ("MembershipPass", "TierSet"): Clearing._tier,
    ("BankReceipt", "Transfer"): Clearing._asset_moved,
}


VERSIONED: Final = frozenset(_HANDLERS)
"""Contract and name of the events that make versions."""


def _token(token_id: Any) -> tuple[int, bytes]:
    """Programme and member of a pass: the id is programme << 160 | member."""
    return token_id >> 160, (token_id & (2**160 - 1)).to_bytes(20, "big")
