"""Which Coalition Points obeyed since when, and under what name the logs of each are mirrored.

Points says so itself (`CoalitionChanged`), and nobody else is asked: the journal `coalitions` holds
a row for each such log. A Coalition's logs count from the log after the one that began its tenure;
what it said before is not mirrored, and what an earlier one says afterwards is kept under another
name and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from indexer import tables as t
from indexer.endpoints import Endpoints
from wallet_sdk.contracts import Deployment, Network
from wallet_sdk.deployment import is_artefact
from wallet_sdk.errors import DeploymentInvalid, RpcError, RpcUnavailable
from wallet_sdk.refusals import ContractRefused
from wallet_sdk.rpc import Rpc
from wallet_sdk.types import Address, address_bytes, address_of, from_hex, keccak256, to_hex

COALITION: Final = "Coalition"
PREDECESSOR: Final = "Predecessor"
"""The name of a Coalition that Points does not obey any more: it hands over, and answers reads."""

Change = tuple[int, bytes]
"""The id of a CoalitionChanged, and the Coalition that Points obeys from then on."""


@dataclass(frozen=True, slots=True)
class Tenures:
    """The first Coalition, and every change that is known, in order."""

    first: bytes
    changes: tuple[Change, ...] = ()

    @property
    def addresses(self) -> list[Address]:
        """All of them, each once, in lower case."""
        known = dict.fromkeys([self.first, *(address for _, address in self.changes)])
        return ["0x" + address.hex() for address in known]

    def current(self) -> bytes:
        """The Coalition of the day after all known changes."""
        return self.changes[-1][1] if self.changes else self.first

    def name_at(self, address: str, log_id: int) -> str | None:
        """What a log of this Coalition counts as; None: not at all, its day has not come.

        `address` in lower case.
        """
        wanted = bytes.fromhex(address[2:])
        current, has_been = self.first, wanted == self.first
        for since, following in self.changes:
            if since > log_id:
                break
            current = following
            has_been = has_been or wanted == following
        if wanted == current:
            return COALITION
        return PREDECESSOR if has_been else None

    def unknown(self, changes: Iterable[Change]) -> list[Change]:
        """Those that bring another Coalition than was known there. The constructor of Points names
        the first one, which is no news.
        """
        found: list[Change] = []
        for since, following in changes:
            if self.followed_by(found)._at(since) != following:
                found.append((since, following))
        return found

    def followed_by(self, changes: Sequence[Change]) -> Tenures:
        """These tenures and those."""
        return Tenures(self.first, tuple(sorted((*self.changes, *changes))))

    def _at(self, log_id: int) -> bytes:
        """The Coalition that is known to be obeyed from this id on."""
        known = [following for since, following in self.changes if since <= log_id]
        return known[-1] if known else self.first


def tenures(conn: Connection, first: bytes) -> Tenures:
    """What the mirror knows; `first` is the deployment file's Coalition."""
    c = t.coalitions.c
    rows = conn.execute(sa.select(c.id, c.address).order_by(c.id))
    return Tenures(first, tuple((row.id, bytes(row.address)) for row in rows))


def of_the_day(conn: Connection, deployment: Deployment) -> Deployment:
    """The deployment with the Coalition that Points obeys at the mirror's head in its place; the
    code that is pinned stays that of the first.
    """
    return deployment.with_coalition(address_of(tenures(conn, first_of(deployment)).current()))


# ---- the code of a successor


def note_codes(engine: Engine, nodes: Endpoints, deployment: Deployment) -> None:
    """Writes down what code the Coalitions run that were not looked at yet.

    It decides nothing: 30 days and a veto stand before a successor, and `banyan audit` proves code.
    A node that does not say is asked again at the next look.
    """
    with engine.begin() as conn:
        found = conn.execute(
            sa.select(t.coalitions)
            .outerjoin(t.coalition_codes, t.coalition_codes.c.id == t.coalitions.c.id)
            .where(t.coalition_codes.c.id.is_(None))
        ).all()
    for row in found:
        address = address_of(bytes(row.address))
        try:
            code_hash, is_known = nodes.ask(partial(_code, deployment, address))
        except (RpcUnavailable, RpcError):
            return
        with engine.begin() as conn:
            conn.execute(
                t.coalition_codes.insert().values(id=row.id, code_hash=code_hash, is_known=is_known)
            )


def _code(deployment: Deployment, address: Address, node: Rpc) -> tuple[bytes, bool]:
    """The hash of a Coalition's code, and whether it is the pinned one or this version's, its
    office's too.
    """
    code = from_hex(node.call("eth_getCode", [address, "latest"]))
    code_hash = keccak256(code)
    if to_hex(code_hash) == deployment.contracts[COALITION].code_hash:
        return code_hash, True
    if not is_artefact(COALITION, code):
        return code_hash, False
    network = Network(node, deployment.with_coalition(address))
    try:
        office = network.read(network.reads.office())
    except (ContractRefused, DeploymentInvalid):
        return code_hash, False
    office_code = from_hex(node.call("eth_getCode", [office, "latest"]))
    return code_hash, is_artefact("CoalitionOffice", office_code)


def first_of(deployment: Deployment) -> bytes:
    """The Coalition that the deployment file names: the first one."""
    return address_bytes(deployment.address(COALITION))
