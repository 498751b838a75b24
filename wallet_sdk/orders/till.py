"""The orders of a till key: their wire carries more than the signed fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from wallet_sdk.buckets import LANE_MAX, POINTS_MAX, unpack_buckets
from wallet_sdk.errors import InputInvalid, OrderInvalid
from wallet_sdk.merkle import redemption_leaf
from wallet_sdk.orders.base import (
    CONTRACT_SIGNATURE_BYTES_MAX,
    Domain,
    Field,
    Kind,
    Order,
    Reader,
)
from wallet_sdk.orders.kinds import Redeem, check_address, check_merchant, check_points
from wallet_sdk.types import (
    ZERO_DIGEST,
    Address,
    Digest,
    Points,
    Seconds,
    address_bytes,
    address_of,
    from_hex,
    keccak256,
    to_address,
)

ENTRIES_MAX: Final = 600
"""Entries of one batch: their worst case (600 accounts never seen) stays under a transaction's gas
cap of 16,777,216.
"""
ENTRY_BYTES: Final = 25
PROOF_MAX: Final = 16
"""Steps of a proof: the contract reads no more. 65,536 redemptions do not fit a block."""


@dataclass(frozen=True)
class IssueBatch(Order):
    """Mints to each entry in the current epoch, all or nothing. Signed by a till key of the
    merchant.

    `entries` are (member, points) in order; the same member may stand there twice.
    `references_root` is `merkle.references_root` of the salted order references, in the same order.
    """

    KIND = Kind.ISSUE_BATCH
    TYPE = (
        "IssueBatch(uint32 merchant,uint64 nonce,uint40 deadline,"
        "bytes32 entriesHash,bytes32 referencesRoot)"
    )

    merchant: int
    nonce: int
    deadline: Seconds
    entries: tuple[tuple[Address, Points], ...]
    references_root: Digest = ZERO_DIGEST
    packed_entries: bytes = field(init=False, repr=False, compare=False)
    """The entries as they go on the wire: 25 bytes each."""

    def _check(self) -> None:
        check_merchant(self.merchant)
        if not 1 <= len(self.entries) <= ENTRIES_MAX:
            raise OrderInvalid(f"entries: 1 to {ENTRIES_MAX}, got {len(self.entries)}")
        packed = bytearray()
        normal = []
        for member, points in self.entries:
            if isinstance(points, bool) or not isinstance(points, int):
                raise OrderInvalid(f"points: expected an int, got {points!r}")
            check_points(points, LANE_MAX)
            try:
                raw = address_bytes(member)
            except InputInvalid as error:
                raise OrderInvalid(f"entries: {error}") from error
            address = address_of(raw)
            check_address("entries", address)
            packed += raw + points.to_bytes(5, "big")
            normal.append((address, points))
        object.__setattr__(self, "entries", tuple(normal))
        object.__setattr__(self, "packed_entries", bytes(packed))

    @property
    def points(self) -> Points:
        """The sum of all entries."""
        return sum(points for _, points in self.entries)

    @property
    def entries_hash(self) -> Digest:
        """keccak256 of the packed entries."""
        return "0x" + keccak256(self.packed_entries).hex()

    def _body(self) -> bytes:
        return (
            self.merchant.to_bytes(4, "big")
            + self.nonce.to_bytes(8, "big")
            + self.deadline.to_bytes(5, "big")
            + from_hex(self.references_root, 32)
            + len(self.entries).to_bytes(2, "big")
            + self.packed_entries
        )

    @classmethod
    def _read(cls, reader: Reader) -> IssueBatch:
        merchant, nonce, deadline = reader.number(4), reader.number(8), reader.number(5)
        root, count = reader.word(), reader.number(2)
        entries = tuple((reader.address(), reader.number(5)) for _ in range(count))
        return cls(merchant, nonce, deadline, entries, root)


@dataclass(frozen=True)
class Redemption:
    """A redemption that took effect, as a refund names it: the order's fields and the buckets it
    took.

    `buckets` is the word of the `Redeemed` event. `coalition`: for which Coalition it was signed
    where that has been succeeded since; it is not on the wire, and the chain tries all of them.
    """

    member: Address
    points: Points
    nonce: int
    deadline: Seconds
    ref: Digest
    buckets: int
    coalition: Address | None = field(default=None, compare=False)

    def order(self, merchant: int) -> Redeem:
        """The order that was signed. Raises OrderInvalid."""
        return Redeem(self.member, merchant, self.points, self.nonce, self.deadline, self.ref)

    def leaf(self, merchant: int, domain: Domain) -> bytes:
        """Its leaf under a relay's root of redemptions; `domain` is the refund's own."""
        if self.coalition is not None:
            domain = Domain(domain.chain_id, self.coalition)
        return redemption_leaf(self.order(merchant).digest(domain), self.buckets)


@dataclass(frozen=True)
class Refund(Order):
    """Gives points of a redemption back, longest-lived first, only into live epochs. Signed by a
    till key.

    `proof` are the steps from the redemption's leaf to a stored root (`merkle.redemptions_proof`).
    """

    KIND = Kind.REFUND
    TYPE = "Refund(uint32 merchant,bytes32 leaf,uint40 points,uint64 nonce,uint40 deadline)"

    merchant: int
    points: Points
    nonce: int
    deadline: Seconds
    redemption: Redemption
    proof: tuple[Digest, ...] = ()

    def _check(self) -> None:
        check_merchant(self.merchant)
        order = self.redemption.order(self.merchant)
        check_points(self.points, POINTS_MAX)
        if self.points > order.points:
            raise OrderInvalid(f"points: {self.points} of a redemption of {order.points}")
        try:
            taken = sum(unpack_buckets(self.redemption.buckets).values())
            proof = tuple("0x" + from_hex(step, 32).hex() for step in self.proof)
        except InputInvalid as error:
            raise OrderInvalid(f"redemption: {error}") from error
        if taken != order.points:
            raise OrderInvalid(
                f"buckets: they hold {taken} points, the redemption took {order.points}"
            )
        if len(proof) > PROOF_MAX:
            raise OrderInvalid(f"proof: at most {PROOF_MAX} steps, got {len(proof)}")
        object.__setattr__(self, "proof", proof)
        normal = Redemption(
            order.member,
            order.points,
            order.nonce,
            order.deadline,
            order.ref,
            self.redemption.buckets,
            self.redemption.coalition,
        )
        object.__setattr__(self, "redemption", normal)

    def _value(self, field: Field, domain: Domain) -> Any:
        if field.name == "leaf":
            return "0x" + self.redemption.leaf(self.merchant, domain).hex()
        return getattr(self, field.attribute)

    def _body(self) -> bytes:
        redemption = self.redemption
        return b"".join(
            (
                self.merchant.to_bytes(4, "big"),
                self.points.to_bytes(5, "big"),
                self.nonce.to_bytes(8, "big"),
                self.deadline.to_bytes(5, "big"),
                address_bytes(redemption.member),
                redemption.points.to_bytes(5, "big"),
                redemption.nonce.to_bytes(3, "big"),
                redemption.deadline.to_bytes(5, "big"),
                from_hex(redemption.ref, 32),
                redemption.buckets.to_bytes(32, "big"),
                bytes([len(self.proof)]),
                *(from_hex(step, 32) for step in self.proof),
            )
        )

    @classmethod
    def _read(cls, reader: Reader) -> Refund:
        merchant, points, nonce, deadline = (reader.number(n) for n in (4, 5, 8, 5))
        redemption = Redemption(
            member=reader.address(),
            points=reader.number(5),
            nonce=reader.number(3),
            deadline=reader.number(5),
            ref=reader.word(),
            buckets=reader.number(32),
        )
        proof = tuple(reader.word() for _ in range(reader.number(1)))
        return cls(merchant, points, nonce, deadline, redemption, proof)


@dataclass(frozen=True)
class Return(Order):
    """Goods came back: burns from the bucket of one epoch. Signed by the member AND a till key,
    both the same digest.

    `member_signature` is no signed field; it must stand there before `encode`. The till key's
    signature is the one that `encode` takes.
    """

    KIND = Kind.RETURN
    TYPE = (
        "Return(address member,uint32 merchant,uint40 points,uint16 epoch,"
        "uint64 nonce,uint40 deadline,bytes32 ref)"
    )

    member: Address
    merchant: int
    points: Points
    epoch: int
    nonce: int
    deadline: Seconds
    ref: Digest
    member_signature: bytes = b""

    def _check(self) -> None:
        check_address("member", to_address(self.member))
        check_merchant(self.merchant)
        check_points(self.points, LANE_MAX)
        if self.epoch == 0:
            raise OrderInvalid("epoch: the first is 1, got 0")
        if len(self.member_signature) > CONTRACT_SIGNATURE_BYTES_MAX:
            raise OrderInvalid(f"member_signature: {len(self.member_signature)} bytes")

    def _body(self) -> bytes:
        if not self.member_signature:
            raise OrderInvalid(
                "member_signature: a return needs the member's signature beside the till's"
            )
        return (
            super()._body() + len(self.member_signature).to_bytes(2, "big") + self.member_signature
        )

    @classmethod
    def _read(cls, reader: Reader) -> Return:
        values = {f.attribute: f.decode(reader.take(f.width)) for f in cls.FIELDS}
        return cls(**values, member_signature=reader.take(reader.number(2)))
