"""What a transaction may cost (EIP-1559), and what it must offer to take another one's place."""

from dataclasses import dataclass
from typing import Final

from gateway.relay.chain import Chain
from gateway.relay.transactions import Fees

BUMP_PERCENT: Final = 113
"""A replacement offers so much of both fees at least. Nodes want 110 (geth, besu, anvil) or 112.5
(erigon's and nethermind's blob rule is the only one above)."""

UNCAPPED_FACTOR: Final = 10
"""Without a cap in the settings a replacement never offers more than so many times the market's
price: a transaction may be stuck for another reason than its price."""


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """Fees from the settings.

    Attributes:
        cap_wei: most wei a gas that is ever offered; 0: relaying is free. None: no cap.
        tip_wei: of it for the block's maker.
    """

    cap_wei: int | None
    tip_wei: int

    @property
    def is_free(self) -> bool:
        """Nothing is paid here, so nothing can be too little."""
        return self.cap_wei == 0

    def fees(self, chain: Chain) -> Fees:
        """Fees of a new attempt. Raises RpcUnavailable."""
        return Fees(0, 0) if self.is_free else self.market(chain.base_fee())

    def market(self, base_fee: int) -> Fees:
        """Good for five full blocks in a row: twice the base fee, and the tip; under the cap."""
        cap = 2 * base_fee + self.tip_wei
        if self.cap_wei is not None:
            cap = min(cap, self.cap_wei)
        return Fees(cap, min(self.tip_wei, cap))

    def replacement(self, before: Fees, base_fee: int) -> Fees | None:
        """Fees that take the place of `before` in a node's pool; None: the cap is in the way."""
        market = self.market(base_fee)
        least = Fees(_bumped(before.cap), _bumped(before.tip))
        fees = Fees(max(market.cap, least.cap), max(market.tip, least.tip))
        limit = self.cap_wei
        if limit is None:
            limit = UNCAPPED_FACTOR * max(market.cap, 1)
        return fees if fees.tip <= fees.cap <= limit else None


def _bumped(fee: int) -> int:
    # At least one more: geth wants both fees strictly higher, also where the tip was 0.
    return max(fee + 1, -(-fee * BUMP_PERCENT // 100))
