"""A naive way of issuing: web3.py, one issue after the other, the node fills in nonce, gas and
fees, and the receipt is awaited.

It is spared what the gateway does beside (no database, no idempotency), its orders are signed
beforehand, and its chain mines at once instead of waiting for company.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from eth_account import Account
from web3 import Web3

from gateway.model import NewMerchant
from gateway.network import open_network
from wallet_sdk import abi
from wallet_sdk.orders import IssueBatch
from wallet_sdk.types import address_bytes

# What Coalition wants to see left before an order; an estimate cannot know.
HEADROOM_GAS = 250_000


def naive(issues: int) -> float:
    """Issues per second."""
    with (
        tempfile.TemporaryDirectory(prefix="banyan-bench-") as data,
        open_network(Path(data), background=False) as network,
    ):
        gateway, chain = network.gateway, network.chain
        merchant = gateway.onboard_merchant(
            NewMerchant("Bench", "bench", deposit=10**12), mine=lambda: chain.mine()
        )
        member = gateway.ensure_members(["one"])["one"]
        gateway.drain(mine=lambda: chain.mine())
        chain.hold()
        till = gateway.custody.signer(address_bytes(merchant.till_key))
        sender = Account.create()
        w3 = Web3(Web3.HTTPProvider(chain.rpc_url))
        coalition = w3.eth.contract(
            address=network.deployment.address("Coalition"), abi=abi.load("Coalition")["abi"]
        )
        wires = []
        for number in range(issues):
            deadline = chain.clock.now() + 600
            entries = ((member.address, 5),)
            order = IssueBatch(merchant.number, 1_000 + number, deadline, entries)
            _, signature = till.sign_order(order)
            wires.append(order.encode(signature))
        began = time.perf_counter()
        for wire in wires:
            call = coalition.functions.relay([wire])
            asked = {"from": sender.address, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
            asked["nonce"] = w3.eth.get_transaction_count(sender.address)
            asked["gas"] = call.estimate_gas({"from": sender.address}) + HEADROOM_GAS
            signed = sender.sign_transaction(call.build_transaction(asked))
            tx_hash = w3.eth.send_raw_transaction(signed.raw_transaction)
            chain.mine()
            assert w3.eth.wait_for_transaction_receipt(tx_hash)["status"] == 1
        return issues / (time.perf_counter() - began)
