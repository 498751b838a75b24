"""What a key in custody may sign: orders of its kinds for its own merchant or member on this
network, and transactions to this network's contracts. Everything else is refused with a code.

A signature over a bare digest is never given: whoever can ask for one can ask for anything.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from gateway.custody.purposes import Place, Purpose, merchant_of_tenant
from gateway.errors import CustodyError, NotReady, SigningRefused
from wallet_sdk.contracts import Deployment
from wallet_sdk.contracts.calls import CLAIM_BREAKAGE, CLOSE_EPOCH, EXECUTE, FINISH_RECOVERY, RELAY
from wallet_sdk.errors import SignerError, SignerUnavailable
from wallet_sdk.orders import Domain, IssueBatch, Kind, Order
from wallet_sdk.signers import TransactionSigner
from wallet_sdk.types import Address, Digest, address_of

DYNAMIC_FEE: Final = 2

_OF_MEMBERS: Final = frozenset(
    {Kind.JOIN, Kind.LEAVE, Kind.REDEEM, Kind.RETURN, Kind.TRANSFER, Kind.CANCEL}
    | {Kind.NAME_RECOVERY, Kind.RECOVER}
)
ORDERS: Final[Mapping[Purpose, frozenset[Kind]]] = {
    Purpose.TILL: frozenset({Kind.ISSUE_BATCH, Kind.REFUND, Kind.RETURN, Kind.CANCEL}),
    Purpose.OWNER: frozenset(
        {Kind.WITHDRAW, Kind.SET_TILL_KEY, Kind.SET_OWNER, Kind.SET_PROFILE, Kind.CANCEL}
    ),
    Purpose.MEMBER_SEED: _OF_MEMBERS,
}
"""Kinds of orders by the purpose of the key; a purpose that is not named signs none."""

RELAYED: Final = frozenset(
    f.selector for f in (RELAY, EXECUTE, CLOSE_EPOCH, CLAIM_BREAKAGE, FINISH_RECOVERY)
)
"""Functions of Coalition that anybody may call: all that a relayer has business with."""

_OFFICES: Final = frozenset(
    {Purpose.ADMIN, Purpose.GUARDIAN, Purpose.OPERATOR, Purpose.TREASURER, Purpose.ATTESTOR}
)

# Where a member's order says who signs it; elsewhere it is the field `member`.
_SIGNED_BY: Final = {Kind.TRANSFER: "from_", Kind.CANCEL: "signer", Kind.RECOVER: "recovery"}


@dataclass(frozen=True, slots=True)
class Rules:
    """The network that signatures are for."""

    domain: Domain
    contracts: frozenset[Address]

    @classmethod
    def of(cls, deployment: Deployment) -> "Rules":
        """The rules of a deployed (or planned) network."""
        return cls(deployment.domain, frozenset(deployment.addresses.values()))

    def check_order(self, order: Order, place: Place) -> None:
        """Raises SigningRefused: this key has no business with this order."""
        kind, purpose = order.KIND, Purpose(place.purpose)
        if kind not in ORDERS.get(purpose, frozenset()):
            raise SigningRefused(f"a {purpose.value} key signs no {kind.name.lower()}", place)
        merchant = getattr(order, "merchant", 0)
        if purpose is Purpose.MEMBER_SEED:
            if getattr(order, _SIGNED_BY.get(kind, "member")) != address_of(place.address):
                raise SigningRefused("a member's key signs that member's orders only", place)
            if kind is Kind.CANCEL and merchant:
                raise SigningRefused("a member's key cancels no merchant's order", place)
        elif merchant != merchant_of_tenant(place.tenant):
            raise SigningRefused(
                f"a key of {place.tenant} signs nothing of merchant {merchant}", place
            )

    def check_transaction(self, transaction: Mapping[str, Any], place: Place) -> None:
        """Raises SigningRefused: another chain, contract, value, or function."""
        purpose = Purpose(place.purpose)
        chain_id = transaction.get("chainId")
        if chain_id != self.domain.chain_id:
            raise SigningRefused(f"chain {chain_id} is not this network's", place)
        if transaction.get("type") != DYNAMIC_FEE or transaction.get("value") != 0:
            raise SigningRefused(
                "a transaction of type 2 that carries no coin, nothing else", place
            )
        to, data = transaction.get("to"), _data(transaction)
        if to == address_of(place.address) and not data:
            return  # uses the nonce up and does nothing
        if purpose is Purpose.DEPLOYER:
            allowed = to is None or to in self.contracts
        elif purpose is Purpose.RELAYER:
            allowed = to == self.domain.coalition and data[:4] in RELAYED
        else:
            allowed = purpose in _OFFICES and to in self.contracts
        if not allowed:
            raise SigningRefused(f"a {purpose.value} key sends no such call to {to}", place)


class Charges(Protocol):
    """Counts what keys sign in a day. Raises SigningCapReached."""

    def charge_issue(self, place: Place, order: IssueBatch) -> None:
        """Before an issue is signed."""
        ...

    def charge_gas(self, place: Place, transaction: Mapping[str, Any]) -> None:
        """Before a relayer's transaction is signed."""
        ...


@dataclass(slots=True)
class Binding:
    """The network that keys sign for, once it is known, and who counts."""

    rules: Rules | None = None
    charges: Charges | None = None


class GuardedSigner:
    """A key with its rules. `TransactionSigner` in shape, but for bare digests."""

    __slots__ = ("_binding", "_key", "_place")

    def __init__(self, key: TransactionSigner, place: Place, binding: Binding) -> None:
        self._key = key
        self._place = place
        self._binding = binding

    @property
    def address(self) -> Address:
        """Whom the contracts recover from its signatures."""
        return self._key.address

    def sign_order(self, order: Order) -> tuple[bytes, bytes]:
        """The order's digest on this network, and the signature over it.

        Raises SigningRefused, SigningCapReached, NotReady (KMS does not answer).
        """
        rules, charges = self._bound()
        rules.check_order(order, self._place)
        if isinstance(order, IssueBatch):
            charges.charge_issue(self._place, order)
        digest = order.digest(rules.domain)
        with translating():
            return digest, self._key.sign(digest)

    def sign_transaction(self, transaction: Mapping[str, Any]) -> tuple[bytes, Digest]:
        """The raw bytes and the hash. Raises as `sign_order`."""
        rules, charges = self._bound()
        rules.check_transaction(transaction, self._place)
        if self._place.purpose == Purpose.RELAYER:
            charges.charge_gas(self._place, transaction)
        with translating():
            return self._key.sign_transaction(transaction)

    def sign(self, digest: bytes) -> bytes:
        """Always SigningRefused: nobody can tell what a digest stands for."""
        raise SigningRefused("no key in custody signs a bare digest", self._place)

    def _bound(self) -> tuple[Rules, Charges]:
        rules, charges = self._binding.rules, self._binding.charges
        if rules is None or charges is None:
            raise SigningRefused("no network is known to sign for yet", self._place)
        return rules, charges

    def __repr__(self) -> str:
        return f"GuardedSigner({self._place.purpose} of {self._place.tenant}, {self.address})"


@contextmanager
def translating() -> Iterator[None]:
    """Refusals of the SDK's signers as errors of the gateway."""
    try:
        yield
    except SignerUnavailable as error:
        raise NotReady(f"the key cannot be asked: {error.message}") from None
    except SignerError as error:
        raise CustodyError(f"the key does not sign: {error.message}") from None


def _data(transaction: Mapping[str, Any]) -> bytes:
    data = transaction.get("data", b"")
    return bytes.fromhex(data.removeprefix("0x")) if isinstance(data, str) else bytes(data)
