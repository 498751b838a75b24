"""Every function under a role is refused to everybody else; receipts for money take two people."""

from __future__ import annotations

from typing import Any

import pytest
from banyan_kit.revm import ADMIN, DAY, ZERO, Log, Network, Settings, deploy_network
from network_desk import ATTESTOR, TREASURY, refusal

STRANGER, HOLDER = "0x" + "57" * 20, "0x" + "40" * 20
REFERENCE = b"\x42" * 32
LIMIT = 1_000
UNDER_A_ROLE: tuple[tuple[str, str, list[Any]], ...] = (
    ("coalition", "registerMerchant", [1, STRANGER, ZERO, bytes(32)]),
    ("coalition", "setMerchantStatus", [1, 2]),
    ("coalition", "setCreditLimit", [1, 0]),
    ("coalition", "setTerms", [3, (1, 1, 1)]),
    ("coalition", "pauseIssuing", [True]),
    ("coalition", "withdrawGuarantee", [STRANGER, 0]),
    ("coalition", "withdrawIncome", [STRANGER, 0]),
    ("points", "proposeCoalition", [STRANGER]),
    ("points", "vetoCoalition", []),
    ("membership", "setTier", [int(STRANGER, 16), 1]),
    ("asset", "proposeMint", [REFERENCE, STRANGER, 1]),
    ("asset", "confirmMint", [REFERENCE]),
    ("asset", "rejectMint", [REFERENCE]),
    ("asset", "settlePayout", [1, REFERENCE]),
    ("asset", "attestBalance", [20_261_122, 1, bytes(32)]),
)
COALITIONS_ALONE: tuple[tuple[str, str, list[Any]], ...] = (
    ("points", "join", [STRANGER, 1]),
    ("points", "leave", [STRANGER, 1]),
    ("points", "useNonce", [STRANGER, 1]),
    ("points", "mintBatch", [bytes(25)]),
    ("points", "redeem", [STRANGER, 1, 1]),
    ("points", "refund", [STRANGER, 1 << 240 | 1]),
    ("points", "returnPoints", [STRANGER, 1, 1]),
    ("points", "transferByOrder", [STRANGER, ADMIN, 1, 1]),
    ("points", "recover", [STRANGER, ADMIN]),
    ("membership", "mint", [STRANGER]),
    ("membership", "burn", [STRANGER]),
    ("membership", "recover", [STRANGER, ADMIN]),
)


@pytest.fixture
def network() -> Network:
    network = deploy_network(Settings(daily_limit=LIMIT))
    network.authority.send(ADMIN, "grantRole", 0, ATTESTOR, 0)
    return network


def ask(network: Network, caller: str, function: str, *arguments: Any) -> str | None:
    """Name of the error that a call of the receipts ends with; None when it took effect."""
    return refusal(network.asset.send, caller, function, *arguments)


def act(network: Network, caller: str, function: str, *arguments: Any) -> dict[str, Log]:
    """A call of the receipts; its logs by name."""
    network.asset.send(caller, function, *arguments)
    return {log.name: log for log in network.chain.logs}


def mint(network: Network, reference: bytes, amount: int) -> None:
    act(network, ADMIN, "proposeMint", reference, HOLDER, amount)
    act(network, ATTESTOR, "confirmMint", reference)


def held(network: Network, holder: str = HOLDER) -> int:
    return int(network.asset.ask("balanceOf", holder))


@pytest.mark.parametrize(("contract", "function", "arguments"), UNDER_A_ROLE)
def test_role__asked_of_by_a_stranger__is_refused_and_by_admin_is_not(
    network: Network, contract: str, function: str, arguments: list[Any]
) -> None:
    target = getattr(network, contract)
    refused = refusal(target.send, STRANGER, function, *arguments)
    assert refused == "AccessManagedUnauthorized"
    assert refusal(target.send, ADMIN, function, *arguments) != "AccessManagedUnauthorized"


@pytest.mark.parametrize(("contract", "function", "arguments"), COALITIONS_ALONE)
@pytest.mark.parametrize("caller", [STRANGER, ADMIN])
def test_ledger__called_by_another_than_the_coalition__is_refused(
    network: Network, caller: str, contract: str, function: str, arguments: list[Any]
) -> None:
    refused = refusal(getattr(network, contract).send, caller, function, *arguments)
    assert refused == "NotCoalition"


# ---- receipts


def test_propose__nothing_or_to_nobody__is_refused(network: Network) -> None:
    assert ask(network, ADMIN, "proposeMint", REFERENCE, HOLDER, 0) == "ZeroAmount"
    assert ask(network, ADMIN, "proposeMint", REFERENCE, ZERO, 1) == "ERC20InvalidReceiver"


def test_mint__by_two_people__is_told_and_its_reference_is_used_up(network: Network) -> None:
    proposed = act(network, ADMIN, "proposeMint", REFERENCE, HOLDER, 7)["MintProposed"].values
    assert (proposed["to"], proposed["amount"], proposed["proposer"]) == (HOLDER, 7, ADMIN)
    assert ask(network, ADMIN, "confirmMint", REFERENCE) == "SamePerson"
    confirmed = act(network, ATTESTOR, "confirmMint", REFERENCE)["MintConfirmed"].values
    assert (confirmed["bankReference"], confirmed["to"], confirmed["amount"]) == (
        REFERENCE,
        HOLDER,
        7,
    )
    assert held(network) == 7
    assert ask(network, ATTESTOR, "confirmMint", REFERENCE) == "MintUnknown"
    assert ask(network, ADMIN, "proposeMint", REFERENCE, HOLDER, 7) == "BankReferenceUsed"


def test_mint__over_the_daily_limit__waits_for_the_next_day(network: Network) -> None:
    mint(network, REFERENCE, LIMIT - 1)
    act(network, ADMIN, "proposeMint", b"\1" * 32, HOLDER, 2)
    assert ask(network, ATTESTOR, "confirmMint", b"\1" * 32) == "DailyLimitExceeded"
    mint(network, b"\2" * 32, 1)
    day = network.chain.now // DAY
    network.chain.at((day + 1) * DAY - 1)
    assert ask(network, ATTESTOR, "confirmMint", b"\1" * 32) == "DailyLimitExceeded"
    network.chain.at((day + 1) * DAY)
    act(network, ATTESTOR, "confirmMint", b"\1" * 32)
    assert held(network) == LIMIT + 2


def test_reject__a_waiting_proposal__ends_it_and_is_told(network: Network) -> None:
    assert ask(network, ATTESTOR, "rejectMint", REFERENCE) == "MintUnknown"
    act(network, ADMIN, "proposeMint", REFERENCE, HOLDER, 7)
    assert "MintRejected" in act(network, ATTESTOR, "rejectMint", REFERENCE)
    assert ask(network, ATTESTOR, "confirmMint", REFERENCE) == "MintUnknown"
    mint(network, REFERENCE, 3)
    assert held(network) == 3


def test_payout__requested__locks_and_the_holder_alone_takes_it_back(network: Network) -> None:
    mint(network, REFERENCE, 10)
    assert ask(network, HOLDER, "requestPayout", 0, bytes(32)) == "ZeroAmount"
    assert ask(network, HOLDER, "requestPayout", 11, bytes(32)) == "ERC20InsufficientBalance"
    requested = act(network, HOLDER, "requestPayout", 6, bytes(32))["PayoutRequested"].values
    assert (requested["payout"], requested["holder"], requested["amount"]) == (1, HOLDER, 6)
    assert held(network) == 4
    assert ask(network, STRANGER, "cancelPayout", 1) == "NotHolder"
    assert ask(network, HOLDER, "cancelPayout", 2) == "PayoutUnknown"
    assert "PayoutCancelled" in act(network, HOLDER, "cancelPayout", 1)
    assert held(network) == 10
    assert ask(network, HOLDER, "cancelPayout", 1) == "PayoutUnknown"


def test_payout__settled__burns_once_under_a_reference_of_its_own(network: Network) -> None:
    mint(network, REFERENCE, 10)
    for amount in (6, 1):
        act(network, HOLDER, "requestPayout", amount, bytes(32))
    assert ask(network, ADMIN, "settlePayout", 3, b"\3" * 32) == "PayoutUnknown"
    assert ask(network, ADMIN, "settlePayout", 1, REFERENCE) == "BankReferenceUsed"
    assert "PayoutSettled" in act(network, ADMIN, "settlePayout", 1, b"\3" * 32)
    assert network.asset.ask("totalSupply") == 4
    assert ask(network, ADMIN, "settlePayout", 1, b"\4" * 32) == "PayoutUnknown"
    assert ask(network, ADMIN, "settlePayout", 2, b"\3" * 32) == "BankReferenceUsed"
    assert ask(network, HOLDER, "cancelPayout", 1) == "PayoutUnknown"


def test_payout__settled_under_a_reference_that_waits_to_be_minted__is_refused(
    network: Network,
) -> None:
    """Else one transfer at the bank would stand behind a burning and, confirmed, a minting too."""
    mint(network, REFERENCE, 10)
    act(network, HOLDER, "requestPayout", 6, bytes(32))
    act(network, ADMIN, "proposeMint", b"\3" * 32, HOLDER, 5)
    assert ask(network, ADMIN, "settlePayout", 1, b"\3" * 32) == "BankReferenceUsed"
    act(network, ATTESTOR, "rejectMint", b"\3" * 32)
    act(network, ADMIN, "settlePayout", 1, b"\3" * 32)
    assert network.asset.ask("totalSupply") == 4


def test_attest__a_balance__is_told_with_its_document(network: Network) -> None:
    told = act(network, ATTESTOR, "attestBalance", 20_261_122, 5, b"\5" * 32)
    assert told["BalanceAttested"].values["documentHash"] == b"\5" * 32


def test_receipts__metadata__is_that_of_the_deployment(network: Network) -> None:
    assert (network.asset.ask("dailyLimit"), network.asset.ask("decimals")) == (LIMIT, 6)
    assert held(network, TREASURY) == 0
