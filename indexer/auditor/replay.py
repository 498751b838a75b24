"""The replay: proven blocks in, the network's state out, every step checked against its rules.

Points move first, then the Coalition says why. So the movements of a transaction are applied as
their logs come and kept until an effect explains them; what no effect explains is either a holder's
own ERC-20 transfer or a fact that does not hold.
"""

from __future__ import annotations

import time as _time
from collections.abc import Iterator
from typing import Final

from indexer.auditor import accounts as acc
from indexer.auditor.assets import ASSET_EVENTS, PASS_EVENTS
from indexer.auditor.blocks import CheckedBlock
from indexer.auditor.clearing import CLEARING_EVENTS, LAW_3
from indexer.auditor.codec import keccak
from indexer.auditor.context import REPLAY, SIGNATURES, Context, Figures, shown
from indexer.auditor.decode import Event
from indexer.auditor.ledger import Ledger
from indexer.auditor.member_effects import MEMBER_EFFECTS
from indexer.auditor.merchant_effects import MERCHANT_EFFECTS
from indexer.auditor.orders import Order, redemptions_root
from indexer.auditor.roles import ROLE_EVENTS
from indexer.auditor.touched import note
from wallet_sdk.types import Policy

ZERO: Final = bytes(20)
EFFECT_EVENTS: Final = {**MEMBER_EFFECTS, **MERCHANT_EFFECTS}
_OWN_TRANSFER: Final = (
    keccak(b"transfer(address,uint256)")[:4],
    keccak(b"transferAtEpoch(uint256,address,uint256)")[:4],
)


class CoalitionUnknown(Exception):
    """A successor took over whose logs were not watched: the block must be read again."""

    def __init__(self, address: bytes) -> None:
        self.address = address
        super().__init__("0x" + address.hex())


class Replay:
    """Folds checked blocks into a ledger. Raises Broken at the first fact that does not hold."""

    def __init__(self, ledger: Ledger, figures: Figures, watched: frozenset[bytes]) -> None:
        self.ledger = ledger
        self._figures = figures
        self._watched = watched
        self._month: tuple[int, str] = (-1, "")

    def apply(self, block: CheckedBlock) -> None:
        """Takes one block in. Raises Broken, CoalitionUnknown (then nothing was taken in)."""
        ledger, header = self.ledger, block.header
        for tx in block.transactions:
            for event in tx.events:
                if event.name == "CoalitionChanged":
                    current = event.args[1]
                    if current not in self._watched:
                        raise CoalitionUnknown(current)
        schedule = self._figures.schedule
        if block.transactions:
            epoch = schedule.epoch_at(max(header.timestamp, schedule.first_start))
            month = self._month_of(header.timestamp)
            for tx in block.transactions:
                self._transaction(
                    Context(
                        ledger=ledger,
                        figures=self._figures,
                        header=header,
                        epoch=epoch,
                        month=month,
                        tx=tx,
                        by_digest={order.digest: (i, order) for i, order in enumerate(tx.orders)},
                    )
                )
        counts = ledger.counts
        counts.blocks += 1
        counts.transactions += block.transaction_count
        counts.logs += block.log_count
        counts.bodies_unproven += not block.bodies_proven
        ledger.block, ledger.block_hash = header.number, header.hash
        ledger.timestamp = header.timestamp

    def _month_of(self, timestamp: int) -> str:
        day = timestamp // 86_400
        if self._month[0] != day:
            self._month = (day, _time.strftime("%Y-%m", _time.gmtime(timestamp)))
        return self._month[1]

    def _transaction(self, ctx: Context) -> None:
        events = ctx.tx.events
        self.ledger.counts.events += len(events)
        points = self._figures.points
        try:
            for i, event in enumerate(events):
                ctx.log_index, ctx.contract = event.log_index, event.address
                ctx.contract_name = event.contract
                if event.name == "AuthorityUpdated":
                    self.ledger.authorities[event.address] = event.args[0]
                elif event.address == points:
                    if event.name == "Transfer":
                        self._transfer(ctx, event, events[i + 1] if i + 1 < len(events) else None)
                    else:
                        self._points(ctx, event)
                elif event.contract == "Coalition":
                    self._coalition(ctx, event)
                elif event.contract == "MembershipPass":
                    PASS_EVENTS[event.name](ctx, event.args)
                elif event.contract == "BankReceipt":
                    ASSET_EVENTS[event.name](ctx, event.args)
                elif event.contract == "AccessManager":
                    ROLE_EVENTS[event.name](ctx, event.args)
                elif event.contract == "CoalitionOffice":
                    ctx.fail(REPLAY, f"the office said {event.name} for itself")
        except acc.Impossible as error:
            ctx.fail(REPLAY, f"a step that the account cannot take: {error}")
        except KeyError as error:
            ctx.fail(REPLAY, f"a log that no rule knows: {error}")
        self._finish(ctx)

    # ---- points

    def _transfer(self, ctx: Context, event: Event, following: Event | None) -> None:
        sender, receiver, points = event.args
        ledger, epoch = self.ledger, ctx.epoch
        accounts = ledger.accounts
        lanes = self._lanes_said(ctx, sender, receiver, points, following)
        if sender == ZERO:
            word = acc.aged(accounts.get(receiver, 0), epoch)
            self._may_hold(ctx, receiver, word)
            lanes = points if lanes is None else lanes
            accounts[receiver] = acc.credited(word, lanes)
            self._held(epoch, lanes, 1)
            ctx.mints.append((sender, receiver, points, lanes))
            return
        word = acc.aged(accounts.get(sender, 0), epoch)
        if lanes is None:
            rest, taken = acc.spent(word, points)
        else:
            rest, taken = acc.debited(word, lanes), lanes
        if receiver == ZERO:
            accounts[sender] = rest
            self._held(epoch, taken, -1)
            ctx.burns.append((sender, receiver, points, taken))
            return
        if sender == receiver:
            accounts[sender] = word
        else:
            target = acc.aged(accounts.get(receiver, 0), epoch)
            if points:
                self._may_hold(ctx, receiver, target)
            accounts[sender] = rest
            accounts[receiver] = acc.credited(target, taken)
        ctx.moves.append((sender, receiver, points, taken))

    def _lanes_said(
        self, ctx: Context, sender: bytes, receiver: bytes, points: int, following: Event | None
    ) -> int | None:
        """The lanes, where the movement was not soonest to expire first and says so."""
        if following is None or following.name != "BucketsMoved":
            return None
        said_from, said_to, buckets = following.args
        ctx.equal(REPLAY, "buckets moved between others", (sender, receiver), (said_from, said_to))
        moved = acc.aged(buckets, ctx.epoch)
        ctx.equal(REPLAY, "the buckets do not add up to the points", points, acc.balance(moved))
        return moved & acc.LANES_MASK

    def _may_hold(self, ctx: Context, holder: bytes, word: int) -> None:
        if self._figures.policy != Policy.OPEN and not word & acc.MEMBER_BIT:
            ctx.fail(REPLAY, "points went to an address that is no member", "", shown(holder))

    def _held(self, epoch: int, lanes: int, sign: int) -> None:
        held = self.ledger.held
        while lanes:
            points = lanes & acc.LANE_MASK
            if points:
                held[epoch] = held.get(epoch, 0) + sign * points
            lanes >>= acc.LANE_BITS
            epoch -= 1

    def _points(self, ctx: Context, event: Event) -> None:
        ledger = self.ledger
        if event.name == "MemberSet":
            member, is_member = event.args
            word = acc.aged(ledger.accounts.get(member, 0), ctx.epoch)
            if bool(word & acc.MEMBER_BIT) == bool(is_member):
                ctx.fail(REPLAY, "a member bit was set to what it was", "", shown(member))
            ledger.accounts[member] = acc.with_member(word, bool(is_member))
            ledger.members += 1 if is_member else -1
        elif event.name == "Approval":
            ASSET_EVENTS["Approval"](ctx, event.args)
        elif event.name == "CoalitionProposed":
            successor, acceptable_at = event.args
            ledger.proposed = (successor, acceptable_at)
        elif event.name == "CoalitionVetoed":
            ledger.proposed = None
        elif event.name == "CoalitionChanged":
            self._succession(ctx, event)

    def _succession(self, ctx: Context, event: Event) -> None:
        previous, current = event.args
        ledger = self.ledger
        if previous == ZERO:  # the constructor of Points
            ctx.equal(REPLAY, "Points obeys another Coalition", ledger.coalition, current)
            return
        ctx.equal(REPLAY, "another Coalition was succeeded", ledger.coalition, previous)
        if ledger.proposed is None or ledger.proposed[0] != current:
            ctx.fail(REPLAY, "a successor took over that was not proposed", "", shown(current))
        elif ctx.header.timestamp < ledger.proposed[1]:
            due, now = ledger.proposed[1], ctx.header.timestamp
            ctx.fail(REPLAY, "a successor took over too early", due, now)
        ledger.predecessors.append(previous)
        ledger.coalition, ledger.proposed = current, None
        ledger.inherited_through = ctx.epoch
        ctx.is_succession = True
        # What the new one held before is a gift: no deposit could be made there yet.
        ledger.surplus += ledger.assets
        # A nonce of a merchant counts at the Coalition for which the order was signed.
        for merchant in ledger.merchants.values():
            merchant.nonces.clear()

    # ---- what the Coalition says

    def _coalition(self, ctx: Context, event: Event) -> None:
        name = event.name
        if name != "HandedOver" and event.address != self.ledger.coalition:
            # A successor is deployed, and tells its terms, before it takes over.
            if name in EFFECT_EVENTS or name != "TermsSet":
                ctx.fail(REPLAY, f"{name} by a Coalition that Points does not obey")
            return
        effect = EFFECT_EVENTS.get(name)
        if effect is not None:
            effect(ctx, event.args)
        else:
            CLEARING_EVENTS[name](ctx, event.args)

    def _finish(self, ctx: Context) -> None:
        tx = ctx.tx
        if ctx.mints:
            ctx.fail(REPLAY, "points were issued by no order", "", shown(ctx.mints[0][1]))
        if ctx.burns:
            ctx.fail(REPLAY, "points were burnt by no order", "", shown(ctx.burns[0][0]))
        if ctx.leaves:
            ctx.fail(REPLAY, "redemptions without a root", "", shown(redemptions_root(ctx.leaves)))
        for sender, _, _, _ in ctx.moves:
            if tx.to == self._figures.points and tx.selector in _OWN_TRANSFER:
                if tx.sender is not None and tx.sender != sender:
                    got = shown(tx.sender)
                    ctx.fail(SIGNATURES, "another moved a holder's points", shown(sender), got)
            else:
                self.ledger.counts.allowance_moves += 1
        self._finish_assets(ctx)
        touched = self.ledger.touched
        touched.accounts.update(tx.named)
        if len(ctx.effective) < len(tx.orders):
            for order in tx.orders:
                if order.digest not in ctx.effective:
                    note(touched, order)

    def _finish_assets(self, ctx: Context) -> None:
        """What came in and was no deposit is a gift; what left is what was said to leave."""
        self.ledger.surplus += sum(amount for _, amount in ctx.asset_in)
        if sorted(ctx.asset_out) != sorted(ctx.pays):
            ctx.fail(
                LAW_3,
                "the Coalition paid out other than what orders and calls asked for",
                [(shown(to), amount) for to, amount in ctx.pays],
                [(shown(to), amount) for to, amount in ctx.asset_out],
            )


def issues_of(block: CheckedBlock) -> Iterator[tuple[Event, Order | None]]:
    """Each batch that took effect in a block, with its order where that was seen."""
    for tx in block.transactions:
        by_digest = {order.digest: order for order in tx.orders}
        for event in tx.events:
            if event.contract == "Coalition" and event.name == "Issued":
                yield event, by_digest.get(event.args[0])
