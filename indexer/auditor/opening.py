"""Before the first block: which chain, up to where, and from which state the replay goes on."""

from __future__ import annotations

from typing import Final

from indexer.auditor import checkpoint, heads
from indexer.auditor.codec import quantity
from indexer.auditor.errors import Broken, CannotRun, NodeRefused
from indexer.auditor.headers import HEADERS, Header, header_of
from indexer.auditor.ledger import Ledger
from indexer.auditor.network import NetworkFile
from indexer.auditor.outcome import Options, Outcome
from indexer.auditor.source import Rpc, block_number

_FROM_GENESIS_MAX: Final = 10_000
"""Up to so many blocks before the network's first are read, to hang it onto the genesis block."""


def read_header(rpc: Rpc, number: int) -> Header:
    """A header, hashed. Raises CannotRun: the node has no such block; Broken: it is another."""
    block = rpc.call("eth_getBlockByNumber", [hex(number), False])
    if block is None:
        raise CannotRun(f"the node has no block {number}")
    return header_of(block, number)


def check_chain(rpc: Rpc, network: NetworkFile, outcome: Outcome) -> None:
    """The right chain, from the right genesis block. Raises CannotRun, Broken."""
    chain_id = quantity(rpc.call("eth_chainId"))
    if chain_id != network.chain_id:
        raise CannotRun(f"the node is of chain {chain_id}, the network of {network.chain_id}")
    outcome.trusted.append(
        "the deployment file: addresses, code hashes, genesis hash, face value and epochs "
        f"(keccak 0x{network.digest.hex()})"
    )
    try:
        block = rpc.call("eth_getBlockByNumber", ["0x0", False])
    except NodeRefused:
        block = None
    if block is None:
        outcome.trusted.append("the genesis block, which the node no longer has")
        return
    header = header_of(block, 0)
    if header.hash != network.genesis_hash:
        raise Broken(
            HEADERS,
            0,
            "the chain begins with another block than the deployment file pins",
            "0x" + network.genesis_hash.hex(),
            "0x" + header.hash.hex(),
        )


def trusted_heads(options: Options, outcome: Outcome) -> list[heads.Head]:
    """The published heads to honour, their signatures and links checked. Raises CannotRun."""
    if options.heads is None:
        return []
    found = heads.read_heads(options.heads)
    if not found:
        raise CannotRun(f"{options.heads} holds no published head")
    wanted = options.heads_signer
    if wanted is not None and found[-1].signer != wanted.lower():
        raise CannotRun(f"the heads are signed by {found[-1].signer}, not by {wanted}")
    outcome.trusted.append(
        f"{len(found)} published heads up to block {found[-1].block}, signed by "
        f"{found[-1].signer}" + ("" if wanted else " (whose signer nobody confirmed)")
    )
    return found


def last_block(rpc: Rpc, network: NetworkFile, options: Options, outcome: Outcome) -> int:
    """Where the audit ends. A node that knows no finality is read to its latest block."""
    last = options.last
    latest = block_number(rpc, "latest")
    if latest is None:
        raise CannotRun("the node names no latest block")
    if isinstance(last, int):
        if last > latest:
            raise CannotRun(f"the node ends at block {latest}, asked was {last}")
        return last
    height = latest if last == "latest" else block_number(rpc, last)
    if height is None or height < network.first_block:
        outcome.trusted.append(
            f"that block {latest} stays: the node names no {last} block of this network"
        )
        return latest
    return height


def opening_state(
    network: NetworkFile, options: Options, outcome: Outcome, published: list[heads.Head]
) -> Ledger:
    """The state before the first block that is read: saved by an earlier audit, or none.

    Raises Broken: a published head speaks of another state at that block.
    """
    saved = None if options.state is None else checkpoint.load(options.state, network.digest)
    limit = outcome.last if options.first is None else options.first - 1
    if saved is not None and saved.block <= limit:
        outcome.resumed_at = saved.block
        assert options.state is not None
        outcome.leaves = checkpoint.load_leaves(options.state)
        same = [head for head in published if head.block == saved.block]
        if same:
            heads.check_hash(same[0], saved.block_hash)
            heads.check_state(same[0], saved)
        else:
            outcome.trusted.append(
                f"the state that an earlier audit saved at block {saved.block} "
                f"(digest 0x{checkpoint.state_digest(saved).hex()})"
            )
        return saved
    begin = 0 if network.first_block <= _FROM_GENESIS_MAX else network.first_block
    if begin:
        outcome.trusted.append(f"the parent of block {begin}, the network's first")
    return Ledger(begin - 1, bytes(32), 0, network.address("Coalition"))
