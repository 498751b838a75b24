"""API keys: `bnk_<id>_<secret>`, 256 random bits, stored as a SHA-256 hash and shown once.

A slow password hash would gain nothing: nobody guesses 256 random bits.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final

from gateway.errors import InvalidRequest

PATTERN: Final = re.compile(r"bnk_([0-9a-f]{16})_([0-9A-Za-z_-]{43})")


class Role(StrEnum):
    """Who holds a key. Routes name the roles that reach them; no name, no entry.

    `merchant` is the merchant's owner; its tills hold keys of role `cashier`. An `auditor` reads.
    """

    OPERATOR = "operator"
    AUDITOR = "auditor"
    MERCHANT = "merchant"
    CASHIER = "cashier"
    MEMBER = "member"


class Scope(StrEnum):
    """What a key may be narrowed to."""

    ISSUE = "issue"
    REDEEM = "redeem"
    REVERSE = "reverse"
    TRANSFER = "transfer"
    READ_ORDERS = "orders:read"
    MEMBERS = "members"
    READ_MEMBERS = "members:read"
    READ_POSITION = "position:read"
    MONEY = "money"
    MERCHANTS = "merchants"
    READ_MERCHANTS = "merchants:read"
    KEYS = "keys"
    WEBHOOKS = "webhooks"
    METRICS = "metrics"


SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    Role.OPERATOR: frozenset(
        {
            Scope.REVERSE,
            Scope.TRANSFER,
            Scope.READ_ORDERS,
            Scope.MEMBERS,
            Scope.READ_MEMBERS,
            Scope.READ_POSITION,
            Scope.MONEY,
            Scope.MERCHANTS,
            Scope.READ_MERCHANTS,
            Scope.KEYS,
            Scope.WEBHOOKS,
            Scope.METRICS,
        }
    ),
    Role.AUDITOR: frozenset(
        {Scope.READ_ORDERS, Scope.READ_POSITION, Scope.READ_MERCHANTS, Scope.METRICS}
    ),
    Role.MERCHANT: frozenset(
        {
            Scope.ISSUE,
            Scope.REDEEM,
            Scope.REVERSE,
            Scope.READ_ORDERS,
            Scope.MEMBERS,
            Scope.READ_MEMBERS,
            Scope.READ_POSITION,
            Scope.MONEY,
            Scope.READ_MERCHANTS,
            Scope.KEYS,
            Scope.WEBHOOKS,
        }
    ),
    Role.CASHIER: frozenset(
        {
            Scope.ISSUE,
            Scope.REDEEM,
            Scope.REVERSE,
            Scope.READ_ORDERS,
            Scope.MEMBERS,
            Scope.READ_MEMBERS,
            Scope.READ_MERCHANTS,
        }
    ),
    Role.MEMBER: frozenset({Scope.REVERSE, Scope.TRANSFER, Scope.READ_ORDERS, Scope.READ_MEMBERS}),
}
"""The most that a key of each role may do; a key may name fewer."""

OF_NETWORK: Final = (Role.OPERATOR, Role.AUDITOR)
OF_MERCHANT: Final = (Role.MERCHANT, Role.CASHIER)


def new_key(
    role: Role,
    merchant: int | None,
    now: int,
    *,
    label: str = "",
    scopes: Iterable[Scope] | None = None,
    member: int | None = None,
    expires_at: int | None = None,
) -> tuple[str, dict[str, Any]]:
    """A fresh key as it is shown once, and its row. `scopes` None: all of the role's."""
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = {
        "id": key_id,
        "secret_hash": hashed(secret),
        "role": role.value,
        "merchant_id": merchant,
        "label": label,
        "scopes": None if scopes is None else " ".join(sorted(set(scopes))),
        "member_id": member,
        "expires_at": expires_at,
        "created_at": now,
    }
    return f"bnk_{key_id}_{secret}", row


def scopes_of(role: Role, stored: str | None) -> frozenset[Scope]:
    """What a stored key may do: what it names, never more than its role."""
    if stored is None:
        return SCOPES[role]
    return SCOPES[role] & {Scope(word) for word in stored.split()}


def check_scopes(
    role: Role, wanted: Iterable[str] | None, givers: frozenset[Scope] | None
) -> frozenset[Scope] | None:
    """The scopes of a new key; None: all of its role's. Raises InvalidRequest.

    `givers` are those of who makes it: nobody gives away what it has not.
    """
    if wanted is None:
        if givers is None or SCOPES[role] <= givers:
            return None
        wanted = SCOPES[role] & givers
    words = {scope.value: scope for scope in SCOPES[role]}
    unknown = sorted(set(wanted) - set(words))
    if unknown:
        raise InvalidRequest(
            f"a key of role {role.value} has no scope {unknown[0][:40]!r}", scopes=sorted(words)
        )
    found = frozenset(words[word] for word in wanted)
    if not found or (givers is not None and not found <= givers):
        raise InvalidRequest("a key has at least one scope, and none that its maker has not")
    return found


def hashed(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def fits(secret: str, stored: bytes) -> bool:
    """Whether the secret is the stored one, in constant time."""
    return hmac.compare_digest(hashed(secret), stored)
