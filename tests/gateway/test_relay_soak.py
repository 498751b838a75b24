"""A seeded storm: whatever goes wrong at once, every accepted order ends once, the sums are right.

`make soak SEED=n` repeats a run; it prints what it injected, its seed and the oracle's verdict.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
import orjson
import pytest
from sqlalchemy import func, select

from gateway.codes import Kind, State
from gateway.errors import GatewayError
from gateway.model import Accepted, NewOrder, OrderKind
from gateway.tables import members, merchants, orders
from indexer import audit
from indexer.errors import SourceContradicts
from tests.gateway.helpers import fresh
from tests.gateway.node import PLENTY, Line, NodeHouse, open_house
from wallet_sdk.errors import BanyanError
from wallet_sdk.types import address_of

GWEI = 10**9
ROUNDS = 120
CALM_ROUNDS = 60

Fault = Callable[[httpx.Request, Line], httpx.Response]


def dropped(request: httpx.Request, line: Line) -> httpx.Response:
    raise httpx.ConnectError("the request is lost", request=request)


def reply_dropped(request: httpx.Request, line: Line) -> httpx.Response:
    line.carry(request)
    raise httpx.ReadTimeout("the reply is lost", request=request)


def doubled(request: httpx.Request, line: Line) -> httpx.Response:
    line.carry(request)
    return line.carry(request)


def busy(request: httpx.Request, line: Line) -> httpx.Response:
    return httpx.Response(429, headers={"retry-after": "0"})


def broken(request: httpx.Request, line: Line) -> httpx.Response:
    return httpx.Response(500, text="<html>Internal Server Error</html>")


def html(request: httpx.Request, line: Line) -> httpx.Response:
    return httpx.Response(200, text="<html>Sign in</html>")


def empty(request: httpx.Request, line: Line) -> httpx.Response:
    return httpx.Response(200, text="")


def truncated(request: httpx.Request, line: Line) -> httpx.Response:
    return httpx.Response(200, content=line.carry(request).content[:-20])


def wrong_id(request: httpx.Request, line: Line) -> httpx.Response:
    answer = orjson.loads(line.carry(request).content)
    for part in answer if isinstance(answer, list) else [answer]:
        part["id"] = 10**9
    return httpx.Response(200, content=orjson.dumps(answer))


def out_of_order(request: httpx.Request, line: Line) -> httpx.Response:
    answer = orjson.loads(line.carry(request).content)
    if isinstance(answer, list):
        answer.reverse()
    return httpx.Response(200, content=orjson.dumps(answer))


RPC_FAULTS: list[Fault] = [
    dropped,
    reply_dropped,
    doubled,
    busy,
    broken,
    html,
    empty,
    truncated,
    wrong_id,
    out_of_order,
]


class Storm:
    """What happens to a house, by dice."""

    def __init__(self, house: NodeHouse, seed: int) -> None:
        self.house = house
        self.dice = random.Random(seed)
        self.injected: Counter[str] = Counter()
        self.accepted: Counter[OrderKind] = Counter()

    def trade(self) -> None:
        """A few orders; what the balance does not cover is refused, and that is fine."""
        house, dice = self.house, self.dice
        lines = []
        for _ in range(dice.randrange(6)):
            kind = dice.choice([OrderKind.ISSUE, OrderKind.REDEEM, OrderKind.TRANSFER])
            member, other = dice.sample([house.ada.id, house.ben.id], 2)
            merchant = None if kind is OrderKind.TRANSFER else house.baker.id
            to = other if kind is OrderKind.TRANSFER else None
            points = dice.randrange(1, 40)
            lines.append(NewOrder(kind, member, points, fresh("r"), merchant, to))
        if not lines:
            return
        answers = house.gateway.accept_many(lines, idempotency_key=fresh("k"))
        for line, answer in zip(lines, answers, strict=True):
            if isinstance(answer, Accepted):
                self.accepted[line.kind] += 1

    def strike(self) -> None:
        """One thing goes wrong."""
        house, dice = self.house, self.dice
        kind = dice.choice(
            ["rpc", "rpc", "rpc", "reorg", "drop", "spike", "drain", "fund", "late", "rollback"]
        )
        if kind == "rpc":
            fault = dice.choice(RPC_FAULTS)
            good = [lambda request, line: line.carry(request)] * dice.randrange(12)
            house.line.faults = [*good, fault]
            kind = fault.__name__
        elif kind == "reorg":
            house.mine(2)
            house.node.call("anvil_reorg", [dice.randrange(1, 3), []])
        elif kind == "rollback":
            house.mine(2)
            house.node.call("anvil_rollback", [1])
        elif kind == "drop":
            house.node.call("anvil_dropAllTransactions", [])
        elif kind == "spike":
            fee = dice.randrange(1, 200) * GWEI
            house.node.call("anvil_setNextBlockBaseFeePerGas", [hex(fee)])
        elif kind in ("drain", "fund"):
            relayer = dice.choice(house.custody.relayers())
            wei = PLENTY if kind == "fund" else dice.randrange(10**12)
            house.node.call("anvil_setBalance", [address_of(relayer), hex(wei)])
            house.gateway.relay._funds.look_again()
        else:
            house.clock.time += dice.choice([20, 60, 1_000])
        self.injected[kind] += 1

    def step(self) -> None:
        """One pass of everything; whatever it raises, it goes on."""
        house = self.house
        for part in (house.gateway.relay.send, house.indexer.run_once, house.gateway.relay.settle):
            try:
                part()
            except (BanyanError, GatewayError, SourceContradicts) as error:
                self.injected[f"({type(error).__name__})"] += 1
        house.gateway.relay._sender._offered.clear()

    def calm(self) -> None:
        """The weather clears: nobody helps, it only has to be waited for."""
        house = self.house
        house.line.faults = []
        for relayer in house.custody.relayers():
            house.node.call("anvil_setBalance", [address_of(relayer), hex(PLENTY)])
        house.gateway.relay._funds.look_again()
        house.node.call("anvil_setNextBlockBaseFeePerGas", [hex(GWEI)])
        for _ in range(CALM_ROUNDS):
            self.step()
            house.mine(2)
            house.clock.time += 40
            if house.gateway.relay.open_work() == 0:
                return


def oracle(storm: Storm) -> None:
    """Every accepted order final, none failed or held; supply, mirror and chain agree."""
    house = storm.house
    states = house.states()
    assert set(states) == {"final"}, states
    with house.database.read() as connection:
        sums = {
            kind: int(
                connection.execute(
                    select(func.coalesce(func.sum(orders.c.points), 0)).where(
                        orders.c.kind == kind.value, orders.c.state == State.FINAL.value
                    )
                ).scalar_one()
            )
            for kind in (Kind.ISSUE, Kind.REDEEM)
        }
        assert connection.execute(select(func.sum(merchants.c.held))).scalar_one() == 0
        assert connection.execute(select(func.sum(members.c.held))).scalar_one() == 0
    assert house.gateway.network.total_supply() == sums[Kind.ISSUE] - sums[Kind.REDEEM]
    assert sum(states.values()) == sum(storm.accepted.values()) + 2
    house.indexer.run_once()
    found = audit.check(house.gateway.mirror, house.node, house.gateway.deployment)
    assert found.holds, found


@pytest.mark.soak
def test_storm__everything_at_once__every_order_ends_once(tmp_path: Path, soak_seed: int) -> None:
    with open_house(tmp_path, base_fee=GWEI, own=True, relayers=3) as house:
        storm = Storm(house, soak_seed)
        sys.stderr.write(f"seed {soak_seed}\n")
        try:
            for _ in range(ROUNDS):
                storm.trade()
                storm.strike()
                storm.step()
                house.mine(storm.dice.randrange(3))
            storm.calm()
        finally:
            sys.stderr.write(f"injected {dict(storm.injected)}\n")
        oracle(storm)
        sys.stderr.write(f"verdict: {dict(storm.accepted)} accepted, each once; mirror = chain\n")
