"""A network's contracts: the file that names them, and the transactions that make them."""

from wallet_sdk.deployment.file import CONTRACT_NAMES, ContractAt, Deployment

__all__ = ["CONTRACT_NAMES", "ContractAt", "Deployment"]
