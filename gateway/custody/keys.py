"""Keys by address: sealed in the database (or kept in KMS), used under their rules."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, select

from gateway.clock import NetworkClock
from gateway.custody.charges import Caps, DailyCharges
from gateway.custody.guard import Binding, GuardedSigner, Rules, translating
from gateway.custody.making import KeyMaker
from gateway.custody.purposes import NETWORK, Place, Purpose
from gateway.custody.ring import MasterRing
from gateway.database import Database
from gateway.errors import KeyUnknown
from gateway.tables import secrets
from wallet_sdk.contracts import Deployment
from wallet_sdk.signers import HDWallets, KmsSigner, LocalSigner, TransactionSigner
from wallet_sdk.types import address_bytes, address_of


class Custody(KeyMaker):
    """All keys of one network. Thread safe. Opened keys stay in this process's memory only.

    Args:
        in_kms: purposes whose new keys are made inside AWS KMS and never leave it.
        caps: most that a key may sign in a day.
    """

    def __init__(
        self,
        database: Database,
        ring: MasterRing,
        *,
        in_kms: frozenset[Purpose] = frozenset(),
        caps: Caps | None = None,
    ) -> None:
        super().__init__(database, ring, in_kms)
        self._caps = caps or Caps()
        self._binding = Binding()
        self._price: Callable[[int], int] = lambda now: 1
        self._keys: dict[bytes, tuple[TransactionSigner, Place]] = {}
        self._wallets: HDWallets | None = None
        self._salt: bytes | None = None
        self._kept: dict[bytes, bytes] = {}

    def bind(
        self, deployment: Deployment, clock: NetworkClock, price: Callable[[int], int]
    ) -> None:
        """From now on keys sign for this network alone. `price`: of a point issued at a second."""
        self._price = price
        self._binding.charges = DailyCharges(self._database, self._caps, clock, price)
        self._binding.rules = Rules.of(deployment)

    # ---- secrets that are no keys

    def kept(self, name: bytes) -> bytes:
        """A kept secret, opened once by a process; never inside a transaction: it may ask KMS.

        Raises KeyUnknown, SecretDamaged, NotReady.
        """
        found = self.opened(name)
        if found is None:
            with self._database.read() as connection:
                query = select(secrets).where(secrets.c.address == name)
                row = connection.execute(query).one_or_none()
            if row is None:
                raise KeyUnknown(f"custody keeps no secret of the name 0x{name.hex()}")
            found = self._open(row)
            with self._lock:
                self._kept[name] = found
        return found

    def opened(self, name: bytes) -> bytes | None:
        """A kept secret that this process has opened before; None: ask `kept`."""
        with self._lock:
            return self._kept.get(name)

    def forget(self, connection: Connection, name: bytes) -> None:
        """Deletes a kept secret in the caller's transaction."""
        connection.execute(delete(secrets).where(secrets.c.address == name))
        with self._lock:
            self._kept.pop(name, None)

    # ---- using keys

    def signer(self, address: bytes) -> GuardedSigner:
        """The key of a merchant or of the network. Raises KeyUnknown, SecretDamaged, NotReady."""
        with self._lock:
            found = self._keys.get(address)
        if found is None:
            with self._database.read() as connection:
                query = select(secrets).where(secrets.c.address == address)
                row = connection.execute(query).one_or_none()
            if row is None:
                raise KeyUnknown(f"custody holds no key of {address_of(address)}")
            found = self._key(row), _place(row)
            with self._lock:
                self._keys[address] = found
        return GuardedSigner(*found, self._binding)

    def _key(self, row: Any) -> TransactionSigner:
        if row.kms_key is not None:
            with translating():
                # A row that names a foreign key of KMS signs nothing: its address is checked.
                client = self.ring.sources.kms()
                return KmsSigner(row.kms_key, client, address=address_of(bytes(row.address)))
        return LocalSigner(self._open(row))

    def issue_points_max(self, now: int) -> int | None:
        """Most points that a till key may ever sign in one batch; None: no cap. Raises NotReady."""
        limits = [] if self._caps.till_points is None else [self._caps.till_points]
        if self._caps.till_money is not None:
            limits.append(self._caps.till_money // self._price(now))
        return min(limits, default=None)

    def member_signer(self, index: int) -> GuardedSigner:
        """The wallet of the member with this row number."""
        key = self.wallets().signer(index)
        place = Place(f"member:{index}", Purpose.MEMBER_SEED.value, address_bytes(key.address))
        return GuardedSigner(key, place, self._binding)

    def wallets(self) -> HDWallets:
        """The members' wallets; the seed is opened once."""
        with self._lock:
            if self._wallets is None:
                self._wallets = HDWallets(self.seed(Purpose.MEMBER_SEED))
            return self._wallets

    def salted_reference(self, merchant: int, reference: str) -> bytes:
        """32 bytes that stand for a merchant's reference on chain: sha256(salt ‖ reference).

        The salt, HMAC-SHA256(salt key, merchant ‖ reference)[:16], is unlike for every reference,
        so nobody can try receipt numbers; shown together with the reference it proves this one
        order. It depends on nothing that a restore can lose: the same purchase has the same.
        """
        with self._lock:
            if self._salt is None:
                self._salt = self.seed(Purpose.REFERENCE_SALT)
            salt_key = self._salt
        named = reference.encode()
        salt = hmac.digest(salt_key, merchant.to_bytes(8, "big") + named, "sha256")[:16]
        return hashlib.sha256(salt + named).digest()

    def cursor_key(self) -> bytes:
        """What page cursors are sealed with, alike in all processes.

        Raises CustodyError, NotReady.
        """
        return hmac.digest(self._seed_of_keys(), b"banyan cursors", "sha256")

    def check(self) -> None:
        """Whether keys can be opened now. Raises CustodyError, NotReady."""
        with self._database.read() as connection:
            query = select(secrets).where(
                secrets.c.tenant == NETWORK, secrets.c.purpose == Purpose.REFERENCE_SALT.value
            )
            row = connection.execute(query).one_or_none()
        if row is None:
            raise KeyUnknown("custody holds no keys: the network is not set up")
        self._open(row)

    def _open(self, row: Any) -> bytes:
        return self.ring.open(bytes(row.sealed), _place(row))


def _place(row: Any) -> Place:
    return Place(row.tenant, row.purpose, bytes(row.address))
