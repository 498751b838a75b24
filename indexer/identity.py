"""What a mirror is of: one row, written before anything else, held against the deployment file."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from indexer import tables as t
from indexer.errors import WrongNetwork
from wallet_sdk.contracts import Deployment
from wallet_sdk.types import address_bytes, digest_bytes


def belong_together(conn: Connection, d: Deployment) -> None:
    """Writes what the mirror is of, or makes sure that it is of this deployment. Raises
    WrongNetwork.
    """
    wanted = {
        "one": 1,
        "chain_id": d.chain_id,
        "genesis_hash": digest_bytes(d.genesis_hash),
        "first_block": d.first_block,
        "coalition": address_bytes(d.address("Coalition")),
        "points": address_bytes(d.address("Points")),
        "face_value": d.face_value,
        "epoch_first_start": d.epoch_first_start,
        "epoch_length": d.epoch_length,
        "validity": d.validity,
    }
    row = conn.execute(sa.select(t.network)).mappings().one_or_none()
    if row is None:
        conn.execute(t.network.insert().values(wanted))
        return
    for name, value in wanted.items():
        if row[name] != value:
            raise WrongNetwork(
                f"the mirror is of another network: its {name} is {_shown(row[name])}, "
                f"the deployment's {_shown(value)}; use another database, or empty this one "
                "with `banyan index rebuild --from-chain`"
            )


def _shown(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
