"""Small rules, each by itself: ids, nonces, packing, migrations, strict JSON."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import ids
from gateway.codes import KIND_CODES, KIND_WORDS, STATE_CODES, STATE_WORDS, Kind
from gateway.database import Database, current_revision, head_revision, migrate
from gateway.errors import NotFound
from gateway.model import OrderKind, OrderState
from gateway.relay import gas
from gateway.relay.seal import free_nonces
from gateway.relay.slots import pack
from gateway.strict import BodyInvalid, parse
from gateway.tables import metadata

# ---- ids


@pytest.mark.parametrize(
    "text",
    ["", "ord_", "ord_" + "0" * 25, "ord_" + "I" * 26, "mem_" + "0" * 26, "ord_" + "Z" * 26],
)
def test_decode__what_is_no_id__names_nothing(text: str) -> None:
    with pytest.raises(NotFound):
        ids.decode(ids.ORDER, text)


@given(st.binary(min_size=16, max_size=16))
def test_encode__any_sixteen_bytes__come_back(raw: bytes) -> None:
    assert ids.decode(ids.MEMBER, ids.encode(ids.MEMBER, raw)) == raw


def test_new_ids__of_one_request__are_neighbours_and_sorted_by_time() -> None:
    earlier, later = ids.new_ids(100, 1_000), ids.new_ids(100, 1_001)
    assert sorted(earlier + later) == earlier + later
    assert len(set(earlier)) == 100


# ---- a member's nonces (design.md 2: at most 6 above the highest, a window of 5 below it)


class Window:
    """The account's rule as the chain has it: highest used, and which of the five below."""

    def __init__(self) -> None:
        self.highest = 0
        self.used = {0}

    def use(self, nonce: int) -> bool:
        unused = nonce not in self.used and nonce >= self.highest - 5
        if not unused or nonce > self.highest + 6 or nonce < 1:
            return False
        self.used.add(nonce)
        self.highest = max(self.highest, nonce)
        return True


@settings(deadline=None)  # a busy machine is no error of it
@given(st.data())
def test_free_nonces__whatever_lands_in_whatever_order__the_chain_takes_all(
    data: st.DataObject,
) -> None:
    chain, live, final_highest = Window(), set[int](), 0
    for _ in range(30):
        wanted = data.draw(st.integers(0, 8))
        given_out = free_nonces(final_highest, live, wanted)
        assert len(set(given_out)) == len(given_out)
        assert not live & set(given_out)
        live |= set(given_out)
        if live and data.draw(st.booleans()):
            landed = data.draw(st.lists(st.sampled_from(sorted(live)), unique=True))
            for nonce in landed:
                assert chain.use(nonce), (nonce, chain.highest)
                live.remove(nonce)
                final_highest = max(final_highest, nonce)
        elif live and data.draw(st.booleans()):
            # Proven dead: the deadline passed and the nonce was never used.
            live.remove(data.draw(st.sampled_from(sorted(live))))


def test_free_nonces__nothing_in_flight__gives_six() -> None:
    assert free_nonces(0, set(), 10) == [1, 2, 3, 4, 5, 6]
    assert free_nonces(9, {10, 12}, 10) == [11, 13, 14, 15]
    assert free_nonces(9, {5}, 10) == [10]


# ---- packing


@dataclass
class Waiting:
    id: int
    kind: int
    signer: bytes
    gas: int


def test_pack__calls_and_orders__calls_go_alone_and_orders_share() -> None:
    waiting = [
        Waiting(1, Kind.JOIN, b"\x02" * 20, gas.of_order(Kind.JOIN)),
        Waiting(2, Kind.CALL, b"\x03" * 20, 500_000),
        Waiting(3, Kind.ISSUE, b"\x04" * 20, gas.of_order(Kind.ISSUE, 600)),
        Waiting(4, Kind.CALL, b"\x03" * 20, 500_000),
    ]
    loads = pack(waiting)
    # Orders go with any relayer of the pool.
    assert [(load.sender, load.batch_ids) for load in loads] == [
        (None, [1, 3]),
        (b"\x03" * 20, [2]),
        (b"\x03" * 20, [4]),
    ]


def test_pack__more_than_one_transaction_holds__opens_the_next_under_the_cap() -> None:
    full = gas.of_order(Kind.ISSUE, gas.ISSUE_ENTRIES_MAX)
    loads = pack([Waiting(n, Kind.ISSUE, b"", full) for n in range(10)])
    assert [n for load in loads for n in load.batch_ids] == list(range(10))
    assert all(load.gas <= gas.TRANSACTION_GAS_MAX for load in loads)
    assert max(len(load.batch_ids) for load in loads) == 3


# ---- the schema


def test_migrate__from_nothing__gives_the_tables_of_the_code(database: Database) -> None:
    assert current_revision(database) == head_revision()
    with database.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
    assert found == []


def test_migrate__twice__changes_nothing(database: Database) -> None:
    migrate(database)
    assert current_revision(database) == head_revision()


def test_codes__every_word__has_its_number_and_back() -> None:
    assert {KIND_WORDS[KIND_CODES[kind]] for kind in OrderKind} == set(OrderKind)
    assert {STATE_WORDS[STATE_CODES[state]] for state in OrderState} == set(OrderState)


# ---- strict JSON


@pytest.mark.parametrize("body", [b'{"a": {"b": [1]}}', b'"[[[[[[[[[[[["', b"[[[[[[[[1]]]]]]]]"])
def test_parse__plain_json__is_read(body: bytes) -> None:
    parse(body)


@pytest.mark.parametrize("body", [b"[" * 9 + b"]" * 9, b'{"a":1,"a":1}', b"-Infinity", b"\x80"])
def test_parse__what_should_not_be__is_refused(body: bytes) -> None:
    with pytest.raises(BodyInvalid):
        parse(body)
