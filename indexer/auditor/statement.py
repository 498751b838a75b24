"""The reserve statement: what covers the members' points, in words that claim no more than was
proven.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from coincurve import PrivateKey

from indexer.auditor.heads import address_of, sign_text
from indexer.auditor.laws import Money
from indexer.auditor.ledger import Ledger

_SCHEMA: Final = 1


@dataclass(frozen=True, slots=True)
class ReserveStatement:
    """At one block. Money in units of the settlement asset.

    `stablecoin` or `bank_receipts` is what the Coalition holds, by what kind of asset it is; the
    other is 0. `credit_drawn` is no money: it is what merchants owe, behind it the guarantee.
    """

    schema: int
    chain_id: int
    block: int
    block_hash: str
    time: int
    live_points: int
    face_value: int
    reserve: int
    other_claims: int
    stablecoin: int
    bank_receipts: int
    credit_drawn: int
    guarantee: int
    attested: dict[str, Any] | None
    storage_proven: bool
    words: tuple[str, ...]


def sign_statement(statement: dict[str, Any], key: PrivateKey | None) -> dict[str, Any]:
    """The statement as it is handed out; with a key, signed as an EIP-191 personal message over its
    canonical JSON (keys in order, no blanks).
    """
    if key is None:
        return {"statement": statement, "signer": None, "signature": None}
    text = orjson.dumps(statement, option=orjson.OPT_SORT_KEYS)
    return {
        "statement": statement,
        "signer": address_of(key),
        "signature": sign_text(text, key),
    }


def reserve_statement(
    ledger: Ledger,
    money: Money,
    *,
    chain_id: int,
    face_value: int,
    is_receipt: bool,
    storage_proven: bool,
    token_proven: bool,
) -> ReserveStatement:
    """The statement of an audit's last block."""
    attestation = ledger.attestation
    attested = None
    if is_receipt and attestation is not None:
        attested = {
            "date": attestation.date,
            "amount": attestation.amount,
            "document": "0x" + attestation.document.hex(),
            "attestor": "0x" + attestation.attestor.hex(),
            "receipts_in_all": ledger.asset_supply,
        }
    return ReserveStatement(
        schema=_SCHEMA,
        chain_id=chain_id,
        block=ledger.block,
        block_hash="0x" + ledger.block_hash.hex(),
        time=ledger.timestamp,
        live_points=money.live_points,
        face_value=face_value,
        reserve=money.reserve,
        other_claims=money.owed - money.reserve,
        stablecoin=0 if is_receipt else money.assets,
        bank_receipts=money.assets if is_receipt else 0,
        credit_drawn=money.credit_drawn,
        guarantee=money.guarantee,
        attested=attested,
        storage_proven=storage_proven,
        words=tuple(
            _words(ledger, money, is_receipt, attested, storage_proven, token_proven=token_proven)
        ),
    )


def _words(
    ledger: Ledger,
    money: Money,
    is_receipt: bool,
    attested: dict[str, Any] | None,
    storage_proven: bool,
    *,
    token_proven: bool,
) -> list[str]:
    asset = "bank receipts" if is_receipt else "the settlement token"
    covered = money.assets + money.credit_drawn >= money.owed
    words = [
        f"After block {ledger.block}, members hold {money.live_points:,} live points, worth "
        f"{money.reserve:,} units at face value.",
        f"The Coalition holds {money.assets:,} units of {asset}. All claims on it, the points' "
        f"reserve included, come to {money.owed:,}; merchants have drawn {money.credit_drawn:,} on "
        "credit.",
        "Assets and credit drawn cover all claims."
        if covered
        else "Assets and credit drawn do NOT cover all claims.",
    ]
    if money.credit_drawn:
        words.append(
            f"Credit drawn is owed by merchants, not held; a guarantee of {money.guarantee:,} that "
            "the Coalition holds stands behind it."
        )
    if is_receipt and attested is None:
        words.append("Nobody has attested on chain that a bank covers the receipts.")
    elif is_receipt and attested is not None:
        enough = "as much as" if attested["amount"] >= ledger.asset_supply else "LESS than"
        words.append(
            f"Receipts cover the points; whether the bank covers the receipts is attested by "
            f"{attested['attestor']} for {attested['date']}: {attested['amount']:,} units, "
            f"{enough} all {ledger.asset_supply:,} receipts. "
            "That is a person's word, proven by nobody here."
        )
    else:
        words.append(
            "The settlement token is somebody else's. Its Transfer logs were proven, and "
            + ("so was" if token_proven else "NOT")
            + " a word of its storage that holds the same under the Coalition's address. What it "
            "is worth was not examined."
        )
    words.append(
        "The figures were replayed from proven receipts and compared with the state root by "
        "Merkle proof."
        if storage_proven
        else "The figures were replayed from proven receipts; the node gave no storage proofs."
    )
    return words
