"""Questions to the mirror: pure functions of a connection, each answer with the block it holds for.

All take a `sqlalchemy.Connection` from `indexer.database.open_mirror(url).connect()`; the parts of
one transaction see one state. `as_of` is a block (None: the head), `at_time` the second that
decides what has expired (None: the block's own). `MirrorEmpty` is raised before the first block.
"""

from indexer.queries.coalitions import CoalitionOfTheDay, coalition, final_coalition
from indexer.queries.effects import (
    EFFECT_NAMES,
    Effect,
    EffectPage,
    OrderEffects,
    effects_since,
    latest,
    order_effects,
)
from indexer.queries.flows import Flow, Flows, Month, MonthlySeries, flows, monthly_series
from indexer.queries.laws import Law, laws
from indexer.queries.members import (
    EpochPoints,
    HistoryLine,
    HistoryPage,
    LotPoints,
    MemberBalance,
    MemberBalances,
    MemberPass,
    member_balance,
    member_balances,
    member_history,
    member_pass,
)
from indexer.queries.merchants import (
    MerchantPosition,
    MerchantRow,
    MerchantsOverview,
    Registered,
    merchant_position,
    merchant_standing,
    merchants_overview,
    registered_above,
)
from indexer.queries.network import Head, NetworkOverview, head, network_overview
from indexer.queries.reversals import (
    IssuedInEpoch,
    Redemption,
    epoch_of_issue,
    issued_in_epoch,
    redemption,
)
from indexer.queries.supply import EpochSupply

__all__ = [
    "EFFECT_NAMES",
    "CoalitionOfTheDay",
    "Effect",
    "EffectPage",
    "EpochPoints",
    "EpochSupply",
    "Flow",
    "Flows",
    "Head",
    "HistoryLine",
    "HistoryPage",
    "IssuedInEpoch",
    "Law",
    "LotPoints",
    "MemberBalance",
    "MemberBalances",
    "MemberPass",
    "MerchantPosition",
    "MerchantRow",
    "MerchantsOverview",
    "Month",
    "MonthlySeries",
    "NetworkOverview",
    "OrderEffects",
    "Redemption",
    "Registered",
    "coalition",
    "effects_since",
    "epoch_of_issue",
    "final_coalition",
    "flows",
    "head",
    "issued_in_epoch",
    "latest",
    "laws",
    "member_balance",
    "member_balances",
    "member_history",
    "member_pass",
    "merchant_position",
    "merchant_standing",
    "merchants_overview",
    "monthly_series",
    "network_overview",
    "order_effects",
    "redemption",
    "registered_above",
]
