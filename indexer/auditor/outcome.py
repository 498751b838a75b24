"""What an auditor asks for, and all that the report is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from indexer.auditor.checks import Check
from indexer.auditor.headers import Header
from indexer.auditor.laws import Law, Money
from indexer.auditor.ledger import Ledger
from indexer.auditor.network import NetworkFile
from indexer.auditor.pipeline import Costs

Progress = Callable[[str, int, int], None]
"""(what is being done, how far, of how much; 0: unknown)."""


def silent(what: str, done: int, total: int) -> None:
    """Shows nothing."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an auditor may choose. `last`: a number, or a tag of the node.

    `state`: where the replayed state is kept between audits. `heads`: published heads to honour.
    `calls`: compare what the node answers to wallets. `workers`: processes that check blocks.
    """

    first: int | None = None
    last: int | str = "finalized"
    state: Path | None = None
    heads: Path | None = None
    heads_signer: str | None = None
    mirror: str | None = None
    references: Path | None = None
    calls: bool = True
    workers: int = 2


@dataclass(slots=True)
class Outcome:
    """The checks as far as they came. `ledger` and `header`: after the last block that was read."""

    network: NetworkFile
    rpc_url: str
    checks: dict[str, Check]
    trusted: list[str] = field(default_factory=list)
    laws: list[Law] = field(default_factory=list)
    money: Money | None = None
    ledger: Ledger | None = None
    header: Header | None = None
    first: int = 0
    last: int = 0
    resumed_at: int | None = None
    costs: Costs = field(default_factory=Costs)
    seconds: float = 0.0
    events_replayed: int = 0
    zero_leaves: int = 0
    leaves: dict[bytes, dict[bytes, bytes]] = field(default_factory=dict)
    """Raw values by hashed slot, by contract: as the saved state had them, then as proven last."""
    asset_is_receipt: bool = False
    asset_mapping: int | None = None
    """Of somebody's token: the mapping in whose storage the Coalition's balance was proven."""
    moved: bool = False
    """The chain was reorganised while it was read: the findings are of no chain; read it again."""
