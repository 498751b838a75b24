"""What came out, held against the file and the chain: the demo's last word."""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from gateway.demo.diary import Diary
from gateway.demo.oracle import Expected, expect
from gateway.demo.plan import EARN_RULE, POINTS_PER_CENT, Plan
from gateway.demo.purchases import DEPARTMENTS, Purchases
from gateway.model import OPEN_STATES
from gateway.network import Network
from gateway.tables import refusals
from indexer import audit
from indexer.queries import merchants_overview, network_overview


@dataclass(frozen=True, slots=True)
class Summary:
    """`content` is the JSON of `banyan demo --json`; `holds` is exit code 0."""

    content: dict[str, Any]

    @property
    def holds(self) -> bool:
        c = self.content
        checks = (c["conservation"], c["mirror_equals_chain"], c["equals_the_file"])
        return all(checks) and c["orders_stuck"] == 0 and c["complete"]


def summarize(
    network: Network,
    plan: Plan,
    purchases: Purchases,
    diary: Diary,
    seconds: Mapping[str, float],
    began: float,
) -> Summary:
    """Audit the network and recompute the file. `began` is the monotonic time of the start."""
    network.advance_mirror()
    audited_from = time.monotonic()
    found = audit.check(network.mirror, network.chain.rpc_url, network.deployment)
    recomputed_from = time.monotonic()
    expected = expect(
        *purchases.paths,
        DEPARTMENTS,
        EARN_RULE,
        POINTS_PER_CENT,
        weeks=plan.weeks,
        days_max=plan.days_max,
    )
    ended = time.monotonic()
    shown = facts(network, diary)
    by_part = {
        **seconds,
        "audit": recomputed_from - audited_from,
        "recompute from the file": ended - recomputed_from,
    }
    return Summary(
        {
            **shown,
            "complete": len(diary) == plan.days,
            "conservation": found.conservation,
            "mirror_equals_chain": found.mirror_equals_chain,
            "equals_the_file": equals(shown, expected),
            "audit_findings": [f"{f.what}: {f.mirror} / {f.chain}" for f in found.findings],
            "as_of_block": found.as_of_block,
            "block_hash": found.block_hash,
            "chain_id": network.chain.chain_id,
            "seconds": round(ended - began, 1),
            "seconds_by_part": {part: round(value, 1) for part, value in by_part.items()},
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    )


def facts(network: Network, diary: Diary) -> dict[str, Any]:
    """Totals from the mirror and the order book, and what the diary noted beside them."""
    with network.mirror.connect() as connection:
        overview = network_overview(connection)
        merchants = merchants_overview(connection).merchants
    states = network.gateway.orders_by_state()
    refused, refused_points = _refused(network)
    noted = diary.totals()
    slugs = {merchant.number: merchant.slug for merchant in network.gateway.merchants()}
    return {
        "merchants": overview.merchants,
        "members": overview.members,
        "purchase_lines": noted["lines"],
        "baskets": noted["baskets"],
        "purchases": noted["purchases"],
        "purchases_of_zero_points": noted["zero_purchases"],
        "issues": noted["issues"],
        "issued": overview.issued,
        "redemptions": overview.redemptions,
        "redeemed": overview.redeemed,
        "refused": refused,
        "refused_points": refused_points,
        "live_points": overview.live_points,
        "orders": states,
        "orders_stuck": sum(states[state.value] for state in OPEN_STATES) + states["failed"],
        "blocks": overview.as_of_block,
        "blocks_a_day_max": noted["blocks_a_day_max"],
        "by_merchant": {
            slugs[row.merchant]: {
                "issued": row.issued,
                "redeemed": row.redeemed,
                "position": row.position,
            }
            for row in merchants
        },
    }


def equals(shown: Mapping[str, Any], expected: Expected) -> bool:
    """Whether the network shows, to the point, what the file says it must."""
    by_merchant = list(shown["by_merchant"].values())
    return (
        [row["issued"] for row in by_merchant]
        == [expected.issued[merchant] for merchant in range(len(by_merchant))]
        and [row["redeemed"] for row in by_merchant]
        == [expected.redeemed[merchant] for merchant in range(len(by_merchant))]
        and shown["issued"] == sum(expected.issued.values())
        and shown["redeemed"] == sum(expected.redeemed.values())
        and shown["live_points"] == expected.live
        and shown["refused_points"] == expected.refused
        and (shown["issues"], shown["redemptions"], shown["refused"])
        == (expected.issues, expected.redemptions, expected.refusals)
        and (shown["purchase_lines"], shown["members"])
        == (expected.lines, len(expected.households))
    )


def _refused(network: Network) -> tuple[int, int]:
    query = select(func.count(), func.coalesce(func.sum(refusals.c.points), 0))
    with network.gateway.database.read() as connection:
        count, points = connection.execute(query).one()
    return int(count), int(points)
