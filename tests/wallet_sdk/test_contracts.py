"""Declared functions are the ABIs'; calls and answers are coded as eth_abi does; refusals come back
as errors.
"""

import json
from typing import Any

import httpx
import pytest
from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode

from tests.wallet_sdk.support import flat
from wallet_sdk import abi
from wallet_sdk.contracts import (
    FUNCTIONS,
    Calls,
    ContractAt,
    Deployment,
    Function,
    Network,
    Reads,
    Terms,
    block_parameter,
    refusal_in,
    token_id_of,
)
from wallet_sdk.deployment import CONTRACT_NAMES
from wallet_sdk.errors import ArtefactMissing, DeploymentInvalid, InputInvalid, RpcError
from wallet_sdk.refusals import ContractRefusedUnknown, MerchantUnknown
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import Status, to_hex

ADA = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
REF = "0x" + "5e" * 32
ADDRESSES = {name: f"0x{i:040x}" for i, name in enumerate(CONTRACT_NAMES, start=1)}


def words(part: dict[str, Any]) -> list[str]:
    if part["type"] == "tuple":
        return [word for member in part["components"] for word in words(member)]
    return [part["type"]]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f"{f.contract}.{f.declaration.name}")
def test_functions__declared__are_those_of_the_abi(function: Function) -> None:
    found = [
        item
        for item in abi.load(function.contract)["abi"]
        if item["type"] == "function"
        and f"{item['name']}({','.join(flat(part) for part in item['inputs'])})"
        == function.declaration.signature
    ]
    assert len(found) == 1
    answers = [word for part in found[0]["outputs"] for word in words(part)]
    assert tuple(answers) == function.returns


def test_abi__no_such_contract__refused() -> None:
    with pytest.raises(ArtefactMissing, match="Casino"):
        abi.load("Casino")


@pytest.mark.parametrize(
    "make",
    [
        lambda calls: calls.deposit(2**32, 1),
        lambda calls: calls.deposit(1, -1),
        lambda calls: calls.deposit(1, 2**256),
        lambda calls: calls.register_merchant(1, "0x12"),
        lambda calls: calls.confirm_mint("0x12"),
        lambda calls: calls.relay(["0x12"]),
    ],
)
def test_calls__argument_out_of_range__refused(make: Any) -> None:
    with pytest.raises(InputInvalid):
        make(Calls(ADDRESSES))


def test_calls__relay__carries_the_orders_as_they_are() -> None:
    call = Calls(ADDRESSES).relay([b"one", b"another"])
    assert call.to == ADDRESSES["Coalition"]
    assert abi_decode(["bytes[]"], call.data[4:]) == ((b"one", b"another"),)


def test_calls__terms__are_one_static_struct() -> None:
    call = Calls(ADDRESSES).set_terms(9, Terms(10, 2, 5_000))
    types = ["uint256", "(uint32,uint32,uint16)"]
    assert abi_decode(types, call.data[4:]) == (9, (10, 2, 5_000))


def test_calls__register_merchant__digests_travel_as_bytes() -> None:
    call = Calls(ADDRESSES).register_merchant(3, ADA, profile_hash=REF)
    decoded = abi_decode(["uint32", "address", "address", "bytes32"], call.data[4:])
    assert decoded == (3, ADA.lower(), "0x" + "00" * 20, bytes.fromhex(REF[2:]))


def test_token_id__programme_and_member__are_side_by_side() -> None:
    assert token_id_of(0, ADA) == int(ADA, 16)
    assert token_id_of(3, ADA) == 3 << 160 | int(ADA, 16)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (16, "0x10"),
        ("latest", "latest"),
        (REF, {"blockHash": REF, "requireCanonical": True}),
    ],
)
def test_block_parameter__number_tag_or_hash__as_the_node_takes_it(
    block: int | str, expected: object
) -> None:
    assert block_parameter(block) == expected


# ---- answers of a node


def deployment() -> Deployment:
    contracts = {name: ContractAt(address, REF) for name, address in ADDRESSES.items()}
    return Deployment(31337, REF, 0, contracts, 100, 0, 1_000)


def network(*answers: dict[str, Any]) -> Network:
    """A network whose node gives these answers, one a request."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        return httpx.Response(200, json={"id": body["id"], **left.pop(0)})

    return Network(Rpc("http://node.test", transport=httpx.MockTransport(answer)), deployment())


def reverted(data: object) -> dict[str, Any]:
    return {"error": {"code": 3, "message": "execution reverted", "data": data}}


def test_read__contract_refuses__raises_its_own_error() -> None:
    data = to_hex(MerchantUnknown(merchant=9).encode())
    for answer in (reverted(data), reverted({"data": data})):
        with pytest.raises(MerchantUnknown) as refusal:
            network(answer).merchant_of(9)
        assert refusal.value.merchant == 9


def test_read__reverted_without_data__is_an_unknown_refusal() -> None:
    with pytest.raises(ContractRefusedUnknown):
        network(reverted(None)).total_supply()


def test_read__the_node_refuses__is_the_nodes_error() -> None:
    answer = {"error": {"code": -32601, "message": "method not found"}}
    with pytest.raises(RpcError, match="method not found"):
        network(answer).total_supply()


@pytest.mark.parametrize("result", ["0x", "0x01", "0x" + "00" * 64])
def test_read__something_else_stands_there__says_so(result: str) -> None:
    with pytest.raises(DeploymentInvalid, match="not the Points"):
        network({"result": result}).total_supply()


def test_read__merchant__has_a_signed_position_and_a_status() -> None:
    values = [ADA, 1, -250, 1_000, bytes.fromhex(REF[2:])]
    types = ["address", "uint8", "int256", "uint256", "bytes32"]
    found = network({"result": to_hex(abi_encode(types, values))}).merchant_of(3)
    assert (found.owner, found.status, found.position) == (ADA, Status.ACTIVE, -250)
    assert found.profile_hash == REF


def test_read__text__is_text() -> None:
    asked = Reads(ADDRESSES).token_uri(5)
    assert asked.parse(abi_encode(["string"], ["data:application/json,{}"])).startswith("data:")
    with pytest.raises(DeploymentInvalid):
        asked.parse(b"\x01")


def test_refusal_in__an_error_of_the_node__is_none() -> None:
    assert refusal_in(RpcError(-32000, "nonce too low")) is None
