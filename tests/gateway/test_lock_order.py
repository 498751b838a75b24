"""Rows are locked in one order everywhere: merchants, then members, each by number, then orders.

On PostgreSQL, where two of them wait for each other otherwise: an accept that has begun stands in
the way of a block that has become final.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, Table, insert, select, text

from gateway import ids
from gateway.books import Head
from gateway.codes import BatchState, Kind, State
from gateway.relay.blocks import Blocks
from gateway.relay.chain import Block
from gateway.relay.settle import Settled
from gateway.tables import batches, members, merchants, orders
from tests.gateway.helpers import House, fresh

pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def block(number: int) -> Block:
    return Block(number, bytes([number]) * 32, 0)


def included(house: House, number: int, kind: Kind, *, merchant: int, member: int) -> None:
    """An order of ten, alone in its batch, which stands in that block."""
    signs = member if kind in (Kind.JOIN, Kind.REDEEM) else None
    batch = {
        "kind": kind.value,
        "state": BatchState.SEALED.value,
        "signer": bytes(20),
        "merchant_id": merchant,
        "member_id": signs,
        "nonce": 1,
        "block_number": number,
        "block_hash": block(number).hash,
        "created_at": 0,
        "changed_at": 0,
    }
    order = {
        "public_id": ids.new_ids(1, 0)[0],
        "kind": kind.value,
        "state": State.INCLUDED.value,
        "merchant_id": merchant,
        "member_id": member,
        "points": 10,
        "hold": 0 if kind is Kind.JOIN else 10,
        "reference": fresh("r"),
        "accepted_at": 0,
        "changed_at": 0,
    }
    with house.database.write() as connection:
        added = insert(batches).returning(batches.c.id)
        order["batch_id"] = connection.execute(added, batch).scalar_one()
        connection.execute(insert(orders), order)


def locked(connection: Connection, table: Table, number: int) -> None:
    connection.execute(select(table.c.id).where(table.c.id == number).with_for_update()).one()


def wait_until_one_waits(house: House) -> None:
    asked = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + 20
    while True:
        with house.database.read() as connection:
            if connection.execute(asked).scalar_one():
                return
        assert time.monotonic() < until, "nobody waits for a row"
        time.sleep(0.01)


def end_beside(house: House, last: int, first: tuple[Table, int], then: tuple[Table, int]) -> int:
    """Blocks up to `last` become final while an accept locks `first`, and `then` a second row.
    Returns how many orders became final.
    """
    chain = SimpleNamespace(blocks=lambda numbers: {n: block(n) for n in numbers})
    house.books.head_block = Head(last, block(last).hash, 0)
    settled = Settled()
    looking = Blocks(house.database, chain, house.books, house.clock)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as beside:
        with house.database.write() as accept:
            locked(accept, *first)
            ending = beside.submit(looking.run_once, block(last), settled)
            wait_until_one_waits(house)
            locked(accept, *then)
        ending.result(20)
    return settled.final


def test_finalize__of_two_blocks__waits_for_an_accept_without_a_deadlock(house: House) -> None:
    # The member's row is written for block 1, the merchant's for block 2.
    included(house, 1, Kind.REDEEM, merchant=1, member=1)
    included(house, 2, Kind.ISSUE, merchant=1, member=2)
    assert end_beside(house, 2, (merchants, 1), (members, 1)) == 2


def test_finalize__of_a_join_and_a_redemption__locks_members_by_number(house: House) -> None:
    # The redemption's hold is released first, the other has joined after that.
    included(house, 1, Kind.REDEEM, merchant=1, member=2)
    included(house, 1, Kind.JOIN, merchant=0, member=1)
    assert end_beside(house, 1, (members, 1), (members, 2)) == 2
