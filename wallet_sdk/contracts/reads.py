"""Every question that the contracts answer, as `Read` objects: ask one, or many in a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from wallet_sdk.buckets import Account, unpack_buckets
from wallet_sdk.contracts import questions as q
from wallet_sdk.contracts.answers import (
    Closing,
    EpochSupply,
    Income,
    IssuedBy,
    Ledger,
    MerchantState,
    Pass,
    Recovery,
    Successor,
    Terms,
)
from wallet_sdk.contracts.functions import Function, Read
from wallet_sdk.types import Address, Digest, Money, Points, Policy, Seconds, Status

T = TypeVar("T")


def token_id_of(programme: int, member: Address) -> int:
    """programme << 160 | member: programme 0 is the coalition, others the merchant's id."""
    return programme << 160 | int(member, 16)


def _merchant_state(owner: Address, status: int, *rest: Any) -> MerchantState:
    return MerchantState(owner, Status(status), *rest)


class Reads:
    """Questions to the contracts of one deployment."""

    def __init__(self, addresses: dict[str, Address]) -> None:
        self._addresses = addresses

    def _one(self, asked: Function, *arguments: Any) -> Read[Any]:
        return self._made(asked, lambda value: value, *arguments)

    def _made(self, asked: Function, make: Callable[..., T], *arguments: Any) -> Read[T]:
        return Read(
            self._addresses[asked.contract],
            asked.encode(*arguments),
            lambda data: make(*asked.decode(data)),
        )

    # ---- Points

    def balance_of(self, account: Address) -> Read[Points]:
        """Live points of an account."""
        return self._one(q.BALANCE_OF, account)

    def balance_of_at_epoch(self, epoch: int, account: Address) -> Read[Points]:
        """Points of an account that were earned in `epoch`; 0 when it has expired."""
        return self._one(q.BALANCE_OF_AT_EPOCH, epoch, account)

    def total_supply(self) -> Read[Points]:
        """Live points of all."""
        return self._one(q.TOTAL_SUPPLY)

    def account_of(self, account: Address) -> Read[Account]:
        """The packed account as it is stored: not aged."""
        return self._made(q.ACCOUNT_OF, Account.unpack, account)

    def account_word_of(self, account: Address) -> Read[int]:
        """The packed account as one number."""
        return self._one(q.ACCOUNT_OF, account)

    def buckets_of(self, account: Address) -> Read[dict[int, Points]]:
        """Live points by epoch, soonest to expire first."""
        return self._made(q.BUCKETS_OF, unpack_buckets, account)

    def is_member(self, account: Address) -> Read[bool]:
        """Whether the member bit is set."""
        return self._one(q.IS_MEMBER, account)

    def is_nonce_used(self, account: Address, nonce: int) -> Read[bool]:
        """Whether an order with this nonce would be refused as used."""
        return self._one(q.IS_NONCE_USED, account, nonce)

    def policy(self) -> Read[Policy]:
        """Who may hold points."""
        return self._made(q.POLICY, Policy)

    def supply_of_epoch(self, epoch: int) -> Read[EpochSupply]:
        """Issued net of returns, and live (for an expired epoch: expired unspent)."""
        return self._made(q.SUPPLY_OF_EPOCH, EpochSupply, epoch)

    def current_epoch(self) -> Read[int]:
        """The epoch of the block asked at."""
        return self._one(q.CURRENT_EPOCH)

    def epoch_start(self, epoch: int) -> Read[Seconds]:
        """First second of `epoch`."""
        return self._one(q.EPOCH_START, epoch)

    def epoch_end(self, epoch: int) -> Read[Seconds]:
        """Last second of `epoch`."""
        return self._one(q.EPOCH_END, epoch)

    def epoch_length(self) -> Read[Seconds]:
        """Seconds of an epoch."""
        return self._one(q.EPOCH_LENGTH)

    def is_epoch_expired(self, epoch: int) -> Read[bool]:
        """Whether points of `epoch` are gone."""
        return self._one(q.IS_EPOCH_EXPIRED, epoch)

    def coalition(self) -> Read[Address]:
        """The one contract that mints and burns."""
        return self._one(q.COALITION)

    def successor(self) -> Read[Successor]:
        """The proposed Coalition."""
        return self._made(q.SUCCESSOR, Successor)

    # ---- Coalition

    def merchant_of(self, merchant: int) -> Read[MerchantState]:
        """Owner, status, position, limit and profile; status NONE when there is no such
        merchant.
        """
        return self._made(q.MERCHANT_OF, _merchant_state, merchant)

    def position_of(self, merchant: int) -> Read[Money]:
        """What the merchant has with the network."""
        return self._one(q.POSITION_OF, merchant)

    def till_key_merchant(self, key: Address) -> Read[int]:
        """The merchant a till key signs for; 0 for none."""
        return self._one(q.TILL_KEY_MERCHANT, key)

    def is_merchant_nonce_used(self, merchant: int, nonce: int) -> Read[bool]:
        """Whether the merchant's nonce is used up."""
        return self._one(q.IS_MERCHANT_NONCE_USED, merchant, nonce)

    def terms_of(self, epoch: int) -> Read[Terms]:
        """Fees and issuers' share of an epoch."""
        return self._made(q.TERMS_OF, Terms, epoch)

    def issued_by(self, epoch: int, merchant: int) -> Read[IssuedBy]:
        """Issued by the merchant in the epoch, and returned to it."""
        return self._made(q.ISSUED_BY, IssuedBy, epoch, merchant)

    def is_redemption_root(self, root: Digest) -> Read[bool]:
        """Whether a relay stored this root."""
        return self._one(q.IS_REDEMPTION_ROOT, root)

    def refunded_of(self, leaf: Digest) -> Read[Points]:
        """Points given back out of a redemption's leaf so far."""
        return self._one(q.REFUNDED_OF, leaf)

    def reserve(self) -> Read[Money]:
        """Live points x face value."""
        return self._one(q.RESERVE)

    def sum_of_limits(self) -> Read[Money]:
        """All merchants' credit limits together."""
        return self._one(q.SUM_OF_LIMITS)

    def guarantee(self) -> Read[Money]:
        """The operator's cover for credit limits."""
        return self._one(q.GUARANTEE)

    def income(self) -> Read[Income]:
        """The operator's income."""
        return self._made(q.INCOME, Income)

    def breakage(self) -> Read[Money]:
        """Face value of expired points not closed, or closed and not claimed."""
        return self._one(q.BREAKAGE)

    def issuing_paused(self) -> Read[bool]:
        """Whether the operator has paused issuing."""
        return self._one(q.ISSUING_PAUSED)

    def face_value(self) -> Read[Money]:
        """Units of the settlement asset per point."""
        return self._one(q.FACE_VALUE)

    def return_cap_bps(self) -> Read[int]:
        """The part of its issues that a merchant may take back, in hundredths of a percent."""
        return self._one(q.RETURN_CAP_BPS)

    def predecessor(self) -> Read[Address]:
        """The Coalition before this one; the zero address for the first."""
        return self._one(q.PREDECESSOR)

    def domain_separator(self) -> Read[Digest]:
        """EIP-712 domain separator: equal to `Domain.separator`."""
        return self._one(q.DOMAIN_SEPARATOR)

    def digest_of(self, wire: bytes) -> Read[Digest]:
        """The digest that the signer of this wire order must have signed."""
        return self._one(q.DIGEST_OF, wire)

    def office(self) -> Read[Address]:
        """The contract whose code Coalition runs by delegation for what is seldom called."""
        return self._one(q.OFFICE)

    def recovery_of(self, member: Address) -> Read[Recovery]:
        """The address that the member named, and when a running recovery may be finished."""
        return self._made(q.RECOVERY_OF, Recovery, member)

    def closing_of(self, epoch: int) -> Read[Closing]:
        """How a closed epoch was shared out."""
        return self._made(q.CLOSING_OF, Closing, epoch)

    def has_claimed(self, epoch: int, merchant: int) -> Read[bool]:
        """Whether the merchant has had its share of the epoch."""
        return self._one(q.HAS_CLAIMED, epoch, merchant)

    def ledger(self) -> Read[Ledger]:
        """What is written down of the money."""
        return self._made(q.LEDGER, Ledger)

    # ---- MembershipPass and BankReceipt

    def pass_of(self, member: Address, programme: int = 0) -> Read[Pass]:
        """A member's pass of a programme."""
        return self._made(q.PASS_OF, Pass, token_id_of(programme, member))

    def token_uri(self, token_id: int) -> Read[str]:
        """The pass's card: a data: URI with JSON and SVG."""
        return self._one(q.TOKEN_URI, token_id)

    def receipts_of(self, account: Address) -> Read[Money]:
        """Receipts an account holds; of Coalition: the assets held."""
        return self._one(q.RECEIPTS_OF, account)

    def receipts_supply(self) -> Read[Money]:
        """All receipts there are."""
        return self._one(q.RECEIPTS_SUPPLY)

    def daily_limit(self) -> Read[Money]:
        """The most receipts that may be minted in one day."""
        return self._one(q.DAILY_LIMIT)
