"""Choosing what goes into a block, without a node."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.embedded.pending import PENDING_MAX, PendingList, PendingTransaction


def waiting(*wanted: tuple[str, int, int]) -> PendingList:
    pending = PendingList()
    for sender, nonce, gas in wanted:
        pending.add(PendingTransaction(f"{sender}{nonce}", sender, nonce, gas, b"raw"))
    return pending


def chosen(pending: PendingList, gas_limit: int = 100, **nonces: int) -> list[str]:
    return [transaction.hash for transaction in pending.choose(nonces, gas_limit)]


def test_choose__does_not_fit__ends_the_block() -> None:
    pending = waiting(("ada", 0, 60), ("baker", 0, 60), ("cara", 0, 10))
    assert chosen(pending, ada=0, baker=0, cara=0) == ["ada0"]


def test_choose__a_gap__waits_and_overtakes_nobody() -> None:
    pending = waiting(("ada", 2, 1), ("baker", 0, 1), ("ada", 1, 1), ("ada", 4, 1))
    assert chosen(pending, ada=1, baker=0) == ["baker0", "ada1", "ada2"]


def test_add__same_slot__takes_the_place() -> None:
    pending = waiting(("ada", 0, 1), ("baker", 0, 1))
    pending.add(PendingTransaction("better", "ada", 0, 1, b"raw"))
    assert chosen(pending, ada=0, baker=0) == ["better", "baker0"]


def test_drop_stale__used_nonces__forgotten() -> None:
    pending = waiting(("ada", 0, 1), ("ada", 1, 1))
    pending.drop_stale({"ada": 1})
    assert [transaction.nonce for transaction in pending.all()] == [1]


def test_has_room__full__says_no() -> None:
    pending = waiting(*(("ada", nonce, 1) for nonce in range(PENDING_MAX)))
    assert not pending.has_room(b"raw")
    pending.remove(pending.all()[:1])
    assert pending.has_room(b"raw")


slots = st.tuples(st.sampled_from(["ada", "baker"]), st.integers(0, 6), st.integers(1, 60))


@given(st.lists(slots, max_size=15), st.integers(0, 3), st.integers(0, 3))
def test_choose__any_arrivals__in_sequence_and_within_the_limit(
    arrivals: list[tuple[str, int, int]], ada: int, baker: int
) -> None:
    pending = waiting(*arrivals)
    block = pending.choose({"ada": ada, "baker": baker}, 100)
    assert sum(transaction.gas for transaction in block) <= 100
    for name, first in (("ada", ada), ("baker", baker)):
        nonces = [transaction.nonce for transaction in block if transaction.sender == name]
        assert nonces == list(range(first, first + len(nonces)))
