"""A chain in memory that speaks JSON-RPC: forks, hostile answers and large histories at will.

`ModelChain` carries out what the contracts would (accounts as buckets by epoch, positions, refunds
out of redemptions) and writes down the logs they would emit. It shares no code with the indexer:
the SDK's event layouts are used to encode, never to decode.
"""

from __future__ import annotations

import copy
import json
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from wallet_sdk import events as sdk
from wallet_sdk.buckets import pack_buckets
from wallet_sdk.deployment import ContractAt, Deployment
from wallet_sdk.merkle import redemption_leaf
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import ZERO_ADDRESS, address_of, keccak256, to_hex

CHAIN_ID = 424_242
EPOCH = 1_000
FIRST_START = 1_000_000
FACE, ISSUE_FEE, REDEEM_FEE = 100, 10, 2
NAMES = ("AccessManager", "BankReceipt", "Points", "MembershipPass", "Coalition")
ADDRESSES = {name: address_of(keccak256(name.encode())[12:]) for name in NAMES}


def actor(name: str) -> str:
    """An address for a person."""
    return address_of(keccak256(b"actor " + name.encode())[12:])


def _word(abi_type: str, value: Any) -> bytes:
    if abi_type == "address":
        return bytes(12) + bytes.fromhex(value[2:])
    if abi_type.startswith("bytes"):
        raw = value if isinstance(value, bytes) else bytes.fromhex(value[2:])
        return raw.ljust(32, b"\0")
    return int(value).to_bytes(32, "big", signed=int(value) < 0)


def encode(event: type[sdk.Event], contract: str, **values: Any) -> dict[str, Any]:
    """Address, topics and data of a log, by the ABI's rules."""
    layout = event.LAYOUT
    topics, data = [layout.topic0], b""
    for slot in layout.slots:
        word = _word(slot.abi_type, values[slot.attribute])
        if slot.topic is None:
            data += word
        else:
            topics.append(word)
    if layout.tail is not None:
        tail = values[layout.tail]
        tail = tail.encode() if isinstance(tail, str) else tail
        data += layout.data_bytes.to_bytes(32, "big") + len(tail).to_bytes(32, "big")
        data += tail + bytes(-len(tail) % 32)
    return {
        "address": ADDRESSES[contract].lower(),
        "topics": [to_hex(t) for t in topics],
        "data": to_hex(data),
    }


@dataclass
class State:
    """What the contracts would hold."""

    buckets: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    positions: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    members: set[str] = field(default_factory=set)
    supply: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    redemptions: list[tuple[bytes, bytes, str, int, dict[int, int]]] = field(default_factory=list)
    refunded: dict[bytes, dict[int, int]] = field(default_factory=dict)
    held: int = 0
    coalition: str = ADDRESSES["Coalition"]
    digests: int = 0


@dataclass
class Block:
    number: int
    hash: str
    parent: str
    time: int
    logs: list[dict[str, Any]]
    state: State


class ModelChain:
    """One network on one chain. Each act is a transaction of its own in the pending block."""

    def __init__(self, start: int = FIRST_START) -> None:
        self.state = State()
        self.salt = 0
        self.blocks: list[Block] = []
        self.pending: list[list[dict[str, Any]]] = []
        self.final: int | None = None
        self.calls: list[str] = []
        self.tamper: Callable[[str, list[Any], Any], Any] | None = None
        self.chain_id = CHAIN_ID
        # Questions come from several threads, and a test may turn the chain in an answer.
        self._answering = threading.RLock()
        self._append(start, [])
        # The constructor of Points.
        changed = {"previous": ZERO_ADDRESS, "current": self.state.coalition}
        self.pending.append([self._say(sdk.CoalitionChanged, "Points", **changed)])

    def _say(self, event: type[sdk.Event], contract: str, **values: Any) -> dict[str, Any]:
        """A log; of the Coalition: of the one that Points obeys."""
        log = encode(event, contract, **values)
        return log if contract != "Coalition" else {**log, "address": self.state.coalition.lower()}

    # ---- the chain

    @property
    def head(self) -> Block:
        return self.blocks[-1]

    def mine(self, time: int | None = None) -> Block:
        """Mines what is pending at `time` (default: ten seconds later)."""
        time = self.head.time + 10 if time is None else time
        transactions, self.pending = self.pending, []
        return self._append(time, transactions)

    def fork(self, depth: int) -> None:
        """Forgets the newest `depth` blocks; those mined next differ even if they do the same."""
        self.blocks = self.blocks[: len(self.blocks) - depth]
        self.state = copy.deepcopy(self.head.state)
        self.pending = []
        self.salt += 1

    def _append(self, time: int, transactions: list[list[dict[str, Any]]]) -> Block:
        number = len(self.blocks)
        parent = self.blocks[-1].hash if self.blocks else "0x" + "00" * 32
        body = json.dumps([parent, number, time, self.salt, transactions])
        block_hash = to_hex(keccak256(body.encode()))
        logs: list[dict[str, Any]] = []
        for position, transaction in enumerate(transactions):
            transaction_hash = to_hex(keccak256(f"{block_hash}{position}".encode()))
            for log in transaction:
                logs.append(
                    {
                        **log,
                        "blockNumber": hex(number),
                        "blockHash": block_hash,
                        "transactionHash": transaction_hash,
                        "transactionIndex": hex(position),
                        "logIndex": hex(len(logs)),
                        "removed": False,
                    }
                )
        block = Block(number, block_hash, parent, time, logs, copy.deepcopy(self.state))
        self.blocks.append(block)
        return block

    def deployment(self) -> Deployment:
        """What an indexer is told."""
        return Deployment(
            chain_id=CHAIN_ID,
            genesis_hash=self.blocks[0].hash,
            first_block=1,
            contracts={n: ContractAt(a, "0x" + "11" * 32) for n, a in ADDRESSES.items()},
            face_value=FACE,
            epoch_first_start=FIRST_START,
            epoch_length=EPOCH,
        )

    # ---- the clock

    def epoch(self, time: int) -> int:
        return (time - FIRST_START) // EPOCH + 1

    def live(self, who: str, time: int) -> dict[int, int]:
        """Live buckets, soonest to expire first."""
        oldest = self.epoch(time) - 5
        held = self.state.buckets[who]
        return {e: p for e, p in sorted(held.items()) if p and e >= oldest}

    def supply_at(self, time: int) -> int:
        """Live supply."""
        return sum(sum(self.live(who, time).values()) for who in list(self.state.buckets))

    # ---- acts; `time` is when the pending block will be mined

    def _digest(self) -> bytes:
        self.state.digests += 1
        return keccak256(b"digest" + self.state.digests.to_bytes(8, "big"))

    def register(self, merchant: int, owner: str) -> None:
        till = actor(f"till of {merchant}")
        self.pending.append(
            [
                self._say(
                    sdk.MerchantRegistered,
                    "Coalition",
                    merchant=merchant,
                    owner=owner,
                    profile_hash=keccak256(owner.encode()),
                ),
                self._say(
                    sdk.TillKeySet,
                    "Coalition",
                    digest=bytes(32),
                    merchant=merchant,
                    key=till,
                    active=True,
                ),
            ]
        )

    def terms(self, from_epoch: int = 1, issue_fee: int = ISSUE_FEE) -> None:
        self.pending.append(
            [
                self._say(
                    sdk.TermsSet,
                    "Coalition",
                    from_epoch=from_epoch,
                    issue_fee=issue_fee,
                    redeem_fee=REDEEM_FEE,
                    issuers_share_bps=5_000,
                )
            ]
        )

    def deposit(self, merchant: int, amount: int) -> None:
        self.state.positions[merchant] += amount
        self.state.held += amount
        self.pending.append(
            [
                self._say(
                    sdk.Transfer,
                    "BankReceipt",
                    from_=actor("bank"),
                    to=self.state.coalition,
                    value=amount,
                ),
                self._say(
                    sdk.Deposited,
                    "Coalition",
                    merchant=merchant,
                    from_=actor("bank"),
                    amount=amount,
                ),
            ]
        )

    def hand_over(self, name: str, gift: int = 7) -> str:
        """Another Coalition takes over, in one block with what does not count: what it says before
        its day, and what the old one says after its own. `gift` is what it held already.
        """
        old, new = self.state.coalition, actor(name)
        deposited = {"merchant": 1, "from_": actor("bank"), "amount": 10**6}

        def moved(sender: str, receiver: str, value: int) -> dict[str, Any]:
            fields = {"from_": sender, "to": receiver, "value": value}
            return self._say(sdk.Transfer, "BankReceipt", **fields)

        def said(by: str, event: type[sdk.Event], **values: Any) -> dict[str, Any]:
            return {**self._say(event, "Coalition", **values), "address": by.lower()}

        self.pending += [
            [moved(actor("bank"), new, gift), said(new, sdk.Deposited, **deposited)],
            [said(new, sdk.Deposited, **deposited)],
            [
                said(new, sdk.Deposited, **deposited),
                self._say(sdk.CoalitionChanged, "Points", previous=old, current=new),
                said(old, sdk.HandedOver, successor=new, amount=self.state.held),
                moved(old, new, self.state.held),
            ],
            [said(old, sdk.Deposited, **deposited)],
        ]
        self.state.coalition = new
        self.state.held += gift
        return new

    def join(self, member: str) -> None:
        self.state.members.add(member)
        token = int(member, 16)
        self.pending.append(
            [
                self._say(sdk.MemberSet, "Points", member=member, is_member=True),
                self._say(
                    sdk.PassTransfer,
                    "MembershipPass",
                    from_=ZERO_ADDRESS,
                    to=member,
                    token_id=token,
                ),
                self._say(sdk.Locked, "MembershipPass", token_id=token),
                self._say(sdk.Joined, "Coalition", digest=self._digest(), member=member),
            ]
        )

    def leave(self, member: str) -> None:
        self.state.members.discard(member)
        self.pending.append(
            [
                self._say(sdk.MemberSet, "Points", member=member, is_member=False),
                self._say(
                    sdk.PassTransfer,
                    "MembershipPass",
                    from_=member,
                    to=ZERO_ADDRESS,
                    token_id=int(member, 16),
                ),
                self._say(sdk.Left, "Coalition", digest=self._digest(), member=member),
            ]
        )

    def _transfer(self, sender: str, receiver: str, points: int) -> dict[str, Any]:
        return self._say(sdk.Transfer, "Points", from_=sender, to=receiver, value=points)

    def issue(self, merchant: int, entries: list[tuple[str, int]], time: int) -> None:
        epoch = self.epoch(time)
        total = sum(points for _, points in entries)
        for who, points in entries:
            held = self.state.buckets[who]
            held[epoch] = held.get(epoch, 0) + points
        charged = total * (FACE + ISSUE_FEE)
        self.state.positions[merchant] -= charged
        self.state.supply[epoch][0] += total
        self.state.supply[epoch][1] += total
        logs = [self._transfer(ZERO_ADDRESS, who, points) for who, points in entries]
        logs.append(
            self._say(
                sdk.Issued,
                "Coalition",
                digest=self._digest(),
                merchant=merchant,
                nonce=self.state.digests,
                epoch=epoch,
                points=total,
                charged=charged,
                references_root=bytes(32),
            )
        )
        self.pending.append(logs)

    def _take(self, who: str, buckets: dict[int, int]) -> None:
        for epoch, points in buckets.items():
            assert self.state.buckets[who][epoch] >= points
            self.state.buckets[who][epoch] -= points

    def _give(self, who: str, buckets: dict[int, int]) -> None:
        held = self.state.buckets[who]
        for epoch, points in buckets.items():
            held[epoch] = held.get(epoch, 0) + points

    def soonest(self, who: str, points: int, time: int) -> dict[int, int]:
        taken: dict[int, int] = {}
        for epoch, held in self.live(who, time).items():
            part = min(held, points)
            points -= part
            if part:
                taken[epoch] = part
        assert points == 0
        return taken

    def redeem(self, member: str, merchant: int, points: int, time: int) -> bytes:
        """Gives the leaf."""
        taken = self.soonest(member, points, time)
        self._take(member, taken)
        for epoch, part in taken.items():
            self.state.supply[epoch][1] -= part
        paid = points * (FACE - REDEEM_FEE)
        self.state.positions[merchant] += paid
        word = pack_buckets(self.epoch(time), taken)
        digest = self._digest()
        leaf = redemption_leaf(digest, word)
        self.state.redemptions.append((leaf, digest, member, merchant, taken))
        self.pending.append(
            [
                self._transfer(member, ZERO_ADDRESS, points),
                self._say(
                    sdk.Redeemed,
                    "Coalition",
                    digest=digest,
                    member=member,
                    merchant=merchant,
                    points=points,
                    paid=paid,
                    buckets=word,
                    ref=bytes(32),
                ),
                self._say(sdk.RedemptionsRooted, "Coalition", root=leaf, count=1),
            ]
        )
        return leaf

    def refund(self, leaf: bytes, buckets: dict[int, int], time: int) -> None:
        (member, merchant), *_ = [(r[2], r[3]) for r in self.state.redemptions if r[0] == leaf]
        points = sum(buckets.values())
        self._give(member, buckets)
        for epoch, part in buckets.items():
            self.state.supply[epoch][1] += part
        charged = points * (FACE - REDEEM_FEE)
        self.state.positions[merchant] -= charged
        word = pack_buckets(self.epoch(time), buckets)
        self.pending.append(
            [
                self._transfer(ZERO_ADDRESS, member, points),
                self._say(sdk.BucketsMoved, "Points", from_=ZERO_ADDRESS, to=member, buckets=word),
                self._say(
                    sdk.Refunded,
                    "Coalition",
                    digest=self._digest(),
                    member=member,
                    merchant=merchant,
                    leaf=leaf,
                    points=points,
                    charged=charged,
                    buckets=word,
                ),
            ]
        )

    def give_back_goods(self, member: str, merchant: int, epoch: int, points: int, t: int) -> None:
        """A Return."""
        self._take(member, {epoch: points})
        self.state.supply[epoch][0] -= points
        self.state.supply[epoch][1] -= points
        credited = points * (FACE + ISSUE_FEE)
        self.state.positions[merchant] += credited
        word = pack_buckets(self.epoch(t), {epoch: points})
        self.pending.append(
            [
                self._transfer(member, ZERO_ADDRESS, points),
                self._say(sdk.BucketsMoved, "Points", from_=member, to=ZERO_ADDRESS, buckets=word),
                self._say(
                    sdk.Returned,
                    "Coalition",
                    digest=self._digest(),
                    member=member,
                    merchant=merchant,
                    epoch=epoch,
                    points=points,
                    credited=credited,
                    ref=bytes(32),
                ),
            ]
        )

    def transfer(
        self, sender: str, receiver: str, points: int, time: int, epoch: int | None = None
    ) -> None:
        """By order; with `epoch`, ERC-7818's transferAtEpoch by the holder itself."""
        logs = [self._transfer(sender, receiver, points)]
        if epoch is None:
            taken = self.soonest(sender, points, time)
            logs.append(
                self._say(
                    sdk.Transferred,
                    "Coalition",
                    digest=self._digest(),
                    from_=sender,
                    to=receiver,
                    points=points,
                )
            )
        else:
            taken = {epoch: points}
            word = pack_buckets(self.epoch(time), taken)
            logs.append(
                self._say(sdk.BucketsMoved, "Points", from_=sender, to=receiver, buckets=word)
            )
        if sender != receiver:
            self._take(sender, taken)
            self._give(receiver, taken)
        self.pending.append(logs)

    # ---- the node

    def rpc(self) -> Rpc:
        """A client whose requests end here."""
        return Rpc("http://model.invalid", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if isinstance(body, list):
            return httpx.Response(200, json=[self._one(call) for call in body])
        return httpx.Response(200, json=self._one(body))

    def _one(self, call: dict[str, Any]) -> dict[str, Any]:
        method, params = call["method"], call["params"]
        self.calls.append(method)
        try:
            with self._answering:
                result = self._result(method, params)
                if self.tamper is not None:
                    result = self.tamper(method, params, result)
        except RefusedByNode as refusal:
            error = {"code": -32005, "message": str(refusal)}
            return {"jsonrpc": "2.0", "id": call["id"], "error": error}
        return {"jsonrpc": "2.0", "id": call["id"], "result": result}

    def _result(self, method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(self.chain_id)
        if method == "eth_getBlockByNumber":
            return self._header(params[0])
        if method == "eth_getLogs":
            return self._logs(params[0])
        raise RefusedByNode(f"no method {method}")

    def _header(self, which: str) -> dict[str, Any] | None:
        newest = self.head.number
        final = newest if self.final is None else self.final
        number = {"latest": newest, "finalized": final}.get(which)
        number = int(which, 16) if number is None else number
        if number > newest:
            return None
        block = self.blocks[number]
        return {
            "number": hex(number),
            "hash": block.hash,
            "parentHash": block.parent,
            "timestamp": hex(block.time),
            "logsBloom": "0x" + ("ff" if block.logs else "00") * 256,
        }

    def _logs(self, criteria: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = {a.lower() for a in criteria["address"]}
        if "blockHash" in criteria:
            blocks = [b for b in self.blocks if b.hash == criteria["blockHash"]]
            if not blocks:
                raise RefusedByNode("unknown block")
        else:
            first, last = int(criteria["fromBlock"], 16), int(criteria["toBlock"], 16)
            blocks = self.blocks[first : last + 1]
        return [log for block in blocks for log in block.logs if log["address"] in wanted]


class RefusedByNode(Exception):
    """The node's own refusal."""
