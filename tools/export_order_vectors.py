"""Writes tests/vectors/orders.json: one signed order of every kind, for the tests of both
languages.

    tools/export_order_vectors.py            writes the file
    tools/export_order_vectors.py --check    writes nothing, exits 1 when the file differs

The keys are those of the mnemonic that every Ethereum tool knows; they guard nothing. A change of
this file is a change of what signed orders mean, so look twice.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from wallet_sdk import orders as o  # noqa: E402
from wallet_sdk.buckets import pack_buckets  # noqa: E402
from wallet_sdk.merkle import (  # noqa: E402
    redemptions_proof,
    redemptions_root,
    references_root,
)
from wallet_sdk.signers import HDWallets, LocalSigner  # noqa: E402
from wallet_sdk.types import keccak256, to_hex  # noqa: E402

TARGET = ROOT / "tests" / "vectors" / "orders.json"
MNEMONIC = "test test test test test test test test test test test junk"
DOMAIN = o.Domain(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
DEADLINE = 1_800_000_000
MERCHANT = 3


def signed_orders() -> list[tuple[str, o.Order, LocalSigner]]:
    """One order of every kind in the order of the kinds, some twice, each with its signer."""
    wallets = HDWallets.from_mnemonic(MNEMONIC)
    owner, till, ada, ben = (wallets.signer(i) for i in range(4))
    ref = to_hex(keccak256(b"a reference, salted"))
    redeem = o.Redeem(ada.address, MERCHANT, 100, 2, DEADLINE, ref)
    redemption = o.Redemption(
        ada.address, 100, 2, DEADLINE, ref, pack_buckets(7, {7: 25, 4: 40, 2: 35})
    )
    leaves = [
        redemption.leaf(MERCHANT, DOMAIN),
        keccak256(b"another redemption"),
        keccak256(b"a third"),
    ]
    proof = tuple(to_hex(step) for step in redemptions_proof(leaves, 0))
    entries = ((ada.address, 120), (ben.address, 2**35 - 1), (ada.address, 1))
    references = [keccak256(bytes([i])) for i in range(len(entries))]
    back = o.Return(ada.address, MERCHANT, 30, 7, 9, DEADLINE, ref)
    back = o.Return(ada.address, MERCHANT, 30, 7, 9, DEADLINE, ref, ada.sign(back.digest(DOMAIN)))
    return [
        ("join", o.Join(ada.address, 1, DEADLINE), ada),
        ("leave", o.Leave(ada.address, 2**24 - 1, DEADLINE), ada),
        (
            "issue_batch",
            o.IssueBatch(MERCHANT, 0, DEADLINE, entries, to_hex(references_root(references))),
            till,
        ),
        ("issue_batch_of_one", o.IssueBatch(MERCHANT, 2**64 - 1, 2**40 - 1, entries[:1]), till),
        ("redeem", redeem, ada),
        ("refund", o.Refund(MERCHANT, 60, 7, DEADLINE, redemption, proof), till),
        ("refund_of_a_lone_redemption", o.Refund(MERCHANT, 100, 8, DEADLINE, redemption), till),
        ("return", back, till),
        ("transfer", o.Transfer(ada.address, ben.address, 500, 3, DEADLINE), ada),
        ("cancel_of_a_member", o.Cancel(ada.address, 0, 4, DEADLINE), ada),
        ("cancel_of_a_merchant", o.Cancel(till.address, MERCHANT, 10, DEADLINE), till),
        ("withdraw", o.Withdraw(MERCHANT, owner.address, 2**127, 11, DEADLINE), owner),
        ("set_till_key", o.SetTillKey(MERCHANT, till.address, True, 12, DEADLINE), owner),
        ("revoke_till_key", o.SetTillKey(MERCHANT, till.address, False, 13, DEADLINE), owner),
        ("set_owner", o.SetOwner(MERCHANT, ben.address, 14, DEADLINE), owner),
        ("set_profile", o.SetProfile(MERCHANT, ref, 15, DEADLINE), owner),
        ("name_recovery", o.NameRecovery(ada.address, ben.address, 5, DEADLINE), ada),
        ("recover", o.Recover(ada.address, ben.address, 1, DEADLINE), ben),
    ]


def vectors() -> dict[str, Any]:
    """The file's content. `struct_hash` lets a contract at another address check its own digest."""
    found = []
    for name, order, signer in signed_orders():
        digest = order.digest(DOMAIN)
        signature = signer.sign(digest)
        found.append(
            {
                "name": name,
                "kind": int(order.KIND),
                "signer": signer.address,
                "type": order.TYPE,
                "type_hash": to_hex(order.TYPEHASH),
                "struct_hash": to_hex(order.struct_hash(DOMAIN)),
                "digest": to_hex(digest),
                "signature": to_hex(signature),
                "wire": to_hex(order.encode(signature)),
                "typed_data": order.typed_data(DOMAIN),
            }
        )
    leaves = [keccak256(bytes([i])) for i in range(5)]
    return {
        "domain": {
            "chain_id": DOMAIN.chain_id,
            "coalition": DOMAIN.coalition,
            "separator": to_hex(DOMAIN.separator),
        },
        "mnemonic": MNEMONIC,
        "orders": found,
        "redemptions": {
            "leaves": [to_hex(leaf) for leaf in leaves],
            "root": to_hex(redemptions_root(leaves)),
            "proofs": [[to_hex(step) for step in redemptions_proof(leaves, i)] for i in range(5)],
        },
    }


def main(arguments: list[str]) -> int:
    """Writes or checks; returns the exit code."""
    text = json.dumps(vectors(), indent=2) + "\n"
    if "--check" in arguments:
        if TARGET.exists() and TARGET.read_text() == text:
            return 0
        print(f"{TARGET.relative_to(ROOT)} differs from the SDK", file=sys.stderr)
        return 1
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
