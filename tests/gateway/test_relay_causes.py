"""One bad order in a batch holds up nobody else; what may pass is waited for, what never will fails
with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from gateway import ids
from gateway.codes import BatchState, Kind
from gateway.custody import Purpose
from gateway.model import Accepted, Member, NewOrder, OrderKind
from gateway.operator.calls import enqueue
from gateway.relay import causes
from gateway.tables import batches, members, orders
from tests.gateway.helpers import fresh
from tests.gateway.node import NodeHouse, open_house
from tests.gateway.test_relay_faults import count, right
from wallet_sdk.types import address_bytes


@pytest.fixture
def house(tmp_path: Path) -> Iterator[NodeHouse]:
    with open_house(tmp_path) as found:
        yield found


def ghost(house: NodeHouse) -> Member:
    """A member of the book who is none on the chain, and never will be."""
    number = 1 + count(house, members)
    address = house.custody.wallets().address(number)
    (raw,) = ids.new_ids(1, house.clock.now())
    row = {
        "id": number,
        "public_id": raw,
        "external_id": "ghost",
        "address": address_bytes(address),
        "created_at": house.clock.now(),
    }
    with house.database.write() as connection:
        connection.execute(insert(members), row)
    return house.gateway.member(ids.encode(ids.MEMBER, raw))


def issue_to(house: NodeHouse, *people: Member) -> None:
    lines = [
        NewOrder(OrderKind.ISSUE, person.id, 10, fresh("r"), house.baker.id) for person in people
    ]
    answers = house.gateway.accept_many(lines, idempotency_key=fresh("k"))
    assert all(isinstance(answer, Accepted) for answer in answers)


def operator_calls(house: NodeHouse, paused: bool) -> None:
    calls = house.gateway.network.calls
    call = calls.pause_issuing(paused)
    sender = house.custody.network_addresses()[Purpose.OPERATOR]
    with house.database.write() as connection:
        enqueue(
            connection,
            sender=sender,
            to=call.to,
            data=call.data,
            label=call.label,
            now=house.clock.now(),
        )
    house.settle()


def test_batch__with_one_bad_order__fails_that_one_and_issues_the_others_soon(
    house: NodeHouse,
) -> None:
    began = house.clock.now()
    issue_to(house, house.ada, ghost(house), house.ben, house.ada)
    for _ in range(8):
        house.settle()
        house.clock.time += 5
    # Long before the deadline of the batch (900 s): its nonce was used up.
    assert house.clock.now() - began < 300
    assert house.states() == {"final": 5, "failed": 1}
    assert house.gateway.network.balance_of(house.ada.address) == 20
    with house.database.read() as connection:
        failed = connection.execute(select(orders).where(orders.c.failure.is_not(None))).one()
        held = connection.execute(select(func.sum(members.c.held))).scalar_one()
    assert failed.failure == "rejected_on_chain"
    assert failed.failure_detail.startswith("not_member")
    assert held == 0
    assert count(house, batches, batches.c.kind == Kind.CANCEL.value) == 1


def test_batch__rejected_for_a_cause_that_passes__waits_and_is_issued(house: NodeHouse) -> None:
    operator_calls(house, True)
    issue_to(house, house.ada, house.ben)
    # Longer than five deadlines: nobody is told apart, and nobody fails.
    for _ in range(14):
        house.scan()
        house.mine(3)
        house.clock.time += 500
    assert "failed" not in house.states()
    assert count(house, orders, orders.c.voids > 0) == 0
    operator_calls(house, False)
    for _ in range(3):
        house.clock.time += 130
        house.settle()
    right(house, 10)


def test_orders__whose_batches_died__stand_in_ever_smaller_batches(house: NodeHouse) -> None:
    assert [causes.entries_max(voids) for voids in range(5)] == [600, 75, 9, 1, 1]
    issue_to(house, *[house.ada] * 20)
    with house.database.write() as connection:
        kind = orders.c.kind == Kind.ISSUE.value
        ids_ = list(connection.execute(select(orders.c.id).where(kind)).scalars())
        connection.execute(orders.update().where(orders.c.id.in_(ids_[:10])).values(voids=2))
    house.gateway.relay._sealer.run_once()
    with house.database.read() as connection:
        query = select(batches.c.order_count).where(
            batches.c.kind == Kind.ISSUE.value, batches.c.state == BatchState.SEALED.value
        )
        assert sorted(connection.execute(query).scalars()) == [1, 9, 10]
    house.settle()
    right(house, 200)
