"""Calldata of everything that changes state, typed. Signing and sending are the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from wallet_sdk.contracts.answers import Terms
from wallet_sdk.contracts.functions import Call, Function, function
from wallet_sdk.types import ZERO_ADDRESS, ZERO_DIGEST, Address, Digest, Money, Status

_COALITION: Final = "Coalition"
_RECEIPT: Final = "BankReceipt"
_POINTS: Final = "Points"
_PASS: Final = "MembershipPass"

RELAY: Final = function(_COALITION, "relay(bytes[] orders)", "uint256")
EXECUTE: Final = function(_COALITION, "execute(bytes order)", "bytes32")
DEPOSIT: Final = function(_COALITION, "deposit(uint32 merchant, uint256 amount)")
DEPOSIT_GUARANTEE: Final = function(_COALITION, "depositGuarantee(uint256 amount)")
CLOSE_EPOCH: Final = function(_COALITION, "closeEpoch(uint256 epoch)")
CLAIM_BREAKAGE: Final = function(
    _COALITION, "claimBreakage(uint256 epoch, uint32 merchant)", "uint256"
)
FINISH_RECOVERY: Final = function(_COALITION, "finishRecovery(address member)")
REGISTER_MERCHANT: Final = function(
    _COALITION,
    "registerMerchant(uint32 merchant, address owner, address till, bytes32 profileHash)",
)
SET_MERCHANT_STATUS: Final = function(
    _COALITION, "setMerchantStatus(uint32 merchant, uint8 status)"
)
SET_CREDIT_LIMIT: Final = function(_COALITION, "setCreditLimit(uint32 merchant, uint256 limit)")
SET_TERMS: Final = function(_COALITION, "setTerms(uint256 fromEpoch, (uint32,uint32,uint16) terms)")
PAUSE_ISSUING: Final = function(_COALITION, "pauseIssuing(bool paused)")
WITHDRAW_GUARANTEE: Final = function(_COALITION, "withdrawGuarantee(address to, uint256 amount)")
WITHDRAW_INCOME: Final = function(_COALITION, "withdrawIncome(address to, uint256 amount)")

APPROVE: Final = function(_RECEIPT, "approve(address spender, uint256 value)", "bool")
PROPOSE_MINT: Final = function(
    _RECEIPT, "proposeMint(bytes32 bankReference, address to, uint256 amount)"
)
CONFIRM_MINT: Final = function(_RECEIPT, "confirmMint(bytes32 bankReference)")
REQUEST_PAYOUT: Final = function(
    _RECEIPT, "requestPayout(uint256 amount, bytes32 accountHash)", "uint256"
)
CANCEL_PAYOUT: Final = function(_RECEIPT, "cancelPayout(uint256 payout)")
SETTLE_PAYOUT: Final = function(_RECEIPT, "settlePayout(uint256 payout, bytes32 bankReference)")
ATTEST_BALANCE: Final = function(
    _RECEIPT, "attestBalance(uint256 date, uint256 amount, bytes32 documentHash)"
)

ENROLL: Final = function(_PASS, "enroll(uint256 programme, address member, uint256 tier)")
SET_TIER: Final = function(_PASS, "setTier(uint256 tokenId, uint256 tier)")
DISCARD: Final = function(_PASS, "discard(uint256 programme)")
FOLLOW_RECOVERY: Final = function(_PASS, "followRecovery(uint256 programme, address from)")

ACCEPT: Final = function(_COALITION, "accept()")
HAND_OVER: Final = function(_COALITION, "handOver()")
PROPOSE_COALITION: Final = function(_POINTS, "proposeCoalition(address proposed)")
VETO_COALITION: Final = function(_POINTS, "vetoCoalition()")


class Calls:
    """Calls to the contracts of one deployment. Money in units of the settlement asset."""

    def __init__(self, addresses: dict[str, Address]) -> None:
        self._addresses = addresses

    def _call(self, called: Function, label: str, *arguments: Any) -> Call:
        return Call(self._addresses[called.contract], called.encode(*arguments), label)

    # ---- open to anyone

    def relay(self, orders: Sequence[bytes]) -> Call:
        """Carries wire orders out, each isolated from the others."""
        return self._call(RELAY, f"relay {len(orders)} orders", list(orders))

    def execute(self, order: bytes) -> Call:
        """Carries one wire order out or reverts with the reason."""
        return self._call(EXECUTE, "execute an order", order)

    def deposit(self, merchant: int, amount: Money) -> Call:
        """Pulls receipts of the caller (approve first) into the merchant's position."""
        return self._call(DEPOSIT, f"deposit {amount} for merchant {merchant}", merchant, amount)

    def deposit_guarantee(self, amount: Money) -> Call:
        """Pulls receipts of the caller (approve first) into the guarantee."""
        return self._call(DEPOSIT_GUARANTEE, f"deposit a guarantee of {amount}", amount)

    def close_epoch(self, epoch: int) -> Call:
        """Shares an expired epoch out."""
        return self._call(CLOSE_EPOCH, f"close epoch {epoch}", epoch)

    def claim_breakage(self, epoch: int, merchant: int) -> Call:
        """Credits the merchant with its share of a closed epoch."""
        label = f"claim epoch {epoch} for merchant {merchant}"
        return self._call(CLAIM_BREAKAGE, label, epoch, merchant)

    def finish_recovery(self, member: Address) -> Call:
        """Moves an account to its recovery address once the delay has passed."""
        return self._call(FINISH_RECOVERY, f"finish the recovery of {member}", member)

    # ---- the operator

    def register_merchant(
        self,
        merchant: int,
        owner: Address,
        till: Address = ZERO_ADDRESS,
        profile_hash: Digest = ZERO_DIGEST,
    ) -> Call:
        """Registers merchant `merchant` (1 to 2^32 - 1, the operator's choice). No till key: zero
        address.
        """
        label = f"register merchant {merchant}"
        return self._call(REGISTER_MERCHANT, label, merchant, owner, till, profile_hash)

    def set_merchant_status(self, merchant: int, status: Status) -> Call:
        """What the merchant may do from now on."""
        label = f"merchant {merchant}: {status.name.lower()}"
        return self._call(SET_MERCHANT_STATUS, label, merchant, int(status))

    def set_credit_limit(self, merchant: int, limit: Money) -> Call:
        """How far the merchant's position may go under zero."""
        label = f"merchant {merchant}: credit limit {limit}"
        return self._call(SET_CREDIT_LIMIT, label, merchant, limit)

    def set_terms(self, from_epoch: int, terms: Terms) -> Call:
        """Terms from an epoch on that begins in 30 days or later."""
        values = (terms.issue_fee, terms.redeem_fee, terms.issuers_share_bps)
        return self._call(SET_TERMS, f"terms from epoch {from_epoch}", from_epoch, values)

    def pause_issuing(self, paused: bool) -> Call:
        """Stops issuing, or lets it go on; nothing else can be paused."""
        return self._call(PAUSE_ISSUING, "pause issuing" if paused else "resume issuing", paused)

    def withdraw_guarantee(self, to: Address, amount: Money) -> Call:
        """Takes back guarantee that no credit limit needs."""
        return self._call(WITHDRAW_GUARANTEE, f"withdraw {amount} of the guarantee", to, amount)

    def withdraw_income(self, to: Address, amount: Money) -> Call:
        """Takes earned income."""
        return self._call(WITHDRAW_INCOME, f"withdraw {amount} of the income", to, amount)

    def propose_coalition(self, proposed: Address) -> Call:
        """Proposes a successor of Coalition: 30 days in the open."""
        return self._call(PROPOSE_COALITION, f"propose {proposed} as Coalition", proposed)

    def veto_coalition(self) -> Call:
        """Ends the proposal."""
        return self._call(VETO_COALITION, "veto the proposed Coalition")

    def accept(self) -> Call:
        """To the successor: it takes over from the Coalition before it. Anyone may call."""
        return self._call(ACCEPT, "accept the succession")

    def hand_over(self) -> Call:
        """To an old Coalition: it pays what it still holds to the one that Points obeys."""
        return self._call(HAND_OVER, "hand over to the successor")

    # ---- passes

    def enroll(self, programme: int, member: Address, tier: int) -> Call:
        """Till key or owner of merchant `programme`: a pass of its own for a member."""
        return self._call(ENROLL, f"enroll {member} in {programme}", programme, member, tier)

    def set_tier(self, token_id: int, tier: int) -> Call:
        """Operator (programme 0), or the merchant whose programme it is."""
        return self._call(SET_TIER, f"tier {tier} for pass {token_id:#x}", token_id, tier)

    def discard(self, programme: int) -> Call:
        """Holder: gives up the pass of a merchant's programme."""
        return self._call(DISCARD, f"discard the pass of {programme}", programme)

    def follow_recovery(self, programme: int, member: Address) -> Call:
        """Anyone: the programme's pass follows to the address that `member` recovered to."""
        label = f"the pass of {member} in {programme} follows its recovery"
        return self._call(FOLLOW_RECOVERY, label, programme, member)

    # ---- receipts

    def approve_receipts(self, spender: Address, amount: Money) -> Call:
        """Lets `spender` (Coalition) pull receipts of the caller."""
        return self._call(APPROVE, f"approve {amount} receipts to {spender}", spender, amount)

    def propose_mint(self, bank_reference: Digest, to: Address, amount: Money) -> Call:
        """Treasurer: money arrived at the bank under this reference."""
        return self._call(PROPOSE_MINT, f"propose {amount} receipts", bank_reference, to, amount)

    def confirm_mint(self, bank_reference: Digest) -> Call:
        """Attestor, another person: mints what was proposed."""
        return self._call(CONFIRM_MINT, f"confirm the mint of {bank_reference}", bank_reference)

    def request_payout(self, amount: Money, account_hash: Digest) -> Call:
        """Holder: locks receipts for a bank transfer."""
        return self._call(REQUEST_PAYOUT, f"request a payout of {amount}", amount, account_hash)

    def cancel_payout(self, payout: int) -> Call:
        """Holder: takes the request back."""
        return self._call(CANCEL_PAYOUT, f"cancel payout {payout}", payout)

    def settle_payout(self, payout: int, bank_reference: Digest) -> Call:
        """Treasurer: the bank has paid."""
        return self._call(SETTLE_PAYOUT, f"settle payout {payout}", payout, bank_reference)

    def attest_balance(self, date: int, amount: Money, document_hash: Digest) -> Call:
        """Attestor: what the bank held on `date` (yyyymmdd)."""
        label = f"attest {amount} on {date}"
        return self._call(ATTEST_BALANCE, label, date, amount, document_hash)
