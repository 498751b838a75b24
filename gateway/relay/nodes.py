"""Several nodes of one chain behind one door: a decision is taken on answers of one of them.

A load balancer answers two questions from two heights, and a receipt from one with a block from the
other makes a reorg that never was. So whoever decides opens a `decision`: all questions of that
thread then go to one node, whose chain id, genesis and height were looked at first. A node that is
silent, busy (429) or broken rests, and the next decision takes another: back-pressure, never
failure. A node of another chain is never asked again.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from gateway.errors import WrongChain
from wallet_sdk.errors import RpcError, RpcUnavailable
from wallet_sdk.rpc import Call, Rpc
from wallet_sdk.types import Digest

log = logging.getLogger(__name__)

T = TypeVar("T")

REST_MIN_S, REST_MAX_S = 0.5, 30.0
"""How long a node rests after a failure: doubled each time, or as long as it asks for."""

BEHIND_MAX = 2
"""Blocks that a node may be behind the best one and still be taken: heads travel."""

BEHIND_PATIENCE_S = 20.0
"""So long no node need reach the highest block that was decided on; then the chain itself went
down."""

LOOK_S = 3.0
"""So long one of several nodes may take to say where it stands, before the others are asked."""

IDENTITY_EVERY_S = 5.0
"""How often a node that is the only one is asked which chain it serves."""


@dataclass(slots=True)
class _Node:
    """A node and how it has been behaving."""

    rpc: Rpc
    name: str
    rests_until: float = 0.0
    failures: int = 0
    checked_at: float = float("-inf")
    is_wrong: bool = field(default=False)


class Nodes(Rpc):
    """An Rpc over several nodes. Thread safe.

    Args:
        chain_id, genesis: of the network; checked before each decision.
        on_wrong: told the name of a node that serves another chain.
    """

    def __init__(
        self,
        nodes: Sequence[Rpc],
        *,
        chain_id: int,
        genesis: Digest,
        on_wrong: Callable[[str, str], None] = lambda name, what: None,
    ) -> None:
        # Host and port alone: the rest of a URL is often a secret.
        self._nodes = [_Node(rpc, urlsplit(rpc.url).netloc.rpartition("@")[2]) for rpc in nodes]
        self.url = nodes[0].url
        self._chain_id = chain_id
        self._genesis = genesis
        self.on_wrong = on_wrong
        self._pinned = threading.local()
        self._lock = threading.Lock()
        self._highest = -1
        self._highest_at = time.monotonic()

    @contextmanager
    def decision(self) -> Iterator[None]:
        """Every question of this thread until the end goes to one and the same node.

        Raises RpcUnavailable: no node can be asked now, or all are behind what was seen already;
        WrongChain: there is no node of this chain.
        """
        if getattr(self._pinned, "node", None) is not None:
            yield
            return
        self._pinned.node = self._choose()
        try:
            yield
        finally:
            self._pinned.node = None

    # ---- asking

    def call(
        self, method: str, params: Sequence[Any] = (), *, timeout_s: float | None = None
    ) -> Any:
        return self._ask(lambda rpc: rpc.call(method, params, timeout_s=timeout_s))

    def batch_settled(
        self, calls: Sequence[Call], *, timeout_s: float | None = None
    ) -> list[Any | RpcError]:
        return self._ask(lambda rpc: rpc.batch_settled(calls, timeout_s=timeout_s))

    def close(self) -> None:
        for node in self._nodes:
            node.rpc.close()

    def _ask(self, question: Callable[[Rpc], T]) -> T:
        pinned = getattr(self._pinned, "node", None)
        if pinned is not None:
            return self._ask_one(pinned, question)
        # A question by itself may go to the next node; what it asks for is harmless to repeat.
        *others, last = self._candidates()
        for node in others:
            try:
                return self._ask_one(node, question)
            except RpcUnavailable:
                continue
        return self._ask_one(last, question)

    def _ask_one(self, node: _Node, question: Callable[[Rpc], T]) -> T:
        try:
            answer = question(node.rpc)
        except RpcUnavailable as error:
            self._rest(node, error.retry_after_s)
            raise
        node.failures = 0
        return answer

    # ---- choosing

    def _candidates(self) -> list[_Node]:
        """Nodes of this chain: those that rest come last. Raises WrongChain: there is none."""
        now = time.monotonic()
        found = [node for node in self._nodes if not node.is_wrong]
        if not found:
            raise WrongChain(
                f"no node serves chain {self._chain_id} any more", chain_id=self._chain_id
            )
        return sorted(found, key=lambda node: max(node.rests_until - now, 0.0))

    def _choose(self) -> _Node:
        if len(self._nodes) == 1:
            (node,) = self._candidates()
            self._look(node, alone=True)
            return node
        heights, failure = self._heights()
        best = max(heights.values(), default=-1)
        with self._lock:
            for at, node in enumerate(self._nodes):
                height = heights.get(at)
                if height is None:
                    continue
                if height >= self._highest and height >= best - BEHIND_MAX:
                    # The first of those that are good enough: decisions do not wander.
                    self._highest, self._highest_at = height, time.monotonic()
                    return node
            if heights and time.monotonic() - self._highest_at > BEHIND_PATIENCE_S:
                log.error("no node has block %d any more; going on from %d", self._highest, best)
                self._highest, self._highest_at = best, time.monotonic()
                return self._nodes[max(heights, key=lambda at: heights[at])]
        if heights:
            raise RpcUnavailable("decision", f"every node is behind block {self._highest}")
        self._candidates()
        raise failure or RpcUnavailable("decision", "no node can be asked")

    def _heights(self) -> tuple[dict[int, int], RpcUnavailable | None]:
        """Heights of the nodes that answer, by place; those that rest only where all do."""
        now = time.monotonic()
        candidates = self._candidates()
        awake = [node for node in candidates if node.rests_until <= now]
        heights: dict[int, int] = {}
        failure = None
        # Who hangs must not keep those waiting who answer; where all are slow, they get their time.
        asked, patience_s = awake or candidates, LOOK_S
        while asked and not heights:
            slow = []
            for node in asked:
                began = time.monotonic()
                try:
                    height = self._look(node, alone=False, timeout_s=patience_s)
                    heights[self._nodes.index(node)] = height
                except RpcUnavailable as error:
                    failure = error
                    if patience_s == LOOK_S and time.monotonic() - began >= LOOK_S:
                        slow.append(node)
            asked, patience_s = slow, math.inf
        return heights, failure

    def _look(self, node: _Node, *, alone: bool, timeout_s: float = math.inf) -> int:
        """The node's height, its chain checked (-1: the only one, and just looked at).

        Raises RpcUnavailable: also where it serves another chain, and is left out from now on.
        """
        if alone and time.monotonic() - node.checked_at < IDENTITY_EVERY_S:
            return -1
        questions: list[Call] = [
            ("eth_chainId", []),
            ("eth_getBlockByNumber", ["0x0", False]),
            ("eth_blockNumber", []),
        ]
        limit_s = None if timeout_s == math.inf else timeout_s
        try:
            chain_id, first, height = self._ask_one(
                node, lambda rpc: rpc.batch(questions, timeout_s=limit_s)
            )
            found = int(chain_id, 16), first["hash"], int(height, 16)
        except (RpcError, TypeError, KeyError, ValueError) as error:
            self._rest(node, None)
            raise RpcUnavailable("decision", f"{node.name} gave no usable answer") from error
        if found[:2] != (self._chain_id, self._genesis):
            self._leave_out(node, f"serves chain {found[0]} with genesis {found[1]}")
        node.checked_at = time.monotonic()
        return found[2]

    def _leave_out(self, node: _Node, what: str) -> None:
        node.is_wrong = True
        log.critical("the node %s %s: it is never asked again", node.name, what)
        self.on_wrong(node.name, what)
        raise RpcUnavailable("decision", f"{node.name} {what}")

    def _rest(self, node: _Node, asked_s: float | None) -> None:
        node.failures += 1
        pause = min(REST_MIN_S * 2 ** (node.failures - 1), REST_MAX_S)
        if asked_s is not None:
            pause = min(max(asked_s, 0.0), REST_MAX_S)
        node.rests_until = time.monotonic() + pause
