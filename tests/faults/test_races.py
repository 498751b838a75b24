"""Many who ask at once for what there is only once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.errors import GatewayError
from gateway.model import Accepted, Merchant, NewMerchant, NewOrder, OrderKind, Refused
from tests.faults.test_rpc import right, wish
from tests.gateway.helpers import fresh
from tests.gateway.node import NodeHouse, open_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeHouse]:
    with open_house(tmp_path_factory.mktemp("races"), confirmations=1) as found:
        yield found


def test_race__same_points_redeemed_at_two_merchants_at_once__one_is_taken(
    house: NodeHouse,
) -> None:
    florist = NewMerchant("Florist", "florist", deposit=0)
    (other,) = house.gateway.onboard_merchants([florist], mine=lambda: house.mine(3))
    before = house.gateway.network.total_supply()
    assert wish(house, OrderKind.ISSUE, 100, house.ben.id)
    right(house, before + 100)

    def redeem(at: Merchant) -> bool:
        line = NewOrder(OrderKind.REDEEM, house.ben.id, 80, fresh("r"), at.id)
        (answer,) = house.gateway.accept_many([line], idempotency_key=fresh("k"))
        return isinstance(answer, Accepted)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(redeem, [house.baker, other] * 4)) == 1
    right(house, before + 20)


def test_race__fifty_equal_requests_at_once__are_one_order(house: NodeHouse) -> None:
    before = house.gateway.network.total_supply()
    line = NewOrder(OrderKind.ISSUE, house.ada.id, 7, fresh("r"), house.baker.id)

    def ask(_: int) -> Accepted | Refused | str:
        try:
            (answer,) = house.gateway.accept_many([line], idempotency_key="the same")
        except GatewayError as error:
            return error.code
        return answer

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    # One answer for all of them; who asked while the first was running is told so.
    told = [answer for answer in answers if answer != "idempotency_key_in_use"]
    assert all(isinstance(answer, Accepted) and answer == told[0] for answer in told)
    assert told
    right(house, before + 7)


def test_race__many_at_the_limit_at_once__no_more_than_it_covers(house: NodeHouse) -> None:
    before = house.gateway.network.total_supply()
    position = house.gateway.books.position(house.baker.number)
    assert position is not None
    third = position.position // 110 // 3
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: wish(house, OrderKind.ISSUE, third), range(8)))
    assert sum(taken) == 3
    right(house, before + 3 * third)
