"""Errors of the embedded chain. None of them deletes or changes anything in the data folder.

BanyanError
└── EmbeddedChainError
    ├── AlreadyRunning            another process holds the data folder; names its pid
    ├── DataFormatOther           the folder was written by another version of Banyan
    ├── NodeMissing               no anvil where it should be, or none for this platform
    ├── NodeOther                 the journal was made with another anvil, hard fork or flags
    ├── NodeFailed                anvil does not start, or keeps dying
    ├── JournalDamaged            chain.db does not hold what was written into it
    ├── ReplayDiffers             a replayed block has another hash than the one committed
    ├── SubmitRefused             the node's own refusal of a transaction, code and text
    └── ChainStopped              the chain was stopped, or failed; carries the first cause
"""

from __future__ import annotations

from pathlib import Path

from wallet_sdk.errors import BanyanError


class EmbeddedChainError(BanyanError):
    """Root of the embedded chain's errors."""


class AlreadyRunning(EmbeddedChainError):
    def __init__(self, folder: Path, pid: int | None, rpc_url: str | None) -> None:
        who = f"process {pid}" if pid else "another process"
        where = f", its chain answers on {rpc_url}" if rpc_url else ""
        super().__init__("already_running", f"{who} is running on {folder}{where}")
        self.pid = pid
        self.rpc_url = rpc_url


class DataFormatOther(EmbeddedChainError):
    def __init__(self, folder: Path, found: str, expected: str) -> None:
        super().__init__(
            "data_format_other",
            f"{folder} has data format {found!r}, this version writes {expected!r}; use the "
            "version that made it, or start anew with --fresh (which deletes this data)",
        )
        self.found = found


class NodeMissing(EmbeddedChainError):
    def __init__(self, message: str) -> None:
        super().__init__("node_missing", message)


class NodeOther(EmbeddedChainError):
    def __init__(self, what: str, recorded: str, found: str) -> None:
        super().__init__(
            "node_other",
            f"the journal was made with {what} {recorded!r} and this is {found!r}: the blocks "
            "might not come out the same; install the recorded one, or start anew with --fresh "
            "(which deletes this data)",
        )


class NodeFailed(EmbeddedChainError):
    def __init__(self, message: str) -> None:
        super().__init__("node_failed", message)


class NoJournal(EmbeddedChainError):
    def __init__(self, folder: Path) -> None:
        super().__init__("no_journal", f"there is no journal in {folder}")


class JournalDamaged(EmbeddedChainError):
    def __init__(self, message: str) -> None:
        super().__init__(
            "journal_damaged",
            f"{message}; nothing was changed, restore the data folder from a backup",
        )


class ReplayDiffers(EmbeddedChainError):
    def __init__(self, number: int, committed: str, replayed: str) -> None:
        super().__init__(
            "replay_differs",
            f"block {number} was committed as {committed} and replays as {replayed}; "
            "nothing was changed",
        )
        self.number = number


class SubmitRefused(EmbeddedChainError):
    """`rpc_code` and `message` are the node's, handed on to the sender unchanged."""

    def __init__(self, rpc_code: int, message: str) -> None:
        super().__init__("submit_refused", message)
        self.rpc_code = rpc_code


class ChainStopped(EmbeddedChainError):
    def __init__(self, cause: BaseException | None = None) -> None:
        why = f": {cause}" if cause else ""
        super().__init__("chain_stopped", f"the embedded chain is stopped{why}")
        self.cause = cause
