"""One transaction while it is replayed: what its logs said so far, and who must have signed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from indexer.auditor import orders as o
from indexer.auditor.blocks import OurTransaction
from indexer.auditor.errors import Broken
from indexer.auditor.headers import Header
from indexer.auditor.ledger import Ledger
from indexer.auditor.orders import Order
from wallet_sdk.epochs import EpochSchedule
from wallet_sdk.types import Policy

SIGNATURES: Final = "law 9: no effect without the signature of the charged party"
REPLAY: Final = "replay"

HasCode = Callable[[bytes, Header], "bool | None"]
"""(address, block) -> whether a contract stands there, by proof; None: it cannot be told."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What never changes in one network."""

    face_value: int
    return_caps_bps: Mapping[bytes, int]
    """By Coalition: a successor may have another."""
    schedule: EpochSchedule
    policy: Policy
    points: bytes
    asset_is_receipt: bool
    has_code: HasCode


Move = tuple[bytes, bytes, int, int]
"""from, to, points, lanes"""


@dataclass(slots=True)
class Context:
    """`mints`, `burns`, `moves`: movements of points that no effect has explained yet."""

    ledger: Ledger
    figures: Figures
    header: Header
    epoch: int
    month: str
    tx: OurTransaction
    by_digest: dict[bytes, tuple[int, Order]]
    last_order: int = -1
    effective: set[bytes] = field(default_factory=set)
    """Digests of the orders that took effect."""
    mints: list[Move] = field(default_factory=list)
    burns: list[Move] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    asset_in: list[tuple[bytes, int]] = field(default_factory=list)
    asset_out: list[tuple[bytes, int]] = field(default_factory=list)
    pays: list[tuple[bytes, int]] = field(default_factory=list)
    log_index: int = 0
    contract: bytes = b""
    contract_name: str = ""
    pass_burned: tuple[int, int, tuple[int, int]] | None = None
    """(log, token id, (tier, joined at)) of the last pass that was burnt."""
    leaves: list[bytes] = field(default_factory=list)
    registered: int = 0
    contract_signed: Order | None = None
    is_succession: bool = False

    def fail(self, check: str, fact: str, expected: object = "", got: object = "") -> NoReturn:
        """Raises Broken for this transaction."""
        raise Broken(check, self.header.number, fact, expected, got, "0x" + self.tx.hash.hex())

    def equal(self, check: str, fact: str, expected: object, got: object) -> None:
        """Raises Broken unless both are the same."""
        if expected != got:
            self.fail(check, fact, shown(expected), shown(got))

    def order(self, digest: bytes, kind: int) -> Order | None:
        """The order behind an effect, its signature checked; None: it reached the Coalition inside
        another contract's call and was not found there, which is counted as not checked.
        """
        counts = self.ledger.counts
        counts.orders += 1
        self.effective.add(digest)
        found = self.by_digest.get(digest)
        if found is None:
            if self.by_digest and not self.tx.hidden:
                self.fail(
                    SIGNATURES, "an effect without an order in the calldata", "", shown(digest)
                )
            counts.orders_unseen += 1
            return None
        at, order = found
        if order.kind != kind:
            self.fail(REPLAY, "an order had another order's effect", o.NAMES[kind], order.kind)
        if not self.tx.hidden:
            if at <= self.last_order:
                self.fail(REPLAY, "orders took effect in another order than they were relayed in")
            self.last_order = at
        deadline = order.fields["deadline"]
        if not self.header.timestamp <= deadline <= self.figures.schedule.end(self.epoch):
            self.fail(
                REPLAY,
                "an order took effect after its deadline, or with one beyond the epoch",
                f"{self.header.timestamp} to {self.figures.schedule.end(self.epoch)}",
                deadline,
            )
        return order

    def signed_by(self, order: Order, signer: bytes, *, second: bool = False) -> None:
        """Raises Broken: `signer` has not signed, and is no contract that could have said so."""
        recovered = order.member_signer if second else order.signer
        if recovered == signer and signer != bytes(20):
            self.ledger.counts.signatures += 1
            return
        self._contract_signed(order, signer, recovered)

    def signed_by_till(self, order: Order, merchant: int) -> None:
        """Raises Broken: no till key of the merchant, valid at this log, has signed."""
        tills = self.ledger.tills
        if order.signer is not None:
            if tills.get(order.signer) != (merchant, True):
                self.fail(
                    SIGNATURES,
                    f"an order was signed by no till key of merchant {merchant} valid at that log",
                    f"a till key of merchant {merchant}",
                    shown(order.signer),
                )
            self.ledger.counts.signatures += 1
            return
        signer = order.signature[:20]
        if len(order.signature) in range(20) or len(order.signature) == 65:
            self.fail(SIGNATURES, "an order without a valid signature took effect")
        if tills.get(signer) != (merchant, True):
            self.fail(SIGNATURES, f"a contract that is no till of merchant {merchant} signed")
        self._contract_signed(order, signer, None)

    def _contract_signed(self, order: Order, signer: bytes, recovered: bytes | None) -> None:
        if self.figures.has_code(signer, self.header) is False:
            self.fail(
                SIGNATURES,
                f"{o.NAMES[order.kind]} took effect without the signature of the charged party",
                shown(signer),
                shown(recovered) if recovered else "no signature of a key",
            )
        counts = self.ledger.counts
        counts.contract_signatures += 1
        if self.contract_signed is not order:  # a Return has two signatures and is one order
            counts.orders_by_contract += 1
        self.contract_signed = order


def shown(value: object) -> str:
    """Bytes as 0x hex, all else as Python prints it."""
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
