"""What a node is asked for: the logs of which addresses, and how their JSON is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from indexer.decode import BlockLogs, Decoder
from indexer.headers import bloom_bits, bloom_of
from indexer.succession import Change, Tenures
from wallet_sdk.contracts import Deployment
from wallet_sdk.events import CoalitionChanged

_CHANGED: Final = CoalitionChanged.DECLARATION.name


class Watched:
    """The contracts of one deployment, with the Coalitions of `tenures`. It never changes: what is
    on its way belongs to the one it was asked with.
    """

    def __init__(self, deployment: Deployment, tenures: Tenures | None = None) -> None:
        self._deployment = deployment
        self.decoder = Decoder(deployment.addresses, tenures)
        self._blooms = [bloom_bits(bytes.fromhex(a[2:])) for a in self.decoder.addresses]

    def criteria(self, blocks: dict[str, str]) -> dict[str, Any]:
        """The filter of eth_getLogs."""
        return {**blocks, "address": self.decoder.addresses}

    def may_be_in(self, raw: dict[str, Any]) -> bool:
        """Whether the bloom of this header leaves room for a log of these contracts."""
        bloom = bloom_of(raw)
        return any(bloom & bits == bits for bits in self._blooms)

    def successors(self, blocks: Sequence[BlockLogs]) -> list[Change]:
        """Coalitions that Points obeys from a log of these blocks on, whose logs were not asked
        for.
        """
        tenures = self.decoder.tenures
        return tenures.unknown(
            (log.id, log.values["current"])
            for block in blocks
            for log in block.others
            if log.name == _CHANGED and log.contract == "Points"
        )

    def followed_by(self, changes: Sequence[Change]) -> Watched:
        """These contracts and those Coalitions."""
        return Watched(self._deployment, self.decoder.tenures.followed_by(changes))
