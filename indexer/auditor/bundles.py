"""Proof bundles: one order, or one member's balance, with all that is needed to check it offline.

A bundle is handed to a customer. Who holds the block's hash from somewhere else (a published head,
any node) needs nothing else: no network, no word of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from indexer.auditor import accounts as acc
from indexer.auditor import orders as o
from indexer.auditor.calldata import orders_in
from indexer.auditor.codec import (
    EMPTY_CODE_HASH,
    data_of,
    decode,
    keccak,
    quantity,
)
from indexer.auditor.decode import Decoder, Event
from indexer.auditor.errors import AuditError, Broken, CannotRun, InputInvalid
from indexer.auditor.headers import encode_header, header_of
from indexer.auditor.hidden import EFFECTS
from indexer.auditor.layout import POINTS
from indexer.auditor.network import NetworkFile
from indexer.auditor.orders import NAMES, Order, domain_separator
from indexer.auditor.receipts import RawLog, encode_receipt
from indexer.auditor.source import Rpc
from indexer.auditor.storage import mapping_slot, read_proof
from indexer.auditor.transactions import encode_transaction
from indexer.auditor.tries import ProofInvalid, index_key, ordered_proof, proven_value

SCHEMA: Final = 1
BUNDLE: Final = "bundle"


def _hex(parts: Sequence[bytes]) -> list[str]:
    return ["0x" + part.hex() for part in parts]


def _block(rpc: Rpc, number: int, bodies: bool) -> dict[str, Any]:
    block = rpc.call("eth_getBlockByNumber", [hex(number), bodies])
    if not isinstance(block, dict):
        raise CannotRun(f"the node has no block {number}")
    header_of(block, number)
    return block


def order_bundle(rpc: Rpc, network: NetworkFile, digest: bytes) -> dict[str, Any]:
    """The order with this digest: its effect, transaction, receipt and header, each proven.

    The node is asked where the effect stands; what it says is proven, so it cannot lead astray.
    Raises CannotRun: no effect of such an order is known.
    """
    query = {
        "fromBlock": hex(network.first_block),
        "toBlock": "latest",
        "topics": [None, "0x" + digest.hex()],
    }
    logs = rpc.call("eth_getLogs", [query])
    names = {keccak(s.encode()): s for s in _effect_signatures()}
    found = [log for log in logs if data_of(log["topics"][0]) in names]
    if not found:
        raise CannotRun(f"no order with digest 0x{digest.hex()} has taken effect")
    number, index = quantity(found[0]["blockNumber"]), quantity(found[0]["transactionIndex"])
    block = _block(rpc, number, True)
    receipts = rpc.call("eth_getBlockReceipts", [hex(number)])
    bodies = [encode_transaction(tx) for tx in block["transactions"]]
    encoded = [encode_receipt(receipt).encoded for receipt in receipts]
    bundle = {
        "schema": SCHEMA,
        "kind": "order",
        "chain_id": network.chain_id,
        "coalition": "0x" + data_of(found[0]["address"], 20).hex(),
        "digest": "0x" + digest.hex(),
        "block": number,
        "header": "0x" + encode_header(block).hex(),
        "index": index,
        "transaction_proof": _hex(ordered_proof(bodies, index)),
        "receipt_proof": _hex(ordered_proof(encoded, index)),
    }
    verify_bundle(bundle)
    return bundle


def member_bundle(
    rpc: Rpc, network: NetworkFile, member: bytes, number: int, orders: int
) -> dict[str, Any]:
    """The member's balance by epoch after block `number`, and its last `orders` orders."""
    block = _block(rpc, number, False)
    points = network.address("Points")
    slot = mapping_slot(member, POINTS["_accounts"])
    asked = ["0x" + points.hex(), ["0x" + slot.to_bytes(32, "big").hex()], hex(number)]
    proof = rpc.call("eth_getProof", asked)
    bundle = {
        "schema": SCHEMA,
        "kind": "member",
        "chain_id": network.chain_id,
        "points": "0x" + points.hex(),
        "member": "0x" + member.hex(),
        "block": number,
        "header": "0x" + encode_header(block).hex(),
        "epoch_first_start": network.schedule.first_start,
        "epoch_length": network.schedule.length,
        "proof": {
            "accountProof": proof["accountProof"],
            "storageProof": [{"proof": proof["storageProof"][0]["proof"]}],
        },
        "orders": [
            order_bundle(rpc, network, digest)
            for digest in _digests_of(rpc, network, member, number, orders)
        ],
    }
    verify_bundle(bundle)
    return bundle


def _digests_of(
    rpc: Rpc, network: NetworkFile, member: bytes, number: int, count: int
) -> list[bytes]:
    """Digests of the newest orders that name the member in their effect."""
    if not count:
        return []
    span = {"fromBlock": hex(network.first_block), "toBlock": hex(number)}
    logs = rpc.call(
        "eth_getLogs",
        [
            {
                **span,
                "address": "0x" + network.address("Coalition").hex(),
                "topics": [None, None, "0x" + member.rjust(32, b"\0").hex()],
            }
        ],
    )
    digests = list(dict.fromkeys(data_of(log["topics"][1], 32) for log in logs))
    return digests[-count:]


def _effect_signatures() -> list[str]:
    from wallet_sdk.abi import load

    return [
        f"{entry['name']}({','.join(p['type'] for p in entry['inputs'])})"
        for entry in load("Coalition")["abi"]
        if entry["type"] == "event" and entry["name"] in EFFECTS
    ]


# ---- offline


@dataclass(frozen=True, slots=True)
class Verified:
    """What a bundle proves, given that its block is the chain's. `lines`: in words."""

    block: int
    block_hash: bytes
    time: int
    lines: tuple[str, ...]


def verify_bundle(bundle: dict[str, Any]) -> Verified:
    """Checks a bundle by itself. Raises Broken: it proves nothing; InputInvalid: it is none."""
    try:
        if bundle["schema"] != SCHEMA or bundle["kind"] not in ("order", "member"):
            raise InputInvalid("not a proof bundle of this version")
        if bundle["kind"] == "order":
            return _verify_order(bundle)
        return _verify_member(bundle)
    except (KeyError, TypeError, IndexError) as error:
        raise InputInvalid(f"the bundle is malformed: {error!r}") from error
    except ProofInvalid as error:
        raise Broken(BUNDLE, bundle.get("block"), f"a proof does not hold: {error}") from error
    except Broken:
        raise
    except AuditError as error:
        raise InputInvalid(f"the bundle is malformed: {error}") from error


@dataclass(frozen=True, slots=True)
class _Header:
    hash: bytes
    state_root: bytes
    transactions_root: bytes
    receipts_root: bytes
    number: int
    time: int


def _header(bundle: dict[str, Any]) -> _Header:
    raw = data_of(bundle["header"])
    fields = decode(raw)
    if not isinstance(fields, list) or len(fields) < 15:
        raise InputInvalid("the bundle's header is none")
    words = [field if isinstance(field, bytes) else b"" for field in fields]
    number = int.from_bytes(words[8], "big")
    if number != bundle["block"]:
        raise Broken(BUNDLE, number, "the header is another block's", bundle["block"], number)
    time = int.from_bytes(words[11], "big")
    return _Header(keccak(raw), words[3], words[4], words[5], number, time)


def _verify_order(bundle: dict[str, Any]) -> Verified:
    header = _header(bundle)
    key = index_key(bundle["index"])
    body = proven_value(
        header.transactions_root, key, [data_of(n) for n in bundle["transaction_proof"]]
    )
    receipt = proven_value(header.receipts_root, key, [data_of(n) for n in bundle["receipt_proof"]])
    if body is None or receipt is None:
        raise Broken(BUNDLE, header.number, "the block has no such transaction")
    coalition, digest = data_of(bundle["coalition"], 20), data_of(bundle["digest"], 32)
    effect = _effect(receipt, coalition, digest)
    if effect is None:
        raise Broken(BUNDLE, header.number, "the receipt shows no effect of the order")
    domain = domain_separator(bundle["chain_id"], coalition)
    order = _order_in(body, domain, digest)
    lines = [f"Block {header.number} holds the effect {effect.name} of order {bundle['digest']}."]
    if order is None:
        lines.append("It came inside another contract's call; who signed is not shown.")
    elif order.signer is None:
        lines.append("A contract answered for it (ERC-1271); that cannot be asked again.")
    else:
        fields = {k: v for k, v in order.fields.items() if k not in ("entries", "entriesHash")}
        shown = ", ".join(f"{k} {_shown(v)}" for k, v in fields.items())
        lines.append(f"{NAMES[order.kind]}: {shown}.")
        lines.append(f"Signed by the key of 0x{order.signer.hex()}.")
    if order is not None and order.kind == o.ISSUE_BATCH:
        lines.append(
            f"{order.fields['count']} entries in the batch, in the order of its references."
        )
    return Verified(header.number, header.hash, header.time, tuple(lines))


def _shown(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)


def _effect(receipt: bytes, coalition: bytes, digest: bytes) -> Event | None:
    """The effect in a proven receipt, typed or not."""
    fields = decode(receipt[1:] if receipt[0] < 0xC0 else receipt)
    if not isinstance(fields, list):
        raise InputInvalid("a receipt is no list")
    decoder = Decoder({coalition: "Coalition"})
    for index, log in enumerate(fields[3]):
        assert isinstance(log, list)
        address, topics, data = log
        assert isinstance(address, bytes)
        assert isinstance(data, bytes)
        if address != coalition:
            continue
        words = tuple(topic for topic in topics if isinstance(topic, bytes))
        event = decoder.decode(index, RawLog(address, words, data))
        if event is not None and event.name in EFFECTS and event.args[0] == digest:
            return event
    return None


# Where a transaction's calldata stands among its fields, by its type.
_INPUT_AT: Final = {0: 5, 1: 6, 2: 7, 3: 7, 4: 7, 0x7E: 7}


def _order_in(body: bytes, domain: bytes, digest: bytes) -> Order | None:
    kind = body[0] if body[0] < 0xC0 else 0
    fields = decode(body[1:] if kind else body)
    calldata = fields[_INPUT_AT[kind]]
    if not isinstance(calldata, bytes):
        return None
    return next((x for x in orders_in(calldata, domain, (domain,)) if x.digest == digest), None)


def _verify_member(bundle: dict[str, Any]) -> Verified:
    header = _header(bundle)
    member, points = data_of(bundle["member"], 20), data_of(bundle["points"], 20)
    slot = mapping_slot(member, POINTS["_accounts"])
    account, values, _ = read_proof(bundle["proof"], header.state_root, points, [slot])
    if account.code_hash == EMPTY_CODE_HASH:
        raise Broken(BUNDLE, header.number, "no contract stands at the address of Points")
    elapsed = header.time - bundle["epoch_first_start"]
    epoch = max(0, elapsed) // bundle["epoch_length"] + 1
    word = acc.aged(values[0], epoch) if values[0] else 0
    by_epoch = ", ".join(f"{points} of epoch {e}" for e, points in acc.lanes_of(word)) or "none"
    lines = [
        f"After block {header.number}, 0x{member.hex()} holds {acc.balance(word)} live points: "
        f"{by_epoch}.",
        "It is a member." if word & acc.MEMBER_BIT else "It is no member.",
    ]
    for inner in bundle["orders"]:
        verified = verify_bundle(inner)
        lines += [f"  {line}" for line in verified.lines]
        lines.append(f"  (block {verified.block}, hash 0x{verified.block_hash.hex()})")
    return Verified(header.number, header.hash, header.time, tuple(lines))
