"""A first check: does the mirror say what the chain says, and do laws 1 to 4 hold?

Everything is read at one block hash, the mirror's own, from one node: supply of every epoch, every
account's live buckets and member bit, every merchant's position and limit, the treasury. It trusts
the node's answers; the auditor proper (`banyan-audit`) proves them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from indexer import tables as t
from indexer import views
from indexer.queries.common import Moment, latest_versions, moment
from indexer.queries.laws import Law, laws
from indexer.queries.network import head, network_overview
from indexer.succession import of_the_day
from wallet_sdk.contracts import Deployment, Network
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import Address, Digest, address_of

FINDINGS_MAX: Final = 100
"""Findings that are kept in words; all are counted."""
_ACCOUNTS_PER_STEP: Final = 2_000
_RPC_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: what was compared, and what mirror and chain say."""

    what: str
    mirror: str
    chain: str


@dataclass(slots=True)
class Check:
    """One kind of comparison: how many were made, how many differed."""

    name: str
    compared: int = 0
    different: int = 0


@dataclass(slots=True)
class AuditResult:
    """What the check found at one block. `mirror_equals_chain` and every law: the network is
    right.
    """

    as_of_block: int
    as_of_time: int
    block_hash: Digest
    checks: list[Check] = field(default_factory=list)
    laws: list[Law] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def mirror_equals_chain(self) -> bool:
        return all(check.different == 0 for check in self.checks)

    @property
    def conservation(self) -> bool:
        """Whether laws 1 to 4 hold."""
        return all(law.holds for law in self.laws)

    @property
    def holds(self) -> bool:
        return self.mirror_equals_chain and self.conservation

    def compare(self, check: Check, what: str, mirror: object, chain: object) -> None:
        """Counts one comparison, and keeps it when the two differ."""
        check.compared += 1
        if mirror != chain:
            check.different += 1
            if len(self.findings) < FINDINGS_MAX:
                self.findings.append(Finding(what, str(mirror), str(chain)))

    def open(self, name: str) -> Check:
        """Begins one kind of comparison."""
        check = Check(name)
        self.checks.append(check)
        return check


def check(
    mirror: Connection | Engine,
    rpc_url: str | Rpc,
    deployment: Deployment,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> AuditResult:
    """Compares mirror and chain. `on_progress` is told accounts done and accounts there are.

    Raises MirrorEmpty, DeploymentInvalid (the node serves another chain or other code),
    RpcUnavailable, RpcError. A difference is no error: it is in the result.
    """
    rpc = Rpc(rpc_url, timeout_s=_RPC_TIMEOUT_S) if isinstance(rpc_url, str) else rpc_url
    try:
        network = Network(rpc, deployment)
        network.check()
        with contextlib.ExitStack() as stack:
            conn = stack.enter_context(mirror.connect()) if isinstance(mirror, Engine) else mirror
            # After a succession the figures are asked of the one that has taken over.
            present = Network(rpc, of_the_day(conn, deployment))
            return _check(conn, present, on_progress)
    finally:
        if isinstance(rpc_url, str):
            rpc.close()


def _check(
    conn: Connection, network: Network, on_progress: Callable[[int, int], None] | None
) -> AuditResult:
    now = moment(conn)
    mirrored = head(conn)
    result = AuditResult(now.as_of_block, now.as_of_time, mirrored.block_hash)
    on_chain = network.head(now.as_of_block)
    blocks = result.open("the mirror's head is a block of the chain")
    result.compare(blocks, f"hash of block {now.as_of_block}", mirrored.block_hash, on_chain.hash)
    if blocks.different:
        # Nothing else can be compared at a block that the chain does not have.
        return result
    at = mirrored.block_hash
    _supply(result, conn, network, at)
    _merchants(result, conn, network, now, at)
    _treasury(result, conn, network, at)
    _accounts(result, conn, network, now, at, on_progress)
    result.laws = laws(conn)
    return result


def _supply(result: AuditResult, conn: Connection, network: Network, at: Digest) -> None:
    check = result.open("supply of every epoch")
    overview = network_overview(conn)
    on_chain = network.read_many(
        [network.reads.supply_of_epoch(e.epoch) for e in overview.epochs], at
    )
    for mine, theirs in zip(overview.epochs, on_chain, strict=True):
        what = f"epoch {mine.epoch}"
        result.compare(check, f"{what}: issued net", mine.issued_net, theirs.issued_net)
        result.compare(check, f"{what}: unspent", mine.unspent, theirs.live)
    terms = network.read_many([network.reads.terms_of(e.epoch) for e in overview.epochs], at)
    for mine, rule in zip(overview.epochs, terms, strict=True):
        result.compare(
            check,
            f"epoch {mine.epoch}: issue fee, redeem fee",
            (mine.issue_fee, mine.redeem_fee),
            (rule.issue_fee, rule.redeem_fee),
        )
    result.compare(check, "live supply", overview.live_points, network.total_supply(at))


def _merchants(
    result: AuditResult, conn: Connection, network: Network, now: Moment, at: Digest
) -> None:
    check = result.open("every merchant's position, limit, status and owner")
    rows = list(conn.execute(latest_versions(t.merchants, now.before_id)))
    states = network.read_many([network.reads.merchant_of(row.merchant) for row in rows], at)
    e = t.events.c
    for row, state in zip(rows, states, strict=True):
        position = conn.execute(
            sa.select(e.balance).where(e.merchant == row.merchant).order_by(e.id.desc()).limit(1)
        ).scalar_one()
        what = f"merchant {row.merchant}"
        result.compare(check, f"{what}: position", position, state.position)
        result.compare(check, f"{what}: credit limit", row.credit_limit, state.credit_limit)
        result.compare(check, f"{what}: status", row.status, int(state.status))
        result.compare(check, f"{what}: owner", address_of(bytes(row.owner)), state.owner)
    issued = t.merchant_epochs.c
    pairs = conn.execute(sa.select(t.merchant_epochs).order_by(issued.merchant)).all()
    answers = network.read_many(
        [network.reads.issued_by(pair.epoch, pair.merchant) for pair in pairs], at
    )
    for pair, answer in zip(pairs, answers, strict=True):
        result.compare(
            check,
            f"merchant {pair.merchant}, epoch {pair.epoch}: issued, returned",
            (pair.issued, pair.returned),
            (answer.issued, answer.returned),
        )


def _treasury(result: AuditResult, conn: Connection, network: Network, at: Digest) -> None:
    check = result.open("reserve, breakage, income, guarantee and assets held")
    overview = network_overview(conn)
    for name, mine, theirs in (
        ("reserve", overview.reserve, network.reserve(at)),
        ("breakage", overview.breakage, network.breakage(at)),
        ("income", overview.income, network.income(at).earned),
        ("guarantee", overview.guarantee, network.guarantee(at)),
        ("assets held", overview.held, network.assets_held(at)),
    ):
        result.compare(check, name, mine, theirs)


def _accounts(
    result: AuditResult,
    conn: Connection,
    network: Network,
    now: Moment,
    at: Digest,
    on_progress: Callable[[int, int], None] | None,
) -> None:
    check = result.open("every account's live buckets and member bit")
    known = sa.union(sa.select(views.balances.c.account), sa.select(t.members.c.account)).subquery()
    total = conn.execute(sa.select(sa.func.count()).select_from(known)).scalar_one()
    for accounts in _in_steps(conn, known):
        mine = _live_buckets(conn, accounts, now)
        members = _members(conn, accounts)
        addresses: list[Address] = [address_of(account) for account in accounts]
        words = network.read_many([network.reads.account_of(a) for a in addresses], at)
        for account, address, word in zip(accounts, addresses, words, strict=True):
            result.compare(
                check,
                f"account {address}: points by epoch",
                mine.get(account, {}),
                dict(word.live(now.current_epoch)),
            )
            result.compare(check, f"account {address}: member", account in members, word.is_member)
        if on_progress is not None:
            on_progress(check.compared // 2, total)


def _in_steps(conn: Connection, known: sa.Subquery) -> Iterator[list[bytes]]:
    """All accounts in order, a page at a time."""
    after = b""
    while True:
        page = [
            bytes(account)
            for account in conn.execute(
                sa.select(known.c.account)
                .where(known.c.account > after)
                .order_by(known.c.account)
                .limit(_ACCOUNTS_PER_STEP)
            ).scalars()
        ]
        if not page:
            return
        yield page
        after = page[-1]


def _live_buckets(
    conn: Connection, accounts: Sequence[bytes], now: Moment
) -> dict[bytes, dict[int, int]]:
    b = views.balances.c
    found: dict[bytes, dict[int, int]] = {}
    for account, epoch, points in conn.execute(
        sa.select(b.account, b.epoch, b.received - b.spent)
        .where(
            b.account.between(accounts[0], accounts[-1]),
            b.epoch >= now.oldest_live_epoch,
            b.received > b.spent,
        )
        .order_by(b.account, b.epoch)
    ):
        found.setdefault(bytes(account), {})[epoch] = points
    return found


def _members(conn: Connection, accounts: Sequence[bytes]) -> set[bytes]:
    m = t.members.c
    found: dict[bytes, bool] = {}
    for account, is_member in conn.execute(
        sa.select(m.account, m.is_member)
        .where(m.account.between(accounts[0], accounts[-1]))
        .order_by(m.account, m.id)
    ):
        found[bytes(account)] = is_member
    return {account for account, is_member in found.items() if is_member}
