"""Published heads: signed, chained statements of what the chain was, to hold it to them later.

One JSON object a line. Each names the hash of the line before it, so none can be left out or
replaced in silence, and is signed as an Ethereum personal message (EIP-191), so that any wallet can
check it. An auditor who kept one finds a rewritten history and withheld blocks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from coincurve import PrivateKey

from indexer.auditor.checkpoint import state_digest
from indexer.auditor.codec import data_of, keccak
from indexer.auditor.errors import AuditError, Broken, InputInvalid
from indexer.auditor.ledger import Ledger
from indexer.auditor.signatures import recover_order

ANCHOR: Final = "published heads"
NO_PREVIOUS: Final = "0x" + "00" * 32


@dataclass(frozen=True, slots=True)
class Head:
    """One published head. Hashes and addresses as 0x hex, `live_points` in points."""

    schema: int
    chain_id: int
    coalition: str
    block: int
    hash: str
    time: int
    state: str
    """Digest of the replayed state, as `banyan-audit` keeps it."""
    live_points: int
    previous: str
    signer: str
    signature: str

    def text(self) -> bytes:
        """What is signed: the canonical JSON of all but the signature."""
        content = asdict(self)
        del content["signature"]
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)

    def line(self) -> bytes:
        """The head as it stands in the file."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)

    @property
    def digest(self) -> str:
        """What the next head names as `previous`."""
        return "0x" + keccak(self.line()).hex()


def personal_digest(text: bytes) -> bytes:
    """EIP-191, version 0x45: what wallets sign as a personal message."""
    return keccak(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)


def sign_text(text: bytes, key: PrivateKey) -> str:
    """r s v as 0x hex, v 27 or 28."""
    raw = key.sign_recoverable(personal_digest(text), hasher=None)
    return "0x" + raw[:64].hex() + bytes([27 + raw[64]]).hex()


def address_of(key: PrivateKey) -> str:
    """The address of a key, as lower-case hex."""
    return "0x" + keccak(key.public_key.format(compressed=False)[1:])[12:].hex()


def signer_of(text: bytes, signature: str) -> str | None:
    """Who signed a personal message; None: nobody."""
    try:
        found = recover_order(personal_digest(text), data_of(signature, 65))
    except AuditError:
        return None
    return None if found is None else "0x" + found.hex()


def read_key(path: Path) -> PrivateKey:
    """A private key of 32 bytes in hex. Raises InputInvalid: also when others may read the file."""
    try:
        if path.stat().st_mode & 0o077:
            raise InputInvalid(f"others may read {path}: chmod 600 it first")
        text = path.read_text("ascii").strip().removeprefix("0x")
        secret = bytes.fromhex(text)
        if len(secret) != 32:
            raise InputInvalid(f"{path} holds no key of 32 bytes")
        return PrivateKey(secret)
    except (OSError, ValueError) as error:
        # Never the content: it may be a key with a typing mistake.
        raise InputInvalid(f"{path} cannot be read as a private key") from error


def publish(
    path: Path, ledger: Ledger, chain_id: int, coalition: bytes, live: int, key: PrivateKey
) -> Head:
    """Appends the ledger's block to the file. Raises InputInvalid: the file is broken, or of
    another network, or ahead of this state.
    """
    heads = read_heads(path)
    if heads and heads[-1].block >= ledger.block:
        raise InputInvalid(f"{path} already speaks of block {heads[-1].block}")
    if heads and (heads[-1].chain_id, heads[-1].coalition) != (chain_id, "0x" + coalition.hex()):
        raise InputInvalid(f"{path} is of another network")
    unsigned = Head(
        schema=1,
        chain_id=chain_id,
        coalition="0x" + coalition.hex(),
        block=ledger.block,
        hash="0x" + ledger.block_hash.hex(),
        time=ledger.timestamp,
        state="0x" + state_digest(ledger).hex(),
        live_points=live,
        previous=heads[-1].digest if heads else NO_PREVIOUS,
        signer=address_of(key),
        signature="",
    )
    head = Head(**{**asdict(unsigned), "signature": sign_text(unsigned.text(), key)})
    with path.open("ab") as file:
        file.write(head.line() + b"\n")
    return head


def read_heads(path: Path) -> list[Head]:
    """The heads of a file, each signature and link checked. Raises InputInvalid."""
    if not path.exists():
        return []
    heads: list[Head] = []
    previous = NO_PREVIOUS
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        head = _read(line, path, number)
        if head.previous != previous:
            raise InputInvalid(f"{path}, line {number}: the head before it is missing or changed")
        if signer_of(head.text(), head.signature) != head.signer:
            raise InputInvalid(f"{path}, line {number}: not signed by {head.signer}")
        if heads and (head.block <= heads[-1].block or head.signer != heads[-1].signer):
            raise InputInvalid(f"{path}, line {number}: out of order, or by another signer")
        heads.append(head)
        previous = head.digest
    return heads


def _read(line: bytes, path: Path, number: int) -> Head:
    try:
        content: dict[str, Any] = orjson.loads(line)
        head = Head(**content)
        if head.schema != 1 or not isinstance(head.block, int) or head.line() != line:
            raise InputInvalid(f"{path}, line {number}: not in canonical form")
        return head
    except (orjson.JSONDecodeError, TypeError) as error:
        raise InputInvalid(f"{path}, line {number}: no published head: {error}") from error


def check_reach(heads: list[Head], height: int) -> None:
    """Raises Broken: the node withholds blocks that a published head speaks of."""
    if heads and height < heads[-1].block:
        raise Broken(
            ANCHOR,
            height + 1,
            f"the node ends at block {height}, a published head speaks of {heads[-1].block}",
            heads[-1].block,
            height,
        )


def check_hash(head: Head, got: bytes) -> None:
    """Raises Broken: the block is another one than was published."""
    if head.hash != "0x" + got.hex():
        raise Broken(
            ANCHOR, head.block, "another block than was published", head.hash, "0x" + got.hex()
        )


def check_state(head: Head, ledger: Ledger) -> None:
    """Raises Broken: the same block, but another state was published."""
    digest = "0x" + state_digest(ledger).hex()
    if head.state != digest:
        raise Broken(ANCHOR, head.block, "another state than was published", head.state, digest)
