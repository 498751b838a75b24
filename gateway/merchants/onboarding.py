"""Onboards merchants: keys made outside of any transaction, then rows and the operator's calls in
one commit.

A merchant's keys belong to its number, and the number is known only inside the transaction. So the
transaction is tried with the keys at hand; where it wants others it stores nothing, they are made,
and it is tried again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import orjson
from sqlalchemy import Connection, func, insert, select, update

from gateway import ids
from gateway.auth.keys import Role, new_key
from gateway.codes import MERCHANT_STATES
from gateway.custody import Custody, Made, MasterChanged, Purpose
from gateway.custody.making import undisturbed
from gateway.custody.purposes import merchant_tenant
from gateway.database import Database
from gateway.errors import InvalidRequest
from gateway.merchants.treasury import Treasury
from gateway.mirror import MirrorBooks
from gateway.model import EarnRule, Merchant, NewMerchant
from gateway.operator import calls
from gateway.relay.finish import REGISTER
from gateway.relay.merchants import FOUND
from gateway.tables import api_keys, audit, merchants
from wallet_sdk.contracts import Network
from wallet_sdk.types import (
    Address,
    Digest,
    address_bytes,
    address_of,
    digest_of,
    keccak256,
)

T = TypeVar("T")

SLUG_LENGTH_MAX: Final = 40
NAME_LENGTH_MAX: Final = 100
# A deposit is a uint256 on chain; more than this is no money but a slip.
AMOUNT_MAX: Final = 2**62

# Somebody else onboards, or rotates the master key, at the same moment: once, not for ever.
TRIES_MAX: Final = 10


class KeysWanted(Exception):
    """The transaction needs keys for these merchants; nothing was stored."""

    def __init__(self, numbers: Sequence[int]) -> None:
        super().__init__(numbers)
        self.numbers = numbers


class Onboarding:
    """Merchants to be onboarded, and the keys that were made for them so far."""

    def __init__(
        self,
        database: Database,
        custody: Custody,
        network: Network,
        books: MirrorBooks,
        wanted: Sequence[NewMerchant],
    ) -> None:
        """Raises InvalidRequest."""
        for new in wanted:
            check(new)
        self._database = database
        self._custody = custody
        self._network = network
        self._books = books
        self._treasury = Treasury(custody, network)
        self._wanted = wanted
        self._keys: dict[int, tuple[Made, Made]] = {}
        self._forgotten: dict[Digest, int] = {}

    def carried_out(self, run: Callable[[], T]) -> T:
        """What `run` returns, which opens the transaction that `act` is called in.

        Raises CustodyError, NotReady.
        """

        def once() -> T:
            self._forgotten = self._forgotten_ones()
            return run()

        def mend(disturbed: Exception) -> None:
            if isinstance(disturbed, KeysWanted):
                self._make(disturbed.numbers)
            else:
                self._keys.clear()

        why = "other merchants are onboarded at this moment; try again"
        return undisturbed(once, mend, (KeysWanted, MasterChanged), tries=TRIES_MAX, why=why)

    def _make(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if number not in self._keys:
                tenant = merchant_tenant(number)
                self._keys[number] = (
                    self._custody.make(tenant, Purpose.OWNER, nth=0),
                    self._custody.make(tenant, Purpose.TILL, nth=0),
                )

    def _forgotten_ones(self) -> dict[Digest, int]:
        """Merchants that a restored backup did not know, by the hash of their name and slug."""
        with self._database.read() as connection:
            query = select(merchants.c.id).where(merchants.c.slug.startswith(FOUND))
            numbers = connection.execute(query).scalars().all()
        found = [self._books.merchant_position(number) for number in numbers]
        return {each.profile_hash: each.merchant for each in found if each is not None}

    def act(self, connection: Connection, actor: str, now: int) -> list[Merchant]:
        """The merchants, in the caller's transaction; those that are there already as they are,
        without an API key. An opening deposit is made once only.

        Raises KeysWanted, MasterChanged: nothing is to be stored.
        """
        self._database.lock_name(connection, "merchants")
        there = self._there(connection)
        fresh = [new for new in self._distinct() if new.slug not in there]
        found = [new for new in fresh if profile_hash(new) in self._forgotten]
        numbers = self._numbers(connection, len(fresh) - len(found))
        missing = [number for number in numbers if number not in self._keys]
        if missing:
            raise KeysWanted(numbers)
        left = iter(numbers)
        for new in fresh:
            if new in found:
                number = self._forgotten[profile_hash(new)]
                there[new.slug] = self._name_again(connection, number, new, now)
            else:
                there[new.slug] = self._add(connection, next(left), new, now)
        for new in self._distinct():
            if new.deposit:
                number = there[new.slug].number
                reference = f"opening deposit of {new.slug}"
                self._treasury.deposit(connection, number, new.deposit, reference, now)
        if fresh:
            slugs = ", ".join(new.slug for new in fresh)
            connection.execute(insert(audit), audited(now, actor, "onboard", slugs))
        return [there[new.slug] for new in self._wanted]

    def _distinct(self) -> list[NewMerchant]:
        return list({new.slug: new for new in reversed(self._wanted)}.values())[::-1]

    def _there(self, connection: Connection) -> dict[str, Merchant]:
        slugs = [new.slug for new in self._wanted]
        query = select(merchants).where(merchants.c.slug.in_(slugs))
        return {row.slug: merchant_of(row) for row in connection.execute(query)}

    def _numbers(self, connection: Connection, many: int) -> list[int]:
        """The next numbers; `relay.merchants` has given those of the chain alone their rows."""
        first = 1 + (connection.execute(select(func.max(merchants.c.id))).scalar_one() or 0)
        return list(range(first, first + many))

    def _add(self, connection: Connection, number: int, new: NewMerchant, now: int) -> Merchant:
        owner, till = (self._custody.store(connection, made, now) for made in self._keys[number])
        row = {
            "id": number,
            "public_id": ids.new_id(now),
            "state": 0,
            "owner": address_bytes(owner),
            "till_key": address_bytes(till),
            "created_at": now,
            **_described(new),
        }
        connection.execute(insert(merchants), row)
        self._register(connection, number, owner, till, new, now)
        return _with_key(connection, number, now)

    def _name_again(
        self, connection: Connection, number: int, new: NewMerchant, now: int
    ) -> Merchant:
        """A merchant that the chain has kept: it is registered there with its credit limit, and its
        keys were found again.
        """
        c = merchants.c
        connection.execute(update(merchants).where(c.id == number).values(_described(new)))
        return _with_key(connection, number, now)

    def _register(
        self,
        connection: Connection,
        number: int,
        owner: Address,
        till: Address,
        new: NewMerchant,
        now: int,
    ) -> None:
        call = self._network.calls.register_merchant(number, owner, till, profile_hash(new))
        calls.enqueue(
            connection,
            sender=self._custody.network_addresses_in(connection)[Purpose.OPERATOR],
            to=call.to,
            data=call.data,
            label=REGISTER,
            merchant=number,
            now=now,
        )
        if new.credit_limit:
            self._treasury.grant_credit(connection, number, new.slug, new.credit_limit, now)


def profile_hash(new: NewMerchant) -> Digest:
    """What stands on chain for the merchant's name and slug."""
    profile = orjson.dumps({"name": new.name, "slug": new.slug}, option=orjson.OPT_SORT_KEYS)
    return digest_of(keccak256(profile))


def _described(new: NewMerchant) -> dict[str, Any]:
    rule = new.earn_rule
    return {
        "slug": new.slug,
        "name": new.name,
        "earn_points": rule.points,
        "earn_per_minor": rule.per_minor,
        "currency": rule.currency,
        "minor_digits": rule.minor_digits,
    }


def _with_key(connection: Connection, number: int, now: int) -> Merchant:
    api_key, key_row = new_key(Role.MERCHANT, number, now)
    connection.execute(insert(api_keys), key_row)
    stored = connection.execute(select(merchants).where(merchants.c.id == number)).one()
    return replace(merchant_of(stored), api_key=api_key)


def check(new: NewMerchant) -> None:
    """Raises InvalidRequest: a name, slug, rule or amount that cannot be."""
    rule = new.earn_rule
    sound = (
        1 <= len(new.name.strip()) <= NAME_LENGTH_MAX
        and new.name.isprintable()
        and 1 <= len(new.slug) <= SLUG_LENGTH_MAX
        and all(c.isascii() and (c.isalnum() or c in "-_") for c in new.slug)
        and not new.slug.startswith(FOUND)
    )
    if not sound:
        raise InvalidRequest(
            f"a name has 1 to {NAME_LENGTH_MAX} printable characters, a slug 1 to "
            f"{SLUG_LENGTH_MAX} letters, digits, - or _, and does not begin with {FOUND}",
            slug=new.slug[:SLUG_LENGTH_MAX],
        )
    if rule.points < 1 or rule.per_minor < 1 or not 0 <= rule.minor_digits <= 4:
        raise InvalidRequest("an earn rule gives at least one point for some amount")
    if not 0 <= new.deposit <= AMOUNT_MAX or not 0 <= new.credit_limit <= AMOUNT_MAX:
        raise InvalidRequest(f"an amount is 0 to {AMOUNT_MAX} units")


def merchant_of(row: Any) -> Merchant:
    """A row as the value that other parts see."""
    return Merchant(
        id=ids.encode(ids.MERCHANT, bytes(row.public_id)),
        number=row.id,
        slug=row.slug,
        name=row.name,
        state=MERCHANT_STATES[row.state],
        owner=address_of(bytes(row.owner)),
        till_key=address_of(bytes(row.till_key)),
        earn_rule=EarnRule(row.earn_points, row.earn_per_minor, row.currency, row.minor_digits),
    )


def audited(now: int, actor: str, action: str, detail: str) -> dict[str, Any]:
    """A row of the audit."""
    return {"at": now, "actor": actor, "action": action, "subject": "merchants", "detail": detail}
