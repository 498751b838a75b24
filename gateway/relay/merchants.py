"""Merchants that the chain knows and the book has forgotten: rows, and their keys made again."""

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from sqlalchemy import func, insert, select

from gateway import ids
from gateway.codes import MERCHANT_STATES
from gateway.custody import Custody, Made, Purpose
from gateway.custody.making import undisturbed
from gateway.custody.purposes import merchant_tenant
from gateway.database import Database
from gateway.mirror import MirrorBooks
from gateway.model import EarnRule, MerchantState
from gateway.tables import merchants
from indexer.queries import Registered
from wallet_sdk.types import address_bytes

log = logging.getLogger(__name__)

FOUND: Final = "found-on-chain-"
"""How the slug of a merchant begins that only the chain remembers; its number follows."""

_CLOSED: Final = next(n for n, state in MERCHANT_STATES.items() if state is MerchantState.CLOSED)


@dataclass(slots=True)
class Remembered:
    """Numbers of merchants that have rows again: with their keys, and without."""

    found: list[int] = field(default_factory=list)
    keyless: list[int] = field(default_factory=list)


def forgotten(database: Database, books: MirrorBooks) -> tuple[Registered, ...]:
    """Merchants of the chain above those of the book, by number. Raises NotReady."""
    with database.read() as connection:
        highest = connection.execute(select(func.max(merchants.c.id))).scalar_one() or 0
    return books.registered_above(highest)


def remember_merchants(
    database: Database, custody: Custody, books: MirrorBooks, now: int
) -> Remembered:
    """A row for each of them, so that its number goes to nobody else and its orders count.

    Its keys are made again, the same ones; what they were called is known once it is onboarded
    again under its name and slug. Where the keys are not those on the chain (made at random, by a
    version before there was a seed of keys), the book keeps the merchant closed.
    """
    remembered = Remembered()
    for merchant in forgotten(database, books):
        keys = _keys(custody, merchant)
        undisturbed(partial(_store, database, custody, merchant, keys, now))
        (remembered.found if keys else remembered.keyless).append(merchant.merchant)
    return remembered


def _keys(custody: Custody, merchant: Registered) -> tuple[Made, Made] | None:
    """Owner's and till's key, where they are those that the chain knows."""
    tenant = merchant_tenant(merchant.merchant)
    owner = custody.make(tenant, Purpose.OWNER, nth=0)
    till = custody.make(tenant, Purpose.TILL, nth=0)
    fits = owner.address == merchant.owner and till.address in merchant.till_keys
    if not fits:
        log.error("the keys of merchant %d are not in custody any more", merchant.merchant)
    return (owner, till) if fits else None


def _store(
    database: Database,
    custody: Custody,
    merchant: Registered,
    keys: tuple[Made, Made] | None,
    now: int,
) -> None:
    rule = EarnRule()
    tills = merchant.till_keys or (merchant.owner,)
    row: dict[str, Any] = {
        "id": merchant.merchant,
        "public_id": ids.new_id(now),
        "slug": f"{FOUND}{merchant.merchant}",
        "name": f"{FOUND}{merchant.merchant}",
        "state": int(merchant.status) if keys else _CLOSED,
        "owner": address_bytes(merchant.owner),
        "till_key": address_bytes(keys[1].address if keys else tills[0]),
        "earn_points": rule.points,
        "earn_per_minor": rule.per_minor,
        "currency": rule.currency,
        "minor_digits": rule.minor_digits,
        "created_at": now,
    }
    with database.write() as connection:
        database.lock_name(connection, "merchants")
        for made in keys or ():
            custody.store(connection, made, now)
        connection.execute(insert(merchants), row)
