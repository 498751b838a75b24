"""The contracts of a network: typed reads at any block, and the calldata of calls."""

from wallet_sdk.contracts.answers import (
    Closing,
    EpochSupply,
    Head,
    Income,
    IssuedBy,
    Ledger,
    MerchantState,
    Pass,
    Recovery,
    Successor,
    Terms,
)
from wallet_sdk.contracts.calls import Calls
from wallet_sdk.contracts.deployment import ContractAt, Deployment
from wallet_sdk.contracts.functions import FUNCTIONS, Call, Function, Read
from wallet_sdk.contracts.network import LATEST, Block, Network, block_parameter, refusal_in
from wallet_sdk.contracts.reads import Reads, token_id_of

__all__ = [
    "FUNCTIONS",
    "LATEST",
    "Block",
    "Call",
    "Calls",
    "Closing",
    "ContractAt",
    "Deployment",
    "EpochSupply",
    "Function",
    "Head",
    "Income",
    "IssuedBy",
    "Ledger",
    "MerchantState",
    "Network",
    "Pass",
    "Read",
    "Reads",
    "Recovery",
    "Successor",
    "Terms",
    "block_parameter",
    "refusal_in",
    "token_id_of",
]
