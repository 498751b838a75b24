"""Onboards and funds merchants: rows, keys and the operator's calls, in one commit each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from gateway import cursors, faults, ids
from gateway.auth.keys import Role, Scope
from gateway.auth.rotation import rotate_key
from gateway.clock import NetworkClock
from gateway.custody import Custody
from gateway.database import Database
from gateway.errors import InvalidRequest, MerchantNotActive, MerchantUnknown
from gateway.merchants.onboarding import AMOUNT_MAX, Onboarding, audited, merchant_of
from gateway.merchants.treasury import Treasury
from gateway.mirror import MirrorBooks
from gateway.model import Merchant, NewMerchant
from gateway.tables import audit, merchants
from wallet_sdk.contracts import Network


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
        self,
        database: Database,
        custody: Custody,
        network: Network,
        books: MirrorBooks,
        clock: NetworkClock,
    ) -> None:
        self._database = database
        self._books = books
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
        onboarding = self.onboarding(wanted)

        def once() -> list[Merchant]:
            with self._database.write() as connection:
                return onboarding.act(connection, actor, self._clock.now())

        onboarded = onboarding.carried_out(once)
        faults.point("onboard.stored")
        return onboarded

    def onboarding(self, wanted: Sequence[NewMerchant]) -> Onboarding:
        """As `onboard`, for who opens the transaction. Raises InvalidRequest."""
        return Onboarding(self._database, self._custody, self._network, self._books, wanted)

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
            connection.execute(insert(audit), audited(now, actor, "fund", detail))
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
        connection.execute(insert(audit), audited(now, actor, "api key", detail))
        return key_id, text

    def new_operator_key(self, actor: str) -> tuple[str, str]:
        """A fresh operator's key (id, text). Two may be alive, for rotation."""
        return self.new_network_key(actor, Role.OPERATOR)

    def new_network_key(
        self,
        actor: str,
        role: Role,
        *,
        label: str = "",
        scopes: frozenset[Scope] | None = None,
    ) -> tuple[str, str]:
        """A fresh key of an operator or an auditor (id, text). Two of a label may be alive."""
        now = self._clock.now()
        with self._database.write() as connection:
            key_id, text = rotate_key(connection, role, None, now, label=label, scopes=scopes)
            detail = f"{key_id} for the {role.value}"
            connection.execute(insert(audit), audited(now, actor, "api key", detail))
        return key_id, text

    def _row(self, connection: Connection, merchant: str) -> Any:
        raw = ids.decode(ids.MERCHANT, merchant)
        query = select(merchants).where(merchants.c.public_id == raw)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise MerchantUnknown(f"there is no merchant {merchant}", merchant=merchant)
        return row
