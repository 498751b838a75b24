"""What the mirror must say of the present, table by table: expected rows, and how to ask for them.

The queries fetch the newest version of each key. They are constants: nothing of theirs comes from
outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from indexer.auditor import accounts as acc
from indexer.auditor.ledger import Ledger
from wallet_sdk.epochs import EpochSchedule

_Row = tuple[Any, ...]
_State = tuple[str, dict[_Row, _Row], str]
_MEMBER_MASK = (1 << 160) - 1


def _newest(table: str, key: str, columns: str, order: str = "id", where: str = "") -> str:
    keys = [name.strip() for name in key.split(",")]
    same = " AND ".join(f"n.{name} = t.{name}" for name in keys)
    return (
        f"SELECT {key}, {columns} FROM {table} t WHERE {order} = "
        f"(SELECT MAX({order}) FROM {table} n WHERE {same}){where}"
    )


def state_rows(ledger: Ledger, schedule: EpochSchedule) -> Iterator[_State]:
    """(table, expected fields by key, query) for every table that speaks of the present."""
    yield from _points(ledger, schedule)
    yield from _merchants(ledger)
    yield (
        "members",
        {(a,): (1,) for a, word in ledger.accounts.items() if word & acc.MEMBER_BIT},
        _newest("members", "account", "1", where=" AND is_member"),
    )
    yield (
        "passes",
        {
            (token >> 160, (token & _MEMBER_MASK).to_bytes(20, "big")): held
            for token, held in ledger.passes.items()
        },
        _newest("passes", "programme, member", "tier, joined_at", where=" AND held"),
    )
    yield (
        "coalitions",
        {(1,): (ledger.coalition,)},
        "SELECT 1, address FROM coalitions ORDER BY id DESC LIMIT 1",
    )
    yield (
        "treasury",
        {(1,): (ledger.assets, ledger.guarantee, ledger.income_withdrawn)} if ledger.terms else {},
        "SELECT 1, held, guarantee, income_withdrawn FROM treasury ORDER BY id DESC LIMIT 1",
    )


def _points(ledger: Ledger, schedule: EpochSchedule) -> Iterator[_State]:
    now = max(ledger.timestamp, schedule.first_start)
    epoch = schedule.epoch_at(now)
    oldest = schedule.live_epochs(now)[0]
    yield (
        "balances",
        {
            (address, e): (points,)
            for address, word in ledger.accounts.items()
            for e, points in acc.lanes_of(acc.aged(word, epoch))
        },
        "SELECT account, epoch, received - spent FROM balances "
        f"WHERE received <> spent AND epoch >= {oldest}",
    )
    unspent = {(e,): (s.live,) for e, s in ledger.supply.items() if s.live}
    yield (
        "balances, summed by epoch",
        unspent,
        "SELECT epoch, SUM(received - spent) FROM balances GROUP BY epoch "
        "HAVING SUM(received - spent) <> 0",
    )
    yield (
        "entries, summed by epoch",
        unspent,
        "SELECT epoch, SUM(points) FROM entries GROUP BY epoch HAVING SUM(points) <> 0",
    )
    yield (
        "entries beside balances",
        {},
        "SELECT b.account, b.epoch, b.received - b.spent FROM balances b WHERE b.received - "
        "b.spent <> (SELECT COALESCE(SUM(e.points), 0) FROM entries e WHERE e.account = b.account "
        "AND e.epoch = b.epoch)",
    )
    yield (
        "supply",
        {
            (e,): (s.issued, s.returned, s.redeemed, s.refunded)
            for e, s in ledger.supply.items()
            if s.issued
        },
        _newest("supply", "epoch", "issued, returned, redeemed, refunded", order="block"),
    )


def _merchants(ledger: Ledger) -> Iterator[_State]:
    yield (
        "merchants",
        {
            (number,): (m.owner, m.status, m.limit, m.profile)
            for number, m in ledger.merchants.items()
        },
        _newest("merchants", "merchant", "owner, status, credit_limit, profile_hash"),
    )
    yield (
        "till_keys",
        {(key,): (number, int(active)) for key, (number, active) in ledger.tills.items()},
        _newest("till_keys", "key", "merchant, active"),
    )
    yield (
        "terms",
        {(t.from_epoch,): (t.issue_fee, t.redeem_fee, t.share_bps) for t in ledger.terms},
        _newest("terms", "from_epoch", "issue_fee, redeem_fee, issuers_share_bps"),
    )
    yield (
        "closed_epochs",
        {(epoch,): (closing.pool,) for epoch, closing in ledger.closings.items()},
        "SELECT epoch, issuers_pool FROM closed_epochs",
    )
    yield (
        "merchant_epochs",
        {
            (number, epoch): (issues.issued, issues.returned)
            for (epoch, number), issues in ledger.issues.items()
            if issues.issued
        },
        "SELECT merchant, epoch, issued, returned FROM merchant_epochs",
    )
    months = {
        (number, int(month.replace("-", ""))): (
            *(f.issued, f.redeemed, f.refunded, f.returned),
            *(f.charged, f.paid, f.taken_back, f.credited),
            *(f.deposited, f.withdrawn, f.breakage),
        )
        for (number, month), f in ledger.flows.items()
    }
    yield (
        "merchant_months",
        {key: row for key, row in months.items() if any(row)},
        "SELECT merchant, month, issued, redeemed, refunded, returned, charged, paid, taken_back, "
        "credited, deposited, withdrawn, claimed FROM merchant_months WHERE issued <> 0 OR "
        "redeemed <> 0 OR refunded <> 0 OR returned <> 0 OR deposited <> 0 OR withdrawn <> 0 OR "
        "claimed <> 0",
    )
    yield (
        "flows, summed by merchant and month",
        {key: (row[1], row[2], row[3]) for key, row in months.items() if any(row[1:4])},
        "SELECT merchant, month, SUM(redeemed), SUM(refunded), SUM(returned) FROM flows "
        "GROUP BY merchant, month",
    )
