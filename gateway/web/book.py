"""What the pages read in the gateway's own tables: names, members, latest orders. Reads only."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select

from gateway import ids
from gateway.codes import KIND_WORDS, STATE_WORDS, BatchState, State
from gateway.database import Database
from gateway.errors import NotFound
from gateway.tables import batches, members, merchants, orders, refusals
from gateway.web.facts import OrderFacts
from wallet_sdk.types import Address, address_of

REFUSED = "refused"


class BookOfOrders:
    """The pages' view of the order book."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def merchant_names(self) -> Mapping[int, str]:
        """Names of all merchants by their number on the network."""
        with self._database.read() as connection:
            rows = connection.execute(select(merchants.c.id, merchants.c.name))
            return {row.id: row.name for row in rows}

    def member_address(self, member_id: str) -> Address | None:
        """Where the points of this member (`mem_...`) are kept; None where there is no such."""
        try:
            raw = ids.decode(ids.MEMBER, member_id)
        except NotFound:
            return None
        query = select(members.c.address).where(members.c.public_id == raw)
        with self._database.read() as connection:
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else address_of(bytes(found))

    def latest_orders(self, limit: int) -> Sequence[OrderFacts]:
        """The latest orders and refusals, newest first.

        Refusals are rare and orders come by the thousand, so a quarter of the places is theirs.
        """
        with self._database.read() as connection:
            refused = _refusals(connection, limit)
            shown = _orders(connection, limit)
        places = min(len(refused), max(limit // 4, limit - len(shown)))
        both = refused[:places] + shown[: limit - places]
        return sorted(both, key=lambda each: -each.at)

    def open_orders(self) -> int:
        """Orders that are on their way: waiting for a batch, or in one that is not done."""
        waiting = select(func.count()).where(_is(orders.c.state, State.ACCEPTED))
        # A count over two partial indexes: the order table itself may hold years.
        moving = select(func.coalesce(func.sum(batches.c.order_count), 0)).where(
            batches.c.state < literal(BatchState.DONE.value, literal_execute=True)
        )
        with self._database.read() as connection:
            return int(connection.execute(waiting).scalar_one()) + int(
                connection.execute(moving).scalar_one()
            )

    def refusals(self) -> int:
        """Requests that were refused so far."""
        with self._database.read() as connection:
            return int(connection.execute(select(func.count()).select_from(refusals)).scalar_one())


def _is(column: ColumnElement[int], state: State) -> ColumnElement[bool]:
    # Written out, not bound: a plan that PostgreSQL keeps for any value fits no partial index.
    return column == literal(state.value, literal_execute=True)


def _orders(connection: Connection, limit: int) -> list[OrderFacts]:
    o = orders.c
    columns = (o.kind, o.state, o.points, o.reference, o.failure, o.accepted_at.label("at"))
    query = select(*columns, merchants.c.name, members.c.public_id).select_from(
        orders.outerjoin(merchants, merchants.c.id == o.merchant_id).outerjoin(
            members, members.c.id == o.member_id
        )
    )
    return _facts(connection, query.order_by(o.id.desc()).limit(limit))


def _refusals(connection: Connection, limit: int) -> list[OrderFacts]:
    r = refusals.c
    columns = (r.kind, literal(0).label("state"), r.points, r.reference, r.code.label("failure"))
    query = select(*columns, r.at, merchants.c.name, members.c.public_id).select_from(
        refusals.outerjoin(merchants, merchants.c.id == r.merchant_id).outerjoin(
            members, members.c.id == r.member_id
        )
    )
    return _facts(connection, query.order_by(r.id.desc()).limit(limit))


def _facts(connection: Connection, query: Select[*tuple[object, ...]]) -> list[OrderFacts]:
    facts = []
    for row in connection.execute(query):
        state = STATE_WORDS.get(row.state)
        kind = KIND_WORDS.get(row.kind)
        member = row.public_id
        facts.append(
            OrderFacts(
                kind=str(kind or row.kind),
                state=str(state or REFUSED),
                merchant=row.name,
                member=None if member is None else ids.encode(ids.MEMBER, bytes(member)),
                points=row.points,
                reference=row.reference,
                at=row.at,
                reason=row.failure,
            )
        )
    return facts
