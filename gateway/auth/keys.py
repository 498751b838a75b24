"""API keys: `bnk_<id>_<secret>`, 256 random bits, stored as a SHA-256 hash and shown once.

A slow password hash would gain nothing: nobody guesses 256 random bits.
"""

import hashlib
import hmac
import re
import secrets
from enum import StrEnum
from typing import Any, Final

PATTERN: Final = re.compile(r"bnk_([0-9a-f]{16})_([0-9A-Za-z_-]{43})")


class Role(StrEnum):
    """What a key may do. Routes name the roles that reach them; no name, no entry."""

    OPERATOR = "operator"
    MERCHANT = "merchant"


def new_key(role: Role, merchant: int | None, now: int) -> tuple[str, dict[str, Any]]:
    """A fresh key as it is shown once, and its row."""
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = {
        "id": key_id,
        "secret_hash": hashed(secret),
        "role": role.value,
        "merchant_id": merchant,
        "created_at": now,
    }
    return f"bnk_{key_id}_{secret}", row


def hashed(secret: str) -> bytes:
    """What is stored of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def fits(secret: str, stored: bytes) -> bool:
    """Whether the secret is the stored one, in constant time."""
    return hmac.compare_digest(hashed(secret), stored)
