"""Successors of a Coalition: created, proposed, and handed over to."""

from __future__ import annotations

from dataclasses import replace

from banyan_kit.revm import ADMIN, Contract, Settings
from network_desk import TREASURY, Desk

DELAY = 30 * 86_400
SETTINGS = Settings()


def successor_of(
    desk: Desk,
    predecessor: str,
    face_value: int = SETTINGS.face_value,
    return_cap_bps: int = SETTINGS.return_cap_bps,
    **other: str,
) -> Contract:
    """A Coalition with its office; `other` are addresses in the place of the network's own."""
    network = desk.network
    parts = (
        other.get("points", network.points.address),
        other.get("asset", network.asset.address),
        other.get("membership", network.membership.address),
        face_value,
        return_cap_bps,
    )
    authority = network.authority.address
    chain = network.chain
    office = chain.deploy_artefact(ADMIN, "CoalitionOffice", *parts, predecessor, authority)
    return chain.deploy_artefact(
        ADMIN, "Coalition", *parts, (0, 0, 0), predecessor, authority, office.address
    )


def hand_over(desk: Desk, successor: Contract | None = None) -> Contract:
    """Proposes, waits, accepts; the desk then speaks to the successor. Returns the old one."""
    old = desk.network.coalition
    successor = successor or successor_of(desk, old.address)
    desk.send(desk.network.points, ADMIN, "proposeCoalition", successor.address)
    desk.network.chain.at(desk.now + DELAY)
    desk.send(successor, TREASURY, "accept")
    desk.network = replace(desk.network, coalition=successor)
    return old
