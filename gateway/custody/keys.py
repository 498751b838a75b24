"""Keys by address: made, sealed into the database (or kept in KMS), used under their rules."""

import hashlib
import hmac
import secrets as randomness
import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from gateway.clock import NetworkClock
from gateway.custody.charges import Caps, DailyCharges
from gateway.custody.guard import Binding, GuardedSigner, Rules, translating
from gateway.custody.purposes import NETWORK, NETWORK_KEYS, Place, Purpose
from gateway.custody.ring import MasterRing
from gateway.database import Database
from gateway.errors import KeyUnknown
from gateway.tables import secrets
from wallet_sdk.contracts import Deployment
from wallet_sdk.signers import HDWallets, KmsSigner, LocalSigner, TransactionSigner, new_kms_key
from wallet_sdk.types import address_bytes, address_of


class Custody:
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
        self._database = database
        self.ring = ring
        self._in_kms = in_kms
        self._caps = caps or Caps()
        self._binding = Binding()
        self._price: Callable[[int], int] = lambda now: 1
        self._keys: dict[bytes, tuple[TransactionSigner, Place]] = {}
        self._wallets: HDWallets | None = None
        self._salt: bytes | None = None
        self._kept: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def bind(
        self, deployment: Deployment, clock: NetworkClock, price: Callable[[int], int]
    ) -> None:
        """From now on keys sign for this network alone. `price`: of a point issued at a second."""
        self._price = price
        self._binding.charges = DailyCharges(self._database, self._caps, clock, price)
        self._binding.rules = Rules.of(deployment)

    # ---- making keys

    def ensure_network_keys(self, now: int) -> dict[Purpose, str]:
        """Addresses of the network's own keys by purpose; makes what is missing, in one commit."""
        self.ring.ensure(now)
        with self._database.write() as connection:
            self._database.lock_name(connection, "network keys")
            found = self.network_addresses_in(connection)
            for purpose in NETWORK_KEYS:
                if purpose not in found:
                    found[purpose] = self.new_key(connection, NETWORK, purpose, now)
            for purpose in (Purpose.MEMBER_SEED, Purpose.REFERENCE_SALT):
                if purpose not in found:
                    self._store_seed(connection, purpose, now)
        return found

    def network_addresses(self) -> dict[Purpose, str]:
        """Addresses of the network's own keys, as far as they are made."""
        with self._database.read() as connection:
            return self.network_addresses_in(connection)

    def network_addresses_in(self, connection: Connection) -> dict[Purpose, str]:
        """As `network_addresses`, inside the caller's transaction."""
        # Newest first, so that of several relayers the first one stays the one that is named.
        query = select(secrets.c.purpose, secrets.c.address).where(secrets.c.tenant == NETWORK)
        return {
            Purpose(purpose): address_of(bytes(address))
            for purpose, address in connection.execute(query.order_by(secrets.c.id.desc()))
        }

    def ensure_relayers(self, count: int, now: int) -> list[bytes]:
        """Addresses of the relayers; makes further ones until there are `count`, in one commit."""
        with self._database.write() as connection:
            self._database.lock_name(connection, "network keys")
            for _ in range(count - len(self._relayers_in(connection))):
                self.new_key(connection, NETWORK, Purpose.RELAYER, now)
            return self._relayers_in(connection)

    def relayers(self) -> list[bytes]:
        """Addresses of the relayers, in the order in which they were made."""
        with self._database.read() as connection:
            return self._relayers_in(connection)

    def _relayers_in(self, connection: Connection) -> list[bytes]:
        c = secrets.c
        query = select(c.address).where(c.tenant == NETWORK, c.purpose == Purpose.RELAYER.value)
        return [bytes(address) for address in connection.execute(query.order_by(c.id)).scalars()]

    def new_key(self, connection: Connection, tenant: str, purpose: Purpose, now: int) -> str:
        """Makes a key in the caller's transaction and returns its address (EIP-55).

        Of a purpose that is kept in KMS it is made there: a transaction that then fails leaves a
        key behind that its tags name.
        """
        if purpose in self._in_kms:
            with translating():
                client = self.ring.sources.kms()
                tags = {"banyan:tenant": tenant, "banyan:purpose": purpose.value}
                signer = KmsSigner(new_kms_key(client, tags), client)
                return self._store_kms(connection, tenant, purpose, signer, now)
        secret = randomness.token_bytes(32)
        address = LocalSigner(secret).address
        place = Place(tenant, purpose.value, address_bytes(address))
        self._store(connection, place, self.ring.seal(connection, secret, place), None, now)
        return address

    def adopt_kms_key(
        self, connection: Connection, tenant: str, purpose: Purpose, key: str, now: int
    ) -> str:
        """Takes a signing key that is in KMS already; returns its address. Raises CustodyError."""
        with translating():
            signer = KmsSigner(key, self.ring.sources.kms())
            return self._store_kms(connection, tenant, purpose, signer, now)

    def _store_kms(
        self, connection: Connection, tenant: str, purpose: Purpose, signer: KmsSigner, now: int
    ) -> str:
        place = Place(tenant, purpose.value, address_bytes(signer.address))
        self._store(connection, place, b"", signer.key, now)
        return signer.address

    def _store_seed(self, connection: Connection, purpose: Purpose, now: int) -> None:
        # A seed has no address of its own; its row is named by what it would be as a key.
        secret = randomness.token_bytes(32)
        address = address_bytes(LocalSigner(hashlib.sha256(secret).digest()).address)
        place = Place(NETWORK, purpose.value, address)
        self._store(connection, place, self.ring.seal(connection, secret, place), None, now)

    def _store(
        self, connection: Connection, place: Place, sealed: bytes, kms_key: str | None, now: int
    ) -> None:
        row = {
            "tenant": place.tenant,
            "purpose": place.purpose,
            "address": place.address,
            "sealed": sealed,
            "kms_key": kms_key,
            "created_at": now,
        }
        connection.execute(insert(secrets), row)

    # ---- secrets that are no keys

    def keep(
        self, connection: Connection, tenant: str, purpose: Purpose, secret: bytes, now: int
    ) -> bytes:
        """Seals a secret in the caller's transaction; returns the 20 random bytes that name it."""
        place = Place(tenant, purpose.value, randomness.token_bytes(20))
        self._store(connection, place, self.ring.seal(connection, secret, place), None, now)
        return place.address

    def kept(self, connection: Connection, name: bytes) -> bytes:
        """A kept secret, opened once by a process. Raises KeyUnknown, SecretDamaged."""
        with self._lock:
            found = self._kept.get(name)
        if found is None:
            query = select(secrets).where(secrets.c.address == name)
            row = connection.execute(query).one_or_none()
            if row is None:
                raise KeyUnknown(f"custody keeps no secret of the name 0x{name.hex()}")
            found = self.ring.open(bytes(row.sealed), _place(row), connection)
            with self._lock:
                self._kept[name] = found
        return found

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
                self._wallets = HDWallets(self._seed(Purpose.MEMBER_SEED))
            return self._wallets

    def salted_reference(self, public_id: bytes, reference: str) -> bytes:
        """32 bytes that stand for an order's reference on chain: sha256(salt ‖ reference).

        The salt, HMAC-SHA256(salt key, order id)[:16], is unlike for every order, so nobody can
        try receipt numbers; shown together with the reference it proves this one order.
        """
        with self._lock:
            if self._salt is None:
                self._salt = self._seed(Purpose.REFERENCE_SALT)
            salt_key = self._salt
        salt = hmac.digest(salt_key, public_id, "sha256")[:16]
        return hashlib.sha256(salt + reference.encode()).digest()

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

    def _seed(self, purpose: Purpose) -> bytes:
        with self._database.read() as connection:
            row = connection.execute(
                select(secrets).where(
                    secrets.c.tenant == NETWORK, secrets.c.purpose == purpose.value
                )
            ).one_or_none()
        if row is None:
            raise KeyUnknown(f"custody holds no {purpose.value}: the network is not set up")
        return self._open(row)

    def _open(self, row: Any) -> bytes:
        return self.ring.open(bytes(row.sealed), _place(row))


def _place(row: Any) -> Place:
    return Place(row.tenant, row.purpose, bytes(row.address))
