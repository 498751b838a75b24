"""The settlement asset and the passes, replayed from their own logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from indexer.auditor.context import REPLAY, Context, shown
from indexer.auditor.ledger import Attestation
from indexer.auditor.rules import Args

ZERO: Final = bytes(20)
_MEMBER_MASK: Final = (1 << 160) - 1
RECEIPTS_LAW: Final = "law 15: two different people, and a bank reference once"


def asset_moved(ctx: Context, args: Args) -> None:
    """A Transfer of the settlement asset: every holder's balance, and what the Coalition's was."""
    sender, to, amount = args
    ledger = ctx.ledger
    balances = ledger.asset_balances
    # Of somebody's token only the Coalition's part is followed: its other holders are legion.
    ours = (ledger.coalition, *ledger.predecessors)
    every = ctx.figures.asset_is_receipt
    if sender == ZERO:
        ledger.asset_supply += amount
    elif every or sender in ours:
        balances[sender] = balances.get(sender, 0) - amount
        if balances[sender] < 0:
            ctx.fail(REPLAY, "more of the asset left a holder than it had", "", shown(sender))
    if to == ZERO:
        ledger.asset_supply -= amount
    elif every or to in ours:
        balances[to] = balances.get(to, 0) + amount
    coalition = ledger.coalition
    if sender in ledger.predecessors and to == coalition:
        return  # handed over: no gift, and no payment
    if to == coalition and sender != coalition:
        ctx.asset_in.append((sender, amount))
    elif sender == coalition and to != coalition:
        ctx.asset_out.append((to, amount))


def mint_proposed(ctx: Context, args: Args) -> None:
    """A bank reference, used once."""
    reference, to, amount, proposer = args
    proposals = ctx.ledger.bank_mints
    if proposals.get(reference, (b"", 0, b"", False))[3]:
        ctx.fail(RECEIPTS_LAW, "a bank reference was used twice", "", shown(reference))
    proposals[reference] = (
        to,
        amount,
        proposer,
        False,
    )


def mint_confirmed(ctx: Context, args: Args) -> None:
    """By another person than the proposer."""
    reference, to, amount, attestor = args
    proposal = ctx.ledger.bank_mints.get(reference)
    if proposal is None or proposal[3] or proposal[:2] != (to, amount):
        ctx.fail(RECEIPTS_LAW, "receipts were minted other than proposed", "", shown(reference))
    if proposal[2] == attestor:
        ctx.fail(RECEIPTS_LAW, "one person proposed and confirmed receipts", "", shown(attestor))
    ctx.ledger.bank_mints[reference] = (*proposal[:3], True)
    days, day = ctx.ledger.bank_days, ctx.header.timestamp // 86_400
    days[day] = days.get(day, 0) + amount


def mint_rejected(ctx: Context, args: Args) -> None:
    """The proposal is gone; its reference was not used."""
    proposal = ctx.ledger.bank_mints.get(args[0])
    if proposal is None or proposal[3]:
        ctx.fail(RECEIPTS_LAW, "receipts were rejected that nobody proposed", "", shown(args[0]))
    ctx.ledger.bank_mints[args[0]] = (b"", 0, b"", False)


def balance_attested(ctx: Context, args: Args) -> None:
    """What an attestor says the bank held: kept with its words, proven by nobody."""
    date, amount, document, attestor = args
    ctx.ledger.attestation = Attestation(
        date,
        amount,
        document,
        attestor,
        ctx.header.number,
    )


def approved(ctx: Context, args: Args) -> None:
    """An allowance: the most that its slot may hold from here on."""
    owner, spender, amount = args
    if ctx.contract_name == "BankReceipt" and not ctx.figures.asset_is_receipt:
        return
    ctx.ledger.approvals[(ctx.contract, owner, spender)] = amount


def payout_requested(ctx: Context, args: Args) -> None:
    """What is paid out is locked meanwhile: the Transfer says so."""
    payout, holder, amount, _ = args
    ctx.ledger.bank_payouts[payout] = (holder, amount)


def payout_cancelled(ctx: Context, args: Args) -> None:
    """The receipts go back: the Transfer says so."""
    ctx.ledger.bank_payouts[args[0]] = (ZERO, 0)


def payout_settled(ctx: Context, args: Args) -> None:
    """A bank reference once, for payments out as well."""
    payout, reference = args
    ledger = ctx.ledger
    ledger.bank_payouts[payout] = (ZERO, 0)
    used = ledger.bank_mints.get(reference, (b"", 0, b"", False))[3]
    if used or reference in ledger.bank_settled:
        ctx.fail(RECEIPTS_LAW, "a bank reference was used twice", "", shown(reference))
    ledger.bank_settled.add(reference)


def _nothing(ctx: Context, args: Args) -> None:
    """Changes nothing that is replayed."""


ASSET_EVENTS: Final[dict[str, Callable[[Context, Args], None]]] = {
    "Transfer": asset_moved,
    "MintProposed": mint_proposed,
    "MintConfirmed": mint_confirmed,
    "MintRejected": mint_rejected,
    "BalanceAttested": balance_attested,
    "Approval": approved,
    "PayoutRequested": payout_requested,
    "PayoutSettled": payout_settled,
    "PayoutCancelled": payout_cancelled,
}


# ---- passes


def pass_moved(ctx: Context, args: Args) -> None:
    """Soulbound: minted to and burnt from the member whose address the token id carries."""
    sender, to, token = args
    passes = ctx.ledger.passes
    holder = (token & _MEMBER_MASK).to_bytes(20, "big")
    if sender == ZERO and to == holder and token not in passes:
        burned = ctx.pass_burned
        # A recovery burns and mints in one breath, and keeps tier and joining time.
        follows = burned is not None and burned[0] == ctx.log_index - 1
        if burned is not None and follows and burned[1] >> 160 == token >> 160:
            passes[token] = burned[2]
            if burned[1] == burned[1] & _MEMBER_MASK:
                ctx.ledger.recovered_to[burned[1].to_bytes(20, "big")] = holder
        else:
            passes[token] = (0, ctx.header.timestamp)
            if token == token & _MEMBER_MASK and holder in ctx.ledger.recovered_to:
                ctx.ledger.recovered_to[holder] = ZERO
    elif to == ZERO and sender == holder and token in passes:
        ctx.ledger.passes_gone.add(token)
        ctx.pass_burned = (ctx.log_index, token, passes.pop(token))
    else:
        ctx.fail(REPLAY, "a soulbound pass moved", shown(holder), shown(to))


def tier_set(ctx: Context, args: Args) -> None:
    """Of a pass that exists."""
    token, tier = args
    held = ctx.ledger.passes.get(token)
    if held is None:
        ctx.fail(REPLAY, "a tier was set on a pass that does not exist", "", f"0x{token:x}")
    ctx.ledger.passes[token] = (tier, held[1])


_SILENT: Final = ("Locked", "Unlocked", "MetadataUpdate", "BatchMetadataUpdate", "Approval")
PASS_EVENTS: Final[dict[str, Callable[[Context, Args], None]]] = {
    "Transfer": pass_moved,
    "TierSet": tier_set,
    **dict.fromkeys((*_SILENT, "ApprovalForAll"), _nothing),
}
