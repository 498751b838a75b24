"""Keccak-256, by the quickest implementation that is installed.

A relay hashes about 20 times an order (entries, references, addresses, digests). safe-pysha3 takes
a sixth of the time of pycryptodome, which eth-hash brings along and which serves where safe-pysha3
is not installed.
"""

from __future__ import annotations

from collections.abc import Callable


def _choose() -> Callable[[bytes], bytes]:
    try:
        from sha3 import keccak_256  # type: ignore[import-untyped]
    except ImportError:
        from eth_hash.auto import keccak

        return keccak

    def quick(data: bytes) -> bytes:
        digest: bytes = keccak_256(data).digest()
        return digest

    return quick


keccak256 = _choose()
"""32 bytes, as the EVM computes them."""
