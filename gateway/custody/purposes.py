"""What keys are for, and whose they are."""

from enum import StrEnum
from typing import Final

from gateway.custody.envelope import Place

__all__ = [
    "DERIVED",
    "NETWORK",
    "NETWORK_KEYS",
    "SECRETS",
    "SEEDS",
    "SEED_OF_KEYS",
    "Place",
    "Purpose",
    "merchant_of_tenant",
    "merchant_tenant",
]

NETWORK: Final = "network"
"""The tenant of keys that belong to no merchant."""


SEED_OF_KEYS: Final = "seed of keys"
"""The tenant of that seed: gateways of the version before, which know no such purpose, read all of
the network's rows and go on beside newer ones.
"""


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
    KEY_SEED = "key_seed"
    WEBHOOK = "webhook"


NETWORK_KEYS: Final = (
    Purpose.DEPLOYER,
    Purpose.ADMIN,
    Purpose.GUARDIAN,
    Purpose.OPERATOR,
    Purpose.TREASURER,
    Purpose.ATTESTOR,
    Purpose.RELAYER,
)


SEEDS: Final = (Purpose.KEY_SEED, Purpose.MEMBER_SEED, Purpose.REFERENCE_SALT)
"""What is made with the network, and what others are derived from."""

SECRETS: Final = frozenset({*SEEDS, Purpose.WEBHOOK})
"""What is kept sealed and signs nothing itself."""

DERIVED: Final = frozenset({Purpose.OWNER, Purpose.TILL, Purpose.RELAYER})
"""Keys that are made while the network lives: derived, so that a restored backup knows those that
were made after it. The offices' keys are older than any backup, and random."""


def merchant_tenant(merchant: int) -> str:
    """The tenant name of a merchant's keys."""
    return f"merchant:{merchant}"


def merchant_of_tenant(tenant: str) -> int:
    """The merchant's number in a tenant's name; 0: the network's own."""
    kind, _, number = tenant.partition(":")
    return int(number) if kind == "merchant" and number.isdecimal() else 0
