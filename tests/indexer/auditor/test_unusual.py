"""Honest chains that are not plain: contract wallets, orders through contracts, a successor."""

from __future__ import annotations

from typing import Any

from audit_proxy import lying
from audit_town import BAKER, DAY, Town, key

from indexer.auditor.cli import run_audit
from indexer.auditor.outcome import Options
from wallet_sdk.orders import Join, NameRecovery, Recover
from wallet_sdk.types import create_address

# Answers every question of ERC-1271 with yes.
YES = "631626ba7e60e01b5f5260205ff3"
# Calls the address in the first 20 bytes of its calldata with the rest of it.
PASSES_ON = "60143603806014" + "5f375f5f825f5f5f3560601c5af1601b575f5ffd5b00"


def create(town: Town, code: str) -> str:
    """Deploys raw code; its address."""
    builder = key("builder")
    nonce = town._nonces.get(builder.address, 0)
    size = len(code) // 2
    init = bytes.fromhex(f"60{size:02x}600c60003960{size:02x}6000f3" + code)
    digest = town.send(builder, (None, init), gas=1_000_000)
    town.mine()
    town.ask_all([digest])
    return create_address(builder.address, nonce)


def audited(town: Town, *accepted: str, **options: Any) -> dict[str, Any]:
    chosen = Options(**{"workers": 1, "last": "latest", **options})
    return run_audit(town.url, town.file, chosen, frozenset(accepted))


def test_audit__a_contract_wallet__is_said_and_is_no_pass(fresh: Town) -> None:
    wallet = create(fresh, YES)
    join = Join(wallet, 1, fresh.deadline)
    fresh.relayed([join.encode(b"any bytes will do")])
    report = audited(fresh)
    assert report["findings"] == []
    assert report["exit_code"] == 2
    assert [entry["check"] for entry in report["not_checked"]] == ["signatures"]
    assert "ERC-1271" in report["not_checked"][0]["why"]
    law = next(law for law in report["laws"] if law["number"] == 9)
    assert law["holds"] is None
    accepted = audited(fresh, "signatures")
    assert accepted["exit_code"] == 0
    assert accepted["not_checked"] != []


def test_audit__an_order_inside_another_contracts_call__is_found_and_checked(fresh: Town) -> None:
    door = create(fresh, PASSES_ON)
    coalition = fresh.deployment.addresses["Coalition"]
    for order in (fresh.redeem("ada", BAKER, 40), fresh.transfer("ada", "ben", 3)):
        inner = fresh.calls.execute(order)
        calldata = bytes.fromhex(coalition[2:]) + inner.data
        digest = fresh.send(fresh.relayer, (door, calldata))
        fresh.mine()
        fresh.ask_all([digest])
    report = audited(fresh)
    assert report["exit_code"] == 0
    assert report["counts"]["orders_unseen"] == 0
    assert report["counts"]["signatures"] == report["counts"]["orders"]


def test_audit__a_programmes_pass_that_follows_a_recovery__holds(fresh: Town) -> None:
    ben, safe, calls = key("ben"), key("ben's safe"), fresh.calls
    named = NameRecovery(ben.address, safe.address, fresh.member_nonce("ben"), fresh.deadline)
    fresh.relayed([fresh.signed(named, ben)])
    enrolled = fresh.send(fresh.tills[BAKER], calls.enroll(BAKER, ben.address, 2))
    nonce = fresh.member_nonce("ben's safe")
    recover = Recover(ben.address, safe.address, nonce, fresh.deadline)
    fresh.relayed([fresh.signed(recover, safe)])
    fresh.mine(fresh.time + 8 * DAY)
    sent = [enrolled, fresh.send(fresh.relayer, calls.finish_recovery(ben.address))]
    sent.append(fresh.send(fresh.relayer, calls.follow_recovery(BAKER, ben.address)))
    fresh.mine()
    fresh.ask_all(sent)
    report = audited(fresh)
    assert report["findings"] == []
    assert report["exit_code"] == 0
    # A member again, at the old address: nothing goes on to the safe any more.
    fresh.relayed([fresh.join("ben")])
    assert audited(fresh)["exit_code"] == 0


def test_audit__up_to_an_older_block__proves_the_state_there(fresh: Town) -> None:
    report = audited(fresh)
    assert report["exit_code"] == 0
    number = report["range"]["last"]
    fresh.relayed([fresh.redeem("ada", BAKER, 9)])
    older = audited(fresh, last=number)
    assert older["exit_code"] == 0
    assert older["range"]["hash"] == report["range"]["hash"]
    assert older["merchants"] == report["merchants"]


def test_audit__a_node_with_finality__ends_at_the_final_block(fresh: Town) -> None:
    final = fresh.rpc.call("eth_getBlockByNumber", ["latest", False])
    fresh.relayed([fresh.redeem("ada", BAKER, 9)])

    def rule(method: str, params: list[Any], result: Any) -> Any:
        return final if params and params[0] == "finalized" else result

    with lying(fresh.url, rule) as url:
        report = run_audit(url, fresh.file, Options(workers=1))
    assert report["exit_code"] == 0
    assert report["range"]["hash"] == final["hash"]
