"""Actors of the SDK's tests, and a node to talk to."""

from __future__ import annotations

import pytest

from wallet_sdk.orders import Domain
from wallet_sdk.signers import HDWallets, LocalSigner

# The mnemonic that every Ethereum tool knows; worthless on purpose.
MNEMONIC = "test test test test test test test test test test test junk"


@pytest.fixture(scope="session")
def wallets() -> HDWallets:
    return HDWallets.from_mnemonic(MNEMONIC)


@pytest.fixture(scope="session")
def baker(wallets: HDWallets) -> LocalSigner:
    """Merchant 1's till key."""
    return wallets.signer(0)


@pytest.fixture(scope="session")
def ada(wallets: HDWallets) -> LocalSigner:
    """A member."""
    return wallets.signer(1)


@pytest.fixture(scope="session")
def ben(wallets: HDWallets) -> LocalSigner:
    """Another member."""
    return wallets.signer(2)


@pytest.fixture(scope="session")
def domain() -> Domain:
    return Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
