"""The people of the town. Ape takes the chain back to where it was after every test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Test modules are imported one by one (importlib mode); what they share is found here.
sys.path.insert(0, str(Path(__file__).parents[1] / "kit"))
sys.path.insert(0, str(Path(__file__).parent))

from ape.logging import LogLevel, logger
from banyan_kit.revm import functions
from banyan_kit.wire import Key
from coalition_town import (
    ATTESTOR,
    BAKER,
    FLORIST,
    GUARDIAN,
    OPERATOR,
    TREASURER,
    Shop,
    Town,
    deploy,
)
from coincurve import PrivateKey

# Selectors are taken by name, so that a role covers what the interface says it covers.
OPERATOR_FUNCTIONS = (
    "registerMerchant",
    "setMerchantStatus",
    "setCreditLimit",
    "setTerms",
    "pauseIssuing",
    "withdrawGuarantee",
    "withdrawIncome",
)


def pytest_configure(config: pytest.Config) -> None:
    logger.set_level(LogLevel.ERROR)


@pytest.fixture(scope="session")
def ada() -> Key:
    """A member."""
    return Key.from_seed("ada")


@pytest.fixture(scope="session")
def bob() -> Key:
    """A member."""
    return Key.from_seed("bob")


@pytest.fixture(scope="session")
def mallory() -> Key:
    """No member, no merchant, and up to no good."""
    return Key.from_seed("mallory")


@pytest.fixture(scope="session")
def clerk(accounts: Any) -> Key:
    """The key of Ape's account `Town.stranger`: one who signs orders and sends transactions."""
    account = accounts[6]
    return Key(PrivateKey(bytes.fromhex(account.private_key[2:])), str(account.address).lower())


@pytest.fixture(scope="session")
def deployed(accounts: Any, chain: Any) -> Town:
    """Contracts with their roles, no merchant and no member. Epoch 1 began an hour ago."""
    admin, operator, guardian, treasurer, attestor, relayer, stranger = accounts[:7]
    start = int(chain.pending_timestamp) - 3_600
    authority, asset, points, membership, coalition = deploy(admin, start)
    for role, account in (
        (OPERATOR, operator),
        (GUARDIAN, guardian),
        (TREASURER, treasurer),
        (ATTESTOR, attestor),
    ):
        authority.grantRole(role, account, 0, sender=admin)
    for contract, role, names in (
        (coalition, OPERATOR, OPERATOR_FUNCTIONS),
        (membership, OPERATOR, ("setTier",)),
        (points, GUARDIAN, ("vetoCoalition",)),
        (asset, TREASURER, ("proposeMint", "settlePayout")),
        (asset, ATTESTOR, ("confirmMint", "attestBalance")),
    ):
        kind = {coalition: "Coalition", membership: "MembershipPass", points: "Points"}
        selectors = [selector(kind.get(contract, "BankReceipt"), name) for name in names]
        authority.setTargetFunctionRole(contract, selectors, role, sender=admin)
    return Town(
        authority,
        asset,
        points,
        membership,
        coalition,
        start,
        admin,
        operator,
        guardian,
        treasurer,
        attestor,
        relayer,
        stranger,
    )


@pytest.fixture(scope="session")
def founded(deployed: Town, ada: Key, bob: Key) -> Town:
    """Baker and florist with 1,000,000 units each; Ada and Bob are members."""
    town = deployed
    proposal = {"bankReference": b"\1" * 32, "to": town.relayer, "amount": 10**12}
    town.asset.proposeMint(*proposal.values(), sender=town.treasurer)
    asked = [part["name"] for part in functions("BankReceipt")["confirmMint"]["inputs"]]
    town.asset.confirmMint(*[proposal[name] for name in asked], sender=town.attestor)
    town.asset.approve(town.coalition, 2**256 - 1, sender=town.relayer)
    for number, name in ((BAKER, "baker"), (FLORIST, "florist")):
        shop = Shop(number, Key.from_seed(f"{name} owner"), Key.from_seed(f"{name} till"))
        town.shops[number] = shop
        town.coalition.registerMerchant(
            number, shop.owner.address, shop.till.address, bytes(32), sender=town.operator
        )
        town.coalition.deposit(number, 1_000_000, sender=town.relayer)
    for member in (ada, bob):
        town.join(member)
    return town


@pytest.fixture
def town(founded: Town) -> Iterator[Town]:
    """The founded town; counters of nonces go back with the chain."""
    shops = {number: shop.next_nonce for number, shop in founded.shops.items()}
    nonces = dict(founded.nonces)
    yield founded
    for number, nonce in shops.items():
        founded.shops[number].next_nonce = nonce
    founded.nonces = nonces


def selector(contract: str, function: str) -> bytes:
    """First four bytes of a call of ours."""
    from banyan_kit.revm import signature_of
    from eth_hash.auto import keccak

    return keccak(signature_of(functions(contract)[function]).encode())[:4]


@pytest.fixture(scope="session")
def selector_of() -> Callable[[str, str], bytes]:
    """First four bytes of a call of ours, by contract and function."""
    return selector
