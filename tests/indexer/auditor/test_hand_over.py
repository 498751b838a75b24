"""A successor Coalition takes over with live positions: mirrored across, and audited."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from audit_town import BAKER, DAY, FLORIST, Town, key
from eth_abi.abi import encode
from sqlalchemy import Engine

from indexer import audit, queries
from indexer.auditor.cli import run_audit
from indexer.auditor.outcome import Options
from indexer.digest import mirror_digest
from indexer.rebuild import rebuild, verify
from indexer.sync import Indexer
from wallet_sdk import abi
from wallet_sdk.contracts.calls import Calls
from wallet_sdk.orders import Redeem, Redemption, Refund, Withdraw
from wallet_sdk.types import create_address, keccak256

ACCEPT = keccak256(b"accept()")[:4]


def doctored_office(town: Town, genuine: str) -> bytes:
    """Makes an office that does the same by other code: some bytes follow that are never run."""
    code = bytes.fromhex(town.rpc.call("eth_getCode", [genuine, "latest"])[2:]) + b"\xfe other"
    size = len(code).to_bytes(2, "big").hex()
    return bytes.fromhex(f"61{size}80600a5f395ff3") + code


def proposed(town: Town, *, doctored: bool = False) -> str:
    """Deploys another Coalition over the same points; 31 days later it may accept. Its address."""
    addresses = town.deployment.addresses
    builder, past = key("builder"), addresses["Coalition"]
    head = [addresses["Points"], addresses["BankReceipt"], addresses["MembershipPass"], 100, 2_000]
    types = ["address", "address", "address", "uint256", "uint256"]
    authority = addresses["AccessManager"]
    office_args = encode([*types, "address", "address"], [*head, past, authority])
    office = create_address(builder.address, town._nonces.get(builder.address, 0))
    sent = [town.send(builder, (None, abi.bytecode("CoalitionOffice") + office_args))]
    town.mine()
    if doctored:
        genuine, office = office, create_address(builder.address, town._nonces[builder.address])
        sent.append(town.send(builder, (None, doctored_office(town, genuine))))
        town.mine()
    arguments = encode(
        [*types, "(uint32,uint32,uint16)", "address", "address", "address"],
        [*head, (0, 0, 0), past, authority, office],
    )
    successor = create_address(builder.address, town._nonces[builder.address])
    sent.append(town.send(builder, (None, abi.bytecode("Coalition") + arguments)))
    town.mine()
    sent.append(town.send(town.operator, town.calls.propose_coalition(successor)))
    town.mine()
    town.mine(town.time + 31 * DAY)
    town.ask_all(sent)
    return successor


def accept(town: Town, successor: str) -> None:
    """It takes over, by anybody's hand."""
    sent = town.send(town.relayer, (successor, ACCEPT))
    town.mine()
    town.ask_all([sent])


def turn_to(town: Town, coalition: str) -> None:
    """The town speaks to this Coalition from now on."""
    town.deployment = town.deployment.with_coalition(coalition)
    town.calls = Calls(town.deployment.addresses)


def gift(town: Town, to: str, amount: int) -> None:
    """Receipts that are no deposit."""
    owner = town.owners[BAKER]
    takes = Withdraw(BAKER, owner.address, amount, town.merchant_nonce(), town.deadline)
    town.relayed([town.signed(takes, owner)])
    words = bytes(12) + bytes.fromhex(to[2:]) + amount.to_bytes(32, "big")
    call = keccak256(b"transfer(address,uint256)")[:4] + words
    sent = town.send(owner, (town.deployment.addresses["BankReceipt"], call))
    town.mine()
    town.ask_all([sent])


def refund_of_old(town: Town, order: Redeem, past: str) -> bytes:
    """Signed for the successor, of a redemption that was signed for the Coalition `past`."""
    buckets = (1 << 240) | order.points
    redemption = Redemption(
        order.member, order.points, order.nonce, order.deadline, order.ref, buckets, past
    )
    refund = Refund(BAKER, 100, town.merchant_nonce(), town.deadline, redemption, ())
    return town.signed(refund, town.tills[BAKER])


def follow(town: Town, file: Any, engine: Engine, confirmations: int) -> None:
    """A new process each time: nothing may live in memory alone."""
    indexer = Indexer(town.url, file, engine, confirmations=confirmations)
    indexer.run_once()
    indexer.close()


def test_audit__a_successor_coalition__holds_on_both_sides_and_the_mirror_is_the_chains(
    fresh: Town, tmp_path: Path, postgres_url: str, opened: Callable[[str], Engine]
) -> None:
    town, file = fresh, fresh.deployment
    urls = [f"sqlite:///{tmp_path / 'mirror.db'}", postgres_url]
    mirrors = [opened(url) for url in urls]

    def see(coalition: str, successions: int) -> None:
        """Both mirrors go on from where they were, and name this Coalition."""
        for mirror in mirrors:
            # Above finality: every block by its hash, and undone when it goes.
            follow(town, file, mirror, 10_000)
            with mirror.connect() as conn:
                found = queries.coalition(conn)
            assert (found.coalition, found.successions) == (coalition, successions)
            assert found.is_known_code

    first = file.address("Coalition")
    order = town.redeem_order("ada", BAKER, 300)
    town.relayed([town.signed(order, key("ada")), town.issue(FLORIST, ("ben", 9))])
    successor = proposed(town)
    gift(town, successor, 77)
    see(first, 0)
    accept(town, successor)
    turn_to(town, successor)
    town.relayed([town.issue(BAKER, ("ada", 70))])
    see(successor, 1)
    # The hand-over is taken back, and the old one goes on.
    town.reorg(2)
    turn_to(town, first)
    town.relayed([town.issue(BAKER, ("ada", 33))])
    see(first, 0)
    accept(town, successor)
    see(successor, 1)
    turn_to(town, successor)
    town.relayed([town.issue(BAKER, ("ada", 70)), town.redeem("ben", FLORIST, 5)])
    town.relayed([refund_of_old(town, order, first)])
    see(successor, 1)
    # More than 10 % of what the baker issued: this one allows 20.
    town.relayed([town.returned("ada", BAKER, 900, 1)])
    gift(town, first, 5)
    see(successor, 1)

    clean = opened(f"sqlite:///{tmp_path / 'clean.db'}")
    follow(town, file, clean, 0)
    with clean.connect() as conn:
        expected = mirror_digest(conn)
        overview = queries.network_overview(conn)
        handed = conn.execute(sa.text("SELECT contract, name FROM events WHERE name='HandedOver'"))
        assert handed.all() == [("Predecessor", "HandedOver")]
    assert overview.surplus == 77
    for url, mirror in zip(urls, mirrors, strict=True):
        with mirror.connect() as conn:
            assert mirror_digest(conn) == expected
        assert verify(mirror).holds
        assert rebuild(mirror) == rebuild(mirror, from_logs=True) == expected
        assert audit.check(mirror, town.url, file).holds
        report = run_audit(town.url, town.file, Options(workers=1, last="latest", mirror=url))
        assert report["findings"] == []
        assert report["exit_code"] == 0, report["not_checked"]
    baker = report["merchants"][0]["total"]
    assert (baker["issued"], baker["refunded"], baker["returned"]) == (5_803, 100, 900)


def test_audit__a_successor_with_an_office_of_its_own__is_not_called_known(
    fresh: Town, tmp_path: Path, opened: Callable[[str], Engine]
) -> None:
    """The half that it runs by delegation can do anything with its storage."""
    file = fresh.deployment
    accept(fresh, proposed(fresh, doctored=True))
    mirror = opened(f"sqlite:///{tmp_path / 'mirror.db'}")
    follow(fresh, file, mirror, 0)
    with mirror.connect() as conn:
        found = queries.coalition(conn)
    assert (found.successions, found.is_known_code) == (1, False)
    report = run_audit(fresh.url, fresh.file, Options(workers=1, last="latest"))
    assert report["findings"] == []
    assert report["exit_code"] == 2
    assert "runs code that nobody pinned" in str(report["not_checked"])
