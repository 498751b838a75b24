"""Keys are made and sealed outside of any transaction, and stored inside one: making may ask KMS,
which may take seconds, and nobody's rows wait for it.

Keys of merchants and relayers are derived from a seed that is made with the network, by whose they
are and how many there were before. So a key that was made after a backup is made again, the same,
after its restore. Keys that lie in KMS are found again by their alias, which is named alike.
"""

import hashlib
import hmac
import secrets as randomness
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeVar

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError

from gateway.custody.guard import translating
from gateway.custody.purposes import (
    DERIVED,
    NETWORK,
    NETWORK_KEYS,
    SEED_OF_KEYS,
    SEEDS,
    Place,
    Purpose,
)
from gateway.custody.ring import MasterChanged, MasterRing
from gateway.database import Database
from gateway.errors import KeyUnknown, NotReady
from gateway.tables import secrets
from wallet_sdk.errors import SignerError
from wallet_sdk.signers import KmsSigner, LocalSigner, named_kms_key
from wallet_sdk.types import Address, address_bytes, address_of

T = TypeVar("T")

# A rotation, or another process that makes the same key, comes in between once and not for ever.
TRIES_MAX: Final = 5
SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Made:
    """A key or another secret, made and sealed; not stored yet. `sealed` is empty in KMS."""

    place: Place
    sealed: bytes
    kms_key: str | None = None

    @property
    def address(self) -> Address:
        """The key's address (of a secret that is no key: what names it)."""
        return address_of(self.place.address)


class KeyMaker:
    """The half of custody that makes keys and stores them.

    Args:
        in_kms: purposes whose new keys are made inside AWS KMS and never leave it.
    """

    def __init__(self, database: Database, ring: MasterRing, in_kms: frozenset[Purpose]) -> None:
        self._database = database
        self.ring = ring
        self._in_kms = in_kms
        self._key_seed: bytes | None = None
        self._lock = threading.Lock()

    # ---- one key: made, then stored

    def make(self, tenant: str, purpose: Purpose, *, nth: int | None = None) -> Made:
        """A key, sealed and not stored: the `nth` of its kind; None: the next one.

        Never inside a transaction: it may ask KMS. Raises CustodyError, NotReady.
        """
        if nth is None:
            nth = self._how_many(tenant, purpose)
        if purpose in self._in_kms:
            return self._make_in_kms(tenant, purpose, nth)
        if purpose in DERIVED:
            secret = derived(self._seed_of_keys(), tenant, purpose, nth)
        else:
            secret = randomness.token_bytes(SEED_BYTES)
        place = Place(tenant, purpose.value, address_bytes(LocalSigner(secret).address))
        return Made(place, self.ring.seal(secret, place))

    def make_secret(self, tenant: str, purpose: Purpose, secret: bytes) -> Made:
        """A secret that is no key, sealed and not stored, under a random name of 20 bytes."""
        place = Place(tenant, purpose.value, randomness.token_bytes(20))
        return Made(place, self.ring.seal(secret, place))

    def store(self, connection: Connection, made: Made, now: int) -> Address:
        """Stores it in the caller's transaction. Raises MasterChanged: make it once more."""
        if made.sealed:
            self.ring.check_active(connection, made.sealed)
        row = {
            "tenant": made.place.tenant,
            "purpose": made.place.purpose,
            "address": made.place.address,
            "sealed": made.sealed,
            "kms_key": made.kms_key,
            "created_at": now,
        }
        connection.execute(insert(secrets), row)
        return made.address

    def new_key(self, tenant: str, purpose: Purpose, now: int) -> Address:
        """Makes and stores a key; returns its address (EIP-55). Raises CustodyError, NotReady."""
        return self._stored(lambda: self.make(tenant, purpose), now)

    def adopt_kms_key(self, tenant: str, purpose: Purpose, key: str, now: int) -> Address:
        """Takes a signing key that is in KMS already; returns its address. Raises CustodyError."""
        with translating():
            made = _in_kms(tenant, purpose, KmsSigner(key, self.ring.sources.kms()))
        return self._stored(lambda: made, now)

    def _stored(self, make: Callable[[], Made], now: int) -> Address:
        def once() -> Address:
            made = make()
            with self._database.write() as connection:
                return self.store(connection, made, now)

        return undisturbed(once)

    def _make_in_kms(self, tenant: str, purpose: Purpose, nth: int) -> Made:
        mark = hmac.digest(self._seed_of_keys(), b"banyan kms alias", "sha256")[:8].hex()
        alias = f"alias/banyan/{mark}/{tenant.replace(':', '-')}/{purpose.value}/{nth}"
        with translating():
            client = self.ring.sources.kms()
            tags = {"banyan:tenant": tenant, "banyan:purpose": purpose.value}
            key = named_kms_key(client, alias, tags)
            return _in_kms(tenant, purpose, KmsSigner(key, client))

    def _how_many(self, tenant: str, purpose: Purpose) -> int:
        c = secrets.c
        query = select(func.count()).where(c.tenant == tenant, c.purpose == purpose.value)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    # ---- the network's own

    def ensure_network_keys(self, now: int) -> dict[Purpose, Address]:
        """Addresses of the network's own keys by purpose; makes what is missing, in one commit."""
        self.ring.ensure(now)
        self.ensure_seeds(now)
        return self._ensure(NETWORK_KEYS, lambda p: self.make(NETWORK, p, nth=0), now)

    def ensure_seeds(self, now: int) -> None:
        """Makes what keys and references are derived from, as far as it is missing."""
        self._ensure(SEEDS, self._new_seed, now)

    def _ensure(
        self, purposes: tuple[Purpose, ...], make: Callable[[Purpose], Made], now: int
    ) -> dict[Purpose, Address]:
        def once() -> None:
            with self._database.read() as connection:
                missing = set(purposes) - self._purposes_in(connection)
            fresh = {purpose: make(purpose) for purpose in purposes if purpose in missing}
            if not fresh:
                return
            with self._database.write() as connection:
                self._database.lock_name(connection, "network keys")
                there = self._purposes_in(connection)
                for purpose, made in fresh.items():
                    if purpose not in there:
                        self.store(connection, made, now)

        undisturbed(once)
        return self.network_addresses()

    def _purposes_in(self, connection: Connection) -> set[Purpose]:
        """Of which purposes the network has a key or a seed."""
        c = secrets.c
        query = select(c.purpose).where(c.tenant.in_([NETWORK, SEED_OF_KEYS])).distinct()
        return {Purpose(purpose) for purpose in connection.execute(query).scalars()}

    def network_addresses(self) -> dict[Purpose, Address]:
        """Addresses of the network's own keys, as far as they are made."""
        with self._database.read() as connection:
            return self.network_addresses_in(connection)

    def network_addresses_in(self, connection: Connection) -> dict[Purpose, Address]:
        """As `network_addresses`, inside the caller's transaction."""
        # Newest first, so that of several relayers the first one stays the one that is named.
        query = select(secrets.c.purpose, secrets.c.address).where(secrets.c.tenant == NETWORK)
        return {
            Purpose(purpose): address_of(bytes(address))
            for purpose, address in connection.execute(query.order_by(secrets.c.id.desc()))
        }

    def ensure_relayers(self, wanted: int, now: int) -> list[bytes]:
        """Addresses of the relayers; makes further ones until there are `wanted`, in one commit."""

        def once() -> list[bytes]:
            there = self.relayers()
            fresh = [
                self.make(NETWORK, Purpose.RELAYER, nth=nth) for nth in range(len(there), wanted)
            ]
            if not fresh:
                return there
            with self._database.write() as connection:
                self._database.lock_name(connection, "network keys")
                for made in fresh[len(self._relayers_in(connection)) - len(there) :]:
                    self.store(connection, made, now)
                return self._relayers_in(connection)

        return undisturbed(once)

    def relayers(self) -> list[bytes]:
        """Addresses of the relayers, in the order in which they were made."""
        with self._database.read() as connection:
            return self._relayers_in(connection)

    def _relayers_in(self, connection: Connection) -> list[bytes]:
        c = secrets.c
        query = select(c.address).where(c.tenant == NETWORK, c.purpose == Purpose.RELAYER.value)
        return [bytes(address) for address in connection.execute(query.order_by(c.id)).scalars()]

    # ---- seeds

    def _new_seed(self, purpose: Purpose) -> Made:
        # A seed has no address of its own; its row is named by what it would be as a key.
        secret = randomness.token_bytes(SEED_BYTES)
        address = address_bytes(LocalSigner(hashlib.sha256(secret).digest()).address)
        place = Place(_tenant_of(purpose), purpose.value, address)
        return Made(place, self.ring.seal(secret, place))

    def seed(self, purpose: Purpose) -> bytes:
        """What others are derived from. Raises KeyUnknown, SecretDamaged, NotReady."""
        c = secrets.c
        query = select(secrets).where(c.tenant == _tenant_of(purpose), c.purpose == purpose.value)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise KeyUnknown(f"custody holds no {purpose.value}: the network is not set up")
        place = Place(row.tenant, row.purpose, bytes(row.address))
        return self.ring.open(bytes(row.sealed), place)

    def _seed_of_keys(self) -> bytes:
        with self._lock:
            if self._key_seed is None:
                self._key_seed = self.seed(Purpose.KEY_SEED)
            return self._key_seed


def _tenant_of(seed: Purpose) -> str:
    return SEED_OF_KEYS if seed is Purpose.KEY_SEED else NETWORK


def derived(seed: bytes, tenant: str, purpose: Purpose, nth: int) -> bytes:
    """The 32 bytes of a tenant's `nth` key: HMAC-SHA256 of the seed over whose and which it is.

    Not every 32 bytes are a key of secp256k1 (all but one in 2^128 are): then the next try.
    """
    for again in count():
        named = f"banyan key:{tenant}:{purpose.value}:{nth}:{again}"
        secret = hmac.digest(seed, named.encode(), "sha256")
        try:
            LocalSigner(secret)
        except SignerError:
            continue
        return secret
    raise AssertionError("unreachable")


def undisturbed(
    run: Callable[[], T],
    mend: Callable[[Exception], None] = lambda disturbed: None,
    by: tuple[type[Exception], ...] = (MasterChanged, IntegrityError),
    *,
    tries: int = TRIES_MAX,
    why: str = "keys are being made or rotated at this moment; try again",
) -> T:
    """`run` again where a rotation, or somebody who made the same key, came in between.

    `by`: what disturbs it; `mend` is handed that before the next try. Raises NotReady: `why`.
    """
    for _ in range(tries):
        try:
            return run()
        except by as disturbed:
            mend(disturbed)
    raise NotReady(why)


def _in_kms(tenant: str, purpose: Purpose, signer: KmsSigner) -> Made:
    return Made(Place(tenant, purpose.value, address_bytes(signer.address)), b"", signer.key)
