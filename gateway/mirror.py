"""The books, read from the indexer's mirror; prices read once an epoch from the contracts."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from gateway.books import Effect, Head, Position, Redemption, Window
from gateway.errors import NetworkNotBegun, NotReady
from indexer import queries
from indexer.database import is_postgres
from indexer.errors import MirrorEmpty
from wallet_sdk.contracts import Deployment, Network, Terms
from wallet_sdk.errors import RpcUnavailable
from wallet_sdk.types import Address, address_bytes, address_of, digest_bytes, digest_of

BPS = 10_000
"""Hundredths of a percent."""


def present_deployment(mirror: Engine, deployment: Deployment) -> Deployment:
    """The deployment with the Coalition in its place that Points obeys by the mirror's last final
    block; as it is where the mirror does not tell. The relay looks again with every scan.
    """
    try:
        with mirror.connect() as connection:
            return deployment.with_coalition(queries.final_coalition(connection))
    except (MirrorEmpty, SQLAlchemyError):
        return deployment


class MirrorBooks:
    """`gateway.books.Books` over the mirror's query functions. Thread safe."""

    def __init__(self, mirror: Engine, network: Network, order_ttl_s: int) -> None:
        self._mirror = mirror
        self._alone = mirror
        if is_postgres(mirror):
            # A statement that stands alone is one round trip, not three.
            self._alone = mirror.execution_options(isolation_level="AUTOCOMMIT")
        self._network = network
        self._order_ttl_s = order_ttl_s
        self._terms: dict[int, Terms] = {}
        self._cap_bps: int | None = None
        self._lock = threading.Lock()

    def head(self) -> Head | None:
        """The mirror's head; None before the first block."""
        try:
            with self.reading() as connection:
                head = queries.head(connection)
        except NotReady as error:
            if isinstance(error.__cause__, MirrorEmpty):
                return None
            raise
        return Head(head.as_of_block, digest_bytes(head.block_hash), head.as_of_time)

    def balances(self, addresses: Sequence[bytes], at: int) -> dict[bytes, int]:
        """Live points by address at second `at`."""
        wanted = [address_of(address) for address in set(addresses)]
        with self.reading() as connection:
            found = queries.member_balances(connection, wanted, at_time=at)
        return {address_bytes(address): points for address, points in found.points.items()}

    def member_balance(self, address: Address, at: int) -> queries.MemberBalance:
        """One member's live points by epoch, at second `at`."""
        with self.reading() as connection:
            return queries.member_balance(connection, address, at_time=at)

    def history(self, address: Address, cursor: str | None, limit: int) -> queries.HistoryPage:
        """One page of a member's movements, newest first."""
        with self.reading() as connection:
            return queries.member_history(connection, address, cursor, limit)

    def merchant_position(self, merchant: int) -> queries.MerchantPosition | None:
        """The merchant's position with the block it holds for; None: not registered."""
        with self.reading() as connection:
            return queries.merchant_position(connection, merchant)

    def registered_above(self, merchant: int) -> tuple[queries.Registered, ...]:
        """Merchants that the chain knows under higher numbers than this."""
        with self.reading() as connection:
            return queries.registered_above(connection, merchant)

    def position(self, merchant: int) -> Position | None:
        """The merchant's position; None: not registered."""
        with self._asking() as connection:
            found = queries.merchant_standing(connection, merchant)
        return None if found is None else Position(*found)

    def effects(self, digests: Sequence[bytes]) -> dict[bytes, Effect]:
        """Where these orders took effect."""
        with self.reading() as connection:
            found = queries.order_effects(connection, [digest_of(d) for d in digests])
        return {
            digest_bytes(digest): Effect(
                effect.block, digest_bytes(effect.block_hash), digest_bytes(effect.transaction)
            )
            for digest, effect in found.effects.items()
        }

    def redemption(self, digest: bytes) -> Redemption | None:
        """The redemption that this order made, with its proof; None: not mirrored."""
        with self.reading() as connection:
            found = queries.redemption(connection, digest_of(digest))
        if found is None:
            return None
        return Redemption(
            found.buckets, found.points_by_epoch, found.proof, found.refunded, found.coalition
        )

    def coalition(self) -> Address | None:
        """The Coalition that Points obeys after the last final block; None before the first."""
        try:
            with self.reading() as connection:
                return queries.final_coalition(connection)
        except NotReady as error:
            if isinstance(error.__cause__, MirrorEmpty):
                return None
            raise

    def live_until(self, epoch: int) -> int:
        """The first second at which points of `epoch` are gone."""
        return self._network.deployment.schedule.expires_at(epoch)

    def redeem_price(self, epoch: int) -> int:
        """Face value - the redeem fee of the points' own epoch."""
        return self.face_value - self._terms_of(epoch).redeem_fee

    def return_window(self, digest: bytes, merchant: int, address: bytes, at: int) -> Window | None:
        """What bounds a return of what this IssueBatch issued; one state of the mirror."""
        schedule = self._network.deployment.schedule
        with self.reading() as connection:
            epoch = queries.epoch_of_issue(connection, digest_of(digest))
            if epoch is None:
                return None
            issued = queries.issued_in_epoch(connection, merchant, epoch)
            held = queries.member_balance(connection, address_of(address), at_time=at)
        cap = issued.issued * self._return_cap_bps() // BPS
        return Window(
            epoch=epoch,
            buckets={each.epoch: each.points for each in held.by_epoch},
            cap_left=max(cap - issued.returned, 0),
            open=epoch <= self._epoch_at(at) <= epoch + 1,
            ends_at=schedule.start(epoch + 2),
        )

    @property
    def face_value(self) -> int:
        """Units of the settlement asset that a point stands for."""
        return self._network.deployment.face_value

    def effects_since(self, block: int, limit: int, after_id: int) -> list[queries.Effect]:
        """Effects of orders from `block` on, oldest first, at most `limit` behind `after_id`."""
        with self.reading() as connection:
            return queries.effects_since(connection, block, limit, after_id)

    def issue_price(self, at: int) -> int:
        """Face value + the dearer issue fee of the epochs at `at` and at the order's deadline."""
        epochs = {self._epoch_at(at), self._epoch_at(at + self._order_ttl_s)}
        return self._network.deployment.face_value + max(
            self._terms_of(e).issue_fee for e in epochs
        )

    def _epoch_at(self, at: int) -> int:
        """The epoch of this second. Raises NetworkNotBegun."""
        schedule = self._network.deployment.schedule
        if at < schedule.first_start:
            raise NetworkNotBegun(
                f"the network's first epoch begins at {schedule.first_start}, it is {at}",
                begins_at=schedule.first_start,
            )
        return schedule.epoch_at(at)

    def _return_cap_bps(self) -> int:
        # Fixed in the contract's code.
        if self._cap_bps is None:
            try:
                self._cap_bps = self._network.read(self._network.reads.return_cap_bps())
            except RpcUnavailable as error:
                raise NotReady("the chain cannot be asked for the return cap") from error
        return self._cap_bps

    def _terms_of(self, epoch: int) -> Terms:
        # Terms are append-only and fixed 30 days before their epoch: once read they stand.
        with self._lock:
            found = self._terms.get(epoch)
        if found is None:
            try:
                found = self._network.terms_of(epoch)
            except RpcUnavailable as error:
                raise NotReady("the chain cannot be asked for the terms") from error
            with self._lock:
                self._terms[epoch] = found
        return found

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One state of the mirror, for its query functions. Raises NotReady."""
        with _ready(), self._mirror.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _asking(self) -> Iterator[Connection]:
        """For one statement that stands alone. Raises NotReady."""
        with _ready(), self._alone.connect() as connection:
            yield connection


@contextmanager
def _ready() -> Iterator[None]:
    try:
        yield
    except MirrorEmpty as error:
        raise NotReady("the mirror holds no block yet") from error
    except SQLAlchemyError as error:
        raise NotReady("the mirror cannot be read") from error
