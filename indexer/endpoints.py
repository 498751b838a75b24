"""One node or several that should serve the same chain: one at a time, the next when one fails.

Several answers that a decision rests on come from one node: the turn is taken between questions of
the source, never within one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from indexer.errors import SourceContradicts
from wallet_sdk.errors import InputInvalid, RpcUnavailable
from wallet_sdk.rpc import Rpc

T = TypeVar("T")


class Endpoints:
    """The nodes, in the order in which they are preferred at the start."""

    def __init__(self, nodes: Sequence[Rpc]) -> None:
        if not nodes:
            raise InputInvalid("an indexer needs one node at least")
        self._nodes = list(nodes)
        self._at = 0

    def ask(self, question: Callable[[Rpc], T]) -> T:
        """The answer of the node whose turn it is, or of the next that has one.

        Raises RpcUnavailable or SourceContradicts when no node has, and any refusal at once.
        """
        at = self._at
        for _ in self._nodes[1:]:
            try:
                return question(self._nodes[at])
            except (RpcUnavailable, SourceContradicts):
                following = (at + 1) % len(self._nodes)
                # Several threads ask; the turn moves on once, however many saw the node fail.
                if self._at == at:
                    self._at = following
                at = following
        return question(self._nodes[at])

    def others(self, node: Rpc) -> list[Rpc]:
        """Every node but this one: to hear a second opinion."""
        return [other for other in self._nodes if other is not node]

    def close(self) -> None:
        """Closes the connections."""
        for node in self._nodes:
            node.close()
