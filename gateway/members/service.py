"""Members: a wallet and a Join order each, without the member ever hearing of either."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select

from gateway import cursors, ids
from gateway.auth.rotation import new_member_key
from gateway.clock import NetworkClock, WallClock
from gateway.codes import Kind, State
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import InvalidRequest, MemberUnknown
from gateway.mirror import MirrorBooks
from gateway.model import Member
from gateway.orders.known import parts
from gateway.tables import audit, members, orders
from indexer.queries import EpochPoints
from wallet_sdk.types import address_bytes, address_of

EXTERNAL_ID_LENGTH_MAX = 100

# New members of one commit: deriving an address costs about 0.1 ms, and the writer waits meanwhile.
NEW_MAX = 2_000

WALL = WallClock()


@dataclass(frozen=True, slots=True)
class HeldBalance:
    """Live points, those that no open order holds, and their epochs, soonest to expire first."""

    points: int
    available: int
    by_epoch: tuple[EpochPoints, ...]
    as_of_block: int
    as_of_time: int


class Members:
    """The room's service; knows no HTTP and commits what it opens."""

    def __init__(self, database: Database, custody: Custody, clock: NetworkClock) -> None:
        self._database = database
        self._custody = custody
        self._clock = clock

    def ensure(self, external_ids: Sequence[str], actor: str) -> dict[str, Member]:
        """Members by external id; who is missing gets a wallet and a Join order."""
        wanted = list(dict.fromkeys(external_ids))
        for external_id in wanted:
            check(external_id)
        found = self._find(wanted)
        missing = [e for e in wanted if e not in found]
        for start in range(0, len(missing), NEW_MAX):
            found |= self._make(missing[start : start + NEW_MAX], actor)
        return {external_id: found[external_id] for external_id in wanted}

    def _find(self, external_ids: Sequence[str]) -> dict[str, Member]:
        with self._database.read() as connection:
            return _by_external_id(connection, external_ids)

    def open_wallets(self) -> None:
        """Opens the members' seed, once a process and before a transaction: the master key may be
        in KMS. Raises CustodyError, NotReady.
        """
        self._custody.wallets()

    def _make(self, external_ids: Sequence[str], actor: str) -> dict[str, Member]:
        self.open_wallets()
        with self._database.write() as connection:
            return self.ensure_in(connection, external_ids, actor, self._clock.now())

    def ensure_in(
        self, connection: Connection, external_ids: Sequence[str], actor: str, now: int
    ) -> dict[str, Member]:
        """As `ensure`, in the caller's transaction; at most NEW_MAX. `open_wallets` first."""
        for external_id in external_ids:
            check(external_id)
        wallets = self._custody.wallets()
        c = members.c
        there = _by_external_id(connection, external_ids)
        if len(there) < len(external_ids):
            # The row's number is the wallet's index, so it must be known before the address is.
            self._database.lock_name(connection, "members")
            there = _by_external_id(connection, external_ids)
            new = [e for e in external_ids if e not in there]
            first = 1 + (connection.execute(select(func.max(c.id))).scalar_one() or 0)
            rows = [
                {
                    "id": number,
                    "public_id": raw_id,
                    "external_id": external_id,
                    "address": address_bytes(wallets.address(number)),
                    "created_at": now,
                }
                for number, raw_id, external_id in zip(
                    range(first, first + len(new)), ids.random_ids(len(new)), new, strict=True
                )
            ]
            if rows:
                connection.execute(insert(members), rows)
                connection.execute(insert(orders), _joins(rows, now))
                connection.execute(
                    insert(audit),
                    {
                        "at": now,
                        "actor": actor,
                        "action": "members",
                        "subject": f"{len(rows)} new",
                        "detail": f"rows {first} to {first + len(rows) - 1}",
                    },
                )
            return _by_external_id(connection, external_ids)
        return there

    def page(
        self, external_id: str | None, cursor: str | None, limit: int
    ) -> tuple[list[Member], str | None]:
        """Members, the newest first, and the cursor of the page after."""
        c = members.c
        query = select(members).order_by(c.id.desc()).limit(limit + 1)
        if external_id is not None:
            query = query.where(c.external_id == external_id)
        if cursor is not None:
            query = query.where(c.id < cursors.decode(cursor))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        after = cursors.encode(rows[limit - 1].id) if len(rows) > limit else None
        return [member_of(row) for row in rows[:limit]], after

    def new_key_in(
        self, connection: Connection, member: str, lives_s: int, actor: str, now: int
    ) -> tuple[str, str, int]:
        """A key bound to this member: its id, its text and when it ends. Raises MemberUnknown."""
        raw = ids.decode(ids.MEMBER, member)
        query = select(members.c.id).where(members.c.public_id == raw)
        number = connection.execute(query).scalar_one_or_none()
        if number is None:
            raise MemberUnknown(f"there is no member {member}", member=member)
        wall_now = WALL.now()
        expires_at = wall_now + lives_s
        key_id, text = new_member_key(connection, number, now, expires_at, wall_now)
        row = {
            "at": now,
            "actor": actor,
            "action": "api key",
            "subject": member,
            "detail": f"{key_id}, {lives_s} s",
        }
        connection.execute(insert(audit), row)
        return key_id, text, expires_at

    def get(self, member: str) -> Member:
        """The member with this public id. Raises MemberUnknown."""
        raw = ids.decode(ids.MEMBER, member)
        with self._database.read() as connection:
            query = select(members).where(members.c.public_id == raw)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise MemberUnknown(f"there is no member {member}", member=member)
        return member_of(row)

    def balance(self, member: str, books: MirrorBooks) -> HeldBalance:
        """What the member holds, and what of it is free. Raises MemberUnknown, NotReady."""
        raw = ids.decode(ids.MEMBER, member)
        with self._database.read() as connection:
            query = select(members.c.address, members.c.held).where(members.c.public_id == raw)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise MemberUnknown(f"there is no member {member}", member=member)
        found = books.member_balance(address_of(bytes(row.address)), self._clock.now())
        return HeldBalance(
            found.points,
            max(found.points - row.held, 0),
            found.by_epoch,
            found.as_of_block,
            found.as_of_time,
        )

    def by_addresses(self, addresses: Sequence[str]) -> dict[str, Member]:
        """Members by address, as far as they are ours."""
        found = {}
        raw = [address_bytes(address) for address in set(addresses)]
        with self._database.read() as connection:
            for part in parts(raw):
                query = select(members).where(members.c.address.in_(part))
                for row in connection.execute(query):
                    found[address_of(bytes(row.address))] = member_of(row)
        return found


def check(external_id: str) -> None:
    """Raises InvalidRequest: an external id that cannot be."""
    if not 1 <= len(external_id) <= EXTERNAL_ID_LENGTH_MAX or not external_id.isprintable():
        raise InvalidRequest(
            f"an external id has 1 to {EXTERNAL_ID_LENGTH_MAX} printable characters",
            external_id=external_id[:EXTERNAL_ID_LENGTH_MAX],
        )


def member_of(row: Any) -> Member:
    """A row as the value that other parts see."""
    return Member(
        id=ids.encode(ids.MEMBER, bytes(row.public_id)),
        external_id=row.external_id,
        address=address_of(bytes(row.address)),
        joined=row.joined_at is not None,
    )


def _by_external_id(connection: Connection, external_ids: Sequence[str]) -> dict[str, Member]:
    found = {}
    for part in parts(external_ids):
        query = select(members).where(members.c.external_id.in_(part))
        for row in connection.execute(query):
            found[row.external_id] = member_of(row)
    return found


def _joins(rows: Sequence[dict[str, Any]], now: int) -> list[dict[str, Any]]:
    order_ids = ids.new_ids(len(rows), now)
    return [
        {
            "public_id": raw_id,
            "kind": Kind.JOIN.value,
            "state": State.ACCEPTED.value,
            "merchant_id": 0,
            "member_id": row["id"],
            "to_member_id": None,
            "points": 0,
            "hold": 0,
            "reference": f"join {row['id']}",
            "accepted_at": now,
            "changed_at": now,
        }
        for raw_id, row in zip(order_ids, rows, strict=True)
    ]
