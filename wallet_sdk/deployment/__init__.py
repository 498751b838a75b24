"""A network's contracts: the file that names them, and the transactions that make them."""

from wallet_sdk.contracts.deployment import CONTRACT_NAMES, ContractAt, Deployment
from wallet_sdk.deployment.plan import (
    QUARTER_S,
    DeploymentParams,
    PlannedTransaction,
    deployed,
    is_artefact,
    plan,
    planned_addresses,
)
from wallet_sdk.deployment.roles import GUARDED, Actors, Role

__all__ = [
    "CONTRACT_NAMES",
    "GUARDED",
    "QUARTER_S",
    "Actors",
    "ContractAt",
    "Deployment",
    "DeploymentParams",
    "PlannedTransaction",
    "Role",
    "deployed",
    "is_artefact",
    "plan",
    "planned_addresses",
]
