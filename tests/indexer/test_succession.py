"""A successor Coalition is followed by itself, from the log after the one that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from mirror_model import ADDRESSES, ModelChain, actor, encode
from sqlalchemy import Engine, text

from indexer import queries
from indexer.decode import Decoder
from indexer.digest import mirror_digest
from indexer.errors import MirrorInconsistent, SourceContradicts
from indexer.rebuild import rebuild, verify
from indexer.succession import Tenures
from indexer.sync import Indexer
from wallet_sdk import events as sdk
from wallet_sdk.types import address_bytes, to_hex

A, B, C = (bytes([n]) * 20 for n in (1, 2, 3))


def follow(chain: ModelChain, mirror: Engine) -> None:
    Indexer(chain.rpc(), chain.deployment(), mirror).run_once()


def trade(chain: ModelChain, blocks: int = 1) -> None:
    for _ in range(blocks):
        time = chain.head.time + 10
        chain.issue(1, [(actor("ada"), 5)], time)
        chain.redeem(actor("ada"), 2, 1, time)
        chain.mine(time)


def digest(mirror: Engine) -> Any:
    with mirror.connect() as conn:
        return mirror_digest(conn)


def position(mirror: Engine, merchant: int) -> int:
    with mirror.connect() as conn:
        return queries.merchant_position(conn, merchant).position


# ---- who counts when


def test_name__before_its_day__is_none() -> None:
    tenures = Tenures(A, ((10, B), (20, C)))
    assert tenures.name_at(to_hex(B), 9) is None
    assert tenures.name_at(to_hex(C), 19) is None


def test_name__of_each_day__is_that_of_the_one_that_points_obeys() -> None:
    tenures = Tenures(A, ((10, B), (20, C), (30, B)))
    names = {n: [tenures.name_at(to_hex(who), n) for who in (A, B, C)] for n in (9, 11, 21, 31)}
    assert names == {
        9: ["Coalition", None, None],
        11: ["Predecessor", "Coalition", None],
        21: ["Predecessor", "Predecessor", "Coalition"],
        31: ["Predecessor", "Coalition", "Predecessor"],
    }


# ---- refusals


def test_follow__a_change_from_another_than_the_one_of_the_day__stops(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    follow(chain, sqlite_mirror)
    changed = {"previous": actor("nobody"), "current": actor("heir")}
    chain.pending.append([encode(sdk.CoalitionChanged, "Points", **changed)])
    chain.mine()
    with pytest.raises(MirrorInconsistent, match="Points turned from"):
        follow(chain, sqlite_mirror)


def test_follow__a_file_that_names_another_first_one__stops(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    heir = chain.hand_over("heir")
    chain.mine()
    wrong = chain.deployment().with_coalition(heir)
    with pytest.raises(MirrorInconsistent, match="by the deployment file"):
        Indexer(chain.rpc(), wrong, sqlite_mirror).run_once()


@pytest.mark.parametrize("final", [None, 1])
def test_follow__another_succession_when_asked_again__is_not_stored(
    chain: ModelChain, sqlite_mirror: Engine, final: int | None
) -> None:
    chain.final = final
    chain.hand_over("heir")
    chain.mine()
    changed = to_hex(sdk.CoalitionChanged.LAYOUT.topic0)

    def tamper(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getLogs" and len(params[0]["address"]) > len(ADDRESSES):
            return [log for log in result if log["topics"][0] != changed]
        return result

    chain.tamper = tamper
    with pytest.raises(SourceContradicts, match="another succession"):
        follow(chain, sqlite_mirror)


def test_decode__an_effect_said_by_another_contract__is_no_effect() -> None:
    """A settlement asset may emit what it likes: it is not the Coalition."""
    said = encode(sdk.Joined, "BankReceipt", digest=b"\7" * 32, member=actor("ada"))
    where = {"blockNumber": "0x1", "blockHash": "0x" + "11" * 32, "transactionIndex": "0x0"}
    where |= {"logIndex": "0x0", "transactionHash": "0x" + "22" * 32}
    (block,) = Decoder(ADDRESSES).decode([{**said, **where}])
    (log,) = block.others
    assert (log.contract, log.name, log.values) == ("BankReceipt", None, {})


# ---- following


def test_follow__a_successor__counts_from_the_log_after_the_change(
    chain: ModelChain, mirror: Engine
) -> None:
    trade(chain, 20)
    first = chain.state.coalition
    heir = chain.hand_over("heir", gift=70)
    chain.issue(1, [(actor("bob"), 4)], chain.head.time + 10)
    at = chain.mine().number
    trade(chain, 20)
    last = chain.hand_over("heir's heir", gift=0)
    chain.mine()
    trade(chain, 3)
    follow(chain, mirror)
    with mirror.connect() as conn:
        overview, today = queries.network_overview(conn), queries.coalition(conn)
        changes = conn.execute(text("SELECT id, address FROM coalitions ORDER BY id")).all()
        past = conn.execute(
            text(
                "SELECT name, digest, merchant, amount FROM events "
                "WHERE contract = 'Predecessor' ORDER BY id"
            )
        ).all()
        assert all(law.holds for law in queries.laws(conn))
    assert (today.coalition, today.successions) == (last, 2)
    # The node of this test knows no code.
    assert today.is_known_code is None
    assert [bytes(row.address) for row in changes] == [*map(address_bytes, (first, heir, last))]
    assert changes[1].id // 1_000_000 == at
    # It hands over, and what else it says is kept without a name.
    assert past == [("HandedOver", None, None, None), (None, None, None, None)] * 2
    assert overview.held == chain.state.held
    assert overview.surplus == 70
    assert [position(mirror, m) for m in (1, 2)] == [chain.state.positions[m] for m in (1, 2)]
    assert verify(mirror).holds
    before = digest(mirror)
    assert rebuild(mirror) == rebuild(mirror, from_logs=True) == before


def test_follow__ranges_and_single_blocks_and_one_block_a_process__say_the_same(
    chain: ModelChain, sqlite_mirror: Engine, opened: Callable[[str], Engine], tmp_path: Any
) -> None:
    blocks = list(chain.blocks)
    trade(chain, 3)
    chain.hand_over("heir")
    trade(chain, 3)
    chain.hand_over("heir's heir")
    trade(chain, 2)
    every = chain.blocks
    for height in range(len(blocks), len(every) + 1):
        chain.blocks = every[:height]
        follow(chain, sqlite_mirror)
    by_hash = opened(f"sqlite:///{tmp_path}/by_hash.db")
    at_once = opened(f"sqlite:///{tmp_path}/at_once.db")
    follow(chain, at_once)
    chain.final = 0
    follow(chain, by_hash)
    assert digest(sqlite_mirror) == digest(by_hash) == digest(at_once)


def test_follow__a_fork_takes_the_hand_over_back__the_old_one_goes_on(
    chain: ModelChain, mirror: Engine, opened: Callable[[str], Engine], tmp_path: Any
) -> None:
    chain.final = 1
    trade(chain, 2)
    first = chain.state.coalition
    chain.hand_over("heir")
    trade(chain, 3)
    follow(chain, mirror)
    with mirror.begin() as conn:
        assert queries.coalition(conn).coalition == actor("heir")
        newest = conn.execute(text("SELECT max(id) FROM coalitions")).scalar_one()
        conn.execute(text(f"INSERT INTO coalition_codes VALUES ({newest}, :h, true)"), {"h": b"x"})
    chain.fork(3)
    trade(chain, 4)
    follow(chain, mirror)
    with mirror.connect() as conn:
        assert queries.coalition(conn).coalition == first
        assert conn.execute(text("SELECT count(*) FROM coalition_codes")).scalar_one() == 0
        assert queries.network_overview(conn).held == chain.state.held
    chain.hand_over("another heir")
    trade(chain)
    follow(chain, mirror)
    clean = opened(f"sqlite:///{tmp_path}/clean.db")
    chain.final = None
    follow(chain, clean)
    assert digest(mirror) == digest(clean)


def test_note_codes__a_node_that_tells__is_believed_once(
    chain: ModelChain, sqlite_mirror: Engine
) -> None:
    chain.hand_over("heir")
    chain.mine()
    asked: list[Any] = []

    class Telling(ModelChain):
        def _result(self, method: str, params: list[Any]) -> Any:
            if method == "eth_getCode":
                asked.append(params)
                return "0x60"
            return super()._result(method, params)

    chain.__class__ = Telling
    for _ in range(2):
        follow(chain, sqlite_mirror)
    with sqlite_mirror.connect() as conn:
        found = queries.coalition(conn)
        assert queries.final_coalition(conn) == actor("heir")
    assert found.is_known_code is False
    assert len(asked) == 2
