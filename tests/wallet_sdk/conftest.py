"""Actors of the SDK's tests, and a node to talk to."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wallet_sdk.support import GENESIS_TIME
from wallet_sdk.orders import Domain
from wallet_sdk.rpc import Rpc
from wallet_sdk.signers import HDWallets, LocalSigner

ANVIL = Path(__file__).parents[2] / "node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"

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


# ---- a real node


@pytest.fixture(scope="session")
def node_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An anvil of this run that mines each transaction at once and asks no gas money."""
    folder = tmp_path_factory.mktemp("anvil")
    log = folder / "out"
    flags = ["--port", "0", "--accounts", "0", "--no-cors", "--hardfork", "osaka"]
    flags += ["--base-fee", "0", "--gas-price", "0", "--gas-limit", "60000000"]
    flags += ["--enable-tx-gas-limit", "--timestamp", str(GENESIS_TIME)]
    with log.open("wb") as out:
        node = subprocess.Popen(
            [ANVIL, *flags, "--cache-path", str(folder)],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={"HOME": str(folder)},
        )
    try:
        yield f"http://127.0.0.1:{_port(node, log)}"
    finally:
        node.kill()
        node.wait()


def _port(node: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(300):
        found = re.search(r"Listening on 127\.0\.0\.1:(\d+)", log.read_text())
        if found:
            return found[1]
        if node.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"anvil did not start: {log.read_text()}")


@pytest.fixture(scope="session")
def rpc(node_url: str) -> Iterator[Rpc]:
    with Rpc(node_url) as rpc:
        yield rpc
