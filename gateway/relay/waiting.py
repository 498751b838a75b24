"""What waits for a batch: scans through the partial index of accepted orders."""

from sqlalchemy import Select, func, select

from gateway.codes import BY_MEMBER, Kind, State, has
from gateway.tables import orders

# One scan takes at most this many orders: a transaction of well under a second.
ORDERS_MAX = 20_000
# Of issues, ten full batches: a merchant's next step then leaves no half-full one behind.
ISSUES_MAX = 6_000

# Refunds, returns and withdrawals opened in one step; each takes a nonce of its merchant.
SELDOM = (Kind.REFUND, Kind.RETURN, Kind.WITHDRAW)
SELDOM_MAX = 1_000

# Highest distance of a new nonce from the highest used one, and from the lowest still in flight:
# the chain's window of five and one (`design.md` 2).
NONCE_REACH = 6

WAITING_ISSUES = (
    select(orders.c.id, orders.c.merchant_id, orders.c.points, orders.c.voids)
    .where(has(orders.c.state, State.ACCEPTED), has(orders.c.kind, Kind.ISSUE))
    .order_by(orders.c.id)
    .limit(ISSUES_MAX)
)


def _waiting_of_members() -> Select[tuple[int, int, int, int]]:
    """The oldest waiting orders of each member: one with a long queue holds up nobody else."""
    # Materialized, so that it is read through the partial index of what waits. Ranking the table
    # itself, SQLite walks every order there ever was for the sake of their sequence by member.
    waiting = (
        select(orders.c.id, orders.c.kind, orders.c.merchant_id, orders.c.member_id)
        .where(has(orders.c.state, State.ACCEPTED), orders.c.kind.in_(BY_MEMBER))
        .cte("waiting")
        .prefix_with("MATERIALIZED")
    )
    rank = func.row_number().over(partition_by=waiting.c.member_id, order_by=waiting.c.id)
    ranked = select(waiting, rank.label("rank")).subquery()
    c = ranked.c
    return (
        select(c.id, c.kind, c.merchant_id, c.member_id)
        .where(c.rank <= NONCE_REACH)
        .order_by(c.id)
        .limit(ORDERS_MAX)
    )


WAITING_OF_MEMBERS = _waiting_of_members()

WAITING_SELDOM = (
    select(orders.c.id, orders.c.kind, orders.c.merchant_id)
    .where(has(orders.c.state, State.ACCEPTED), orders.c.kind.in_(SELDOM))
    .order_by(orders.c.id)
    .limit(SELDOM_MAX)
)
