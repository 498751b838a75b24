"""Onboards and funds merchants: rows, keys and the operator's calls, in one commit each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select

from gateway import cursors, faults, ids
from gateway.auth.keys import Role, Scope, new_key
from gateway.auth.rotation import rotate_key
from gateway.clock import NetworkClock
from gateway.codes import MERCHANT_STATES
from gateway.custody import Custody, Purpose
from gateway.custody.purposes import merchant_tenant
from gateway.database import Database
from gateway.errors import InvalidRequest, MerchantNotActive, MerchantUnknown
from gateway.merchants.treasury import Treasury
from gateway.mirror import MirrorBooks
from gateway.model import EarnRule, Merchant, NewMerchant
from gateway.operator import calls
from gateway.relay.finish import REGISTER
from gateway.tables import api_keys, audit, merchants
from wallet_sdk.contracts import Network
from wallet_sdk.types import Address, address_bytes, address_of, keccak256, to_hex

SLUG_LENGTH_MAX = 40
NAME_LENGTH_MAX = 100
# A deposit is a uint256 on chain; more than this is no money but a slip.
AMOUNT_MAX = 2**62


@dataclass(frozen=True, slots=True)
class HeldPosition:
    """A position with what open issues hold of it, units of the settlement asset."""

    position: int
    credit_limit: int
    held: int
    as_of_block: int


class Merchants:
    """The room's service; knows no HTTP and commits what it opens."""

    def __init__(
        self, database: Database, custody: Custody, network: Network, clock: NetworkClock
    ) -> None:
        self._database = database
        self._custody = custody
        self._network = network
        self._clock = clock
        self._treasury = Treasury(custody, network)
        self._remembered: dict[int, Merchant] = {}

    # ---- onboarding

    def onboard(self, wanted: Sequence[NewMerchant], actor: str) -> list[Merchant]:
        """Stores merchants, keys and calls in one commit; the relay carries the calls out.

        A slug that is there already: its merchant as it is, without API key; an opening deposit is
        made once only.
        """
        with self._database.write() as connection:
            onboarded = self.onboard_in(connection, wanted, actor, self._clock.now())
        faults.point("onboard.stored")
        return onboarded

    def onboard_in(
        self, connection: Connection, wanted: Sequence[NewMerchant], actor: str, now: int
    ) -> list[Merchant]:
        """As `onboard`, in the caller's transaction."""
        for new in wanted:
            check(new)
        self._database.lock_name(connection, "merchants")
        onboarded = [self._onboard_one(connection, new, now) for new in wanted]
        for new, merchant in zip(wanted, onboarded, strict=True):
            if new.deposit:
                reference = f"opening deposit of {new.slug}"
                self._treasury.deposit(connection, merchant.number, new.deposit, reference, now)
        slugs = ", ".join(m.slug for m in onboarded if m.api_key)
        if slugs:
            connection.execute(insert(audit), _audit(now, actor, "onboard", slugs))
        return onboarded

    def _onboard_one(self, connection: Connection, new: NewMerchant, now: int) -> Merchant:
        c = merchants.c
        found = connection.execute(select(merchants).where(c.slug == new.slug)).one_or_none()
        if found is not None:
            return merchant_of(found)
        number = 1 + (connection.execute(select(func.max(c.id))).scalar_one() or 0)
        tenant = merchant_tenant(number)
        owner = self._custody.new_key(connection, tenant, Purpose.OWNER, now)
        till = self._custody.new_key(connection, tenant, Purpose.TILL, now)
        rule = new.earn_rule
        row = {
            "id": number,
            "public_id": ids.new_id(now),
            "slug": new.slug,
            "name": new.name,
            "state": 0,
            "owner": address_bytes(owner),
            "till_key": address_bytes(till),
            "earn_points": rule.points,
            "earn_per_minor": rule.per_minor,
            "currency": rule.currency,
            "minor_digits": rule.minor_digits,
            "created_at": now,
        }
        connection.execute(insert(merchants), row)
        api_key, key_row = new_key(Role.MERCHANT, number, now)
        connection.execute(insert(api_keys), key_row)
        self._register(connection, number, owner, till, new, now)
        stored = connection.execute(select(merchants).where(c.id == number)).one()
        return replace(merchant_of(stored), api_key=api_key)

    def _register(
        self,
        connection: Connection,
        number: int,
        owner: Address,
        till: Address,
        new: NewMerchant,
        now: int,
    ) -> None:
        profile = orjson.dumps({"name": new.name, "slug": new.slug}, option=orjson.OPT_SORT_KEYS)
        call = self._network.calls.register_merchant(
            number, owner, till, to_hex(keccak256(profile))
        )
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

    # ---- funding

    def fund(self, merchant: str, amount: int, bank_reference: str, actor: str) -> bool:
        """Deposits `amount` for the merchant; False: this bank reference was used already.

        Raises MerchantUnknown, InvalidRequest.
        """
        with self._database.write() as connection:
            now = self._clock.now()
            return self.fund_in(connection, merchant, amount, bank_reference, actor, now)

    def fund_in(
        self,
        connection: Connection,
        merchant: str,
        amount: int,
        bank_reference: str,
        actor: str,
        now: int,
    ) -> bool:
        """As `fund`, in the caller's transaction."""
        if not 1 <= amount <= AMOUNT_MAX:
            raise InvalidRequest(f"an amount is 1 to {AMOUNT_MAX} units", amount=amount)
        row = self._row(connection, merchant)
        done = self._treasury.deposit(connection, row.id, amount, bank_reference, now)
        if done:
            detail = f"{amount} for {row.slug}, bank reference {bank_reference}"
            connection.execute(insert(audit), _audit(now, actor, "fund", detail))
        return done

    # ---- reading

    def all(self) -> list[Merchant]:
        """All merchants by number."""
        with self._database.read() as connection:
            rows = connection.execute(select(merchants).order_by(merchants.c.id)).all()
        return [merchant_of(row) for row in rows]

    def page(self, cursor: str | None, limit: int) -> tuple[list[Merchant], str | None]:
        """Merchants by number, and the cursor of the page after."""
        c = merchants.c
        query = select(merchants).order_by(c.id).limit(limit + 1)
        if cursor is not None:
            query = query.where(c.id > cursors.decode(cursor))
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        after = cursors.encode(rows[limit - 1].id) if len(rows) > limit else None
        return [merchant_of(row) for row in rows[:limit]], after

    def get(self, merchant: str) -> Merchant:
        """The merchant with this public id. Raises MerchantUnknown."""
        with self._database.read() as connection:
            return merchant_of(self._row(connection, merchant))

    def by_number(self, number: int) -> Merchant:
        """The merchant with this number on chain. Raises MerchantUnknown."""
        with self._database.read() as connection:
            query = select(merchants).where(merchants.c.id == number)
            row = connection.execute(query).one_or_none()
        if row is None:
            raise MerchantUnknown(f"there is no merchant number {number}", merchant=number)
        merchant = merchant_of(row)
        self._remembered[number] = merchant
        return merchant

    def remembered(self, number: int) -> Merchant | None:
        """The merchant as it was last read: right in its id and earn rule, which never change."""
        return self._remembered.get(number)

    def position(self, number: int, books: MirrorBooks) -> HeldPosition:
        """The merchant's position and what is held of it. Raises MerchantNotActive, NotReady."""
        with self._database.read() as connection:
            query = select(merchants.c.held).where(merchants.c.id == number)
            held = connection.execute(query).scalar_one()
        found = books.merchant_position(number)
        if found is None:
            raise MerchantNotActive("the merchant is not registered on chain yet")
        return HeldPosition(found.position, found.credit_limit, held, found.as_of_block)

    def new_api_key(self, merchant: str, actor: str) -> tuple[str, str]:
        """A fresh key (id, text). Two may be alive, for rotation: older ones are revoked."""
        with self._database.write() as connection:
            return self.new_api_key_in(connection, merchant, actor, self._clock.now())

    def new_api_key_in(
        self,
        connection: Connection,
        merchant: str,
        actor: str,
        now: int,
        *,
        role: Role = Role.MERCHANT,
        label: str = "",
        scopes: frozenset[Scope] | None = None,
    ) -> tuple[str, str]:
        """As `new_api_key`, in the caller's transaction, also for tills. Raises MerchantUnknown."""
        row = self._row(connection, merchant)
        key_id, text = rotate_key(connection, role, row.id, now, label=label, scopes=scopes)
        detail = f"{key_id} ({role.value} {label}) for {row.slug}"
        connection.execute(insert(audit), _audit(now, actor, "api key", detail))
        return key_id, text

    def new_operator_key(self, actor: str) -> tuple[str, str]:
        """A fresh operator's key (id, text). Two may be alive, for rotation."""
        now = self._clock.now()
        with self._database.write() as connection:
            key_id, text = rotate_key(connection, Role.OPERATOR, None, now)
            detail = f"{key_id} for the operator"
            connection.execute(insert(audit), _audit(now, actor, "api key", detail))
        return key_id, text

    def _row(self, connection: Connection, merchant: str) -> Any:
        raw = ids.decode(ids.MERCHANT, merchant)
        query = select(merchants).where(merchants.c.public_id == raw)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise MerchantUnknown(f"there is no merchant {merchant}", merchant=merchant)
        return row


def check(new: NewMerchant) -> None:
    """Raises InvalidRequest: a name, slug, rule or amount that cannot be."""
    rule = new.earn_rule
    sound = (
        1 <= len(new.name.strip()) <= NAME_LENGTH_MAX
        and new.name.isprintable()
        and 1 <= len(new.slug) <= SLUG_LENGTH_MAX
        and all(c.isascii() and (c.isalnum() or c in "-_") for c in new.slug)
    )
    if not sound:
        raise InvalidRequest(
            f"a name has 1 to {NAME_LENGTH_MAX} printable characters, a slug 1 to "
            f"{SLUG_LENGTH_MAX} letters, digits, - or _",
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


def _audit(now: int, actor: str, action: str, detail: str) -> dict[str, Any]:
    return {"at": now, "actor": actor, "action": action, "subject": "merchants", "detail": detail}
