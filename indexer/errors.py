"""Errors of the indexer, one branch of the SDK's tree.

    BanyanError
    └── IndexerError
        ├── WrongNetwork         the node, the mirror and the deployment file do not belong together
        ├── SourceContradicts    the node's answers do not fit each other: asked again, never stored
        ├── MirrorInconsistent   the logs cannot all be true; nothing was written, the mirror stops
        ├── MirrorBusy           another indexer holds this mirror
        ├── MirrorEmpty          no block has been read yet
        └── CursorInvalid        a page cursor that no query gave

A node that cannot be reached stays `wallet_sdk.errors.RpcUnavailable`: back-pressure, not failure.
"""

from __future__ import annotations

from wallet_sdk.errors import BanyanError


class IndexerError(BanyanError):
    """Root of the indexer's errors."""


class WrongNetwork(IndexerError):
    """Node, mirror and deployment file name different chains or contracts. Nothing was written."""

    def __init__(self, message: str) -> None:
        super().__init__("wrong_network", message)


class SourceContradicts(IndexerError):
    """A node's logs do not fit its own headers (a reorg in mid-answer, two back ends at different
    heights, an omitted log). Nothing was written; asking again is right.
    """

    def __init__(self, message: str) -> None:
        super().__init__("source_contradicts", message)


class MirrorInconsistent(IndexerError):
    """The logs contradict each other or what was mirrored before: a negative balance, a batch whose
    entries do not add up. `block` is where. The block was not written, and no later one is.
    """

    def __init__(self, block: int, message: str) -> None:
        super().__init__("mirror_inconsistent", f"block {block}: {message}")
        self.block = block


class MirrorBusy(IndexerError):
    """Another indexer holds the lock of this mirror."""

    def __init__(self, holder: str) -> None:
        super().__init__("mirror_busy", f"another indexer holds this mirror ({holder})")
        self.holder = holder


class MirrorEmpty(IndexerError):
    """The mirror has not read a block yet, so there is no moment to answer for."""

    def __init__(self) -> None:
        super().__init__("mirror_empty", "the mirror holds no block yet: run `banyan index run`")


class CursorInvalid(IndexerError):
    """A page cursor that was not given out by the query it was handed to."""

    def __init__(self, cursor: str) -> None:
        super().__init__("cursor_invalid", f"not a page cursor: {cursor[:60]!r}")
        self.cursor = cursor
