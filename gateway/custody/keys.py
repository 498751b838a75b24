"""Keys by address: made, sealed into the database, opened when something is to be signed."""

import hashlib
import hmac
import secrets as randomness
import threading
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from gateway.custody.master import MasterKey
from gateway.database import Database
from gateway.errors import KeyUnknown
from gateway.tables import secrets
from wallet_sdk.signers import HDWallets, LocalSigner
from wallet_sdk.types import address_bytes, address_of

NETWORK = "network"
"""The tenant of keys that belong to no merchant."""


class Purpose(StrEnum):
    """What a key is for; bound into its envelope."""

    DEPLOYER = "deployer"
    ADMIN = "admin"
    GUARDIAN = "guardian"
    OPERATOR = "operator"
    TREASURER = "treasurer"
    ATTESTOR = "attestor"
    RELAYER = "relayer"
    OWNER = "owner"
    TILL = "till"
    MEMBER_SEED = "member_seed"
    REFERENCE_SALT = "reference_salt"
    WEBHOOK = "webhook"


NETWORK_KEYS = (
    Purpose.DEPLOYER,
    Purpose.ADMIN,
    Purpose.GUARDIAN,
    Purpose.OPERATOR,
    Purpose.TREASURER,
    Purpose.ATTESTOR,
    Purpose.RELAYER,
)


def merchant_tenant(merchant: int) -> str:
    """The tenant name of a merchant's keys."""
    return f"merchant:{merchant}"


class Custody:
    """All keys of one network. Thread safe. Opened keys stay in this process's memory only."""

    def __init__(self, database: Database, master: MasterKey) -> None:
        self._database = database
        self._master = master
        self._signers: dict[bytes, LocalSigner] = {}
        self._wallets: HDWallets | None = None
        self._salt: bytes | None = None
        self._kept: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    # ---- making keys

    def ensure_network_keys(self, now: int) -> dict[Purpose, str]:
        """Addresses of the network's own keys by purpose; makes what is missing, in one commit."""
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
        query = select(secrets.c.purpose, secrets.c.address).where(secrets.c.tenant == NETWORK)
        return {
            Purpose(purpose): address_of(bytes(address))
            for purpose, address in connection.execute(query)
        }

    def new_key(self, connection: Connection, tenant: str, purpose: Purpose, now: int) -> str:
        """Makes a key in the caller's transaction and returns its address (EIP-55)."""
        secret = randomness.token_bytes(32)
        address = LocalSigner(secret).address
        self._store(connection, tenant, purpose, address_bytes(address), secret, now)
        return address

    def _store_seed(self, connection: Connection, purpose: Purpose, now: int) -> None:
        # A seed has no address of its own; its row is named by what it would be as a key.
        secret = randomness.token_bytes(32)
        address = address_bytes(LocalSigner(hashlib.sha256(secret).digest()).address)
        self._store(connection, NETWORK, purpose, address, secret, now)

    def _store(
        self,
        connection: Connection,
        tenant: str,
        purpose: Purpose,
        address: bytes,
        secret: bytes,
        now: int,
    ) -> None:
        sealed = self._master.seal(secret, tenant=tenant, purpose=purpose, address=address)
        row = {
            "tenant": tenant,
            "purpose": purpose.value,
            "address": address,
            "sealed": sealed,
            "created_at": now,
        }
        connection.execute(insert(secrets), row)

    # ---- secrets that are no keys

    def keep(
        self, connection: Connection, tenant: str, purpose: Purpose, secret: bytes, now: int
    ) -> bytes:
        """Seals a secret in the caller's transaction; returns the 20 random bytes that name it."""
        name = randomness.token_bytes(20)
        self._store(connection, tenant, purpose, name, secret, now)
        return name

    def kept(self, connection: Connection, name: bytes) -> bytes:
        """A kept secret, opened once by a process. Raises KeyUnknown, SecretDamaged."""
        with self._lock:
            found = self._kept.get(name)
        if found is None:
            query = select(secrets).where(secrets.c.address == name)
            row = connection.execute(query).one_or_none()
            if row is None:
                raise KeyUnknown(f"custody keeps no secret of the name 0x{name.hex()}")
            found = self._open(row)
            with self._lock:
                self._kept[name] = found
        return found

    def forget(self, connection: Connection, name: bytes) -> None:
        """Deletes a kept secret in the caller's transaction."""
        connection.execute(delete(secrets).where(secrets.c.address == name))
        with self._lock:
            self._kept.pop(name, None)

    # ---- using keys

    def signer(self, address: bytes) -> LocalSigner:
        """The key of a merchant or of the network. Raises KeyUnknown, SecretDamaged."""
        with self._lock:
            found = self._signers.get(address)
        if found is not None:
            return found
        with self._database.read() as connection:
            row = connection.execute(
                select(secrets).where(secrets.c.address == address)
            ).one_or_none()
        if row is None:
            raise KeyUnknown(f"custody holds no key of {address_of(address)}")
        signer = LocalSigner(self._open(row))
        with self._lock:
            self._signers[address] = signer
        return signer

    def member_signer(self, index: int) -> LocalSigner:
        """The wallet of the member with this row number."""
        return self.wallets().signer(index)

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
        return self._master.open(
            bytes(row.sealed), tenant=row.tenant, purpose=row.purpose, address=bytes(row.address)
        )
