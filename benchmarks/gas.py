"""Gas of Banyan beside OpenZeppelin's and Solady's plain tokens, measured in one run on one node.

    benchmarks/gas.py            writes benchmarks/gas.json
    benchmarks/gas.py --check    writes nothing, exits 1 when a committed figure is not the measured

Every figure is gasUsed of a mined transaction under osaka, all in, divided by the recipients or
orders where the name says so. The setting: one merchant, one key, 200 distinct random members, 250
points each; neither the first batch of an epoch nor of a word of the nonce bitmap, unless the name
says so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "benchmarks")]

from eth_abi import encode  # noqa: E402
from export_abi import Export, compile_contracts  # noqa: E402
from gas_node import CHAIN_ID, DEPLOYER, START, Node, running_node  # noqa: E402

from wallet_sdk import orders as o  # noqa: E402
from wallet_sdk.buckets import pack_buckets  # noqa: E402
from wallet_sdk.contracts.calls import Calls  # noqa: E402
from wallet_sdk.contracts.functions import Call  # noqa: E402
from wallet_sdk.deployment.plan import DeploymentParams, plan, planned_addresses  # noqa: E402
from wallet_sdk.deployment.roles import Actors  # noqa: E402
from wallet_sdk.merkle import redemptions_proof  # noqa: E402
from wallet_sdk.signers import LocalSigner  # noqa: E402
from wallet_sdk.types import Policy, keccak256, to_hex  # noqa: E402

TARGET = ROOT / "benchmarks" / "gas.json"
REFERENCES = "benchmarks/contracts/PlainTokens.sol"
# The second account of anvil's mnemonic: two people mint receipts.
ATTESTOR = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
RECIPIENTS = 200
REDEMPTIONS = 50
POINTS = 250
MERCHANT = 1
EPOCH_LENGTH = 90 * 86_400


def signer(name: str) -> LocalSigner:
    """The same key for the same words."""
    return LocalSigner(keccak256(f"gas benchmark {name}".encode()))


def call(signature: str, *arguments: Any) -> bytes:
    """Calldata of a function given as `name(type,type)`."""
    types = signature[signature.index("(") + 1 : -1]
    return keccak256(signature.encode())[:4] + encode(types.split(",") if types else [], arguments)


class Network:
    """One deployed network with one prefunded merchant, and the orders that it measures."""

    def __init__(self, node: Node, policy: Policy) -> None:
        self.node = node
        nonce = int(node.rpc("eth_getTransactionCount", DEPLOYER, "latest"), 16)
        params = DeploymentParams(
            actors=Actors(DEPLOYER, DEPLOYER, DEPLOYER, DEPLOYER, ATTESTOR),
            epoch_first_start=START,
            epoch_length=EPOCH_LENGTH,
            policy=policy,
        )
        for planned in plan(params, DEPLOYER, nonce):
            node.send(planned.to, planned.data)
        self.at = planned_addresses(DEPLOYER, nonce)
        self.calls = Calls(self.at)
        self.domain = o.Domain(CHAIN_ID, self.at["Coalition"])
        self.till = signer("till")
        self.bitmap_nonce = 0
        money = 10**13
        self.send(self.calls.propose_mint("0x" + "01" * 32, DEPLOYER, money))
        self.send(self.calls.confirm_mint("0x" + "01" * 32), sender=ATTESTOR)
        self.send(self.calls.approve_receipts(self.at["Coalition"], money))
        owner = signer("owner").address
        self.send(
            self.calls.register_merchant(MERCHANT, owner, self.till.address, "0x" + "00" * 32)
        )
        self.send(self.calls.deposit(MERCHANT, money))

    def send(self, prepared: Call, *, sender: str = DEPLOYER) -> dict[str, Any]:
        """Mines one call; returns the receipt."""
        return self.node.send(prepared.to, prepared.data, sender=sender)

    @property
    def deadline(self) -> int:
        """End of the present epoch."""
        passed = (self.node.now + 10 - START) // EPOCH_LENGTH + 1
        return START + passed * EPOCH_LENGTH - 1

    def relay(self, signed: list[tuple[o.Order, LocalSigner]]) -> int:
        """Gas of one relay. Raises RuntimeError unless every order took effect."""
        wires = [order.encode(key.sign(order.digest(self.domain))) for order, key in signed]
        prepared = self.calls.relay(wires)
        self.node.tick()
        effective = int(self.node.rpc("eth_call", call_of(prepared), "latest"), 16)
        if effective != len(wires):
            raise RuntimeError(f"{effective} of {len(wires)} orders would take effect")
        return int(self.send(prepared)["gasUsed"], 16)

    def issue(self, members: list[LocalSigner], points: int = POINTS) -> int:
        """Gas of one IssueBatch."""
        entries = tuple((member.address, points) for member in members)
        root = to_hex(keccak256(b"references"))
        order = o.IssueBatch(MERCHANT, self.bitmap_nonce, self.deadline, entries, root)
        self.bitmap_nonce += 1
        return self.relay([(order, self.till)])

    def join(self, members: list[LocalSigner]) -> int:
        """Gas of joining, in one relay."""
        return self.relay([(o.Join(m.address, 1, self.deadline), m) for m in members])

    def redeem(self, members: list[LocalSigner], points: int, nonce: int) -> int:
        """Gas of one redemption each, in one relay."""
        return self.relay([(self.redemption(member, points, nonce), member) for member in members])

    def redemption(self, member: LocalSigner, points: int, nonce: int) -> o.Redeem:
        """The order that `redeem` relays for one member."""
        ref = to_hex(keccak256(f"{member.address} {nonce}".encode()))
        return o.Redeem(member.address, MERCHANT, points, nonce, self.deadline, ref)


def call_of(prepared: Call) -> dict[str, str]:
    """eth_call's parameter."""
    return {"from": DEPLOYER, "to": prepared.to, "data": to_hex(prepared.data)}


def measure_references(node: Node) -> dict[str, int]:
    """Plain tokens of OpenZeppelin and Solady."""
    wanted = {
        name: Export(REFERENCES, name)
        for name in ("OpenZeppelinToken", "SoladyToken", "OpenZeppelinPass")
    }
    compiled = compile_contracts(wanted)
    at = {
        name: node.send(None, bytes.fromhex(made["bytecode"][2:]))["contractAddress"]
        for name, made in compiled.items()
    }
    members = [signer(f"member {i}").address for i in range(RECIPIENTS)]
    figures: dict[str, int] = {}
    for house in ("OpenZeppelin", "Solady"):
        token, key = at[f"{house}Token"], house.lower()
        loop = call("mintMany(address[],uint256[])", members, [POINTS] * RECIPIENTS)
        figures[f"{key}_loop_200_new_per_recipient"] = node.gas(token, loop) // RECIPIENTS
        figures[f"{key}_loop_200_existing_per_recipient"] = node.gas(token, loop) // RECIPIENTS
        mint = call("mint(address,uint256)", DEPLOYER, 100_000)
        node.send(token, mint)
        figures[f"{key}_mint_existing"] = node.gas(token, mint)
        transfer = call("transfer(address,uint256)", members[0], POINTS)
        figures[f"{key}_transfer_existing"] = node.gas(token, transfer)
    mint = call("mint(address,uint256)", members[0], 1)
    figures["openzeppelin_pass_mint"] = node.gas(at["OpenZeppelinPass"], mint)
    return figures


def measure_issues(node: Node) -> dict[str, int]:
    """Batches of 200, members only; the first of an epoch and of a bitmap word beside the rest."""
    network = Network(node, Policy.MEMBERS)
    members = [signer(f"member {i}") for i in range(RECIPIENTS)]
    figures = {"join_batch_50_per_order": network.join(members[:50]) // 50}
    for i in range(50, RECIPIENTS, 50):
        network.join(members[i : i + 50])
    network.issue(members)
    figures["issue_batch_200_existing_per_recipient"] = network.issue(members) // RECIPIENTS
    figures["issue_batch_20_existing_per_recipient"] = network.issue(members[:20]) // 20
    figures["issue_single_existing"] = network.issue(members[:1])
    network.bitmap_nonce = 256
    first = network.issue(members) // RECIPIENTS
    figures["issue_batch_200_first_of_bitmap_word_per_recipient"] = first
    node.now = START + EPOCH_LENGTH
    first = network.issue(members) // RECIPIENTS
    figures["issue_batch_200_first_of_epoch_per_recipient"] = first
    return figures | measure_orders(network, members)


def measure_orders(network: Network, members: list[LocalSigner]) -> dict[str, int]:
    """Redemptions, transfers by order, a refund and a return, on members who hold two epochs."""
    some = members[:REDEMPTIONS]
    network.redeem(members[50:52], 10, 2)
    figures = {"redeem_batch_50_per_order": network.redeem(some, 100, 2) // REDEMPTIONS}
    figures["redeem_single"] = network.redeem(members[60:61], 100, 2)
    # A refund needs the leaves of its relay: the next one, whose buckets are known here.
    orders = [network.redemption(member, 50, 3) for member in some]
    buckets = pack_buckets(2, {1: 50})
    redemptions = [
        o.Redemption(r.member, r.points, r.nonce, r.deadline, r.ref, buckets) for r in orders
    ]
    network.redeem(some, 50, 3)
    leaves = [redemption.leaf(MERCHANT, network.domain) for redemption in redemptions]
    proof = tuple(to_hex(step) for step in redemptions_proof(leaves, 7))
    refund = o.Refund(MERCHANT, 20, network.bitmap_nonce, network.deadline, redemptions[7], proof)
    network.bitmap_nonce += 1
    figures["refund"] = network.relay([(refund, network.till)])
    ref = to_hex(keccak256(b"goods came back"))
    fields = (members[8].address, MERCHANT, 20, 2, network.bitmap_nonce, network.deadline, ref)
    unsigned = o.Return(*fields)
    consent = members[8].sign(unsigned.digest(network.domain))
    figures["return"] = network.relay([(o.Return(*fields, consent), network.till)])
    pairs = zip(members[100:150], members[150:200], strict=True)
    transfers = [(o.Transfer(a.address, b.address, 10, 2, network.deadline), a) for a, b in pairs]
    figures["transfer_order_batch_50_per_order"] = network.relay(transfers) // 50
    return figures


def measure_transfers(node: Node) -> dict[str, int]:
    """The ERC-20 transfer between members, members-only, out of 1, 3 and 6 epochs."""
    figures = {}
    node.now = START
    network = Network(node, Policy.MEMBERS)
    receiver = signer("receiver")
    # An unlocked account of the node can be a member too, and sends its own transfer.
    for epoch in range(1, 7):
        node.now = max(node.now, START + (epoch - 1) * EPOCH_LENGTH)
        if epoch == 1:
            network.join([receiver, *SENDERS.values()])
        network.issue([receiver, *(key for lives, key in SENDERS.items() if epoch > 6 - lives)])
    for lives, key in SENDERS.items():
        node.rpc("anvil_impersonateAccount", key.address)
        node.rpc("anvil_setBalance", key.address, hex(10**18))
        # All buckets but half of the newest.
        points = POINTS * lives - POINTS // 2
        data = call("transfer(address,uint256)", receiver.address, points)
        name = "transfer_existing" if lives == 1 else f"transfer_existing_{lives}_epochs"
        figures[name] = node.gas(network.at["Points"], data, sender=key.address)
    return figures


SENDERS = {lives: signer(f"sender of {lives} epochs") for lives in (1, 3, 6)}


def measure_new(node: Node) -> dict[str, int]:
    """Batches of 200 to addresses never seen, under the open policy."""
    network = Network(node, Policy.OPEN)
    batches = [[signer(f"new {k} {i}") for i in range(RECIPIENTS)] for k in range(2)]
    network.issue(batches[0])
    return {"issue_batch_200_new_per_recipient": network.issue(batches[1]) // RECIPIENTS}


def measure() -> dict[str, int]:
    """All figures, by name."""
    figures: dict[str, int] = {}
    # One node each: times begin anew, and no measurement warms another's.
    for part in (measure_references, measure_issues, measure_transfers, measure_new):
        with running_node() as node:
            figures |= part(node)
    return dict(sorted(figures.items()))


def main(arguments: list[str]) -> int:
    """Writes or checks; returns the exit code."""
    figures = measure()
    if "--check" not in arguments:
        TARGET.write_text(json.dumps(figures, indent=2) + "\n")
        for name, gas in figures.items():
            print(f"{name:<52} {gas:>8,}")
        return 0
    committed = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    differing = [
        f"{name}: {committed.get(name)} in the tree, {figures.get(name)} measured"
        for name in sorted(committed.keys() | figures.keys())
        if committed.get(name) != figures.get(name)
    ]
    for line in differing:
        print(line, file=sys.stderr)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
