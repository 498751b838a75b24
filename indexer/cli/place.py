"""Where a command finds chain, contracts and mirror: options over environment over the data
folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from sqlalchemy import Engine

from indexer.database import open_mirror
from indexer.errors import MirrorEmpty
from indexer.settings import IndexerSettings
from wallet_sdk.contracts import Deployment
from wallet_sdk.errors import InputInvalid


class Place:
    """The places of one command."""

    def __init__(
        self,
        data: Path | None,
        mirror: str | None,
        rpc: str | None = None,
        deployment: Path | None = None,
    ) -> None:
        self.settings = IndexerSettings() if data is None else IndexerSettings(data_dir=data)
        self._mirror = mirror
        self._rpc = rpc
        self._deployment = deployment

    @contextmanager
    def open(self, *, looking: bool = False) -> Iterator[Engine]:
        """The mirror; one that is only looked at is not made. Raises InputInvalid when there is no
        folder for it, MirrorEmpty when there is none to look at.
        """
        url = self._mirror or self.settings.mirror()
        if url.startswith("sqlite:///"):
            file = Path(url.removeprefix("sqlite:///"))
            if not file.parent.is_dir():
                raise InputInvalid(
                    f"there is no folder {file.parent}: name one with --data or --mirror"
                )
            if looking and not file.exists():
                raise MirrorEmpty
        engine = open_mirror(url)
        try:
            yield engine
        finally:
            engine.dispose()

    def rpc(self) -> str:
        """URL of the node. Raises InputInvalid when none is named and none runs."""
        if self._rpc is not None:
            return self._rpc
        if self.settings.rpc_url is not None:
            return self.settings.rpc_url.get_secret_value()
        # A running network says in its lock file where its chain answers.
        lock = self.settings.data_dir / "lock"
        try:
            return str(orjson.loads(lock.read_bytes())["rpc_url"])
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError):
            raise InputInvalid(
                f"no network is running in {self.settings.data_dir}: name a node with --rpc"
            ) from None

    def ws(self) -> str | None:
        """WebSocket URL of the node, if one is set."""
        url = self.settings.ws_url
        return None if url is None else url.get_secret_value()

    def deployment(self) -> Deployment:
        """The network's contracts. Raises DeploymentInvalid."""
        return Deployment.load(self._deployment or self.settings.deployment())


def finality(text: str) -> int | str:
    """'finalized' or a number of confirmations. Raises InputInvalid."""
    if text == "finalized":
        return text
    if not text.isdecimal():
        raise InputInvalid(f"confirmations: 'finalized' or a number, not {text!r}")
    return int(text)
