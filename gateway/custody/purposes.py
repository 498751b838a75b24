"""What keys are for, and whose they are."""

from enum import StrEnum
from typing import Final

from gateway.custody.envelope import Place

__all__ = [
    "NETWORK",
    "NETWORK_KEYS",
    "SECRETS",
    "Place",
    "Purpose",
    "merchant_of_tenant",
    "merchant_tenant",
]

NETWORK: Final = "network"
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


NETWORK_KEYS: Final = (
    Purpose.DEPLOYER,
    Purpose.ADMIN,
    Purpose.GUARDIAN,
    Purpose.OPERATOR,
    Purpose.TREASURER,
    Purpose.ATTESTOR,
    Purpose.RELAYER,
)


SECRETS: Final = frozenset({Purpose.MEMBER_SEED, Purpose.REFERENCE_SALT, Purpose.WEBHOOK})
"""What is kept sealed and signs nothing itself."""


def merchant_tenant(merchant: int) -> str:
    """The tenant name of a merchant's keys."""
    return f"merchant:{merchant}"


def merchant_of_tenant(tenant: str) -> int:
    """The merchant's number in a tenant's name; 0: the network's own."""
    kind, _, number = tenant.partition(":")
    return int(number) if kind == "merchant" and number.isdecimal() else 0
