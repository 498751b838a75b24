"""Who signed a digest: secp256k1 recovery, as the EVM's ecrecover does it."""

from __future__ import annotations

from typing import Final

from coincurve import PublicKey

from indexer.auditor.codec import keccak

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of the group; a signature with s above half of it is malleable, and no order accepts one."""


def recover(digest: bytes, r: int, s: int, parity: int) -> bytes | None:
    """The 20 bytes of the signer's address; None: these three are no signature of anybody."""
    if not 0 < r < ORDER or not 0 < s < ORDER or parity not in (0, 1):
        return None
    packed = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])
    try:
        key = PublicKey.from_signature_and_message(packed, digest, hasher=None)
    except Exception:
        # The library raises a bare Exception or ValueError for an r that is on no point.
        return None
    return keccak(key.format(compressed=False)[1:])[12:]


def recover_order(digest: bytes, signature: bytes) -> bytes | None:
    """The signer of an order's signature r32 s32 v1 with v 27 or 28 and low s; None: it is not
    such a signature, and whoever should have signed is asked by ERC-1271.
    """
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    s = int.from_bytes(signature[32:64], "big")
    if s > ORDER // 2:
        return None
    return recover(digest, int.from_bytes(signature[:32], "big"), s, signature[64] - 27)
