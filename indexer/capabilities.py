"""What a node turns out not to be able to do: found by asking, once, and never guessed from words.

Limits on ranges and answers need none of this: whatever is refused is asked for in halves
(`source`). Times of blocks come with the headers, which are read anyway for the hashes; whether a
node puts them into its logs does not matter.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final

from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.rpc import Call, Rpc

log: Final = logging.getLogger(__name__)

FINAL: Final[Call] = ("eth_getBlockByNumber", ["finalized", False])
_HARMLESS: Final[Call] = ("eth_chainId", [])


class Capabilities:
    """The nodes' own ways. Several threads ask; what one finds out all know."""

    def __init__(self) -> None:
        self._singly: set[int] = set()
        self._without_finality: set[int] = set()

    def settled(self, node: Rpc, calls: Sequence[Call]) -> list[Any | RpcError]:
        """The answers to all calls, each refusal in its place; one by one where the node takes no
        batches. Raises RpcUnavailable, and RpcError when the batch as a whole was refused.
        """
        if id(node) not in self._singly:
            try:
                return node.batch_settled(calls)
            except (RpcUnavailable, RpcError):
                if not self._takes_none(node):
                    raise
        return [_single(node, *call) for call in calls]

    def batch(self, node: Rpc, calls: Sequence[Call]) -> list[Any]:
        """As `settled`, raising the first refusal."""
        return [answered(answer) for answer in self.settled(node, calls)]

    def _takes_none(self, node: Rpc) -> bool:
        """Whether the node answers a harmless call, and not two of them at once."""
        try:
            node.call(*_HARMLESS)
        except (RpcUnavailable, RpcError):
            return False
        try:
            node.batch([_HARMLESS, _HARMLESS])
        except (RpcUnavailable, RpcError):
            log.warning("the node takes no batches: it is asked call by call")
            self._singly.add(id(node))
            return True
        return False

    def final_of(self, node: Rpc) -> Any:
        """The last final header, None as `final` says. Raises RpcUnavailable."""
        return self.final(node, _single(node, *FINAL))

    def final(self, node: Rpc, answer: Any | RpcError) -> Any:
        """The last final header; None where the node has none (yet): a young chain has none, and
        nodes say so with null or with an error.
        """
        if not isinstance(answer, RpcError):
            return answer
        if id(node) not in self._without_finality:
            self._without_finality.add(id(node))
            log.warning(
                "the node tells no final block (%s): where that stays so, give a number of "
                "confirmations",
                answer,
            )
        return None


def answered(answer: Any | RpcError) -> Any:
    """The answer, a refusal raised."""
    if isinstance(answer, RpcError):
        raise answer
    return answer


def _single(node: Rpc, method: str, params: Sequence[Any]) -> Any | RpcError:
    try:
        return node.call(method, params)
    except RpcError as refusal:
        return refusal
