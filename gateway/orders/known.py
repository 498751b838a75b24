"""What a group of requests needs to know before anything is decided: read in sets, in one go."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from sqlalchemy import BindParameter, Connection, bindparam, select

from gateway import ids
from gateway.books import Books, Position
from gateway.clock import DAY_S
from gateway.codes import MERCHANT_STATES, State, has
from gateway.errors import NotFound
from gateway.model import MerchantState, NewOrder, OrderKind
from gateway.orders.answers import Answer
from gateway.statements import KEYS, Lookup
from gateway.tables import members, merchants, orders
from gateway.webhooks.events import Event

if TYPE_CHECKING:
    from gateway.orders.reversals import Reversals

T = TypeVar("T")

# Values in one IN list: SQLite takes 32,766, and short statements are cached better.
IN_MAX = 500

_ASKED: BindParameter[Any] = bindparam(KEYS, expanding=True)
# Locked to the transaction's end (SQLite: the writer has it all anyway).
_MERCHANTS = Lookup(
    select(
        *(merchants.c.id, merchants.c.public_id, merchants.c.state, merchants.c.held),
        *(merchants.c.webhook_events, merchants.c.cap_day, merchants.c.cap_points),
    )
    .where(merchants.c.public_id.in_(_ASKED))
    .order_by(merchants.c.id)
    .with_for_update()
)
_MEMBERS_QUERY = select(members.c.id, members.c.public_id, members.c.address, members.c.held).where(
    members.c.public_id.in_(_ASKED)
)
_MEMBERS = Lookup(_MEMBERS_QUERY)
_DEBTORS = Lookup(_MEMBERS_QUERY.order_by(members.c.id).with_for_update())
_REFERENCES = Lookup(
    select(orders.c.reference, orders.c.public_id).where(
        orders.c.merchant_id == bindparam("merchant"),
        orders.c.reference.in_(_ASKED),
        ~has(orders.c.state, State.FAILED),
    )
)

DailyCap = Callable[[int], int | None]
"""Most points that a till may issue in the day of this second; None: no cap. Raises NotReady."""


def no_cap(_now: int) -> int | None:
    """No cap."""
    return None


Stored = dict[tuple[int, str], tuple[bytes, bytes]]
"""(tenant, idempotency key) -> hash of the body, answer as it is stored."""
Decided = dict[tuple[int, str], list[Answer]]
"""(tenant, idempotency key) -> answers to the lines."""

DEBITS = (OrderKind.REDEEM, OrderKind.RETURN, OrderKind.TRANSFER)
SELDOM = (OrderKind.REFUND, OrderKind.RETURN, OrderKind.WITHDRAW)


@dataclass(frozen=True, slots=True)
class Request:
    """One call: its lines stand or fall with one idempotency key.

    Attributes:
        tenant: whose key it is: a merchant's number, or 0 for the operator.
        actor: who is written into the audit: the API key's id, or `operator`.
    """

    tenant: int
    actor: str
    key: str
    body_hash: bytes
    lines: Sequence[NewOrder]


def hash_of(lines: Sequence[NewOrder]) -> bytes:
    """What an idempotency key is bound to where there is no HTTP body."""
    try:
        content = orjson.dumps(list(lines))
    except TypeError:
        # A number that no order can have, text that is none: refused later, but hashed all the
        # same.
        content = repr(list(lines)).encode("utf-8", "backslashreplace")
    return hashlib.sha256(content).digest()


@dataclass(slots=True)
class KnownMember:
    """A member's row; `held` are points that open orders will take, `releases` how often something
    was taken off them.
    """

    id: int
    address: bytes
    held: int
    releases: int = 0


@dataclass(slots=True)
class KnownMerchant:
    """A merchant's row and its position; `held` is money that open issues will be charged,
    `releases` how often something was taken off it, `issued_today` are points whose issue was
    accepted on this day.
    """

    id: int
    state: MerchantState
    held: int
    position: Position | None = None
    issued_today: int = 0
    releases: int = 0


@dataclass(slots=True)
class Known:
    """What the database and the mirror said, and what this group has added to it.

    Attributes:
        references: (merchant number, reference) -> public id of the order that holds it.
        balances: points that a debtor still has, less all holds.
        held_money, held_points: what the group adds to the holds, by merchant and by member.
        reversals: decides refunds, returns and withdrawals, where the group has one.
        listening: numbers of merchants with a webhook end point that hears of accepted orders.
        daily_cap: most points that a merchant's till may issue in a day; None: no cap.
        issued: points that this group issues, by merchant; only where there is a cap.
    """

    members: dict[str, KnownMember] = field(default_factory=dict)
    merchants: dict[str, KnownMerchant] = field(default_factory=dict)
    references: dict[tuple[int, str], str] = field(default_factory=dict)
    balances: dict[int, int] = field(default_factory=dict)
    issue_price: int = 0
    reversals: "Reversals | None" = None
    held_money: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    held_points: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    listening: set[int] = field(default_factory=set)
    daily_cap: int | None = None
    issued: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))

    def hears(self, merchant: int) -> bool:
        """Whether that merchant is told of accepted orders."""
        return merchant in self.listening

    def heard(self, rows: Sequence[Mapping[str, Any]]) -> dict[bytes, int]:
        """Of these rows of orders the public ids whose merchants are told, and who they are."""
        return {
            row["public_id"]: row["merchant_id"] for row in rows if self.hears(row["merchant_id"])
        }


def owner_of(request: Request, line: NewOrder, known: Known) -> int | None:
    """Whose reference it is: the merchant's, or of who asks where no merchant is named."""
    if line.merchant is None:
        return request.tenant
    merchant = known.merchants.get(line.merchant)
    return None if merchant is None else merchant.id


def parts(values: Sequence[T]) -> Iterable[Sequence[T]]:
    """`values` in pieces that fit one IN list."""
    return (values[i : i + IN_MAX] for i in range(0, len(values), IN_MAX))


def read(
    connection: Connection,
    books: Books,
    now: int,
    requests: Sequence[Request],
    daily_cap: DailyCap = no_cap,
) -> Known:
    """Everything that the lines of `requests` are decided by; debtors and merchants stay locked."""
    lines = [line for request in requests for line in request.lines]
    known = Known()
    # Locks are taken in one order everywhere (merchants, then members, each by id).
    _read_merchants(connection, known, lines, now // DAY_S)
    _read_members(connection, known, lines)
    _read_references(connection, known, requests)
    ask_books(books, known, now, lines, daily_cap)
    return known


def ask_books(
    books: Books, known: Known, now: int, lines: Sequence[NewOrder], daily_cap: DailyCap
) -> None:
    """What the mirror says of them. After the holds were read: what is released in between is then
    counted twice, never not at all. Raises NotReady.
    """
    for merchant in known.merchants.values():
        merchant.position = books.position(merchant.id)
    debtors = [
        known.members[line.member]
        for line in lines
        if line.kind in DEBITS and line.member in known.members
    ]
    if debtors:
        balances = books.balances([m.address for m in debtors], now)
        known.balances = {m.id: balances.get(m.address, 0) - m.held for m in debtors}
    if any(line.kind is OrderKind.ISSUE for line in lines):
        known.issue_price = books.issue_price(now)
        known.daily_cap = daily_cap(now)


def _read_merchants(
    connection: Connection, known: Known, lines: Sequence[NewOrder], day: int
) -> None:
    by_raw = raw_ids(ids.MERCHANT, (line.merchant for line in lines if line.merchant))
    for row in _MERCHANTS(connection, sorted(by_raw)):
        known.merchants[by_raw[bytes(row.public_id)]] = KnownMerchant(
            row.id,
            MERCHANT_STATES[row.state],
            row.held,
            issued_today=row.cap_points if row.cap_day == day else 0,
        )
        if row.webhook_events & Event.ACCEPTED:
            known.listening.add(row.id)


def _read_members(connection: Connection, known: Known, lines: Sequence[NewOrder]) -> None:
    debtors = raw_ids(ids.MEMBER, (line.member for line in lines if line.kind in DEBITS))
    named = (name for line in lines for name in (line.member, line.to_member) if name)
    others = {raw: name for raw, name in raw_ids(ids.MEMBER, named).items() if raw not in debtors}
    for wanted, lookup in ((debtors, _DEBTORS), (others, _MEMBERS)):
        for row in lookup(connection, sorted(wanted)):
            known.members[wanted[bytes(row.public_id)]] = KnownMember(
                row.id, bytes(row.address), row.held
            )


def _read_references(connection: Connection, known: Known, requests: Sequence[Request]) -> None:
    by_merchant: defaultdict[int, set[str]] = defaultdict(set)
    for request in requests:
        for line in request.lines:
            owner = owner_of(request, line, known)
            if owner is not None:
                by_merchant[owner].add(line.reference)
    for merchant, references in by_merchant.items():
        for row in _REFERENCES(connection, sorted(references), merchant=merchant):
            order_id = ids.encode(ids.ORDER, bytes(row.public_id))
            known.references[merchant, row.reference] = order_id


def raw_ids(prefix: str, names: Iterable[str]) -> dict[bytes, str]:
    """Ids in SQL form; what cannot be an id is left out, and so is unknown later."""
    found = {}
    for name in set(names):
        try:
            found[ids.decode(prefix, name)] = name
        except NotFound:
            continue
    return found
