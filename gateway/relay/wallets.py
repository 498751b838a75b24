"""Members that the chain knows and the book has forgotten: their wallets must go to nobody else."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, func, insert, select

from gateway import ids
from gateway.custody import Custody
from gateway.database import Database
from gateway.orders.known import parts
from gateway.relay.onchain import WALLETS_AHEAD, FoundOrder
from gateway.relay.wishes import addresses_of
from gateway.tables import members
from wallet_sdk.types import address_bytes, address_of

FOUND: Final = "found on chain"


def remember_members(
    database: Database, custody: Custody, found: Sequence[FoundOrder], now: int
) -> int:
    """Rows for wallets of ours that these orders name and the book has forgotten. Returns how many.

    Also for those between that the chain does not know: somebody may have been given them.
    """
    missing = {address_bytes(a) for one in found for a in addresses_of(one)}
    custody.wallets()  # opened before the transaction: the master key may be in KMS
    c = members.c
    with database.write() as connection:
        database.lock_name(connection, "members")
        for part in parts(sorted(missing)):
            known = connection.execute(select(c.address).where(c.address.in_(part))).scalars()
            missing -= {bytes(address) for address in known}
        first = 1 + (connection.execute(select(func.max(c.id))).scalar_one() or 0)
        derived = _derived(custody, first, missing)
        rows = [
            {
                "id": first + n,
                "public_id": raw_id,
                "external_id": f"{FOUND} {address_of(address)}",
                "address": address,
                "created_at": now,
            }
            for n, (address, raw_id) in enumerate(
                zip(derived, ids.new_ids(len(derived), now), strict=True)
            )
        ]
        if rows:
            connection.execute(insert(members), rows)
    return len(rows)


def unnamed(connection: Connection) -> list[str]:
    """Public ids of such members, by row number: nobody has said who they are."""
    c = members.c
    query = select(c.public_id).where(c.external_id.startswith(f"{FOUND} ")).order_by(c.id)
    return [ids.encode(ids.MEMBER, bytes(raw)) for raw in connection.execute(query).scalars()]


def _derived(custody: Custody, first: int, missing: set[bytes]) -> list[bytes]:
    """Addresses of the next wallets, up to the last one that is missing."""
    if not missing:
        return []
    wallets, derived, last = custody.wallets(), list[bytes](), 0
    left = set(missing)
    while left and len(derived) < last + WALLETS_AHEAD:
        derived.append(address_bytes(wallets.address(first + len(derived))))
        if derived[-1] in left:
            left.remove(derived[-1])
            last = len(derived)
    return derived[:last]
